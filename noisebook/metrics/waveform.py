"""Alignment of an estimate with its reference, and waveform metrics: how much of the samples themselves survived.

A positive lag is a late estimate: its sample `n + lag` belongs to sample `n` of the reference. The gain is reported and
never applied. A cross-correlation misleads where phases are invented, as by a vocoder: give `lag=0` if that is known.

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
from dataclasses import dataclass

import numpy as np

from noisebook.audio.level import loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.metrics.signals import check_rate, check_samples, validate

__all__ = ["Alignment", "align", "energy_ratio_db", "loudness_difference_lu", "si_sdr_db", "snr_db"]

_GATE = -70.0  # LUFS, below which BS.1770 hears nothing
_BLOCK = 1 << 17  # samples that are transformed at once: memory does not grow with the clip
_ROUNDING = 1e-9  # correlations closer than this are equal


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


@dataclass(frozen=True)
class Alignment:
    """Two signals cut to what they have in common."""

    reference: np.ndarray  # `[M]` float64
    estimate: np.ndarray  # `[M]` float64, its level untouched
    lag: int  # samples by which the estimate came late
    gain_db: float  # `energy_ratio_db` of the two; not the least-squares gain, which new phases pull towards -inf
    correlation: float  # normalised cross-correlation at that lag, -1 to 1: how much the lag means


def align(
    reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, lag: int | None = None,
    max_lag_seconds: float = 0.5,
) -> Alignment:  # fmt: skip
    """Bring an estimate `[N']` into time with its reference `[N]`.

    Without a `lag` the largest normalised cross-correlation `<s, s_hat> / (|s| |s_hat|)` of the overlapping parts is
    looked for; of equal peaks (a tone has many) that nearest to 0, and 0 where one side is silent. At least half of the
    shorter signal overlaps at every lag that is tried. AudioError for signals that are not real, finite and of one
    channel, ConfigError for a rate or a range out of bounds, and for a lag that leaves nothing in common.
    """
    check_rate(sample_rate)
    if not 0 <= max_lag_seconds < np.inf:
        raise ConfigError(f"max_lag_seconds {max_lag_seconds} is out of range: give 0 or more seconds")
    reference, estimate = check_samples("reference", reference), check_samples("estimate", estimate)
    if lag is None:
        half = min(reference.size, estimate.size) // 2
        lag = _find_lag(reference, estimate, reach=min(round(max_lag_seconds * sample_rate), half))
    start, stop = _overlap(reference.size, estimate.size, np.array([lag]))
    if stop[0] <= start[0]:
        raise ConfigError(
            f"a lag of {lag} samples leaves nothing in common of {reference.size} and {estimate.size}: give less"
        )
    common = reference[start[0] : stop[0]], estimate[start[0] + lag : stop[0] + lag]
    scale = np.linalg.norm(common[0]) * np.linalg.norm(common[1])
    correlation = float(np.clip(common[0] @ common[1] / scale, -1, 1)) if scale > 0 else 0.0
    return Alignment(*common, int(lag), energy_ratio_db(*common, sample_rate=sample_rate), correlation)


def _find_lag(reference: np.ndarray, estimate: np.ndarray, *, reach: int) -> int:
    """The lag in [-reach, reach] of the largest normalised cross-correlation."""
    lags = np.arange(-reach, reach + 1)
    start, stop = _overlap(reference.size, estimate.size, lags)
    energy = _energy(reference, start, stop) * _energy(estimate, start + lags, stop + lags)
    audible = energy > 1e-20 * (reference @ reference) * (estimate @ estimate)  # below is rounding of the sums
    score = np.zeros(lags.size)
    np.divide(_products(reference, estimate, reach), np.sqrt(energy), out=score, where=audible)
    peaks = lags[score >= score.max() - _ROUNDING] if audible.any() else np.zeros(1, int)
    return int(peaks[np.abs(peaks).argmin()])


def _overlap(size: int, other: int, lags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First sample and end, in the reference, of what overlaps at each lag."""
    return np.maximum(0, -lags), np.minimum(size, other - lags)


def _energy(signal: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Energies of the slices `signal[start:stop]`."""
    total = np.concatenate(([0.0], np.cumsum(signal * signal)))
    return np.maximum(total[stop] - total[start], 0)


def _products(reference: np.ndarray, estimate: np.ndarray, reach: int) -> np.ndarray:
    """`sum_n reference[n] estimate[n + lag]` for the lags -reach to reach, block by block, by the FFT."""
    from scipy.signal import correlate

    late = np.pad(estimate, (reach, reach + max(0, reference.size - estimate.size)))
    products = np.zeros(2 * reach + 1)
    for first in range(0, reference.size, _BLOCK):
        block = reference[first : first + _BLOCK]
        products += correlate(late[first : first + block.size + 2 * reach], block, mode="valid", method="fft")
    return products
