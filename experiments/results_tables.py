"""The measurements of `experiments.results` as parts of its pages.

Every number is a mean over clips with its 95 % bootstrap interval. Duels are paired: the same clips, the difference of
the two, and its interval; one that holds zero is a draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from experiments.study import Parts, columns, table
from noisebook.metrics.distribution import bootstrap_interval

_KINDS = ("music", "speech", "effects")
Column = tuple[str, str, str | None, str]  # key of a row or metric, title, kind of sound (None: all), format
_COLUMNS: tuple[Column, ...] = (
    ("visqol", "ViSQOL", None, "{:.2f}"),
    *(("visqol", kind, kind, "{:.2f}") for kind in _KINDS),
    ("zimtohrli", "Zimtohrli", None, "{:.2f}"),
    ("tuning_25", "in tune (music)", "music", "{:.2f}"),
    ("tuning_25", "in tune (speech)", "speech", "{:.2f}"),
    ("treble_level_db", "8-16 kHz level dB (music)", "music", "{:.1f}"),
    ("estoi", "ESTOI (speech)", "speech", "{:.2f}"),
    ("pesq_wb", "PESQ-wb (speech)", "speech", "{:.2f}"),
    ("mel_db_mae", "mel_db_mae dB", None, "{:.2f}"),
)
_SHOWN = (*(column for column in _COLUMNS if column[1] not in _KINDS), ("nmse_db", "latent NMSE dB", None, "{:.1f}"))
_CONTROLS = ("another clip", "random indices")
_TUNING = (
    ("tuning_10", "within 10 cents", "{:.2f}"),
    ("tuning_25", "within 25", "{:.2f}"),
    ("tuning_50", "within 50", "{:.2f}"),
    ("tuning_cents", "median cents", "{:.0f}"),
    ("tuning_grid", "more on a 50 Hz grid", "{:.2f}"),
)
_DUELS = {
    "visqol": _KINDS, "zimtohrli": _KINDS, "tuning_25": _KINDS[:2], "estoi": ("speech",), "pesq_wb": ("speech",),
}  # fmt: skip


def parts(results: dict[str, Any]) -> Parts:
    """All parts of results.md, codecs.md and README.md."""
    kinds = [one["kind"] for one in results["inputs"]]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in _KINDS)
    methods = ordered(results)
    own = [method for method in methods if method["family"] != "codec"]
    tuning = {
        kind: quality(results, methods, [(key, title, kind, form) for key, title, form in _TUNING], label_of)
        for kind in _KINDS[:2]
    }
    duels = _duels(results)
    programs = "; ".join(dict.fromkeys(results["manifest"]["programs"].values())) or "none"
    return {
        "about": f"{len(kinds)} clips of {results['seconds']:g} s from held-out sources ({counts}; no source was "
        "trained on), at 48 kHz and in one channel",
        "quality": quality(results, own, _SHOWN, _short_label),
        "steady": columns(results["steady"], _STEADY),
        "controls": _controls(results),
        "sizes": _sizes(results),
        "drift": _drift(results["drift"]),
        "time": f"On {results['machine']}:\n\n{columns(results['time'], _TIME)}",
        "codecs": quality(results, methods, _COLUMNS, label_of),
        "programs": f"Programs: {programs}.",
        "tuning": f"Music:\n\n{tuning['music']}\n\nSpeech:\n\n{tuning['speech']}",
        "duels": f"{len(duels)} duels:\n\n{_totals(duels)}\n\n"
        + table(
            ["rival", "bit/s", "noisebook", "metric", "kind", "difference", "95 %", ""],
            ([*duel[:5], f"{duel[5]:+.2f}", f"{duel[6]:+.2f} to {duel[7]:+.2f}", duel[8]] for duel in duels),
        ),
    }


def quality(
    results: dict[str, Any],
    methods: Iterable[dict[str, Any]],
    shown: Sequence[Column],
    label: Callable[[dict[str, Any]], str],
) -> str:
    """Means of some methods of a comparison, with half the width of their 95 % bootstrap intervals in brackets."""
    kinds = {one["id"]: one["kind"] for one in results["inputs"]}
    lines = []
    for method in methods:
        rows = [row for row in results["rows"] if row["method"] == method["id"]]
        rate = rate_of(results, method)
        cells = (
            _with_interval([_value(row, key) for row in rows if kind in (None, kinds[row["input"]])], form)
            for key, _, kind, form in shown
        )
        lines.append([label(method), "" if rate is None else f"{rate:.0f}", *cells])
    return table(["", "bit/s", *(column[1] for column in shown)], lines)


def ordered(results: dict[str, Any]) -> list[dict[str, Any]]:
    """The methods: codecs from low to high rates, then ceilings, then controls."""
    groups = {"ceiling": 1, "control": 2}
    return sorted(
        results["methods"], key=lambda method: (groups.get(method["family"], 0), rate_of(results, method) or 0.0)
    )


def rate_of(results: dict[str, Any], method: dict[str, Any]) -> float | None:
    """Mean bit/s of a method's whole files; None where it makes none."""
    rates = [r["bit_per_second"] for r in results["rows"] if r["method"] == method["id"] and r["bit_per_second"]]
    return float(np.mean(rates)) if rates else None


def label_of(method: dict[str, Any]) -> str:
    """For a page, with its group."""
    group = {"ceiling": "ceiling: ", "control": "control: "}.get(method["family"], "")
    label = method["label"].removeprefix("Control: ").removeprefix("control: ")
    return f"{group}{label}{' (gen)' if method['generative'] and not group else ''}"


def _short_label(method: dict[str, Any]) -> str:
    return label_of(method).removesuffix(" (gen)").removeprefix("DDCM ")


def _value(row: dict[str, Any], key: str) -> float | None:
    value: float | None = row.get(key, row["metrics"].get(key))
    return value


def _with_interval(values: Sequence[float | None], form: str) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return ""
    mean, low, high = bootstrap_interval(there)
    return f"{form.format(mean)} ({form.format((high - low) / 2)})"


_STEADY = {
    "": "{label}", "median cents": "{median_cents:g}", "worst cents": "{cents:g}", "worst level dB": "{level_db:g}",
    **{f"ripple at {hertz} Hz, dB": f"{{ripple_{hertz}_db:g}}" for hertz in (25, 50, 100)},
}  # fmt: skip


def _controls(results: dict[str, Any]) -> str:
    own = {(row["input"], row["method"]): row.get("nmse_db") for row in results["rows"]}
    controls = {(row["input"], row["rate"], row["system"]): row["nmse_db"] for row in results["controls"]}
    inputs = dict.fromkeys(row["input"] for row in results["controls"])
    lines = []
    for rate in dict.fromkeys(row["rate"] for row in results["controls"]):
        errors = [(own[one, f"ddcm-{rate}"], *(controls[one, rate, name] for name in _CONTROLS)) for one in inputs]
        wins = sum(mine < min(others) for mine, *others in errors)
        lines.append(
            [f"{rate} bit/s", *(f"{mean:.1f}" for mean in np.mean(errors, axis=0)), f"{wins} of {len(errors)}"]
        )
    return table(["", "its own stream", *_CONTROLS, "beats both"], lines)


def _sizes(results: dict[str, Any]) -> str:
    lines = []
    for method in ordered(results):
        rows = [row for row in results["rows"] if row["method"] == method["id"] and "predicted_bytes" in row]
        for size, predicted in sorted({(row["bytes"], row["predicted_bytes"]) for row in rows}):
            whole = 96_000 * results["seconds"]  # bytes of PCM
            rate = f"{8 * size / results['seconds']:.5g}"
            lines.append([_short_label(method), str(size), str(predicted), rate, f"1:{whole / size:.0f}"])
    return table(["preset", "bytes", "predicted", "bit/s of the file", "of 16-bit PCM"], lines)


def _drift(rows: list[dict[str, Any]]) -> str:
    names = [name for name in rows[0] if name != "preset"]
    return table(["preset", *names], ([row["preset"], *(_decibel(row[name]) for name in names)] for row in rows))


def _decibel(value: float | None) -> str:
    return "same bits" if value is None else f"{value:.0f} dB"


_TIME = {
    "preset": "{preset}", "encode s": "{encode_seconds:.2f}", "encode, outside networks": "{encode_share:.1%}",
    "decode s": "{decode_seconds:.2f}", "decode, outside networks": "{decode_share:.1%}",
}  # fmt: skip


Duel = tuple[str, str, str, str, str, float, float, float, str]


def _duels(results: dict[str, Any]) -> list[Duel]:
    kinds = {one["id"]: one["kind"] for one in results["inputs"]}
    rates = {method["id"]: rate_of(results, method) for method in results["methods"]}
    own = [m for m in results["methods"] if m["family"] == "ddcm" and rates[m["id"]]]
    duels: list[Duel] = []
    for rival in ordered(results):
        rate = rates[rival["id"]]
        below = [m for m in own if rate and (rates[m["id"]] or 0.0) <= 1.02 * rate]  # the header of a short clip aside
        if rival["family"] != "codec" or not below:
            continue
        ours = max(below, key=lambda method: rates[method["id"]] or 0.0)
        for metric in _DUELS:
            for kind in _DUELS[metric]:
                found = _paired(results, ours["id"], rival["id"], metric, [i for i in kinds if kinds[i] == kind])
                if found is not None:
                    said = "ahead" if found[1] > 0 else "behind" if found[2] < 0 else "even"
                    duels.append((rival["label"], f"{rate:.0f}", ours["label"], metric, kind, *found, said))
    return duels


def _paired(
    results: dict[str, Any], ours: str, rival: str, metric: str, inputs: Sequence[str]
) -> tuple[float, float, float] | None:
    """Mean of the differences and its interval, over inputs that both have."""
    values = {(row["method"], row["input"]): row["metrics"].get(metric) for row in results["rows"]}
    pairs = [(values.get((ours, one)), values.get((rival, one))) for one in inputs]
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    return bootstrap_interval(differences) if differences else None


def _totals(duels: Sequence[Duel]) -> str:
    lines = []
    for metric in _DUELS:
        said = [duel[8] for duel in duels if duel[3] == metric]
        lines.append([metric, *(str(said.count(word)) for word in ("ahead", "even", "behind"))])
    return table(["metric", "ahead", "even", "behind"], lines)
