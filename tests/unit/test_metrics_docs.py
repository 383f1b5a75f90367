"""The table of docs/metrics.md is the table of the code, row by row."""

from __future__ import annotations

import math
from pathlib import Path

from noisebook.metrics import METRICS, Metric

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def documented() -> list[list[str]]:
    """The cells of the page's first table, without its head."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| metric |"))
    end = next(i for i in range(first, len(lines)) if not lines[i].startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[first + 2 : end]]


def expected(metric: Metric) -> list[str]:
    low, high = (
        "-inf" if math.isinf(end) and end < 0 else "inf" if math.isinf(end) else f"{end:g}" for end in metric.range
    )
    needs = " ".join(f"`{module}`" for module in (metric.needs or "").split())
    return [f"`{metric.name}`", metric.unit, metric.direction, f"{low} to {high}", metric.kind, needs]


def test_the_page_lists_the_metrics_as_they_are() -> None:
    rows = documented()
    assert [[row[0], *row[2:]] for row in rows] == [expected(metric) for metric in METRICS]
    assert all(row[1] for row in rows)
