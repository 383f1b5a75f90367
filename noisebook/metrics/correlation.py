"""Correlation metrics: whether what moves in one signal moves in the other, whatever the levels are.

Aim: the plain measures of likeness that numpy can take: of the samples, of the spectrum of the whole clip, of the mel
spectrogram, of the tracks of brightness and of zero crossings. They are the parts of the composite scores
(`composite`), with the definitions of that predecessor, which are librosa's defaults at 16 kHz.

Conventions: `reference` and `estimate` are `[N]` real samples, aligned and of equal length, at any rate (resampled to
16 kHz inside). Results are Pearson correlations, -1 to 1, higher is better; identical signals give 1. Digital silence
on one side, a clip below 10 ms and a track that does not move (of one frame: clips below 32 ms) give 0: never NaN, and
no mark for silence. All of them ignore gain. All but `waveform_correlation` are positive for most pairs of unrelated
sounds, since most sounds have their energy in the bass: read them beside controls.

Metrics: `waveform_correlation`, `spectrum_correlation`, `mel_correlation`, `centroid_correlation`, `zcr_correlation`.

Source: Peeters, "A large set of audio features for sound description", 2004 (centroid, zero-crossing rate).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noisebook.audio.mel import MelConfig, mel_filter_bank
from noisebook.metrics._signals import Scale, judge, pearson, power_spectrogram

__all__ = [
    "centroid_correlation",
    "mel_correlation",
    "spectrum_correlation",
    "waveform_correlation",
    "zcr_correlation",
]

RATE, N_FFT, HOP = 16000, 2048, 512
_SCALE = Scale(RATE, 0.01, 0.0, 1.0)
_MEL = MelConfig(sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=128)
_STILL = 1e-10  # a sample below this has no sign


def waveform_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the samples; about 0 wherever phases are new.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return judge(reference, estimate, sample_rate, _SCALE, pearson)


def spectrum_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of `|FFT|` of the whole clip, both halves of the spectrum.

    Bins as narrow as this hear new phases, while unrelated sounds agree that the bass is strong.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return _compare(reference, estimate, sample_rate, lambda signal: np.abs(np.fft.fft(signal)))


def mel_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of mel power spectrograms, not logarithmic: the loudest cells decide.

    n_fft 2048, hop 512, Hann, centred with silence; 128 Slaney filters from 0 to 8 kHz.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return _compare(reference, estimate, sample_rate, _mel_power)


def centroid_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the tracks of the spectral centroid, `sum f |S| / sum |S|` per frame; 0 Hz in silence.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return _compare(reference, estimate, sample_rate, _centroids)


def zcr_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the tracks of the zero-crossing rate: frames of 2048, hop 512.

    Raises:
        AudioError, ConfigError: see `validate`.
    """
    return _compare(reference, estimate, sample_rate, _zero_crossing_rates)


def _compare(
    reference: np.ndarray, estimate: np.ndarray, sample_rate: int, feature: Callable[[np.ndarray], np.ndarray]
) -> float:
    return judge(reference, estimate, sample_rate, _SCALE, lambda a, b: pearson(feature(a), feature(b)))


def _spectrogram(signal: np.ndarray) -> np.ndarray:
    return power_spectrogram(signal, n_fft=N_FFT, hop_length=HOP, pad_mode="constant")


def _mel_power(signal: np.ndarray) -> np.ndarray:
    return _spectrogram(signal) @ mel_filter_bank(_MEL).T


def _centroids(signal: np.ndarray) -> np.ndarray:
    magnitude = np.sqrt(_spectrogram(signal))
    total = magnitude.sum(axis=1)
    moment = magnitude @ np.fft.rfftfreq(N_FFT, 1 / RATE)
    return np.divide(moment, total, out=np.zeros_like(total), where=total > np.finfo(np.float32).tiny)


def _zero_crossing_rates(signal: np.ndarray) -> np.ndarray:
    padded = np.pad(np.where(np.abs(signal) > _STILL, signal, 0.0), N_FFT // 2, mode="edge")
    negative = np.lib.stride_tricks.sliding_window_view(padded < 0, N_FFT)[::HOP]
    return (negative[:, 1:] != negative[:, :-1]).mean(axis=1)
