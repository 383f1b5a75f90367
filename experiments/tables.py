"""The measurements of `experiments.results` as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from noisebook.metrics.distribution import bootstrap_interval

__all__ = ["Column", "first_table", "label_of", "ordered", "quality", "rate_of", "render", "table", "titled_kinds"]

Column = tuple[str, str, str | None, str]  # key of a row or metric, title, kind of sound (None: all), format
_TREBLE: Column = ("treble_level_db", "8-16 kHz level dB (music)", "music", "{:.1f}")
_COLUMNS: tuple[Column, ...] = (
    ("visqol", "ViSQOL", None, "{:.2f}"),
    ("zimtohrli", "Zimtohrli", None, "{:.2f}"),
    ("tuning_25", "in tune (music)", "music", "{:.2f}"),
    ("tuning_25", "in tune (speech)", "speech", "{:.2f}"),
    _TREBLE,
    ("estoi", "ESTOI (speech)", "speech", "{:.2f}"),
    ("pesq_wb", "PESQ-wb (speech)", "speech", "{:.2f}"),
    ("mel_db_mae", "mel_db_mae dB", None, "{:.2f}"),
    ("nmse_db", "latent NMSE dB", None, "{:.1f}"),
)
_KINDS = ("music", "speech", "effects")
_CONTROLS = ("another clip", "random indices")

_PAGE = """\
# Results

<COUNT> clips of <SECONDS> s from held-out sources (<KINDS>), at 48 kHz and in one channel, embedded model `<MODEL>`.
Every number of this page is made by `make results`; the measurements of each clip are in `results.json`. Means over
clips; in brackets half the width of the 95 % bootstrap interval. No source was trained on. The sources of speech are
recordings of 16 kHz: nothing is in their upper bands.

## Quality against bitrate

The sound against the original: ViSQOL v3 (audio mode, 1 to 5) and Zimtohrli (MOS scale) at 48 kHz; *in tune*: share
of spectral peaks that stay within 25 cents; mean error of the level in the octave from 8 to 16 kHz; ESTOI, PESQ-wb
and mel_db_mae at 16 kHz ([metrics](metrics.md)). Latent NMSE: error of the decoded latent against the encoder's. By
kind of sound, and beside other codecs on the same clips: [codecs.md](codecs.md). Left and right:
[stereo.md](stereo.md).

<QUALITY>

## Sounds that stand still

Eighteen steady tones and notes at 48 kHz (`experiments.steady`): the median and the largest error of pitch, the largest
error of level, and the strongest ripple of the envelope at 25, 50 and 100 Hz, below its mean.

<STEADY>

## Left and right

Stereo music, a preset's bitrate being that of the file; what the columns say, and more, is in [stereo.md](stereo.md).

<STEREO>

## Against controls

Error of the decoded latent in dB of the stream of each of <CONTROLLED> clips, of another clip's stream, and of random
indices at the same rate; "beats both" counts clips whose own stream is nearer than either control.

<CONTROLS>

## Sizes

Bytes of the whole file for <SECONDS> s, every clip alike; the prediction is arithmetic on the header alone.

<SIZES>

## Drift

Difference of the decoded latent from the float32 reference on the same machine, in dB relative to the latent: the
largest of three clips. Choices are integers: a difference nudges the sound and never desynchronises it.

<DRIFT>

## Time

Median of three runs on <SECONDS> s of sound; <MACHINE>. The share is what codebooks, selection, bits and container
take: everything that is not features, autoencoder, denoiser or vocoder.

<TIME>
"""


def render(results: dict[str, Any], stereo: str) -> str:
    """docs/results.md, with the first table of a page of `experiments.stereo`."""
    own = [m for m in ordered(results) if m["family"] != "codec"]
    tables = {
        "QUALITY": quality(results, own, _COLUMNS, _short_label),
        "STEADY": _steady(results["steady"]),
        "STEREO": first_table(stereo),
        "CONTROLS": _controls(results),
        "SIZES": _sizes(results),
        "DRIFT": _drift(results["drift"]),
        "TIME": _time(results["time"]),
    }
    facts = {
        "COUNT": len(results["inputs"]),
        "SECONDS": f"{results['seconds']:g}",
        "CONTROLLED": len({row["input"] for row in results["controls"]}),
        "KINDS": titled_kinds(results),
        "MODEL": results["model"],
        "MACHINE": results["machine"],
    }
    page = _PAGE
    for name, value in (tables | facts).items():
        page = page.replace(f"<{name}>", str(value))
    return page


def titled_kinds(results: dict[str, Any]) -> str:
    """As "16 music, 16 speech, 16 effects"."""
    kinds = [one["kind"] for one in results["inputs"]]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in _KINDS)


def first_table(page: str) -> str:
    """The lines of the first table of a Markdown page; empty where there is none."""
    rows = [line.startswith("|") for line in [*page.splitlines(), ""]]
    start = rows.index(True) if True in rows else len(rows)
    return "\n".join(page.splitlines()[start : rows.index(False, start)] if start < len(rows) else [])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def quality(
    results: dict[str, Any],
    methods: Iterable[dict[str, Any]],
    columns: Sequence[Column],
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
            for key, _, kind, form in columns
        )
        lines.append([label(method), "" if rate is None else f"{rate:.0f}", *cells])
    return table(["", "bit/s", *(column[1] for column in columns)], lines)


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


def _steady(rows: list[dict[str, Any]]) -> str:
    columns = (
        ("median_cents", "median cents"), ("cents", "worst cents"), ("level_db", "worst level dB"),
        *((f"ripple_{hertz}_db", f"ripple at {hertz} Hz, dB") for hertz in (25, 50, 100)),
    )  # fmt: skip
    lines = ([row["method"], *(f"{row[key]:g}" for key, _ in columns)] for row in rows)
    return table(["", *(title for _, title in columns)], lines)


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


def _time(rows: list[dict[str, Any]]) -> str:
    columns: tuple[tuple[str, Callable[[float], str]], ...] = (
        ("encode_seconds", "{:.2f}".format),
        ("encode_share", "{:.1%}".format),
        ("decode_seconds", "{:.2f}".format),
        ("decode_share", "{:.1%}".format),
    )
    body = ([row["preset"], *(show(row[key]) for key, show in columns)] for row in rows)
    return table(["preset", "encode s", "outside networks", "decode s", "outside networks"], body)
