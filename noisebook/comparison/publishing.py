"""What a comparison leaves behind: results.json, figures, tables, the page and the listening kit."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import distributions
from typing import Any

import numpy as np

from noisebook._version import __version__
from noisebook.comparison.inputs import SAMPLE_RATE, Input
from noisebook.comparison.methods import Method
from noisebook.comparison.runs import ORIGINAL, Run, Store
from noisebook.metrics import METRICS, bootstrap_interval
from noisebook.report import blind, figures, page
from noisebook.report import results as reading

Json = dict[str, Any]

_PACKAGES = ("numpy", "torch", "soundfile", "soxr", "librosa", "pystoi", "pesq", "visqol-python", "zimtohrli")
_FOR_INTERVAL = 5  # inputs: the bootstrap of fewer is far too narrow
_GRID_COLUMNS, _GRID_MOST = 3, 35


def results_of(run: Run, rows: list[Json], *, command: str, seed: int = 0, settings: Json | None = None) -> Json:
    """The results as `results.json` holds them (docs/howto/compare.md), without figures.

    Command, seed and settings go into the manifest, for somebody who wants the same numbers.
    """
    table = {metric.name: metric for metric in METRICS}
    metrics = [_facts(table[name], "name", "label", "unit", "direction") for name in run.metrics]
    results = {
        "format": 1,
        "noisebook": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifest": {
            "command": command,
            "noisebook": __version__,
            "python": platform.python_version(),
            "packages": {name: found.version for name in _PACKAGES for found in distributions(name=name)},
            "programs": {method.series: method.version for method in run.methods if method.version},
            "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
            "model": run.model if any(method.needs_model for method in run.methods) else None,
            "seeds": {"methods": seed, "bootstrap": 0},
            "reference": f"mono or stereo as the input is, {SAMPLE_RATE} Hz",
            "settings": settings or {},
        },
        "metrics": metrics,
        "inputs": [_input(source, run.store) for source in run.inputs],
        "methods": [_method(method, rows) for method in run.methods],
        "rows": rows,
        "skipped": [{"method": method.id, "reason": method.missing} for method in run.skipped],
        "ranking": ranking(rows, metrics),
        "figures": {"rate_quality": [], "residuals": []},
    }
    return results | {"delta_rates": reading.delta_rates(results)}


def _facts(of: object, *names: str) -> Json:
    return {name: getattr(of, name) for name in names}


def _input(source: Input, store: Store) -> Json:
    return _facts(source, "id", "title", "kind", "cut_seconds") | {
        "seconds": round(source.sound.duration, 4),
        "sample_rate": source.source_rate,
        "channels": source.source_channels,
        "sha256": source.digest,
        "file": store.sound_name(source.id, ORIGINAL),
        "figure": None,
    }


def _method(method: Method, rows: Sequence[Json]) -> Json:
    """A method, with the mean rate of its files, or its nominal rate where it made none."""
    rates = [r["bit_per_second"] for r in rows if r["method"] == method.id and r["bit_per_second"] is not None]
    return _facts(method, "id", "label", "family", "series", "generative", "command", "version") | {
        "bit_per_second": round(float(np.mean(rates)), 1) if rates else method.bit_per_second,
        "nominal_bit_per_second": method.bit_per_second,
    }


def ranking(rows: Sequence[Json], metrics: Sequence[Json]) -> list[Json]:
    """A line for each method and metric that has a value: method, metric, mean over inputs, low and high of its 95 %
    interval (None for fewer than five inputs), n, and rank from 1.

    A method that lacks values which others have (it failed, or they are not finite) is ranked behind those that have
    them all: to fail on the hardest clip must not pay.
    """
    ranked = []
    for name, direction in ((metric["name"], metric["direction"]) for metric in metrics):
        values: dict[str, list[float]] = {}
        for row in rows:
            if (value := row["metrics"].get(name)) is not None:
                values.setdefault(row["method"], []).append(value)
        lines: list[Json] = []
        for method, own in values.items():
            mean, *ends = bootstrap_interval(own)
            low, high = ends if len(own) >= _FOR_INTERVAL else (None, None)
            lines.append({"method": method, "metric": name, "mean": mean, "low": low, "high": high, "n": len(own)})
        lines.sort(key=lambda line: (-line["n"], -reading.goodness(line["mean"], direction)))
        ranked += [{**line, "rank": rank} for rank, line in enumerate(lines, 1)]
    return ranked


def publish(
    results: Json,
    store: Store,
    *,
    with_figures: bool = True,
    with_page: bool = True,
    blind_design: blind.Design | None = None,
    blind_methods: Sequence[str] | None = None,
    seed: int = 0,
) -> list[str]:
    """Write everything, and fill in the names of figures; returns the names of the files to look at, within the folder.

    `blind_design` and `blind_methods` are those of a listening test: None is none, and all methods but controls. Errors
    as of `blind.write_blind`, `page.write_page` and the figures.
    """
    if with_figures:
        _draw(results, store)
    written = [
        store.write("results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode()),
        store.write("results.csv", reading.to_csv(results).encode()),
        store.write("results.md", reading.to_markdown(results).encode()),
    ]
    if with_page:
        page.write_page(results, store.folder, store.folder / "index.html")
        written.append("index.html")
    if blind_design is not None:
        out = store.folder / blind_design
        blind.write_blind(results, store.folder, out, design=blind_design, seed=seed, methods=blind_methods)
        written.append(f"{blind_design}/index.html")
    return written


def _draw(results: Json, store: Store) -> None:
    (store.folder / "figures").mkdir(exist_ok=True)
    labels = {method["id"]: method["label"] for method in results["methods"]}
    for metric in results["metrics"]:
        name = f"figures/rate-{metric['name']}.png"
        if figures.rate_quality(results, metric, store.folder / name):
            results["figures"]["rate_quality"].append({"metric": metric["name"], "file": name})
    for source in results["inputs"]:
        rows = [row for row in results["rows"] if row["input"] == source["id"]]
        source["figure"] = f"figures/{source['id']}.png"
        sounds = {"original": store.read_sound(source["id"], ORIGINAL)}
        sounds |= {labels[name]: store.read_sound(source["id"], name) for name in _shown(results, rows)}
        figures.spectrogram_grid(sounds, store.folder / source["figure"], columns=min(_GRID_COLUMNS, len(sounds)))
        traces = {labels[row["method"]]: row["residuals_db"] for row in rows if row["residuals_db"]}
        if traces:
            name = f"figures/residuals-{source['id']}.png"
            figures.residual_steps(traces, store.folder / name)
            results["figures"]["residuals"].append({"input": source["id"], "file": name})


def _shown(results: Json, rows: Sequence[Json]) -> list[str]:
    """Methods with a sound, but for controls; evenly chosen ones where there are too many to see."""
    controls = {method["id"] for method in reading.members(results, "control")}
    methods = [row["method"] for row in rows if row["file"] and row["method"] not in controls]
    places = np.linspace(0, len(methods) - 1, min(len(methods), _GRID_MOST)).round().astype(int)
    return [methods[place] for place in places]
