"""What every report reads out of a comparison's results: groups of methods, order, best, rates; the results as text.

The results are the dictionary of `results.json` (docs/howto/compare.md). Ceilings and controls are never ranked against
methods: a ceiling has no bits, and a control is meant to be bad.

Source: Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001; here with
piecewise cubic Hermite interpolation, as in ITU-T HSTP-VID-WPOM, 2020.
"""

from __future__ import annotations

import csv
import html
import math
from collections.abc import Iterable
from io import StringIO
from itertools import pairwise
from typing import Any

import numpy as np

Json = dict[str, Any]
Cells = dict[tuple[str, str], Json]  # method and metric -> mean, low, high, n
Point = tuple[float, float]  # bit/s, quality, which grows as it gets better

GROUPS = {"method": "Methods", "ceiling": "Ceilings", "control": "Controls"}  # id -> title
# series or family -> its colour on light and on dark paper, in pages and figures alike
COLOURS = {
    "reference": ("#1d2126", "#e6e8ea"),
    "ddcm": ("#4f46c8", "#9d97f7"),
    "vq": ("#b45309", "#f0a04b"),
    "opus": ("#0f766e", "#4cc2b3"),
    "mp3": ("#b91c1c", "#f58d85"),
    "codec2": ("#4d7c0f", "#a8cf5f"),
    "speex": ("#86198f", "#e08ae8"),
    "codec": ("#0369a1", "#63b8ea"),
    "transform": ("#a8246e", "#ee80ba"),
    "reconstruct": ("#1d6fb8", "#6db4ef"),
    "ceiling": ("#5b687a", "#94a3b8"),
    "control": ("#666b70", "#8d949b"),
}
ARROWS = {"higher": "↑", "lower": "↓", "zero": "→ 0"}
CODECS = ("ddcm", "vq", "codec")  # families whose methods have a rate
_OCTAVES = (0.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, math.inf)  # bit/s


def group(method: Json) -> str:
    """The key of `GROUPS` that a method belongs to."""
    return method["family"] if method["family"] in GROUPS else "method"


def members(results: Json, name: str) -> list[Json]:
    """The methods of one group, in the order of the results."""
    return [method for method in results["methods"] if group(method) == name]


def colour(method: Json) -> str:
    """The key of `COLOURS` of a method: its series, or its family where that has none of its own."""
    return next((name for name in (method["series"], method["family"]) if name in COLOURS), "reference")


def cells(results: Json) -> Cells:
    """Mean, low, high and n by method and metric; without what has no mean. One value has no interval."""
    lines = (line for line in results["ranking"] if line["mean"] is not None)
    return {
        (line["method"], line["metric"]): line if line["n"] > 1 else line | {"low": None, "high": None}
        for line in lines
    }


def goodness(value: float, direction: str) -> float:
    """A number that grows as the value gets better: the value, its negative, or its negative distance from 0."""
    return {"higher": value, "lower": -value, "zero": -abs(value)}[direction]


def ordered(methods: Iterable[Json], metric: Json, means: Cells) -> list[Json]:
    """Those of the methods that have a mean of the metric, the best first."""
    known = [method for method in methods if (method["id"], metric["name"]) in means]
    return sorted(known, key=lambda m: -goodness(means[m["id"], metric["name"]]["mean"], metric["direction"]))


def best(results: Json) -> set[tuple[str, str]]:
    """Which methods have the best mean of a metric, ties included; ceilings and controls do not compete."""
    means, winners = cells(results), set()
    for metric in results["metrics"]:
        line = ordered(members(results, "method"), metric, means)
        values = [goodness(means[m["id"], metric["name"]]["mean"], metric["direction"]) for m in line]
        winners |= {(m["id"], metric["name"]) for m, value in zip(line, values, strict=True) if value == values[0]}
    return winners


def best_at_like_rates(results: Json, metric: Json) -> list[Json]:
    """For every octave of rate that has methods, the lowest first: "low" and "high" in bit/s (infinity for the last),
    the best "method" by a metric with its "cell", and "among" how many."""
    means = cells(results)
    rated = [method for method in members(results, "method") if method["bit_per_second"]]
    found = []
    for low, high in pairwise(_OCTAVES):
        line = ordered([method for method in rated if low <= method["bit_per_second"] < high], metric, means)
        if line:
            cell = means[line[0]["id"], metric["name"]]
            found.append({"low": low, "high": high, "method": line[0], "cell": cell, "among": len(line)})
    return found


def curves(results: Json, metric: str) -> dict[str, list[tuple[float, Json]]]:
    """By series of codec ("ddcm", "opus"), its measured rates in bit/s with the cell of a metric at each."""
    means = cells(results)
    found: dict[str, list[tuple[float, Json]]] = {}
    for method in results["methods"]:
        cell = means.get((method["id"], metric))
        if cell is not None and method["bit_per_second"] and method["family"] in CODECS:
            found.setdefault(method["series"], []).append((method["bit_per_second"], cell))
    return found


def delta_rates(results: Json, *, against: str = "opus") -> list[Json]:
    """For each metric and series of codec, where that can be said, how many "percent" of rate it takes more (less:
    negative) than the one "against" which it is compared, at equal quality."""
    found = []
    for metric in results["metrics"]:
        name, direction = metric["name"], metric["direction"]
        points = {
            series: [(rate, goodness(cell["mean"], direction)) for rate, cell in line]
            for series, line in curves(results, name).items()
        }
        for series in (name for name in points if name != against):
            percent = delta_rate(points.get(against, ()), points[series])
            if percent is not None:
                found.append({"metric": name, "series": series, "against": against, "percent": round(percent, 1)})
    return found


def delta_rate(reference: Iterable[Point], other: Iterable[Point]) -> float | None:
    """The mean difference of rate at equal quality, in percent of the reference's: Bjontegaard's delta rate.

    The logarithm of the rate is interpolated as a function of quality and averaged over the qualities that both reach.
    Points that another of their curve beats at a lower rate are left out, for nobody would choose them.

    Returns:
        Negative where the other takes less; None where fewer than two points of a curve are left, or where there is no
        quality that both reach.
    """
    from scipy.interpolate import PchipInterpolator

    fronts = [_front(reference), _front(other)]
    if min(map(len, fronts)) < 2:
        return None
    low, high = max(front[0][1] for front in fronts), min(front[-1][1] for front in fronts)
    if low >= high:
        return None
    logs = [PchipInterpolator([q for _, q in front], np.log([rate for rate, _ in front])) for front in fronts]
    area, other_area = (float(log.integrate(low, high)) for log in logs)
    return 100 * (math.exp((other_area - area) / (high - low)) - 1)


def _front(points: Iterable[Point]) -> list[Point]:
    """Finite points by rising rate, each of them better than all before."""
    front: list[Point] = []
    for rate, quality in sorted(points):
        if math.isfinite(quality) and (not front or quality > front[-1][1]):
            front.append((rate, quality))
    return front


def names(results: Json) -> dict[str, str]:
    """What each series is called: a codec by the first word of its methods' labels, others as their family."""
    return {
        method["series"]: (
            method["label"].partition(" ")[0] if method["family"] in CODECS else method["family"].capitalize()
        )
        for method in results["methods"]
    }


def in_words(row: Json, names: dict[str, str]) -> str:
    """A row of `delta_rates`: "DDCM takes 62 % less than Opus"."""
    percent = row["percent"]
    if percent >= 100:
        words = f"{1 + percent / 100:.1f} times as much as"
    else:
        words = f"{abs(percent):.0f} % {'less' if percent < 0 else 'more'} than"
    return f"{names[row['series']]} takes {words} {names[row['against']]}"


def number(value: float | None) -> str:
    """Three or so digits that matter; empty for None."""
    if value is None:
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 0.1 or value == 0 else 3
    return f"{value:.{digits}f}"


def rate(bit_per_second: float | None) -> str:
    """bit/s as whole bits from 100 on; empty for None."""
    return "" if bit_per_second is None else f"{bit_per_second:.0f}" if bit_per_second >= 100 else f"{bit_per_second:g}"


def to_csv(results: Json) -> str:
    """One line for each input and method, failed runs too; what is not known is empty."""
    columns = (
        "input", "title", "kind", "seconds", "method", "label", "family", "generative", "bytes", "bit_per_second",
        "encode_seconds", "decode_seconds", "lag_samples", "gain_db", *(one["name"] for one in results["metrics"]),
        "related", "score", "threshold", "p_value", "n_controls", "error",
    )  # fmt: skip
    inputs = {line["id"]: line for line in results["inputs"]}
    methods = {line["id"]: line for line in results["methods"]}
    text = StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in results["rows"]:
        facts = inputs[row["input"]] | methods[row["method"]] | row | row["metrics"] | (row["verdict"] or {})
        writer.writerow({key: str(x).lower() if isinstance(x, bool) else x for key, x in facts.items()})
    return text.getvalue()


def to_markdown(results: Json) -> str:
    """The ranking as one table in the order of the first metric, ceilings and controls below the methods, the best of
    the methods bold; then rates at equal quality, and skipped methods."""
    metrics, means, winners = results["metrics"], cells(results), best(results)
    headings = (" ".join(filter(None, (m["name"], m["unit"], ARROWS[m["direction"]]))) for m in metrics)
    lines = [["", "bit/s", *headings], ["---", *["---:"] * (len(metrics) + 1)]]
    for name in GROUPS:
        own = members(results, name)
        known = ordered(own, metrics[0], means) if metrics else []
        for method in known + [method for method in own if method not in known]:
            label = method["label"]
            if name != "method" and not label.startswith(f"{name}:"):
                label = f"{name}: {label}"
            keys = [(method["id"], metric["name"]) for metric in metrics]
            numbers = [_cell(means.get(key), key in winners) for key in keys]
            lines.append([_escape(label), rate(method["bit_per_second"]), *numbers])
    parts = [
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        "Mean over inputs [95 % interval]; ↑ higher is better, ↓ lower, → 0 nearest to zero.",
    ]
    labels = names(results)
    savings = [f"- at equal {row['metric']}: {_escape(in_words(row, labels))}" for row in results["delta_rates"]]
    if savings:
        parts.append("\n".join(["Rate at equal quality (Bjontegaard's delta rate):", "", *savings]))
    if results["skipped"]:
        skipped = (f"- skipped: {_escape(one['method'])}: {_escape(one['reason'])}" for one in results["skipped"])
        parts.append("\n".join(skipped))
    return "\n\n".join(parts) + "\n"


def _cell(line: Json | None, winner: bool) -> str:
    if line is None:
        return ""
    mean = f"**{number(line['mean'])}**" if winner else number(line["mean"])
    return mean if line["low"] is None else f"{mean} [{number(line['low'])}, {number(line['high'])}]"


def _escape(text: str) -> str:
    """Text that stays in its cell and means nothing in Markdown or HTML."""
    text = html.escape(" ".join(text.split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\|*_`[]" else letter for letter in text)
