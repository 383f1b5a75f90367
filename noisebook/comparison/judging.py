"""Judging what a method made: its place in time, every metric, and the verdict, alike for all methods."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite
from typing import Any

import numpy as np

from noisebook.audio.channels import downmix
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.metrics import METRICS, available, evaluate
from noisebook.metrics.alignment import align
from noisebook.verification import features, judge
from noisebook.verification.verdict import other_sounds

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
_LEVEL_MATCHED = ("visqol", "zimtohrli")  # opinions on quality, for which a listener would set the level


@dataclass(frozen=True, eq=False)
class Placed:
    """A decoded sound on the time of its reference.

    Attributes:
        sound: one channel, at the rate and with the length of the reference; silent where nothing was decoded.
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
    sound = resample(downmix(decoded), reference.sample_rate)
    pair = align(reference.samples[0], sound.samples[0], sample_rate=reference.sample_rate, lag=lag)
    start = max(0, -lag)
    samples = np.zeros_like(reference.samples)
    samples[0, start : start + pair.estimate.size] = pair.estimate
    gain = pair.gain_db if isfinite(pair.gain_db) else None
    return Placed(Waveform(samples, reference.sample_rate), start, start + pair.estimate.size, lag, gain)


def metric_names(names: Sequence[str] | None) -> tuple[str, ...]:
    """Metrics to run, the one that tables are sorted by first: those named, in that order; `all` is all that are
    installed, and None the usual ones.

    Raises:
        ConfigError, MissingExtra: a name that is not in the table, or whose package is not installed.
    """
    installed = available()
    usual = [name for name in DEFAULT_METRICS if name in installed]
    meaning = {"all": [*usual, *installed]}
    chosen = usual if names is None else [one for name in names for one in meaning.get(name, [name])]
    silence = np.zeros(1000)
    evaluate(silence, silence, sample_rate=1000, names=[n for n in chosen if n not in installed])  # the errors
    return tuple(dict.fromkeys(chosen))


def score(reference: Waveform, estimate: Placed, names: Iterable[str], *, speech: bool) -> dict[str, float | None]:
    """Each metric's value over the part that was decoded.

    ViSQOL and Zimtohrli hear it at the level of the reference. None for a metric of speech on other sound, and for
    what is not finite.
    """
    kinds = {metric.name: metric.kind for metric in METRICS}
    values: dict[str, float | None] = {}
    part = slice(estimate.start, estimate.end)
    original, heard = reference.samples[0, part], estimate.sound.samples[0, part]
    matched = heard * np.float32(10 ** (-(estimate.gain_db or 0.0) / 20))
    for name in names:
        if kinds[name] == "speech" and not speech:
            values[name] = None
            continue
        judged = matched if name in _LEVEL_MATCHED else heard
        value = evaluate(original, judged, sample_rate=reference.sample_rate, names=[name])[name]
        values[name] = value if isfinite(value) else None
    return values


def verdict(reference: Waveform, estimate: Placed) -> dict[str, Any]:
    """Whether the estimate is related to the reference at all, as `noisebook verify` says it."""
    part = slice(estimate.start, estimate.end)
    original = reference.samples[0, part]
    said = judge(
        features(original), features(estimate.sound.samples[0, part]), others=_others(original.tobytes())
    )  # fmt: skip
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
