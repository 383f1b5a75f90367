"""The measurements of `recipes.heard` as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from noisebook.codec.ddcm import TAIL_STEPS
from noisebook.metrics.distribution import bootstrap_interval
from noisebook.recipes._tables import table

__all__ = ["PLAIN", "render"]

Row = dict[str, Any]

PLAIN = "none"  # the encoder that searches nothing
_COLUMNS = (
    ("mel", "log-mel dB"),
    ("nmse_db", "latent NMSE dB"),
    ("mel_db_mae", "mel_db_mae dB"),
    ("visqol", "ViSQOL"),
    ("zimtohrli", "Zimtohrli"),
    ("estoi", "ESTOI (speech)"),
    ("pesq_wb", "PESQ (speech)"),
)

_PAGE = """\
# What searching is worth to the ear

The encoder may search, and the decoder may end in few steps or many, at the same bits. <COUNT> held-out clips of 10 s
(<KINDS>), embedded model `<MODEL>`, CPU, float32; every number is made by `python -m noisebook.recipes.heard CLIPS`,
and lies in `heard.json`. log-mel: mean absolute error before the vocoder. The others judge the sound
([metrics.md](metrics.md)). Lines of "none" and of the tail of <TAIL> steps are means; all others are differences
from it, clip by clip, with their 95 % bootstrap interval: one that does not hold 0 is no chance.
*Shaped*, *heard* and *perceptual* are explained in [rate_limit.md](rate_limit.md). Seconds are of the processor, for
encoding one second of sound.

## The encoder

<ENCODERS>

## The tail of the decoder

Steps without bits after the last coded one, for the encoder "<TAILS_OF>". One gives the mean of what the bits leave
open, which is nearest and dullest. So `decompress` takes 3 where the bits end near the sound, from some 300 bit/s on,
and 6 below, where the model has to fill in most of it; `--tail-steps` takes any other number.

<TAILS>
"""


def render(results: Row) -> str:
    """docs/heard.md."""
    rows = results["rows"]
    clips = {row["clip"]: row["kind"] for row in rows}
    kinds = list(clips.values())
    counts = ", ".join(f"{kinds.count(kind)} {name}" for kind, name in
                       (("music", "music"), ("speech", "speech"), ("sfx", "effects")))  # fmt: skip
    tails_of = next((row["encoder"] for row in rows if row["tail"] != TAIL_STEPS), PLAIN)
    parts = {
        "COUNT": str(len(clips)), "KINDS": counts, "MODEL": results["model"], "TAIL": str(TAIL_STEPS),
        "TAILS_OF": tails_of, "ENCODERS": _encoders(rows), "TAILS": _tails(rows, tails_of),
    }  # fmt: skip
    page = _PAGE
    for name, value in parts.items():
        page = page.replace(f"<{name}>", value)
    return page


def _encoders(rows: list[Row]) -> str:
    own = [row for row in rows if row["tail"] == TAIL_STEPS]
    lines = []
    for preset in _values(own, "preset"):
        here = [row for row in own if row["preset"] == preset]
        plain = [row for row in here if row["encoder"] == PLAIN]
        for encoder in _values(here, "encoder"):
            some = [row for row in here if row["encoder"] == encoder]
            spent = float(np.mean([row["encode_ratio"] for row in some]))
            lines.append([f"{preset} bit/s, {encoder}", *_cells(some, plain), f"{spent:.2f}"])
    return table(["", *(name for _, name in _COLUMNS), "s a second"], lines)


def _tails(rows: list[Row], encoder: str) -> str:
    own = [row for row in rows if row["encoder"] == encoder]
    lines = []
    for preset in _values(own, "preset"):
        here = [row for row in own if row["preset"] == preset]
        usual = [row for row in here if row["tail"] == TAIL_STEPS]
        for tail in sorted(_values(here, "tail")):
            some = [row for row in here if row["tail"] == tail]
            lines.append([f"{preset} bit/s, {tail}", *_cells(some, usual)])
    return table(["", *(name for _, name in _COLUMNS)], lines)


def _values(rows: list[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _cells(rows: list[Row], reference: list[Row]) -> list[str]:
    """Means of the reference itself; of others the differences from it on the same clips."""
    cells = []
    for key, _ in _COLUMNS:
        values = {row["clip"]: row[key] for row in rows if key in row}
        others = {row["clip"]: row[key] for row in reference if key in row}
        if rows == reference:
            cells.append(f"{np.mean(list(values.values())):.2f}" if values else "")
        else:
            cells.append(_difference([values[clip] - others[clip] for clip in values if clip in others]))
    return cells


def _difference(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean, low, high = bootstrap_interval(values)
    return f"{mean:+.2f} ({low:+.2f}..{high:+.2f})"
