"""Results as CSV and Markdown: every run and number is there, and text stays text."""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.report.results import best, goodness, number, ordered, to_csv, to_markdown

build = run_path(str(Path(__file__).parents[1] / "report_results.py"))["build"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return build(tmp_path_factory.mktemp("tables"), inputs=2, seconds=0.5)


def test_csv_has_a_line_for_each_run(results):
    lines = list(csv.DictReader(StringIO(to_csv(results))))
    assert [(line["input"], line["method"]) for line in lines] == [(r["input"], r["method"]) for r in results["rows"]]
    for line, row in zip(lines, results["rows"], strict=True):
        for metric in results["metrics"]:
            value = row["metrics"].get(metric["name"])
            assert line[metric["name"]] == ("" if value is None else repr(value))
        assert line["bytes"] == ("" if row["bytes"] is None else str(row["bytes"]))
        assert line["error"] == (row["error"] or "")
    assert lines[0]["title"] == 'Garden & <b>birds</b> "at dawn"'
    assert lines[0]["generative"] == "true"
    assert {line["related"] for line in lines} == {"true", "false", ""}


def test_csv_keeps_infinity(results):
    row = results["rows"][0] | {"metrics": {"snr_db": float("inf")}}
    (line,) = csv.DictReader(StringIO(to_csv(results | {"rows": [row]})))
    assert float(line["snr_db"]) == float("inf")


def markdown_rows(results: dict[str, Any]) -> list[list[str]]:
    lines = [line for line in to_markdown(results).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_markdown_is_a_ranking_with_ceilings_and_controls_below(results):
    header, _, *rows = markdown_rows(results)
    assert header[:3] == ["", "bit/s", "snr_db dB ↑"]
    assert all(len(row) == len(header) for row in rows)
    assert [row[0] for row in rows[-3:]] == ["ceiling: vocoder", "control: silence", "control: another clip"]
    means = [float(row[2].split(" [")[0].strip("*")) for row in rows[:-3]]
    assert means == sorted(means, reverse=True)
    assert [row[2].startswith("**") for row in rows] == [True] + [False] * (len(rows) - 1)
    assert "skipped: encodec: no weights in the cache: place them &amp; &lt;try&gt; again" in to_markdown(results)


def test_markdown_gives_intervals_where_there_are_any(results):
    cells = {row[0]: row[2] for row in markdown_rows(results)[2:]}
    line = next(r for r in results["ranking"] if (r["method"], r["metric"]) == ("ddcm-300", "snr_db"))
    assert cells["DDCM 300"] == f"{line['mean']:.2f} [{line['low']:.2f}, {line['high']:.2f}]"
    assert "[" not in cells["MP3 8 kbit/s"]  # one of two inputs failed


def test_results_without_metrics_are_a_table_too(results):
    empty = results | {"metrics": [], "ranking": [], "skipped": []}
    assert len(markdown_rows(empty)) == 2 + len(results["methods"])
    assert "skipped" not in to_markdown(empty)


@given(st.text(max_size=30))
def test_a_label_stays_in_its_cell(label):
    method = {"id": "a", "label": label, "family": "codec", "series": "a", "generative": False, "bit_per_second": 1.0}
    text = to_markdown({"metrics": [], "methods": [method], "ranking": [], "skipped": [], "delta_rates": []})
    (row,) = text.splitlines()[2:-2]
    assert row.replace("\\|", "").count("|") == 3
    assert "<" not in row


@given(st.sampled_from(["higher", "lower", "zero"]), st.lists(st.floats(-50, 50), min_size=1, max_size=8))
def test_the_best_comes_first(direction, values):
    metric = {"name": "m", "direction": direction, "unit": ""}
    methods = [{"id": str(i), "family": "codec"} for i in range(len(values))]
    ranking = [
        {"method": str(i), "metric": "m", "mean": value, "low": None, "high": None, "n": 1}
        for i, value in enumerate(values)
    ]
    results = {"metrics": [metric], "methods": methods, "ranking": ranking}
    first = ordered(methods, metric, {(line["method"], "m"): line for line in ranking})[0]
    wanted = {"higher": max(values), "lower": min(values), "zero": min(map(abs, values))}[direction]
    found = values[int(first["id"])]
    assert (abs(found) if direction == "zero" else found) == wanted
    assert (first["id"], "m") in best(results)
    assert all(goodness(values[int(i)], direction) == goodness(found, direction) for i, _ in best(results))


def test_ceilings_and_controls_do_not_compete(results):
    assert not {method for method, _ in best(results)} & {"vocoder", "silence", "other-clip"}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (0.0, "0.00"), (-12.345, "-12.35"), (0.0123, "0.012"), (123.45, "123.5"), (8000.0, "8000"),
     (float("inf"), "∞"), (float("-inf"), "-∞")],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text
