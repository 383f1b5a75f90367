"""Methods at like rates: the best within every octave of rate, and how much rate one codec saves another at equal
quality.

Source: Bjontegaard, "Calculation of average PSNR differences between RD-curves", ITU-T VCEG-M33, 2001; here with
piecewise cubic Hermite interpolation, as in ITU-T HSTP-VID-WPOM, 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from noisebook.report.results import Results, cells, goodness, members, ordered

__all__ = ["CODECS", "best_at_like_rates", "curves", "delta_rate", "delta_rates", "names", "told"]

CODECS = ("ddcm", "vq", "codec")  # families whose methods have a rate
_OCTAVES = (0.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0, 16_000.0, math.inf)  # bit/s

Point = tuple[float, float]  # bit/s, quality, which grows as it gets better


def best_at_like_rates(results: Results, metric: dict[str, Any]) -> list[dict[str, Any]]:
    """For every octave of rate that has methods the best of them by a metric, the lowest rates first.

    Returns:
        Of each: "low" and "high" in bit/s (infinity for the last), "method", "cell" (mean, low, high, n), and "among",
        how many methods compete.
    """
    means = cells(results)
    rated = [method for method in members(results, "method") if method["bit_per_second"]]
    found = []
    for low, high in pairwise(_OCTAVES):
        line = ordered([method for method in rated if low <= method["bit_per_second"] < high], metric, means)
        if line:
            cell = means[line[0]["id"], metric["name"]]
            found.append({"low": low, "high": high, "method": line[0], "cell": cell, "among": len(line)})
    return found


def curves(results: Results, metric: str) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """By series of codec ("ddcm", "opus"), its measured rates in bit/s with the cell of a metric at each."""
    means = cells(results)
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for method in results["methods"]:
        cell = means.get((method["id"], metric))
        if cell is not None and method["bit_per_second"] and method["family"] in CODECS:
            found.setdefault(method["series"], []).append((method["bit_per_second"], cell))
    return found


def delta_rates(results: Results, *, against: str = "opus") -> list[dict[str, Any]]:
    """How much rate each codec takes more (less: negative) than one of them at equal quality.

    Returns:
        For each metric and series where that can be said: "metric", "series", "against", "percent".
    """
    found = []
    for metric in results["metrics"]:
        points = {
            series: [(rate, goodness(cell["mean"], metric["direction"])) for rate, cell in line]
            for series, line in curves(results, metric["name"]).items()
        }
        for series in points:
            percent = delta_rate(points.get(against, ()), points[series]) if series != against else None
            if percent is not None:
                row = {"metric": metric["name"], "series": series, "against": against, "percent": round(percent, 1)}
                found.append(row)
    return found


def names(results: Results) -> dict[str, str]:
    """What each series is called: a codec by the first word of its methods' labels, others as their family."""
    return {
        method["series"]: (
            method["label"].partition(" ")[0] if method["family"] in CODECS else method["family"].capitalize()
        )
        for method in results["methods"]
    }


def told(row: dict[str, Any], names: dict[str, str]) -> str:
    """A row of `delta_rates` in words: "DDCM takes 62 % less than Opus"."""
    percent = row["percent"]
    much = f"{abs(percent):.0f} %" if percent < 100 else f"{1 + percent / 100:.1f} times as much"
    words = f"{much} {'less than' if percent < 0 else 'more than'}" if percent < 100 else f"{much} as"
    return f"{names[row['series']]} takes {words} {names[row['against']]}"


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
