"""Damage held-out clips, restore them, and measure how near the damaged places come to the truth.

Two tables, of the error in dB of a log-mel up to 20 kHz inside the damage (all bins of the frames of a gap, the bins
above a cutoff, the frames with clipped samples):

    restored  the damaged sound; a simple repair; the first guess (strength 0); the restoration; the ceiling, which
              is the true sound through autoencoder and vocoder (of declipping, which needs no vocoder, no bound)
    streams   at 3000 bit/s: the damaged sound compressed; restored, then compressed; restored
              and compressed at once; and the true sound compressed

The simple repairs are a straight line over the mel (inpaint), nothing (bandwidth), and a cubic spline (declip).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from experiments.study import KINDS, Bench, Clip, Parts, Row, Study, table
from noisebook import api
from noisebook.audio.damage import clip, clipped_samples, low_pass, silence
from noisebook.audio.mel import MelConfig, log_mel, mel_filter_bank
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend
from noisebook.metrics import log_mel_l1_db

_MEL = MelConfig(48_000, 2048, 480, 80, 0.0, 20_000.0)
_RATE, _HOP = _MEL.sample_rate, _MEL.hop_length
_CUT = slice(2 * _RATE, 5 * _RATE)
_GAP = (1.5, 1.9)  # seconds of the cut
_CUTOFF = 3000.0
_CLIPPING = 12  # dB below the peak
# Columns of each table; which of them is judged, and beside what.
_TABLES: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "restored": (("damaged", "repair", "guess", "restored", "ceiling"), "restored", ("damaged", "repair", "guess")),
    "streams": (("damaged stream", "two streams", "stream", "true stream", "bit/s"), "stream",
                ("damaged", "damaged stream")),
}  # fmt: skip
_PRESET = "3000"  # of the streams


@dataclass(frozen=True)
class Case:
    """One damage to one sound; `region` bool `[T, n_mels]` says where."""

    name: str
    truth: Waveform
    damaged: Waveform
    options: dict[str, Any]
    region: np.ndarray

    def error(self, mel: np.ndarray) -> float:
        """Log-mel error in dB inside the damage."""
        return log_mel_l1_db(mel_of(self.truth)[self.region], mel[self.region])


def run(bench: Bench) -> Parts:
    """The tables of restoration in docs/systems.md."""
    count = len(bench.clips(sample_rate=_RATE))
    rows = [row for one in bench.rows(measure, ({"place": place} for place in range(count))) for row in one["cases"]]
    seconds = (_CUT.stop - _CUT.start) / _RATE
    about = {"about": f"{count} held-out clips, {seconds:g} s of each"}
    return about | {title: summary(rows, *columns) for title, columns in _TABLES.items()}


def measure(bench: Bench, place: int) -> Row:
    """All damages to a clip."""
    one, backend = bench.clips(sample_rate=_RATE)[place], bench.backend
    truth = excerpt(one)
    perfect = api.reconstruct(truth, backend=backend).waveform
    coded = api.decompress(api.compress(truth, backend=backend, preset=_PRESET), backend=backend)
    rows = []
    for case in cases(truth):
        limits = {"ceiling": case.error(mel_of(perfect)), "true stream": case.error(mel_of(coded))}
        rows.append({"kind": one.kind, "case": case.name} | limits | errors(case, backend))
    return {"cases": rows}


def excerpt(one: Clip) -> Waveform:
    """The part of a clip that is used, at peak 0.5."""
    samples = one.sound.samples[:, _CUT]
    return Waveform(samples * np.float32(0.5 / max(1e-9, float(np.abs(samples).max()))), _RATE)


def cases(truth: Waveform) -> Iterator[Case]:
    """The damages to a sound."""
    shape = (truth.sample_count // _HOP, _MEL.n_mels)
    first, last = (round(edge * _RATE) for edge in _GAP)
    inside = np.zeros(shape, bool)
    inside[first // _HOP : last // _HOP] = True
    yield Case("gap 0.4 s", truth, silence(truth, ((first, last),)), {"task": "inpaint", "gaps": (_GAP,)}, inside)
    above = np.zeros(shape, bool)
    above[:, lowest_bin_above(_CUTOFF) :] = True
    options = {"task": "bandwidth", "cutoff": _CUTOFF}
    yield Case(f"above {_CUTOFF:g} Hz", truth, low_pass(truth, _CUTOFF), options, above)
    damaged = clip(truth, 0.5 * 10 ** (-_CLIPPING / 20))
    threshold = float(np.abs(damaged.samples).max())
    touched = np.zeros(shape, bool)
    touched[clipped_samples(damaged.samples, threshold)[0].reshape(-1, _HOP).any(axis=1)] = True
    yield Case(f"clipped {_CLIPPING} dB", truth, damaged, {"task": "declip", "threshold": threshold}, touched)


def lowest_bin_above(cutoff: float) -> int:
    """The first mel filter that lies above a cutoff with all of its weight."""
    filters = mel_filter_bank(_MEL)
    below = np.linspace(0, _RATE / 2, filters.shape[1]) < cutoff
    return int(np.argmax(filters[:, below].sum(1) == 0))


def errors(case: Case, backend: Backend) -> Row:
    """Errors in dB, and the bitrate of the stream."""
    damaged = mel_of(case.damaged)

    def decoded(stream: bytes) -> float:
        return case.error(mel_of(api.decompress(stream, backend=backend)))

    guess = api.restore(case.damaged, backend=backend, strength=0.0, **case.options).sound
    restored = api.restore(case.damaged, backend=backend, **case.options).sound
    stream = api.restore_stream(case.damaged, backend=backend, preset=_PRESET, **case.options).data
    return {
        "damaged": case.error(damaged),
        "repair": case.error(repaired(case, damaged)),
        "guess": case.error(mel_of(guess)),
        "restored": case.error(mel_of(restored)),
        "damaged stream": decoded(api.compress(case.damaged, backend=backend, preset=_PRESET)),
        "two streams": decoded(api.compress(restored, backend=backend, preset=_PRESET)),
        "stream": decoded(stream),
        "bit/s": 8 * len(stream) / case.truth.duration,
    }


def repaired(case: Case, damaged: np.ndarray) -> np.ndarray:
    """The mel `[T, n_mels]` after a repair without any model."""
    if case.options["task"] == "bandwidth":
        return damaged
    if case.options["task"] == "inpaint":
        frames = np.arange(len(damaged))
        edges = [round(_GAP[0] * _RATE / _HOP) - 4, round(_GAP[1] * _RATE / _HOP) + 4]  # windows that miss the gap
        line = np.stack([np.interp(frames, edges, damaged[edges, k]) for k in range(damaged.shape[1])], axis=1)
        return np.where(case.region, line, damaged)
    from scipy.interpolate import CubicSpline

    samples = case.damaged.samples[0]
    threshold = case.options["threshold"]
    lost = clipped_samples(samples, threshold)
    places = np.arange(len(samples))
    spline = np.abs(CubicSpline(places[~lost], samples[~lost])(places))
    drawn = np.sign(samples) * np.clip(spline, threshold, 4 * threshold)
    return mel_of(Waveform(np.where(lost, drawn, samples)[None].astype(np.float32), _RATE))


def mel_of(sound: Waveform) -> np.ndarray:
    """Log-mel `[T, n_mels]` of a mono sound."""
    return log_mel(torch.from_numpy(sound.samples), _MEL)[0, 0].numpy()


def summary(rows: list[Row], columns: tuple[str, ...], judged: str, beside: tuple[str, ...]) -> str:
    """Means by case and kind, and on how many clips the error of one column is less than those of others."""
    lines = []
    for case in dict.fromkeys(row["case"] for row in rows):
        for kind in (*KINDS, "all"):
            own = [row for row in rows if row["case"] == case and kind in (row["kind"], "all")]
            wins = (sum(row[judged] < row[name] for row in own) for name in beside)
            means = (f"{np.mean([row[name] for row in own]):.2f}" for name in columns)
            lines.append([f"{case}, {kind}", *means, *(f"{count} of {len(own)}" for count in wins)])
    return table(["", *columns, *(f"beats {name}" for name in beside)], lines)


STUDY = Study("restoration", "gaps, bands and clipping", run, ("docs/systems.md",), limit=1, minutes=6)
