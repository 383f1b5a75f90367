"""What a comparison leaves behind: results.json, figures, tables, the page and the listening kit."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import numpy as np

from noisebook._version import __version__
from noisebook.comparison.inputs import SAMPLE_RATE, Input
from noisebook.comparison.methods import Method
from noisebook.comparison.runs import ORIGINAL, Run
from noisebook.comparison.store import Store
from noisebook.metrics import METRICS, bootstrap_interval
from noisebook.report import blind, figures, page, rates, tables
from noisebook.report.results import COLOURS, cells, goodness

__all__ = ["Blind", "manifest", "publish", "ranking", "results_of"]

Blind = Literal["mushra", "abx"]
_PACKAGES = ("numpy", "torch", "soundfile", "soxr", "librosa", "pystoi", "pesq", "visqol-python", "zimtohrli")
_FOR_INTERVAL = 5  # inputs: the bootstrap of fewer is far too narrow
_GRID_COLUMNS, _GRID_MOST = 3, 35


def manifest(run: Run, *, command: str, seed: int, settings: dict[str, Any]) -> dict[str, Any]:
    """Everything that somebody needs who wants the same numbers."""
    used = any(method.needs_model for method in run.methods)
    return {
        "command": command,
        "noisebook": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "programs": {m.series: m.version for m in run.methods if m.version},
        "machine": {"system": platform.system(), "processor": platform.machine(), "cores": os.cpu_count()},
        "model": run.model if used else None,
        "seeds": {"methods": seed, "bootstrap": 0},
        "reference": f"mono or stereo as the input is, {SAMPLE_RATE} Hz",
        "settings": settings,
    }


def results_of(run: Run, rows: list[dict[str, Any]], *, about: dict[str, Any]) -> dict[str, Any]:
    """The results as `results.json` holds them (docs/comparison.md), without figures.

    Args:
        run: what was compared.
        rows: of it.
        about: the manifest.
    """
    table = {metric.name: metric for metric in METRICS}
    chosen = [table[name] for name in run.metrics]
    metrics = [{"name": m.name, "label": m.label, "unit": m.unit, "direction": m.direction} for m in chosen]
    results = {
        "format": 1,
        "noisebook": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "manifest": about,
        "metrics": metrics,
        "inputs": [_input(source, run.store) for source in run.inputs],
        "methods": [_method(method, rows) for method in run.methods],
        "rows": rows,
        "skipped": [{"method": method.id, "reason": method.missing} for method in run.skipped],
        "ranking": ranking(rows, metrics),
        "figures": {"rate_quality": [], "residuals": []},
    }
    return results | {"delta_rates": rates.delta_rates(results)}


def ranking(
    rows: Sequence[dict[str, Any]], metrics: Sequence[dict[str, Any]], *, seed: int = 0
) -> list[dict[str, Any]]:
    """A line for each method and metric that has a value: means over inputs, and the order of the methods.

    A method that lacks values which others have (it failed, or they are not finite) is ranked behind those that have
    them all: to fail on the hardest clip must not pay.

    Args:
        rows: of the results.
        metrics: of the results: name and direction.
        seed: of the bootstrap.

    Returns:
        Lines of method, metric, mean, low and high (95 %, percentile bootstrap over inputs; None for fewer than five),
        n, and rank from 1.
    """
    ranked = []
    for metric in metrics:
        values: dict[str, list[float]] = {}
        for row in rows:
            if row["metrics"].get(metric["name"]) is not None:
                values.setdefault(row["method"], []).append(row["metrics"][metric["name"]])
        lines: list[dict[str, Any]] = []
        for method, own in values.items():
            mean, *ends = bootstrap_interval(own, level=0.95, seed=seed)
            low, high = ends if len(own) >= _FOR_INTERVAL else (None, None)
            lines.append(
                {"method": method, "metric": metric["name"], "mean": mean, "low": low, "high": high, "n": len(own)}
            )
        lines.sort(key=lambda line: (-line["n"], -goodness(line["mean"], metric["direction"])))
        ranked += [{**line, "rank": rank} for rank, line in enumerate(lines, 1)]
    return ranked


def publish(
    results: dict[str, Any],
    store: Store,
    *,
    with_figures: bool = True,
    with_page: bool = True,
    blind_design: Blind | None = None,
    blind_methods: Sequence[str] | None = None,
    seed: int = 0,
) -> list[str]:
    """Write everything; returns the names of the files to look at, within the folder.

    Args:
        results: of `results_of`; the figures' names are filled in.
        store: of the comparison.
        with_figures, with_page: whether those are wanted.
        blind_design, blind_methods: of a listening kit; None is none, and all methods but controls.
        seed: of the listening kit.

    Raises:
        ConfigError: a listening kit of too many sounds.
        MissingExtra: figures are wanted, and matplotlib is not installed.
    """
    written = ["results.json", "results.csv", "results.md"]
    if with_figures:
        _draw(results, store)
    store.write(store.folder / "results.json", (json.dumps(results, indent=1, allow_nan=False) + "\n").encode())
    store.write(store.folder / "results.csv", tables.to_csv(results).encode())
    store.write(store.folder / "results.md", tables.to_markdown(results).encode())
    if with_page:
        page.write_page(results, store.folder, store.folder / "index.html")
        written.append("index.html")
    if blind_design is not None:
        out = store.folder / blind_design
        blind.write_blind(results, store.folder, out, design=blind_design, seed=seed, methods=blind_methods)
        written.append(f"{blind_design}/index.html")
    return written


def _draw(results: dict[str, Any], store: Store) -> None:
    """Every figure, named in the results."""
    folder = store.folder / "figures"
    folder.mkdir(exist_ok=True)
    for source in results["inputs"]:
        source["figure"] = f"figures/{source['id']}.png"
        grid = _grid(results, store, source["id"])
        figures.spectrogram_grid(grid, store.folder / source["figure"], columns=min(_GRID_COLUMNS, len(grid)))
    for metric in results["metrics"]:
        curves, levels = _curves(results, metric["name"])
        if curves:
            name = f"figures/rate-{metric['name']}.png"
            label = f"{metric['label']} ({metric['unit']})" if metric["unit"] else metric["label"]
            colours = {name: COLOURS[series][0] for series, name in rates.names(results).items() if series in COLOURS}
            figures.rate_quality(
                curves, store.folder / name, label=label, better=metric["direction"], levels=levels, scattered=("VQ",),
                colours=colours,
            )  # fmt: skip
            results["figures"]["rate_quality"].append({"metric": metric["name"], "file": name})
    for source in results["inputs"]:
        traces = {r["method"]: r["residuals_db"] for r in _rows(results, source["id"]) if r["residuals_db"]}
        if traces:
            name = f"figures/residuals-{source['id']}.png"
            figures.residual_steps(_labelled(results, traces), store.folder / name)
            results["figures"]["residuals"].append({"input": source["id"], "file": name})


def _grid(results: dict[str, Any], store: Store, source: str) -> dict[str, Any]:
    """Original and methods, but for controls; evenly chosen ones where there are too many to see."""
    controls = {method["id"] for method in results["methods"] if method["family"] == "control"}
    methods = [row["method"] for row in _rows(results, source) if row["file"] and row["method"] not in controls]
    places = np.linspace(0, len(methods) - 1, min(len(methods), _GRID_MOST)).round().astype(int)
    shown = [methods[place] for place in places]
    sounds = {method: store.read_sound(source, method) for method in shown}
    return {"original": store.read_sound(source, ORIGINAL), **_labelled(results, sounds)}


def _curves(results: dict[str, Any], metric: str) -> tuple[dict[str, list[figures.Point]], dict[str, float]]:
    """Means against measured rates, a curve for each codec, and levels for the methods without a rate."""
    names, means = rates.names(results), cells(results)

    def point(rate: float, cell: dict[str, Any]) -> figures.Point:
        return figures.Point(rate, cell["mean"], None if cell["low"] is None else (cell["low"], cell["high"]))

    curves = {names[s]: [point(*one) for one in line] for s, line in rates.curves(results, metric).items()}
    levels = {
        method["label"]: means[method["id"], metric]["mean"]
        for method in results["methods"]
        if method["family"] in ("ceiling", "control") and (method["id"], metric) in means
    }
    return curves, levels


def _input(source: Input, store: Store) -> dict[str, Any]:
    return {
        "id": source.id,
        "title": source.title,
        "kind": source.kind,
        "seconds": round(source.sound.duration, 4),
        "cut_seconds": source.cut_seconds,
        "sample_rate": source.source_rate,
        "channels": source.source_channels,
        "sha256": source.digest,
        "file": store.sound_name(source.id, ORIGINAL),
        "figure": None,
    }


def _method(method: Method, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A method, with the mean rate of its files, or its nominal rate where it made none."""
    rates = [r["bit_per_second"] for r in rows if r["method"] == method.id and r["bit_per_second"] is not None]
    return {
        "id": method.id,
        "label": method.label,
        "family": method.family,
        "series": method.series,
        "generative": method.generative,
        "bit_per_second": round(float(np.mean(rates)), 1) if rates else method.bit_per_second,
        "nominal_bit_per_second": method.bit_per_second,
        "command": method.command,
        "version": method.version,
    }


def _rows(results: dict[str, Any], source: str) -> list[dict[str, Any]]:
    return [row for row in results["rows"] if row["input"] == source]


def _labelled(results: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    labels = {method["id"]: method["label"] for method in results["methods"]}
    return {labels[name]: value for name, value in values.items()}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
