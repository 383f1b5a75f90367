"""The measurements of `recipes.results` as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from noisebook.metrics.distribution import bootstrap_interval

__all__ = ["first_table", "render", "table"]

_COLUMNS = (
    ("nmse_db", "latent NMSE dB", "{:.1f}"),
    ("mel", "log-mel dB", "{:.2f}"),
    ("mel_db_mae", "mel_db_mae dB", "{:.2f}"),
    ("visqol", "ViSQOL", "{:.2f}"),
    ("zimtohrli", "Zimtohrli", "{:.2f}"),
    ("estoi", "ESTOI (speech)", "{:.2f}"),
    ("pesq_wb", "PESQ-wb (speech)", "{:.2f}"),
)


_PAGE = """\
# Results

<COUNT> clips of 10 s from held-out sources (<KINDS>), embedded model `<MODEL>`. Every number of this page is made by
`make results`; the measurements of each clip are in `results.json`. Means over clips; in brackets half the width of the
95 % bootstrap interval. No source was trained on, but some of these clips were looked at when the VAE's prior and the
presets were chosen, so the numbers may be slightly kind.
<NOTE>
## Quality against bitrate

Latent NMSE: error of the decoded latent against the encoder's. log-mel: mean absolute difference of the 64-bin log-mel
before the vocoder. The other columns compare the sound after the vocoder with the original:
[mel_db_mae](metrics.md), ViSQOL v3 (audio mode, 1 to 5), Zimtohrli (MOS scale), ESTOI, PESQ-wb. By kind of sound, and
beside other codecs on the same clips: [codecs.md](codecs.md). Left and right: [stereo.md](stereo.md).

<QUALITY>

## Left and right

Stereo music, a preset's bitrate being that of the file; what the columns say, and more, is in [stereo.md](stereo.md).

<STEREO>

## Against controls

log-mel error in dB of the stream of each of <CONTROLLED> clips, of another clip's stream, and of random indices at the
same rate; "beats both" counts clips whose own stream is nearer than either control.

<CONTROLS>

## Sizes

Bytes of the whole file for 10 s, every clip alike; the prediction is arithmetic on the header alone.

<SIZES>

## Drift

Difference of the decoded latent from the float32 reference on the same machine, in dB relative to the latent: the
largest of three clips. Choices are integers: a difference nudges the sound and never desynchronises it.

<DRIFT>

## Time

Median of five runs on 10 s of sound; <MACHINE>. The share is what codebooks, selection, bits and container
take: everything that is not mel, autoencoder, denoiser or vocoder.

<TIME>
"""


def render(results: dict[str, Any], stereo: str) -> str:
    """docs/results.md, with the first table of a page of `recipes.stereo`."""
    rows = results["rows"]
    tables = {
        "STEREO": first_table(stereo),
        "QUALITY": _quality(rows),
        "CONTROLS": _controls(rows),
        "SIZES": _sizes(rows),
        "DRIFT": _drift(results["drift"]),
        "TIME": _time(results["time"]),
    }
    kinds = [row["kind"] for row in rows if row["system"] == "vocoder"]
    named = (("music", "music"), ("speech", "speech"), ("sfx", "effects"))
    counts = ", ".join(f"{kinds.count(kind)} {name}" for kind, name in named)
    controlled = {row["clip"] for row in rows if row["system"].startswith("control")}
    facts = {
        "NOTE": f"\n{results['note']}\n" if "note" in results else "",  # what of the page is older than the rest
        "COUNT": len(kinds),
        "CONTROLLED": len(controlled),
        "KINDS": counts,
        "MODEL": results["model"],
        "MACHINE": results["machine"],
    }
    page = _PAGE
    for name, value in (tables | facts).items():
        page = page.replace(f"<{name}>", str(value))
    return page


def first_table(page: str) -> str:
    """The lines of the first table of a Markdown page; empty where there is none."""
    rows = [line.startswith("|") for line in [*page.splitlines(), ""]]
    start = rows.index(True) if True in rows else len(rows)
    return "\n".join(page.splitlines()[start : rows.index(False, start)] if start < len(rows) else [])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _mean(rows: list[dict[str, Any]], key: str) -> float | None:
    values = [row[key] for row in rows if row.get(key) is not None]
    return float(np.mean(values)) if values else None


def _presets(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["preset"] for row in rows if row["preset"]))


def _select(rows: list[dict[str, Any]], system: str, preset: str | None = None) -> list[dict[str, Any]]:
    return [row for row in rows if row["system"] == system and row["preset"] == preset]


def _quality(rows: list[dict[str, Any]]) -> str:
    columns = [column for column in _COLUMNS if any(column[0] in row for row in rows)]

    def line(title: str, chosen: list[dict[str, Any]]) -> list[str]:
        return [title, *(_with_interval(chosen, key, form) for key, _, form in columns)]

    lines = [line(f"{preset} bit/s", _select(rows, "codec", preset)) for preset in _presets(rows)]
    lines.append(line("ceiling: autoencoder, no coding", _select(rows, "autoencoder")))
    lines.append(line("ceiling: vocoder on the true mel", _select(rows, "vocoder")))
    middle = _presets(rows)[len(_presets(rows)) // 2]
    for control in ("control: another clip", "control: random indices"):
        lines.append(line(f"{control}, {middle} bit/s", _select(rows, control, middle)))
    return table(["", *(column[1] for column in columns)], lines)


def _with_interval(rows: list[dict[str, Any]], key: str, form: str) -> str:
    """The mean, with half the width of its 95 % bootstrap interval in brackets."""
    values = [row[key] for row in rows if row.get(key) is not None]
    if not values:
        return ""
    mean, low, high = bootstrap_interval(values)
    return f"{form.format(mean)} ({form.format((high - low) / 2)})"


def _controls(rows: list[dict[str, Any]]) -> str:
    lines = []
    for preset in _presets(rows):
        other, random = (_select(rows, f"control: {name}", preset) for name in ("another clip", "random indices"))
        controlled = {row["clip"] for row in other}
        own = [row for row in _select(rows, "codec", preset) if row["clip"] in controlled]
        wins = sum(a["mel"] < min(b["mel"], c["mel"]) for a, b, c in zip(own, other, random, strict=True))
        means = [f"{_mean(group, 'mel'):.2f}" for group in (own, other, random)]
        lines.append([f"{preset} bit/s", *means, f"{wins} of {len(own)}"])
    return table(["", "its own stream", "another clip", "random indices", "beats both"], lines)


def _sizes(rows: list[dict[str, Any]]) -> str:
    lines = []
    for preset in _presets(rows):
        sizes = {(row["bytes"], row["predicted_bytes"]) for row in _select(rows, "codec", preset)}
        for size, predicted in sorted(sizes):
            lines.append([preset, str(size), str(predicted), f"{size * 0.8:.5g}", f"1:{320000 / size:.0f}"])
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
