"""Waveform metrics: how much of the samples themselves survived.

Generative codecs invent phases, so these are low even where the sound is right. Arguments and errors as in `validate`.
No input gives NaN, and infinite values are exact statements:

    |                        | identical | silent estimate  | silent reference | orthogonal |
    |------------------------|-----------|------------------|------------------|------------|
    | snr_db                 | +inf      | 0                | -inf             | < 0        |
    | si_sdr_db              | +inf      | -inf             | -inf             | -inf       |
    | energy_ratio_db        | 0         | -inf             | +inf             | any        |
    | loudness_difference_lu | 0         | down to the gate | up from the gate | any        |

Sources: Le Roux, Wisdom, Erdogan, Hershey, "SDR - half-baked or well done?", ICASSP 2019. ITU-R BS.1770-4, 2015.
"""

from __future__ import annotations

import math

import numpy as np

from noisebook.audio.level import loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.metrics.signals import validate

__all__ = ["energy_ratio_db", "loudness_difference_lu", "si_sdr_db", "snr_db"]

_GATE = -70.0  # LUFS, below which BS.1770 hears nothing


def snr_db(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Signal-to-noise ratio, `10 log10(|s|^2 / |s - s_hat|^2)` in dB; the rate does not enter the value."""
    reference, estimate = validate(reference, estimate, sample_rate=sample_rate)
    if np.array_equal(reference, estimate):
        return math.inf
    error = reference - estimate
    return _ratio_db(reference @ reference, error @ error)


def si_sdr_db(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al. 2019), blind to gain and polarity.

    `10 log10(|a s|^2 / |a s - s_hat|^2)` with `a = <s_hat, s> / |s|^2`; means are not removed.
    """
    reference, estimate = validate(reference, estimate, sample_rate=sample_rate)
    if np.array_equal(reference, estimate):
        return math.inf
    energy = reference @ reference
    if energy == 0:
        return -math.inf
    target = (estimate @ reference) / energy * reference
    error = target - estimate
    return _ratio_db(target @ target, error @ error)


def energy_ratio_db(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Level error, `10 log10(|s_hat|^2 / |s|^2)` in dB: positive where the estimate is too loud, 0 is right."""
    reference, estimate = validate(reference, estimate, sample_rate=sample_rate)
    if np.array_equal(reference, estimate):
        return 0.0
    return _ratio_db(estimate @ estimate, reference @ reference)


def loudness_difference_lu(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Integrated loudness (ITU-R BS.1770-4) of the estimate less that of the reference, in LU.

    What does not reach the absolute gate counts as -70 LUFS. A rate outside 1 to 384 kHz is an AudioError.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    loudness, loudness_hat = (max(_GATE, loudness_lufs(Waveform.of(signal, sample_rate))) for signal in pair)
    return loudness_hat - loudness


def _ratio_db(wanted: float, unwanted: float) -> float:
    """10 log10 of a ratio of energies; nothing wanted is -inf even where nothing unwanted is left either."""
    if wanted == 0:
        return -math.inf
    if unwanted == 0:
        return math.inf
    return 10 * (math.log10(wanted) - math.log10(unwanted))
