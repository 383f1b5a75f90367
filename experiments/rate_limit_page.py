"""The measurements of `experiments.rate_limit` as Markdown."""

from __future__ import annotations

from itertools import pairwise
from math import exp, log
from operator import itemgetter
from typing import Any

from experiments.tables import table

__all__ = ["bits_for", "render"]

Row = dict[str, Any]

_RIVAL = "Turbo-DDCM as published"
_SEARCHES = ("none", "shaped")

_PAGE = """\
# The rate limit

How near the codec comes to the fewest bits. <COUNT> held-out clips of 3.2 s, embedded model `<MODEL>`, CPU, float32;
every number is made by `python -m experiments.rate_limit CLIPS`, of payloads as they are written, and
lies in `rate_limit.json`. Latent NMSE: squared error of the decoded latent over its energy, mean of the clips in
dB. log-mel: mean absolute error before the vocoder; the autoencoder alone leaves <CEILING> dB. "Smooth" ends with one
denoising step, which gives the mean of what the bits leave open and so the least error; "tail" is the codec's own end
of three steps.

## Rivals at equal bits

All systems run on the same model and in the same container. Turbo-DDCM as published: uniform timesteps to 20, a dense
Gaussian codebook, the top M with ranked subset; "with its tail" codes no noise in the last steps, as its heuristic
does at these rates. Its unit and M are fitted to the rate (units of 0.64 to 1.6 s; a whole window of 10.24 s would
need more M, and a larger M takes more bits for the same alignment). Classic DDCM: 99 coded steps, one of 1024 dense
atoms; its unit is fitted to the rate. "More steps": parts of 512 to 4096 values with 2^14 to 2^15 atoms in units of
3.2 s, 20 to 32 steps. "Shaped": the encoder's search, which is the default (below); all other lines are without it.

<RIVALS>

## Bits for an equal error

bit/s that the presets need for the error of Turbo-DDCM as published (the better of its two kinds), geometric between
neighbouring presets.

<EQUAL>

## What the encoder adds

The search changes neither the decoder nor the bits. *Shaped* looks at a part of the residual through the denoiser, at
the noise at which the bits end, and so spends nothing on what lies below it; it calls the denoiser twice a step, and is
the default. Seconds are of encoding a second of sound behind the autoencoder, one thread; "dB for a second" is what the
log-mel (tail) gains for each of them more than "none" takes.

<ENCODER>

Tried with an earlier model, and put down because it gained little for what it cost, or nothing: the gradient of the
mel's error through the autoencoder; weights of latent channels; a tag found by the encoder; the best of four seeds; a
look one step ahead; twice the bits for onsets; two atoms by matching pursuit. Longer units than the 0.64 s of the
presets gain little (first table), and few pauses are that long.

## Pauses

<PAUSED> clips of speech in two halves, each followed by as much noise 70 dB below its peak, with the default search.
With `--variable-rate` units 60 dB below the peak take no bits and become digital silence (which takes none at all);
log-mel (tail) where there is sound, and in the noise. Quiet stretches of a clip's own become silence too: that is all
that "sound" loses.

<PAUSES>

## Against theory

A Gaussian source whose exact denoiser is known: rate efficiency is the bits of the rate-distortion bound (reverse
water-filling) over the bits spent, at the error reached. White: independent values. Coloured: a first-order
autoregression of correlation 0.9 in time, variances falling as 1 / bin and 1 / sqrt(channel). A diffusion that spends
its bits on all directions alike, as choosing against the plain residual does, cannot reach the bound of a coloured
source even with perfect codebooks; a residual that is shaped as a whole can pass that limit.

<SOURCES>
"""


def render(results: Row) -> str:
    """docs/rate_limit.md."""
    parts = {
        "COUNT": str(len(results["clips"])),
        "MODEL": results["model"],
        "CEILING": f"{results['ceiling_mel_db']:.2f}",
        "RIVALS": _rivals(results["rivals"]),
        "EQUAL": _equal(results),
        "ENCODER": _encoder(results["encoder"]),
        "PAUSED": str(results["pauses"][0]["clips"]),
        "PAUSES": _pauses(results["pauses"]),
        "SOURCES": _sources(results["sources"]),
    }
    page = _PAGE
    for name, value in parts.items():
        page = page.replace(f"<{name}>", value)
    return page


def _rivals(rows: list[Row]) -> str:
    lines = [[row["system"], f"{row['bit_per_second']:.0f}", str(row["steps"]), *_errors(row)] for row in rows]
    return table(["", "bit/s", "steps", *_ERRORS], lines)


_ERRORS = ("NMSE smooth", "log-mel smooth", "NMSE tail", "log-mel tail")


def _errors(row: Row) -> list[str]:
    return [f"{row[key]:.2f}" for key in ("nmse_db", "mel_db", "tail_nmse_db", "tail_mel_db")]


def _equal(results: Row) -> str:
    lines = []
    for rate in dict.fromkeys(row["rate"] for row in results["rivals"]):
        rivals = [r for r in results["rivals"] if r["rate"] == rate and r["system"].startswith(_RIVAL)]
        for key, name in (("nmse_db", "latent NMSE"), ("mel_db", "log-mel")):
            rival = min(rivals, key=itemgetter(key))
            shares = []
            for search in _SEARCHES:
                ladder = [row for row in results["ladder"] if row["system"] == search]
                bits = bits_for(ladder, key, rival[key])
                share = "" if bits is None else f"{bits:.0f} ({bits / rival['bit_per_second']:.0%})"
                shares.append(share)
            lines.append([f"{name} {rival[key]:.2f} dB", f"{rival['bit_per_second']:.0f}", *shares])
    return table(["", "Turbo-DDCM", *(f"presets, search {search}" for search in _SEARCHES)], lines)


def bits_for(ladder: list[Row], key: str, error: float) -> float | None:
    """bit/s at which a ladder of rising bits reaches an error, geometric between its rungs; None beyond its ends."""
    for low, high in pairwise(ladder):
        if high[key] <= error <= low[key]:
            share = (error - low[key]) / (high[key] - low[key])
            return exp(log(low["bit_per_second"]) + share * log(high["bit_per_second"] / low["bit_per_second"]))
    return None


def _encoder(rows: list[Row]) -> str:
    plain = {row["rate"]: row for row in rows if row["system"] == "none"}
    lines = []
    for row in rows:
        own = plain[row["rate"]]
        more = row["encode_ratio"] - own["encode_ratio"]
        gain = f"{(own['tail_mel_db'] - row['tail_mel_db']) / more:.1f}" if more > 0 else ""
        name = f"{row['rate']} bit/s, {row['system']}"
        lines.append([name, *_errors(row), f"{row['encode_ratio']:.2f}", gain])
    return table(["", *_ERRORS, "s a second", "dB for a second"], lines)


def _pauses(rows: list[Row]) -> str:
    lines = [
        [f"{row['rate']} bit/s, {'variable' if row['variable'] else 'constant'}", f"{row['bytes']:.0f}",
         f"{8 * row['bytes'] / row['seconds']:.0f}", f"{row['mel_db']:.2f}", f"{row['silent_mel_db']:.2f}"]
        for row in rows
    ]  # fmt: skip
    return table(["", "bytes", "bit/s of the file", "log-mel, sound", "log-mel, silence"], lines)


def _sources(rows: list[Row]) -> str:
    lines = [
        [f"{row['source']}, {row['system']}", f"{row['bit_per_second']:.0f}", f"{row['nmse_db']:.2f}",
         f"{row['efficiency']:.2f}"] for row in rows
    ]  # fmt: skip
    return table(["", "bit/s", "NMSE dB", "efficiency"], lines)
