"""Judging what a method made: its place in time, every metric, and the verdict, alike for all methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.metrics import METRICS, available, evaluate
from noisebook.metrics.alignment import align
from noisebook.metrics.suite import chosen_metrics
from noisebook.verification.similarity import SAMPLE_RATE, features
from noisebook.verification.verdict import judge, other_sounds

__all__ = ["DEFAULT_METRICS", "Placed", "metric_names", "placed", "score", "verdict"]

DEFAULT_METRICS = (
    "mel_db_mae",
    "multi_resolution_stft",
    "log_spectral_distance_db",
    "zimtohrli",
    "estoi",
    "pesq_wb",
    "si_sdr_db",
)
_STEREO = ("image_level_db", "image_coherence")
_LEVEL_MATCHED = ("visqol", "zimtohrli")  # opinions on quality, for which a listener would set the level


@dataclass(frozen=True, eq=False)
class Placed:
    """A decoded sound on the time of its reference.

    Attributes:
        sound: at the rate and with the length and channels of the reference; silent where nothing was decoded. Of a
            mono sound in the place of a stereo one both channels are the same.
        start, end: what was decoded of it, in samples. Only this is judged.
        lag: samples by which it was late.
        gain_db: its level over that of the reference, in that part; None where one of them is silent.
    """

    sound: Waveform
    start: int
    end: int
    lag: int
    gain_db: float | None


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


def metric_names(names: Sequence[str] | None, *, stereo: bool = False) -> tuple[str, ...]:
    """Metrics to run, the one that tables are sorted by first: those named, in that order; `all` is all that are
    installed, and None the usual ones, with those of left and right where any input is stereo.

    Raises:
        ConfigError, MissingExtra: a name that is not in the table, or whose package is not installed.
    """
    installed = available(stereo=stereo)
    usual = [name for name in (*DEFAULT_METRICS, *_STEREO) if name in installed]
    every = [*usual, *installed]
    chosen = usual if names is None else [one for name in names for one in (every if name == "all" else [name])]
    chosen_metrics(chosen)  # the errors
    return tuple(dict.fromkeys(chosen))


def score(reference: Waveform, estimate: Placed, names: Iterable[str], *, speech: bool) -> dict[str, float | None]:
    """Each metric's value over the part that was decoded.

    ViSQOL and Zimtohrli hear it at the level of the reference. None for a metric of speech on other sound, for one of
    stereo where the reference is mono, and for what is not finite.
    """
    kinds = {metric.name: metric.kind for metric in METRICS}
    values: dict[str, float | None] = {}
    part = slice(estimate.start, estimate.end)
    both = (sound.samples[:, part] for sound in (reference, estimate.sound))
    original, heard = (samples[0] if len(samples) == 1 else samples for samples in both)  # as metrics take them
    matched = heard * np.float32(10 ** (-(estimate.gain_db or 0.0) / 20))
    for name in names:
        if (kinds[name] == "speech" and not speech) or (kinds[name] == "stereo" and original.ndim == 1):
            values[name] = None
            continue
        judged = matched if name in _LEVEL_MATCHED else heard
        value = evaluate(original, judged, sample_rate=reference.sample_rate, names=[name])[name]
        values[name] = value if isfinite(value) else None
    return values


def verdict(reference: Waveform, estimate: Placed) -> dict[str, Any]:
    """Whether the estimate is related to the reference at all, as `noisebook verify` says it."""
    part = slice(estimate.start, estimate.end)
    mean = (
        Waveform(s.samples[:, part].mean(axis=0, keepdims=True), s.sample_rate) for s in (reference, estimate.sound)
    )
    original, heard = (resample(sound, SAMPLE_RATE).samples[0] for sound in mean)
    said = judge(features(original), features(heard), others=_others(original.tobytes()))
    return {
        "related": said.related,
        "score": said.score,
        "threshold": said.threshold,
        "p_value": said.p_value,
        "n_controls": said.n_controls,
    }


@lru_cache(maxsize=4)
def _others(samples: bytes) -> dict[str, np.ndarray]:
    """Scores of the controls, the same for every method that decodes all of a clip."""
    return other_sounds(features(np.frombuffer(samples, np.float32)))
