"""What every report reads out of a comparison's results: groups of methods, order, best, and numbers as text.

The results are the dictionary of `results.json` (docs/comparison.md). Ceilings and controls are never ranked against
methods: a ceiling has no bits, and a control shall be bad.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ARROWS",
    "COLOURS",
    "GROUPS",
    "Results",
    "best",
    "cells",
    "colour",
    "goodness",
    "group",
    "members",
    "number",
    "ordered",
    "rate",
]

Results = dict[str, Any]
Key = tuple[str, str]  # method, metric

# id of a group -> its title
GROUPS = {"method": "Methods", "ceiling": "Ceilings", "control": "Controls"}
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


def group(method: dict[str, Any]) -> str:
    """The key of `GROUPS` that a method belongs to."""
    return method["family"] if method["family"] in GROUPS else "method"


def members(results: Results, name: str) -> list[dict[str, Any]]:
    """The methods of one group, in the order of the results."""
    return [method for method in results["methods"] if group(method) == name]


def colour(method: dict[str, Any]) -> str:
    """The key of `COLOURS` of a method: its series, or its family where that has none of its own."""
    return next((name for name in (method["series"], method["family"]) if name in COLOURS), "reference")


def cells(results: Results) -> dict[Key, dict[str, Any]]:
    """Mean, low, high and n by method and metric; without what has no mean. One value has no interval."""
    lines = (line for line in results["ranking"] if line["mean"] is not None)
    return {
        (line["method"], line["metric"]): line if line["n"] > 1 else line | {"low": None, "high": None}
        for line in lines
    }


def goodness(value: float, direction: str) -> float:
    """A number that grows as the value gets better: the value, its negative, or its negative distance from 0."""
    return {"higher": value, "lower": -value, "zero": -abs(value)}[direction]


def ordered(methods: Iterable[dict[str, Any]], metric: dict[str, Any], means: dict[Key, Any]) -> list[dict[str, Any]]:
    """Those of the methods that have a mean of the metric, the best first."""
    known = [method for method in methods if (method["id"], metric["name"]) in means]
    return sorted(known, key=lambda m: -goodness(means[m["id"], metric["name"]]["mean"], metric["direction"]))


def best(results: Results) -> set[Key]:
    """Which methods have the best mean of a metric, ties included; ceilings and controls do not compete."""
    means, winners = cells(results), set()
    for metric in results["metrics"]:
        line = ordered(members(results, "method"), metric, means)
        values = [goodness(means[m["id"], metric["name"]]["mean"], metric["direction"]) for m in line]
        winners |= {(m["id"], metric["name"]) for m, value in zip(line, values, strict=True) if value == values[0]}
    return winners


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
