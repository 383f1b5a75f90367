"""Methods at like rates: octaves, and Bjontegaard's delta rate against curves whose answer is known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from noisebook.report.results import COLOURS, best_at_like_rates, colour, delta_rate, delta_rates, in_words, names

LINE = [(1000.0 * 2**step, 1.0 + step) for step in range(4)]  # a point of quality for twice the rate


def results(direction: str = "higher", **curves: list[tuple[float, float]]) -> dict[str, Any]:
    """A method for each point, named by its series and rate; one metric."""
    methods = [
        {"id": f"{series}-{rate:g}", "label": f"{series.upper()} {rate:g} bit/s", "series": series,
         "family": "ddcm" if series == "ddcm" else "codec", "bit_per_second": rate}
        for series, points in curves.items() for rate, _ in points
    ]  # fmt: skip
    values = [value for points in curves.values() for _, value in points]
    ranking = [
        {"method": method["id"], "metric": "m", "mean": value, "low": None, "high": None, "n": 1}
        for method, value in zip(methods, values, strict=True)
    ]
    return {"methods": methods, "ranking": ranking, "metrics": [{"name": "m", "direction": direction}]}


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0, 3.0])
def test_a_curve_of_a_multiple_of_the_rates(factor):
    moved = [(factor * rate, quality) for rate, quality in LINE]
    assert delta_rate(LINE, moved) == pytest.approx(100 * (factor - 1))


def test_only_the_quality_that_both_reach_counts():
    """Half the rate from 2 to 3; what the other does below and above is not compared."""
    other = [(125.0, 1.5), (1000.0, 2.0), (2000.0, 3.0), (64000.0, 9.0)]
    assert delta_rate([(2000.0, 2.0), (4000.0, 3.0)], other) == pytest.approx(-50, abs=3)


def test_a_known_pair_of_video_curves():
    """The example of HSTP-VID-WPOM's kind: PSNR in dB, by numerical integration of the same interpolation."""
    from scipy.interpolate import pchip_interpolate

    a = [(686760.0, 40.28), (309580.0, 37.18), (157110.0, 34.24), (85950.0, 31.42)]
    b = [(893000.0, 40.39), (407800.0, 37.21), (204930.0, 34.17), (112750.0, 31.24)]
    steps = [31.42 + (40.28 - 31.42) * (i + 0.5) / 4000 for i in range(4000)]
    logs = [
        pchip_interpolate([q for _, q in sorted(curve)], [math.log(rate) for rate, _ in sorted(curve)], steps).mean()
        for curve in (a, b)
    ]
    assert delta_rate(a, b) == pytest.approx(100 * (math.exp(logs[1] - logs[0]) - 1), abs=0.01)
    assert delta_rate(a, b) == pytest.approx(32, abs=3)  # b takes about a third more


@pytest.mark.parametrize("other", [[], [(500.0, 2.0)], [(500.0, 7.0), (600.0, 8.0)], [(500.0, 3.0), (900.0, 2.0)]])
def test_what_cannot_be_said(other):
    """Too few points, no quality in common, or only one point that is worth its rate."""
    assert delta_rate(LINE, other) is None
    assert delta_rate(other, LINE) is None


def test_points_that_cost_more_and_are_worse_are_left_out():
    dented = [*LINE, (3000.0, 1.5), (7000.0, math.inf)]
    assert delta_rate(LINE, dented) == pytest.approx(0)


def test_every_series_is_compared_with_opus():
    half = [(rate / 2, quality) for rate, quality in LINE]
    lower = [(rate, -quality) for rate, quality in half]
    (row,) = delta_rates(results(opus=LINE, ddcm=half))
    assert row == {"metric": "m", "series": "ddcm", "against": "opus", "percent": -50.0}
    (row,) = delta_rates(results("lower", opus=[(rate, -quality) for rate, quality in LINE], ddcm=lower))
    assert row["percent"] == -50.0
    assert delta_rates(results(ddcm=half)) == []


@pytest.mark.parametrize(
    ("percent", "words"),
    [(-62.4, "DDCM takes 62 % less than OPUS"), (31.0, "DDCM takes 31 % more than OPUS"),
     (150.0, "DDCM takes 2.5 times as much as OPUS")],
)  # fmt: skip
def test_in_words(percent, words):
    table = results(opus=LINE, ddcm=LINE)
    assert in_words({"series": "ddcm", "against": "opus", "percent": percent}, names(table)) == words


def test_the_best_of_each_octave():
    table = results(opus=[(6500.0, 2.0), (12000.0, 4.0)], ddcm=[(300.0, 1.0), (6000.0, 3.0)])
    found = best_at_like_rates(table, table["metrics"][0])
    assert [(one["low"], one["method"]["id"], one["among"]) for one in found] == [
        (0.0, "ddcm-300", 1), (4000.0, "ddcm-6000", 2), (8000.0, "opus-12000", 1)
    ]  # fmt: skip


def test_colours():
    table = results(opus=LINE, snac=LINE)
    assert [colour(method) for method in table["methods"]] == 4 * ["opus"] + 4 * ["codec"]
    assert len({light for light, _ in COLOURS.values()}) == len({dark for _, dark in COLOURS.values()}) == len(COLOURS)
