"""Web pages of a comparison (ranking, table, curves, players that switch between methods in step) and a verification.

A page is a single HTML file that loads nothing: sounds and figures are inside, scripts are a few hundred lines of plain
JavaScript (`templates/`). Without JavaScript it still shows everything, with one audio element for each sound.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from noisebook._version import __version__
from noisebook.audio.html import data_uri, sound_uri
from noisebook.audio.io import read, write_bytes_atomic
from noisebook.audio.level import loudness_lufs, peak_db
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.metrics import METRICS
from noisebook.report import results as reading
from noisebook.report.results import ARROWS, COLOURS, GROUPS, cells, members, number, ordered, rate

MAX_GAIN_DB = 20.0  # a nearly silent sound is not blown up further
_MAX_MEGABYTES = 64.0  # of sounds in one page; browsers load more, slowly, and web hosts refuse 100
_SHOWN = ("noisebook", "created", "metrics", "methods", "skipped", "figures")  # results that a page shows as they are

Json = dict[str, Any]


def write_page(results: Json, folder: Path, path: Path, *, max_megabytes: float = _MAX_MEGABYTES) -> None:
    """Write the page of a comparison, atomically; an existing one is replaced.

    Args:
        results: the dictionary of results.json.
        folder: where the files that it names are.
        path: the page, usually `folder/index.html`, for then the links to files hold.
        max_megabytes: room for sounds, in 10^6 bytes. Inputs are given players in their order as long as the sounds of
            all, as FLAC in base64, fit; the page says so of the others and links to their files instead.

    AudioError where a sound cannot be read or the page be written, ConfigError for a file outside the folder.
    """
    metrics = [metric | {"arrow": ARROWS[metric["direction"]]} for metric in results["metrics"]]
    methods = [
        method | {"group": reading.group(method), "rate": rate(method["bit_per_second"])}
        for method in results["methods"]
    ]
    results = results | {"metrics": metrics, "methods": methods}
    page = render(
        "page.html.jinja", **{name: results[name] for name in _SHOWN},
        colour=reading.colour, infinity=math.inf, picture=partial(_picture, folder), max_megabytes=max_megabytes,
        tiles=list(_tiles(results)), series=reading.names(results),
        groups=[(name, title) for name, title in GROUPS.items() if members(results, name)],
        rankings=[_ranking(results, metric) for metric in metrics],
        cells=cells(results), winners=reading.best(results),
        inputs=list(_inputs(results, folder, max_megabytes)), failures=[row for row in results["rows"] if row["error"]],
        labels={one["id"]: one["label"] for one in methods} | {one["name"]: one["label"] for one in metrics},
        titles={one["id"]: one["title"] for one in results["inputs"]}, manifest=list(_flatten(results["manifest"])),
    )  # fmt: skip
    write_bytes_atomic(path, page.encode("utf-8"), overwrite=True)


def write_verification(
    found: Json, reference: Waveform, estimate: Waveform, path: Path, *, names: tuple[str, str], overwrite: bool = False
) -> None:
    """Write the page of a verification, atomically: the verdict, both sounds in step, every metric beside its controls.

    Args:
        found: the dictionary of a `Verification`.
        reference, estimate: what was compared, of any rate; the beginning of the later one is left out.
        names: of the two.

    AudioError for a page that cannot be written, or that exists without `overwrite`.
    """
    lag = found["alignment"]["lag"] / found["alignment"]["sample_rate"]
    sounds = [
        Waveform(sound.samples[:, round(max(0.0, late) * sound.sample_rate) :], sound.sample_rate)
        for sound, late in ((reference, -lag), (estimate, lag))
    ]
    facts = [_track(names[0], "reference", "reference"), _track(names[1], "method", "ddcm")]
    page = render(
        "verification.html.jinja",
        noisebook=__version__, names=names, found=found, rows=_verification_rows(found),
        columns=[*found["ceilings"], *(found["metrics"][0]["controls"] if found["metrics"] else ())],
        tracks=_tracks(facts, sounds), seconds=sounds[0].duration, rate=max(sound.sample_rate for sound in sounds),
        outline=outline(sounds[0]),
    )  # fmt: skip
    write_bytes_atomic(path, page.encode("utf-8"), overwrite=overwrite)


def _verification_rows(found: Json) -> list[Json]:
    labels = {metric.name: metric.label for metric in METRICS} | {"similarity": "Similarity"}
    rows = [
        {"name": name, "label": f"Composite score: {name}", "unit": "", "direction": "higher", "value": score["score"],
         "others": score["ceilings"] | score["controls"]}
        for name, score in found["composites"].items()
    ]  # fmt: skip
    for row in found["metrics"]:
        ceilings = {name: values[row["name"]] for name, values in found["ceilings"].items()}
        rows.append(row | {"label": labels[row["name"]], "others": ceilings | row["controls"]})
    return [row | {"arrow": ARROWS[row["direction"]]} for row in rows]


def _track(label: str, group: str, colour: str, rate: str = "", generative: bool = False) -> Json:
    """What a player says of a sound."""
    return {"label": label, "group": group, "colour": colour, "rate": rate, "generative": generative}


def _tracks(facts: Sequence[Json], sounds: Sequence[Waveform]) -> list[Json]:
    """The sounds of a player, as loud as the first."""
    return [
        fact | {"uri": sound_uri(sound), "gain_db": gain, "gain": f"{gain:+.1f} dB" if abs(gain) >= 0.05 else ""}
        for fact, gain, sound in zip(facts, matched_gains(sounds), sounds, strict=True)
    ]


def _tiles(results: Json) -> Iterator[Json]:
    """For each metric the best method of every octave of rate, and what others take at the quality of Opus."""
    names = reading.names(results)
    for metric in results["metrics"]:
        steps = reading.best_at_like_rates(results, metric)
        if steps:
            rows = [row for row in results["delta_rates"] if row["metric"] == metric["name"]]
            yield {"metric": metric, "steps": steps, "savings": [reading.in_words(row, names) for row in rows]}


def _ranking(results: Json, metric: Json) -> Json:
    """One metric: for each group its methods in order, with the places of mean and interval on a common axis in %.

    The axis spans methods and ceilings; a control may lie beyond it, and is drawn at its end.
    """
    means = cells(results)
    lines = {
        name: [
            (method, means[method["id"], metric["name"]]) for method in ordered(members(results, name), metric, means)
        ]
        for name in GROUPS
    }
    ranked = [cell for name in ("method", "ceiling") for _, cell in lines[name]]
    ends = [value for cell in ranked for value in _interval(cell) if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(ends), max(ends)

    def line(method: Json, cell: Json) -> Json:
        values = np.array([*_interval(cell), cell["mean"]])
        left, right, middle = (100 * (values - low) / ((high - low) or 1.0)).clip(0, 100).round(2).tolist()
        beyond = not low <= cell["mean"] <= high
        return {"method": method, "cell": cell, "left": left, "right": right, "middle": middle, "beyond": beyond}

    groups = [(name, GROUPS[name], [line(*one) for one in own]) for name, own in lines.items() if own]
    intervals = any(cell["low"] is not None for own in lines.values() for _, cell in own)
    return {"metric": metric, "groups": groups, "axis": (low, high), "intervals": intervals}


def _interval(cell: Json) -> tuple[float, float]:
    """Low and high; the mean twice where there is no interval."""
    return (cell["mean"], cell["mean"]) if cell["low"] is None else (cell["low"], cell["high"])


def _inputs(results: Json, folder: Path, max_megabytes: float) -> Iterator[Json]:
    """One player after the other, until the sounds of the next would not fit."""
    room = max_megabytes * 1e6
    for index, sound in enumerate(results["inputs"], 1):
        rows = {row["method"]: row for row in results["rows"] if row["input"] == sound["id"]}
        files = {method: row["file"] for method, row in rows.items() if row["file"]}
        tracks = _input_tracks(sound, rows, results, folder) if room > 0 else []
        room -= sum(len(track["uri"]) for track in tracks)
        if room < 0:
            tracks, room = [], 0.0
        original = read(inside(folder, sound["file"]))
        yield sound | {
            "index": index,
            "judged": {"rate": original.sample_rate, "channels": original.channels},
            "outline": outline(original) if tracks else "",
            "tracks": tracks,
            "files": list(files.items()),
            "rows": rows,
        }


def _input_tracks(sound: Json, rows: dict[str, Json], results: Json, folder: Path) -> list[Json]:
    """The sounds of one player, the original first, then in the order of groups and methods."""
    facts = [_track("Original", "reference", "reference") | {"file": sound["file"]}]
    facts += [
        _track(method["label"], name, reading.colour(method), rate(row["bit_per_second"]), method["generative"])
        | {"file": row["file"]}
        for name in GROUPS
        for method in members(results, name)
        if (row := rows.get(method["id"])) and row["file"]
    ]
    return _tracks(facts, [read(inside(folder, fact["file"])) for fact in facts])


def _picture(folder: Path, name: str) -> str:
    file = inside(folder, name)
    return data_uri(file.read_bytes(), "image/svg+xml" if file.suffix == ".svg" else "image/png")


def _flatten(facts: Json, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested facts as lines of dotted name and text."""
    for key, value in facts.items():
        if isinstance(value, dict):
            yield from _flatten(value, f"{name}{key}.")
        else:
            text = " ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
            yield f"{name}{key}", text


@cache
def templates(*packages: str) -> Environment:
    """The templates of some packages, of those of one name the first; all text is escaped. In them `asset(name)` is a
    style sheet or script of the same folders, as it is."""
    loader = ChoiceLoader([PackageLoader(package, "templates") for package in packages])
    environment = Environment(
        autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )

    def asset(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])

    environment.globals |= {"asset": asset, "colour_css": colour_css, "colours": COLOURS, "number": number}
    return environment


def render(template: str, **facts: object) -> str:
    """A template of this package, filled in."""
    return templates("noisebook.report").get_template(template).render(**facts)


def colour_css() -> Markup:
    """The colours of `results.COLOURS` as variables of a style sheet, for light and dark paper."""
    light, dark = (" ".join(f"--{name}: {pair[scheme]};" for name, pair in COLOURS.items()) for scheme in (0, 1))
    return Markup(f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n")


def matched_gains(sounds: Sequence[Waveform]) -> list[float]:
    """Gains in dB that give every sound the loudness of the first (ITU-R BS.1770-4), at most `MAX_GAIN_DB` up or down.

    Where a sound would clip, all are turned down by the same amount. Silence keeps its level.
    """
    loudness = [loudness_lufs(sound) for sound in sounds]
    raw = [loudness[0] - level if np.isfinite(loudness[0] - level) else 0.0 for level in loudness]
    gains = [float(np.clip(gain, -MAX_GAIN_DB, MAX_GAIN_DB)) for gain in raw]
    over = max(peak_db(sound.samples) + gain for sound, gain in zip(sounds, gains, strict=True))
    return [round(gain - max(over, 0.0), 2) + 0.0 for gain in gains]  # + 0.0: no negative zero


def inside(folder: Path, name: str) -> Path:
    """The file of that relative name in a folder; ConfigError where the name leads out of it, or to nothing."""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        problem = f"which is not inside {folder}: name files of that folder only"
    elif not path.is_file():
        problem = f"and {folder} has none: keep the folder whole, or compare again"
    else:
        return path
    raise ConfigError(f"the results name the file {name}, {problem}")


def outline(sound: Waveform, *, columns: int = 240) -> str:
    """A sound's envelope as an SVG path in a box of `columns` by 100, the middle at 50."""
    peaks = np.array([part.max() for part in np.array_split(np.abs(sound.samples).max(axis=0), columns) if part.size])
    heights = np.maximum(48 * peaks / max(peaks.max(), 1e-9), 0.5)
    step = columns / len(peaks)
    return "".join(f"M{(i + 0.5) * step:.1f} {50 - h:.1f}V{50 + h:.1f}" for i, h in enumerate(heights))
