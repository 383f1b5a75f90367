"""A comparison as one web page: ranking, table, curves, and players that switch between methods in step.

The page is a single HTML file that loads nothing: sounds and figures are inside, scripts are a few hundred lines of
plain JavaScript (`templates/`). Without JavaScript it still shows everything, with one audio element for each sound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noisebook.audio.io import read, write_bytes_atomic
from noisebook.report.rates import best_at_like_rates, names, told
from noisebook.report.results import (
    ARROWS,
    GROUPS,
    best,
    cells,
    colour,
    group,
    members,
    number,
    ordered,
    rate,
)
from noisebook.report.web import data_uri, inside, matched_gains, outline, render, sound_uri

__all__ = ["MAX_MEGABYTES", "write_page"]

MAX_MEGABYTES = 64.0  # of sounds in one page; browsers load more, slowly, and web hosts refuse 100

Json = dict[str, Any]


def write_page(results: Json, folder: Path, path: Path, *, max_megabytes: float = MAX_MEGABYTES) -> None:
    """Write the page of a comparison, atomically; an existing one is replaced.

    Inputs are given players in their order as long as the sounds of all, as FLAC in base64, stay within
    `max_megabytes`; the page says so of the others and links to their files instead.

    Args:
        results: the dictionary of results.json.
        folder: where the files that it names lie.
        path: the page, usually `folder/index.html`, for then the links to files hold.
        max_megabytes: room for sounds, in 10^6 bytes.

    Raises:
        AudioError: a sound that cannot be read, or a page that cannot be written.
        ConfigError: a file outside the folder.
    """
    page = render("page.html.jinja", **_facts(results, folder, max_megabytes))
    write_bytes_atomic(path, page.encode("utf-8"), overwrite=True)


def _facts(results: Json, folder: Path, max_megabytes: float) -> Json:
    methods = [
        method | {"index": index, "group": group(method), "rate": rate(method["bit_per_second"])}
        for index, method in enumerate(results["methods"])
    ]
    inputs = list(_inputs(results, folder, max_megabytes))
    metrics = {metric["name"]: metric | {"arrow": ARROWS[metric["direction"]]} for metric in results["metrics"]}
    titles = {sound["id"]: sound["title"] for sound in results["inputs"]}
    labels = {method["id"]: method["label"] for method in methods}
    return {
        "noisebook": results["noisebook"],
        "created": results["created"],
        "summary": {
            "methods": len(members(results, "method")),
            "inputs": len(results["inputs"]),
            "seconds": sum(sound["seconds"] for sound in results["inputs"]),
        },
        "tiles": list(_tiles(results)),
        "metrics": list(metrics.values()),
        "methods": methods,
        "groups": [(name, title) for name, title in GROUPS.items() if members(results, name)],
        "colour": colour,
        "series": names(results),
        "rankings": [_ranking(results, metric) for metric in results["metrics"]],
        "cells": _table_cells(results),
        "curves": [
            {"label": metrics[curve["metric"]]["label"], "uri": _picture(folder, curve["file"])}
            for curve in results["figures"]["rate_quality"]
        ],
        "inputs": inputs,
        "judged": _judged([sound["judged"] for sound in inputs]),
        "infinity": math.inf,
        "max_megabytes": max_megabytes,
        "skipped": results["skipped"],
        "failures": [
            {"title": titles[row["input"]], "label": labels[row["method"]], "error": row["error"]}
            for row in results["rows"]
            if row["error"]
        ],
        "manifest": list(_flatten(results["manifest"])),
        "number": number,
    }


def _tiles(results: Json) -> Iterator[Json]:
    """For each metric the best method of every octave of rate, and what others take at the quality of Opus."""
    labels = names(results)
    for metric in results["metrics"]:
        steps = best_at_like_rates(results, metric)
        if steps:
            savings = [told(row, labels) for row in results["delta_rates"] if row["metric"] == metric["name"]]
            yield {"metric": metric | {"arrow": ARROWS[metric["direction"]]}, "steps": steps, "savings": savings}


def _judged(sounds: list[Json]) -> Json:
    """At which rates in kHz, and with how many channels, all sounds were judged."""
    kinds = {1: "mono", 2: "stereo"}
    channels = sorted({sound["channels"] for sound in sounds})
    return {
        "rates": [f"{rate / 1000:g}" for rate in sorted({sound["rate"] for sound in sounds})],
        "channels": " or ".join(kinds.get(count, f"{count} channels") for count in channels),
        "stereo": max(channels, default=1) > 1,
    }


def _ranking(results: Json, metric: Json) -> Json:
    """One metric: for each group its methods in order, with the places of mean and interval on a common axis in %.

    The axis spans methods and ceilings; a control may lie beyond it, and is drawn at its end.
    """
    means = cells(results)
    lines = {name: ordered(members(results, name), metric, means) for name in GROUPS}
    ends = [
        value
        for name in ("method", "ceiling")
        for method in lines[name]
        for value in _interval(means[method["id"], metric["name"]])
        if math.isfinite(value)
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)

    def place(value: float) -> float:
        return round(min(max(100 * (value - low) / ((high - low) or 1.0), 0.0), 100.0), 2)

    def line(position: int, method: Json, name: str) -> Json:
        cell = means[method["id"], metric["name"]]
        left, right = _interval(cell)
        return {
            "rank": position if name == "method" else None,
            "method": method | {"rate": rate(method["bit_per_second"])},
            "cell": cell,
            "left": place(left),
            "right": place(right),
            "middle": place(cell["mean"]),
            "beyond": not low <= cell["mean"] <= high,
        }

    groups = [
        (GROUPS[name], [line(i, m, name) for i, m in enumerate(lines[name], 1)]) for name in GROUPS if lines[name]
    ]
    return {
        "metric": metric | {"arrow": ARROWS[metric["direction"]]},
        "groups": groups,
        "axis": (low, high),
        "intervals": any(line["cell"]["low"] is not None for _, lines in groups for line in lines),
    }


def _interval(cell: Json) -> tuple[float, float]:
    """Low and high; the mean twice where one input gives no interval."""
    return (cell["mean"], cell["mean"]) if cell["low"] is None else (cell["low"], cell["high"])


def _table_cells(results: Json) -> dict[str, list[Json | None]]:
    """Method id -> one cell for each metric."""
    means, winners = cells(results), best(results)
    return {
        method["id"]: [
            means[key] | {"best": key in winners} if key in means else None
            for key in ((method["id"], metric["name"]) for metric in results["metrics"])
        ]
        for method in results["methods"]
    }


def _inputs(results: Json, folder: Path, max_megabytes: float) -> Iterator[Json]:
    """One player after the other, until the sounds of the next would not fit."""
    room = max_megabytes * 1e6
    for index, sound in enumerate(results["inputs"], 1):
        rows = [row for row in results["rows"] if row["input"] == sound["id"]]
        tracks = _tracks(sound, rows, results, folder) if room > 0 else []
        room -= sum(len(track["uri"]) for track in tracks)
        if room < 0:
            tracks, room = [], 0.0
        original = read(inside(folder, sound["file"]))
        residuals = [f for f in results["figures"]["residuals"] if f["input"] == sound["id"]]
        yield sound | {
            "index": index,
            "figure": _picture(folder, sound["figure"]) if sound["figure"] else None,
            "residuals": [_picture(folder, figure["file"]) for figure in residuals],
            "judged": {"rate": original.sample_rate, "channels": original.channels},
            "outline": outline(original) if tracks else "",
            "tracks": tracks,
            "files": [(row["method"], row["file"]) for row in rows if row["file"]],
            "rows": {row["method"]: row for row in rows},
        }


def _tracks(sound: Json, rows: list[Json], results: Json, folder: Path) -> list[Json]:
    """The sounds of one player, the original first, then in the order of groups and methods."""
    by_method = {row["method"]: row for row in rows if row["file"]}
    chosen = [m for name in GROUPS for m in members(results, name) if m["id"] in by_method]
    files = [sound["file"], *(by_method[method["id"]]["file"] for method in chosen)]
    sounds = [read(inside(folder, file)) for file in files]
    facts: list[Json] = [{"group": "reference", "label": "Original", "colour": "reference", "generative": False}]
    facts += [
        {key: method[key] for key in ("label", "generative")}
        | {"group": group(method), "colour": colour(method), "rate": rate(by_method[method["id"]]["bit_per_second"])}
        for method in chosen
    ]
    return [
        {"rate": "", "gain_db": gain, "gain": f"{gain:+.1f} dB" if abs(gain) >= 0.05 else "", "uri": sound_uri(one)}
        | fact
        for fact, gain, one in zip(facts, matched_gains(sounds), sounds, strict=True)
    ]


def _picture(folder: Path, name: str) -> str:
    file = inside(folder, name)
    return data_uri(file.read_bytes(), "image/svg+xml" if file.suffix == ".svg" else "image/png")


def _flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as lines of dotted name and text."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _flatten(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        yield name, " ".join(map(str, value))
    else:
        yield name, "" if value is None else str(value)
