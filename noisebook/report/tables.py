"""A comparison's results as CSV, for programs, and as Markdown, for documents."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from noisebook.report.results import ARROWS, GROUPS, best, cells, in_words, members, names, number, ordered, rate

__all__ = ["to_csv", "to_markdown"]


def to_csv(results: dict[str, Any]) -> str:
    """One line for each input and method, failed runs too, with one column for each metric.

    Columns: the input, the method, the run (bytes of the file, bit/s, seconds, lag, gain), the metrics by name, the
    verdict, and the error of a failed run. What is not known is empty; numbers are in full precision, infinity is
    `inf`. Lines end with a line feed.
    """
    columns = (
        *("input", "title", "kind", "seconds"),
        *("method", "label", "family", "generative"),
        *("bytes", "bit_per_second", "encode_seconds", "decode_seconds", "lag_samples", "gain_db"),
        *(metric["name"] for metric in results["metrics"]),
        *("related", "score", "threshold", "p_value", "n_controls"),
        "error",
    )
    inputs = {line["id"]: line for line in results["inputs"]}
    methods = {line["id"]: line for line in results["methods"]}
    text = StringIO()
    writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in results["rows"]:
        facts = inputs[row["input"]] | methods[row["method"]] | row | row["metrics"] | (row["verdict"] or {})
        writer.writerow({key: str(x).lower() if isinstance(x, bool) else x for key, x in facts.items()})
    return text.getvalue()


def to_markdown(results: dict[str, Any]) -> str:
    """The ranking as one table: a line for each method, a column for each metric.

    A cell is the mean over inputs with its 95 % interval; the best of the methods is bold. Lines are in the order of
    the first metric, ceilings and controls below the methods. Rates at equal quality and skipped methods follow.
    """
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


def _cell(line: dict[str, Any] | None, winner: bool) -> str:
    if line is None:
        return ""
    mean = f"**{number(line['mean'])}**" if winner else number(line["mean"])
    return mean if line["low"] is None else f"{mean} [{number(line['low'])}, {number(line['high'])}]"


def _escape(text: str) -> str:
    """Text that stays in its cell and means nothing in Markdown or HTML."""
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{letter}" if letter in "\\|*_`[]" else letter for letter in text)
