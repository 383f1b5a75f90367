"""Spectral metrics: how far the spectrogram moved, whatever became of the phases.

Arguments and errors as in `validate`, samples in [-1, 1]. Distances are >= 0 and exactly 0 for identical signals,
silence included; the one infinite value is `multi_resolution_stft` against a silent reference. Signals shorter than
half a window are extended with silence. A band is `low < f <= high` in Hz; where the rate leaves nothing of it: 0.

Sources: Gray & Markel, "Distance measures for speech processing", 1976 (log spectral distance). Yamamoto,
Song, Kim, "Parallel WaveGAN", ICASSP 2020 (multi-resolution STFT). `mel_db_mae` follows the evaluation of
the public DDCM_Audio experiments on AudioLDM 2, whose mel settings are torchaudio's defaults.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from noisebook.errors import AudioError
from noisebook.metrics.signals import power_spectrogram, resample, validate

__all__ = ["Band", "band_energy_ratio_db", "band_level_db", "log_mel_l1_db", "log_spectral_distance_db", "mel_db_mae",
           "multi_resolution_stft"]  # fmt: skip

Band = tuple[float, float]
_WHOLE: Band = (-math.inf, math.inf)
_DB_PER_NEPER = 20 / math.log(10)
_POWER_FLOOR = 1e-10  # -100 dB
_MAGNITUDE_FLOOR = 1e-5  # the same level
_MEL_RATE, _MEL_N_FFT, _MEL_HOP, _N_MELS, _TOP_DB = 16000, 1024, 256, 128, 80.0
_RESOLUTIONS = (512, 1024, 2048)
_N_FFT, _HOP = 2048, 512  # of levels in dB
_HEARD = 1e-6  # of the power of the loudest frame: 60 dB below it nothing is heard beside it


def log_mel_l1_db(reference_mel: np.ndarray, estimate_mel: np.ndarray) -> float:
    """`20 / ln 10 * mean |m - m_hat|` in dB of two log-mels (`noisebook.audio.mel.log_mel`) of any one shape.

    AudioError for shapes that differ, and for empty or non-finite mels.
    """
    reference_mel, estimate_mel = np.asarray(reference_mel), np.asarray(estimate_mel)
    if reference_mel.shape != estimate_mel.shape or reference_mel.size == 0:
        raise AudioError(f"mels have shapes {reference_mel.shape} and {estimate_mel.shape}: give equal, non-empty ones")
    distance = np.abs(np.subtract(reference_mel, estimate_mel, dtype=np.float64)).mean()
    if not np.isfinite(distance):
        raise AudioError("a mel holds NaN or infinite values: floor it before the logarithm, as log_mel does")
    return float(distance) * _DB_PER_NEPER


def mel_db_mae(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, band: Band = _WHOLE) -> float:
    """Mean absolute error of two mel power spectrograms in dB.

    At 16 kHz: power spectrogram of n_fft 1024, hop 256, periodic Hann, centred with reflection; 128 triangular mel
    filters of peak 1 on the HTK scale, 0 to 8000 Hz; then `10 log10(max(., 1e-10))`, each spectrogram clamped from
    below at its own maximum - 80 dB. Of a band count the filters whose centres lie in it.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    levels, levels_hat = (_mel_db(resample(signal, sample_rate=sample_rate, to=_MEL_RATE)) for signal in pair)
    return _mean(np.abs(levels - levels_hat)[:, _inside(_htk_filters()[0], band)])


def multi_resolution_stft(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Spectral convergence plus log-magnitude L1, mean over n_fft 512, 1024 and 2048.

    Per resolution `|S - S_hat|_F / |S|_F + mean |ln S - ln S_hat|` on magnitudes floored at 1e-5 in the
    logarithm; hop n_fft / 4, Hann, centred, whatever the rate. +inf against a silent reference unless both are silent.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    return float(np.mean([_stft_distance(*pair, n_fft=n_fft) for n_fft in _RESOLUTIONS]))


def log_spectral_distance_db(
    reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, band: Band = _WHOLE
) -> float:
    """Log spectral distance in dB (Gray & Markel 1976): RMS over frequency, mean over frames.

    On `10 log10(max(power, 1e-10))` of the STFT of n_fft 2048, hop 512, Hann, centred, whatever the rate.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    levels, levels_hat = (_power_to_db(power_spectrogram(s, n_fft=_N_FFT, hop_length=_HOP)) for s in pair)
    inside = _inside(np.fft.rfftfreq(_N_FFT, 1 / sample_rate), band)
    return _mean(np.sqrt(np.square(levels - levels_hat)[:, inside].mean(axis=1))) if inside.any() else 0.0


def band_level_db(
    reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, band: Band = (8000.0, 16000.0)
) -> float:
    """Mean absolute difference in dB of the level of a band, moment by moment.

    Power of the band in each frame of the STFT of n_fft 2048, hop 512, Hann, centred; floored at 60 dB below the
    loudest frame of the reference over all frequencies. Frames in which both are at the floor are left out; where all
    are, 0.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    inside = _inside(np.fft.rfftfreq(_N_FFT, 1 / sample_rate), band)
    powers = [power_spectrogram(signal, n_fft=_N_FFT, hop_length=_HOP) for signal in pair]
    floor = max(_HEARD * float(powers[0].sum(axis=1).max()), _POWER_FLOOR)
    levels, levels_hat = (10 * np.log10(np.maximum(power[:, inside].sum(axis=1), floor)) for power in powers)
    heard = np.maximum(levels, levels_hat) > 10 * np.log10(floor)
    return _mean(np.abs(levels - levels_hat)[heard])


def band_energy_ratio_db(
    reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, band: Band = (4000.0, 8000.0)
) -> float:
    """Energy of the estimate in a band over that of the reference, `10 log10` in dB: 0 is right, below is dull.

    Energies of the whole clip, each floored at -100 dB of full scale: silence gives a large finite number.
    """
    pair = validate(reference, estimate, sample_rate=sample_rate)
    inside = _inside(np.fft.rfftfreq(pair[0].size, 1 / sample_rate), band)
    # Parseval: 2 |X|^2 / N^2 is the mean square that a bin of the one-sided spectrum carries
    level, level_hat = (
        _power_to_db(2 * np.square(np.abs(np.fft.rfft(signal))[inside] / signal.size).sum()) for signal in pair
    )
    return float(level_hat - level)


def _stft_distance(reference: np.ndarray, estimate: np.ndarray, *, n_fft: int) -> float:
    magnitude, magnitude_hat = (
        np.sqrt(power_spectrogram(signal, n_fft=n_fft, hop_length=n_fft // 4)) for signal in (reference, estimate)
    )
    log, log_hat = (np.log(np.maximum(m, _MAGNITUDE_FLOOR)) for m in (magnitude, magnitude_hat))
    error, scale = np.linalg.norm(magnitude - magnitude_hat), np.linalg.norm(magnitude)
    if error == 0:
        return 0.0
    if scale == 0:
        return math.inf
    return float(error / scale + np.abs(log - log_hat).mean())


def _mel_db(signal: np.ndarray) -> np.ndarray:
    mel = power_spectrogram(signal, n_fft=_MEL_N_FFT, hop_length=_MEL_HOP) @ _htk_filters()[1].T
    level = _power_to_db(mel)
    return np.maximum(level, level.max() - _TOP_DB)


def _inside(frequency: np.ndarray, band: Band) -> np.ndarray:
    return (frequency > band[0]) & (frequency <= band[1])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _power_to_db(power: np.ndarray) -> np.ndarray:
    return 10 * np.log10(np.maximum(power, _POWER_FLOOR))


@lru_cache(maxsize=1)
def _htk_filters() -> tuple[np.ndarray, np.ndarray]:
    """Centres in Hz `[128]`, equidistant in `2595 log10(1 + f / 700)`, and triangles of peak 1
    `[128, n_fft // 2 + 1]`."""
    top_mel = 2595 * np.log10(1 + _MEL_RATE / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, top_mel, _N_MELS + 2) / 2595) - 1)
    bins = np.linspace(0, _MEL_RATE / 2, _MEL_N_FFT // 2 + 1)
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    return corners[1:-1], np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
