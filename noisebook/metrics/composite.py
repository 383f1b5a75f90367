"""The predecessor's two composite scores, exactly, so that its published tables can be compared with.

    0.25 waveform + 0.20 spectrum + 0.20 mel power + 0.15 MFCC + 0.10 tempo + 0.05 centroid
      + 0.05 (SNR + 20) / 40      `summary_score`
      + 0.05 zero-crossing rate   `verify_score`

Both sounds at 16 kHz, cut to the shorter one, with the definitions of `correlation`. Unrelated sounds pass the levels
from which on the predecessor called a sound related (docs/metrics.md): the scores are to be compared with, never to
decide. Where the predecessor got -inf (a silent reference) the power in the SNR is floored at 1e-10, as its noise was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from noisebook.metrics import correlation
from noisebook.metrics.signals import check_rate, check_samples, resample

__all__ = ["WEIGHTS", "Composite", "summary_score", "verify_score"]

_RATE = 16000
_POWER_FLOOR = 1e-10
_LAST_WEIGHT = 0.05
WEIGHTS = MappingProxyType({  # of what both scores share, by the names of the functions of `correlation`
    "waveform_correlation": 0.25, "spectrum_correlation": 0.20, "mel_correlation": 0.20, "mfcc_correlation": 0.15,
    "tempo_agreement": 0.10, "centroid_correlation": 0.05,
})  # fmt: skip


@dataclass(frozen=True)
class Composite:
    """A weighted sum and what went into it."""

    score: float  # up to 1 (`verify_score`), about 1.1 (`summary_score`, whose SNR is not limited)
    parts: dict[str, float]  # `{name: value}` before weighting, by the names of the metrics' table


def summary_score(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> Composite:
    """The score of the predecessor's final summary, with the signal-to-noise ratio, of `[N]` and `[N']` samples.

    Raises:
        AudioError: signals that are not `[N]` real finite samples.
        ConfigError: a rate that is not positive.
        MissingExtra: librosa is not installed.
    """
    pair = _common(reference, estimate, sample_rate)
    power = max(float(np.square(pair[0], dtype=np.float64).mean()), _POWER_FLOOR)
    error = float(np.square(pair[0] - pair[1], dtype=np.float64).mean())
    snr_db = 10 * math.log10(power / (error + _POWER_FLOOR))
    return _weighted(pair, {"snr_db": snr_db}, _LAST_WEIGHT * (snr_db + 20) / 40)


def verify_score(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> Composite:
    """The score of the predecessor's verification, with the zero-crossing rate; otherwise as `summary_score`."""
    pair = _common(reference, estimate, sample_rate)
    zcr = correlation.zcr_correlation(*pair, sample_rate=_RATE)
    return _weighted(pair, {"zcr_correlation": zcr}, _LAST_WEIGHT * zcr)


def _common(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at 16 kHz, in single precision as the predecessor read its files, cut to the shorter one."""
    check_rate(sample_rate)
    named = (("reference", reference), ("estimate", estimate))
    pair = [resample(check_samples(name, s), sample_rate=sample_rate, to=_RATE).astype(np.float32) for name, s in named]
    length = min(len(signal) for signal in pair)
    return pair[0][:length], pair[1][:length]


def _weighted(pair: tuple[np.ndarray, np.ndarray], last: dict[str, float], last_term: float) -> Composite:
    parts = {name: getattr(correlation, name)(*pair, sample_rate=_RATE) for name in WEIGHTS}
    return Composite(sum(WEIGHTS[name] * value for name, value in parts.items()) + last_term, parts | last)
