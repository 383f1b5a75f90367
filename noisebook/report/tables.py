"""A comparison's results as CSV, for programs, and as Markdown, for documents."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import Any

from noisebook.report._results import ARROWS, GROUPS, best, cells, members, number, ordered, rate

__all__ = ["to_csv", "to_markdown"]

_INPUT = ("input", "title", "kind", "seconds")
_METHOD = ("method", "label", "family", "generative")
_RUN = ("bytes", "bit_per_second", "encode_seconds", "decode_seconds", "lag_samples", "gain_db")
_VERDICT = ("related", "score", "threshold", "p_value", "n_controls")


def to_csv(results: dict[str, Any]) -> str:
    """One line for each input and method, failed runs too, with one column for each metric.

    Columns: the input, the method, the run (bytes of the file, bit/s, seconds, lag, gain), the metrics by name, the
    verdict, and the error of a failed run. What is not known is empty; numbers are in full precision, infinity is
    `inf`. Lines end with a line feed.
    """
    metrics = [metric["name"] for metric in results["metrics"]]
    inputs = {line["id"]: line for line in results["inputs"]}
    methods = {line["id"]: line for line in results["methods"]}
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_INPUT, *_METHOD, *_RUN, *metrics, *_VERDICT, "error"])
    for row in results["rows"]:
        sound, method, verdict = inputs[row["input"]], methods[row["method"]], row["verdict"] or {}
        writer.writerow(
            _text(value)
            for value in (
                *(sound["id"], sound["title"], sound["kind"], sound["seconds"]),
                *(method["id"], method["label"], method["family"], method["generative"]),
                *(row.get(key) for key in _RUN),
                *(row["metrics"].get(name) for name in metrics),
                *(verdict.get(key) for key in _VERDICT),
                row["error"],
            )
        )
    return text.getvalue()


def to_markdown(results: dict[str, Any]) -> str:
    """The ranking as one table: a line for each method, a column for each metric.

    A cell is the mean over inputs with its 95 % interval; the best of the methods is bold. Lines are in the order of
    the first metric, ceilings and controls below the methods. Skipped methods follow as a list.
    """
    metrics, means, winners = results["metrics"], cells(results), best(results)
    header = ["", "bit/s", *(_heading(metric) for metric in metrics)]
    lines = []
    for name in GROUPS:
        for method in _by_first_metric(members(results, name), metrics, means):
            numbers = [_cell(means.get(key), key in winners) for key in ((method["id"], m["name"]) for m in metrics)]
            lines.append([_escape(_label(method, name)), rate(method["bit_per_second"]), *numbers])
    parts = [
        _table(header, lines),
        "Mean over inputs [95 % interval]; ↑ higher is better, ↓ lower, → 0 nearest to zero.",
    ]
    if results["skipped"]:
        parts.append(
            "\n".join(f"- skipped: {_escape(s['method'])}: {_escape(s['reason'])}" for s in results["skipped"])
        )
    return "\n\n".join(parts) + "\n"


def _by_first_metric(
    methods: list[dict[str, Any]], metrics: list[dict[str, Any]], means: dict[tuple[str, str], Any]
) -> list[dict[str, Any]]:
    known = ordered(methods, metrics[0], means) if metrics else []
    return known + [method for method in methods if method not in known]


def _label(method: dict[str, Any], name: str) -> str:
    """The label, which says so of a ceiling or control."""
    label = str(method["label"])
    return label if name == "method" or label.startswith(f"{name}:") else f"{name}: {label}"


def _heading(metric: dict[str, Any]) -> str:
    return " ".join(filter(None, (metric["name"], metric["unit"], ARROWS[metric["direction"]])))


def _cell(line: dict[str, Any] | None, winner: bool) -> str:
    if line is None:
        return ""
    mean = f"**{number(line['mean'])}**" if winner else number(line["mean"])
    return mean if line["low"] is None else f"{mean} [{number(line['low'])}, {number(line['high'])}]"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escape(text: str) -> str:
    """Text that stays in its cell and means nothing in Markdown or HTML."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\|*_`[]" else letter for letter in text)


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
