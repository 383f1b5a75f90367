"""Judging what a method made: its place in time, every metric, and the verdict, alike for all methods.

The delay of a method is measured once, on the speech inside the package, by the envelopes of eight bands, which any
codec of speech keeps: a search in every clip finds accidents where phases are invented (Codec2: up to 100 ms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.comparison import inputs
from noisebook.comparison.methods import Job, Method
from noisebook.metrics import METRICS, align, available, evaluate
from noisebook.metrics.signals import powers
from noisebook.metrics.suite import chosen_metrics
from noisebook.verification.similarity import SAMPLE_RATE, features
from noisebook.verification.verdict import judge

DEFAULT_METRICS = (
    "mel_db_mae", "multi_resolution_stft", "log_spectral_distance_db", "zimtohrli", "estoi", "pesq_wb", "si_sdr_db",
)  # fmt: skip
_STEREO = ("image_level_db", "image_coherence")
_LEVEL_MATCHED = ("visqol", "zimtohrli")  # opinions on quality, for which a listener would set the level

_PROBE, _PROBE_SECONDS = Path(__file__).parents[1] / "assets" / "demo-speech.flac", 4.0
_HOP, _WINDOW = 0.001, 0.02  # seconds
_REACH = 150  # hops, both ways
_EDGES_HZ = (150, 4000)  # of the bands: what every codec of speech carries
_BANDS, _FLOOR = 8, 1e-5  # of the loudest value
_SURVIVED = 0.35  # correlation of waveforms from which on the sample is certain; of Codec2 it is at most 0.22
_FINE = 0.0025  # seconds


@dataclass(frozen=True, eq=False)
class Placed:
    """A decoded sound on the time of its reference, of which only what was decoded is judged."""

    sound: Waveform  # of the rate, length and channels of the reference; silent where nothing was decoded
    start: int  # of what was decoded, samples
    end: int
    lag: int  # samples by which it was late
    gain_db: float | None  # its level over that of the reference, in that part; None where one of them is silent


def placed(reference: Waveform, decoded: Waveform, *, lag: int) -> Placed:
    """Bring a decoded sound of any rate and channels, late by `lag` samples of the reference's rate, into its place."""
    rate, mono = reference.sample_rate, downmix(reference)
    sound = resample(decoded if decoded.channels == reference.channels else downmix(decoded), rate)
    pair = align(mono.samples[0], downmix(sound).samples[0], sample_rate=rate, lag=lag)
    start, first = max(0, -lag), max(0, lag)
    samples = np.zeros_like(reference.samples)
    samples[:, start : start + pair.estimate.size] = sound.samples[:, first : first + pair.estimate.size]
    gain = pair.gain_db if isfinite(pair.gain_db) else None
    return Placed(Waveform(samples, rate), start, start + pair.estimate.size, lag, gain)


def probe(sample_rate: int) -> Waveform:
    """The speech that delays are measured with, one channel."""
    sound = resample(downmix(io.read(_PROBE)), sample_rate)
    return Waveform(np.ascontiguousarray(sound.samples[:, : round(_PROBE_SECONDS * sample_rate)]), sample_rate)


@cache
def delay_of(method: Method, *, timeout: float) -> int:
    """Samples at 48 kHz by which a method is late, measured once; errors as of the method."""
    if not method.delayed:
        return 0
    speech = probe(inputs.SAMPLE_RATE)
    decoded = method.run(Job(speech, timeout=timeout)).sound
    return measured_delay(speech, resample(downmix(decoded), inputs.SAMPLE_RATE))


def measured_delay(reference: Waveform, decoded: Waveform) -> int:
    """Samples by which a decoded sound is late, negative where it is early; both of one rate and one channel.

    To the sample where the waveform survives, else to a millisecond; at most 150 ms, and 0 for silence.
    """
    a, b = (_envelopes(sound) for sound in (reference, decoded))
    count = min(len(a), len(b))
    reach = min(_REACH, count // 2)
    scores = [_correlation(a[:count], b[:count], lag) for lag in range(-reach, reach + 1)]
    hops = int(np.argmax(scores)) - reach if max(scores) > 0 else 0
    coarse = hops * round(_HOP * reference.sample_rate)
    pair = align(reference.samples[0], decoded.samples[0], sample_rate=reference.sample_rate, lag=coarse)
    fine = align(pair.reference, pair.estimate, sample_rate=reference.sample_rate, max_lag_seconds=_FINE)
    return coarse + fine.lag if fine.correlation >= _SURVIVED else coarse


def _envelopes(sound: Waveform) -> np.ndarray:
    """`[frames, bands]` dB, one frame every millisecond."""
    window, hop = (round(seconds * sound.sample_rate) for seconds in (_WINDOW, _HOP))
    power = powers(np.pad(sound.samples[0], window // 2), window, hop)
    edges = np.unique(np.rint(np.geomspace(*_EDGES_HZ, _BANDS + 1) * _WINDOW).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return 10 * np.log10(bands + _FLOOR * max(float(bands.max()), 1e-12))


def _correlation(a: np.ndarray, b: np.ndarray, lag: int) -> float:
    x, y = a[max(0, -lag) : len(a) - max(0, lag)], b[max(0, lag) : len(b) - max(0, -lag)]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float((x * y).sum()) / scale if scale else 0.0


def metric_names(names: Sequence[str] | None, *, stereo: bool = False) -> tuple[str, ...]:
    """Metrics to run, the one that tables are sorted by first: those named, in that order; `all` is all that are
    installed, and None the usual ones, with those of left and right where any input is stereo; errors as of `evaluate`.
    """
    installed = available(stereo=stereo)
    usual = [name for name in (*DEFAULT_METRICS, *_STEREO) if name in installed]
    chosen = usual if names is None else [
        one for name in names for one in ((*usual, *installed) if name == "all" else [name])
    ]  # fmt: skip
    chosen_metrics(chosen)  # the errors
    return tuple(dict.fromkeys(chosen))


def score(reference: Waveform, estimate: Placed, names: Sequence[str], *, speech: bool) -> dict[str, float | None]:
    """Each metric's value over the part that was decoded.

    None for a metric of speech on other sound, for one of stereo where the reference is mono, and for what is not
    finite.
    """
    both = (sound.samples[:, estimate.start : estimate.end] for sound in (reference, estimate.sound))
    original, heard = (samples[0] if len(samples) == 1 else samples for samples in both)  # as metrics take them
    matched = heard * np.float32(10 ** (-(estimate.gain_db or 0.0) / 20))
    meaningful = {"all": True, "speech": speech, "stereo": original.ndim == 2}
    values: dict[str, float | None] = dict.fromkeys(names)
    for metric in METRICS:
        if metric.name in names and meaningful[metric.kind]:
            sound = matched if metric.name in _LEVEL_MATCHED else heard
            (value,) = evaluate(original, sound, sample_rate=reference.sample_rate, names=[metric.name]).values()
            values[metric.name] = value if isfinite(value) else None
    return values


def verdict(reference: Waveform, estimate: Placed) -> dict[str, Any]:
    """Whether the estimate is related to the reference at all, as `noisebook verify` decides it."""
    part = slice(estimate.start, estimate.end)
    parts = (Waveform(sound.samples[:, part], sound.sample_rate) for sound in (reference, estimate.sound))
    found = judge(*(features(resample(downmix(sound), SAMPLE_RATE).samples[0]) for sound in parts))
    return {name: getattr(found, name) for name in ("related", "score", "threshold", "p_value", "n_controls")}
