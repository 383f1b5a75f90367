"""Means over inputs with their intervals, and the order of the methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noisebook.metrics.distribution import bootstrap_interval

__all__ = ["ranking"]


def ranking(
    rows: Sequence[dict[str, Any]], metrics: Sequence[dict[str, Any]], *, seed: int = 0
) -> list[dict[str, Any]]:
    """A line for each method and metric that has a value.

    A method that lacks values which others have (it failed, or they are not finite) is ranked behind those that have
    them all: to fail on the hardest clip must not pay.

    Args:
        rows: of the results.
        metrics: of the results: name and direction.
        seed: of the bootstrap.

    Returns:
        Lines of method, metric, mean, low and high (95 %, percentile bootstrap over inputs; None for one input), rank
        from 1, and n.
    """
    return [line for metric in metrics for line in _of_metric(rows, metric, seed)]


def _of_metric(rows: Sequence[dict[str, Any]], metric: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    name = metric["name"]
    values: dict[str, list[float]] = {}
    for row in rows:
        if row["metrics"].get(name) is not None:
            values.setdefault(row["method"], []).append(row["metrics"][name])
    lines = []
    for method, own in values.items():
        lines.append({"method": method, "metric": name, **_mean(own, seed), "n": len(own)})
    lines.sort(key=lambda line: (-line["n"], _badness(line["mean"], metric["direction"])))
    return [{**line, "rank": rank} for rank, line in enumerate(lines, 1)]


def _mean(values: list[float], seed: int) -> dict[str, float | None]:
    """With an interval where there is more than one value."""
    mean, low, high = bootstrap_interval(values, level=0.95, seed=seed)
    return {"mean": mean, "low": low, "high": high} if len(values) > 1 else {"mean": mean, "low": None, "high": None}


def _badness(mean: float, direction: str) -> float:
    return {"higher": -mean, "lower": mean, "zero": abs(mean)}[direction]
