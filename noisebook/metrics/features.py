"""Musical features: timbre, pitch classes, onsets and tempo of two signals, by librosa.

Aim: whether the colour, the harmony and the rhythm are the same, whatever became of the fine structure.

Conventions: `reference` and `estimate` are `[N]` real samples, aligned and of equal length, at any rate (resampled to
16 kHz inside); frames of 2048 samples every 512. Higher is better, identical signals give 1. Digital silence on one
side, a clip below 10 ms, and a track that does not move give 0; clips shorter than a frame are extended with silence.

    | metric                      | range   | unrelated sounds         |
    |-----------------------------|---------|--------------------------|
    | mfcc_correlation            | -1 to 1 | high: c0 outweighs all   |
    | mfcc_correlation_without_c0 | -1 to 1 | often above 0            |
    | chroma_similarity           | -1 to 1 | about 0, higher in a key |
    | onset_correlation           | -1 to 1 | about 0                  |
    | tempo_agreement             | 0 to 1  | high: tempi are alike    |

Metrics: those of the table. All need `pip install 'noisebook[metrics]'`.

Sources: Davis & Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980 (MFCC).
Mueller, "Fundamentals of Music Processing", 2015 (chroma, tempogram). McFee et al., "librosa", SciPy 2015.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from noisebook.metrics._extras import require
from noisebook.metrics._signals import Scale, judge, pearson

__all__ = [
    "chroma_similarity",
    "mfcc_correlation",
    "mfcc_correlation_without_c0",
    "onset_correlation",
    "tempo_agreement",
]

_RATE, _N_FFT, _HOP = 16000, 2048, 512
_SCALE = Scale(_RATE, 0.01, 0.0, 1.0)
_N_MFCC = 13
_SOUNDING_DB = 60.0  # frames further below the loudest have no harmony worth comparing


def mfcc_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of 13 mel-frequency cepstral coefficients, c0 among them, all frames in one.

    c0, the level, is negative and larger than all others, so that this is high for most pairs of sounds, and for
    a sound and faint noise. Kept because it is in the predecessor's scores.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: librosa is not installed.
    """
    return _mfcc_correlation(reference, estimate, sample_rate, first=0)


def mfcc_correlation_without_c0(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the coefficients 1 to 12: the shape of the spectrum, without its level.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: librosa is not installed.
    """
    return _mfcc_correlation(reference, estimate, sample_rate, first=1)


def chroma_similarity(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Mean over frames of the correlation between the energies of the 12 pitch classes.

    Over the frames of the reference within 60 dB of its loudest. A correlation, not the usual cosine: energies are
    positive, so that the cosine of unrelated frames is far from 0, and noise would score.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: librosa is not installed.
    """
    librosa = require("librosa")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        chroma, chroma_hat = (_chroma(librosa, signal) for signal in (reference, estimate))
        energy = chroma.sum(axis=1)
        sounding = np.flatnonzero(energy > energy.max() * 10 ** (-_SOUNDING_DB / 10))
        return float(np.mean([pearson(chroma[t], chroma_hat[t]) for t in sounding])) if sounding.size else 0.0

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def onset_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the onset strengths, the rise of the mel spectrum in dB from frame to frame.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: librosa is not installed.
    """
    librosa = require("librosa")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        return pearson(*(_onsets(librosa, signal) for signal in (reference, estimate)))

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def tempo_agreement(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """`1 - |a - b| / max(a, b)` of the two tempi in beats per minute; 0 where only one signal has onsets.

    An estimator that hears the double of a tempo halves the score, and one that finds no beat answers near 120: most
    pairs of sounds agree by more than 0.6.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: librosa is not installed.
    """
    librosa = require("librosa")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        tempi = [_tempo(librosa, signal) for signal in (reference, estimate)]
        return 1 - abs(tempi[0] - tempi[1]) / max(tempi) if max(tempi) > 0 else None

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def _mfcc_correlation(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, *, first: int) -> float:
    librosa = require("librosa")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        pair = (librosa.feature.mfcc(y=_filled(s), sr=_RATE, n_mfcc=_N_MFCC)[first:] for s in (reference, estimate))
        return pearson(*pair)

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def _filled(signal: np.ndarray) -> np.ndarray:
    """At least one frame."""
    return np.pad(signal, (0, max(0, _N_FFT - signal.size)))


def _chroma(librosa: Any, signal: np.ndarray) -> np.ndarray:
    """`[frames, 12]` energies of the pitch classes of A = 440 Hz."""
    options = {"n_fft": _N_FFT, "hop_length": _HOP, "tuning": 0.0, "norm": None}
    return librosa.feature.chroma_stft(y=_filled(signal), sr=_RATE, **options).T


def _onsets(librosa: Any, signal: np.ndarray) -> np.ndarray:
    """`[frames]` onset strength; reflected at the ends, where librosa's silence would be an onset of any sound."""
    mel = librosa.feature.melspectrogram(y=_filled(signal), sr=_RATE, pad_mode="reflect")
    return librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=_RATE)


def _tempo(librosa: Any, signal: np.ndarray) -> float:
    """Beats per minute as of `librosa.beat.beat_track`, which estimates the tempo like this; 0 without any onset."""
    onsets = librosa.onset.onset_strength(y=_filled(signal), sr=_RATE, aggregate=np.median)
    return float(librosa.feature.tempo(onset_envelope=onsets, sr=_RATE)[0]) if onsets.any() else 0.0
