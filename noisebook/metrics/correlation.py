"""Correlation metrics: whether what moves in one signal moves in the other, whatever the levels are.

Aim: the plain measures of likeness: of the samples, of the spectrum of the whole clip, of the mel spectrogram, of the
tracks of brightness and of zero crossings, by numpy; of timbre, harmony and rhythm by librosa. Most are parts of the
composite scores (`composite`), with the definitions of that predecessor, which are librosa's defaults at 16 kHz.

Conventions: `reference` and `estimate` are `[N]` real samples, aligned and of equal length, at any rate (resampled to
16 kHz inside); frames of 2048 samples every 512. Higher is better, identical signals give 1. Digital silence on one
side, a clip below 10 ms and a track that does not move (of one frame: clips below 32 ms) give 0: never NaN, and no
mark for silence. All of them ignore gain. Most are positive for most pairs of unrelated sounds, since most sounds have
their energy in the bass: read them beside controls. All raise AudioError and ConfigError as `validate` does, and
those by librosa MissingExtra where that is not installed.

    | metric                      | by      | range   | unrelated sounds           |
    |-----------------------------|---------|---------|----------------------------|
    | waveform_correlation        | numpy   | -1 to 1 | about 0                    |
    | spectrum_correlation        | numpy   | -1 to 1 | above 0: the bass is alike |
    | mel_correlation             | numpy   | -1 to 1 | above 0: the bass is alike |
    | centroid_correlation        | numpy   | -1 to 1 | above 0                    |
    | zcr_correlation             | numpy   | -1 to 1 | above 0                    |
    | mfcc_correlation            | librosa | -1 to 1 | high: c0 outweighs all     |
    | mfcc_correlation_without_c0 | librosa | -1 to 1 | often above 0              |
    | chroma_similarity           | librosa | -1 to 1 | about 0, higher in a key   |
    | onset_correlation           | librosa | -1 to 1 | about 0                    |
    | tempo_agreement             | librosa | 0 to 1  | high: tempi are alike      |

Sources: Peeters, "A large set of audio features for sound description", 2004 (centroid, zero-crossing rate). Davis &
Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980 (MFCC). Mueller,
"Fundamentals of Music Processing", 2015 (chroma, tempogram). McFee et al., "librosa", SciPy 2015.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from noisebook.audio.mel import MelConfig, mel_filter_bank
from noisebook.metrics.signals import Scale, judge, pearson, power_spectrogram, require, windows

__all__ = [
    "centroid_correlation",
    "chroma_similarity",
    "mel_correlation",
    "mfcc_correlation",
    "mfcc_correlation_without_c0",
    "onset_correlation",
    "spectrum_correlation",
    "tempo_agreement",
    "waveform_correlation",
    "zcr_correlation",
]

RATE, N_FFT, HOP = 16000, 2048, 512
_SCALE = Scale(RATE, 0.01, 0.0, 1.0)
_MEL = MelConfig(sample_rate=RATE, n_fft=N_FFT, hop_length=HOP, n_mels=128)
_STILL = 1e-10  # a sample below this has no sign
_N_MFCC = 13
_SOUNDING_DB = 60.0  # frames further below the loudest have no harmony worth comparing


def waveform_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the samples; about 0 wherever phases are new."""
    return judge(reference, estimate, sample_rate, _SCALE, pearson)


def spectrum_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of `|FFT|` of the whole clip, both halves of the spectrum.

    Bins as narrow as this hear new phases, while unrelated sounds agree that the bass is strong.
    """
    return _compare(reference, estimate, sample_rate, lambda signal: np.abs(np.fft.fft(signal)))


def mel_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of mel power spectrograms, not logarithmic: the loudest cells decide.

    n_fft 2048, hop 512, Hann, centred with silence; 128 Slaney filters from 0 to 8 kHz.
    """
    return _compare(reference, estimate, sample_rate, lambda signal: _spectrogram(signal) @ mel_filter_bank(_MEL).T)


def centroid_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the tracks of the spectral centroid, `sum f |S| / sum |S|` per frame; 0 Hz in silence."""
    return _compare(reference, estimate, sample_rate, _centroids)


def zcr_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the tracks of the zero-crossing rate: frames of 2048, hop 512."""
    return _compare(reference, estimate, sample_rate, _zero_crossing_rates)


def mfcc_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of 13 mel-frequency cepstral coefficients, c0 among them, all frames in one.

    c0, the level, is negative and larger than all others, so that this is high for most pairs of sounds, and for
    a sound and faint noise. Kept because it is in the predecessor's scores.
    """
    return _mfcc_correlation(reference, estimate, sample_rate, first=0)


def mfcc_correlation_without_c0(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the coefficients 1 to 12: the shape of the spectrum, without its level."""
    return _mfcc_correlation(reference, estimate, sample_rate, first=1)


def chroma_similarity(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Mean over frames of the correlation between the energies of the 12 pitch classes.

    Over the frames of the reference within 60 dB of its loudest. A correlation, not the usual cosine: energies are
    positive, so that the cosine of unrelated frames is far from 0, and noise would score.
    """
    librosa = require("librosa")
    options = {"sr": RATE, "n_fft": N_FFT, "hop_length": HOP, "tuning": 0.0, "norm": None}

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        pair = (librosa.feature.chroma_stft(y=_filled(signal), **options).T for signal in (reference, estimate))
        chroma, chroma_hat = pair
        energy = chroma.sum(axis=1)
        sounding = np.flatnonzero(energy > energy.max() * 10 ** (-_SOUNDING_DB / 10))
        return float(np.mean([pearson(chroma[t], chroma_hat[t]) for t in sounding])) if sounding.size else 0.0

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def onset_correlation(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Pearson correlation of the onset strengths, the rise of the mel spectrum in dB from frame to frame."""
    librosa = require("librosa")

    def onsets(signal: np.ndarray) -> np.ndarray:
        """Reflected at the ends, where librosa's silence would be an onset of any sound."""
        mel = librosa.feature.melspectrogram(y=_filled(signal), sr=RATE, pad_mode="reflect")
        return librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=RATE)

    return _compare(reference, estimate, sample_rate, onsets)


def tempo_agreement(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """`1 - |a - b| / max(a, b)` of the two tempi in beats per minute; 0 where only one signal has onsets.

    An estimator that hears the double of a tempo halves the score, and one that finds no beat answers near 120: most
    pairs of sounds agree by more than 0.6.
    """
    librosa = require("librosa")

    def tempo(signal: np.ndarray) -> float:
        """As of `librosa.beat.beat_track`, which estimates the tempo like this; 0 without any onset."""
        onsets = librosa.onset.onset_strength(y=_filled(signal), sr=RATE, aggregate=np.median)
        return float(librosa.feature.tempo(onset_envelope=onsets, sr=RATE)[0]) if onsets.any() else 0.0

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        tempi = tempo(reference), tempo(estimate)
        return 1 - abs(tempi[0] - tempi[1]) / max(tempi) if max(tempi) > 0 else None

    return judge(reference, estimate, sample_rate, _SCALE, measure)


def _compare(
    reference: np.ndarray, estimate: np.ndarray, sample_rate: int, feature: Callable[[np.ndarray], np.ndarray]
) -> float:
    return judge(reference, estimate, sample_rate, _SCALE, lambda a, b: pearson(feature(a), feature(b)))


def _spectrogram(signal: np.ndarray) -> np.ndarray:
    return power_spectrogram(signal, n_fft=N_FFT, hop_length=HOP, pad_mode="constant")


def _centroids(signal: np.ndarray) -> np.ndarray:
    magnitude = np.sqrt(_spectrogram(signal))
    total = magnitude.sum(axis=1)
    moment = magnitude @ np.fft.rfftfreq(N_FFT, 1 / RATE)
    return np.divide(moment, total, out=np.zeros_like(total), where=total > np.finfo(np.float32).tiny)


def _zero_crossing_rates(signal: np.ndarray) -> np.ndarray:
    padded = np.pad(np.where(np.abs(signal) > _STILL, signal, 0.0), N_FFT // 2, mode="edge")
    negative = windows(padded < 0, N_FFT, HOP)
    return (negative[:, 1:] != negative[:, :-1]).mean(axis=1)


def _mfcc_correlation(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, *, first: int) -> float:
    mfcc = require("librosa").feature.mfcc
    return _compare(reference, estimate, sample_rate, lambda s: mfcc(y=_filled(s), sr=RATE, n_mfcc=_N_MFCC)[first:])


def _filled(signal: np.ndarray) -> np.ndarray:
    """At least one frame."""
    return np.pad(signal, (0, max(0, N_FFT - signal.size)))
