"""Correlation metrics: whether what moves in one signal moves in the other, whatever the levels are; and the
predecessor's two composite scores, which are made of them, exactly:

    0.25 waveform + 0.20 spectrum + 0.20 mel power + 0.15 MFCC + 0.10 tempo + 0.05 centroid
      + 0.05 (SNR + 20) / 40      `summary_score`
      + 0.05 zero-crossing rate   `verify_score`

Unrelated sounds pass the levels from which on the predecessor called a sound related (docs/metrics.md): the scores are
to be compared with, never to decide.

The definitions of the correlations are the predecessor's, and librosa's defaults: 16 kHz, frames of 2048 samples every
512; gain does not count. Arguments and errors as in `validate`, MissingExtra where librosa is needed and not installed.
Undefined cases as in `judged`; a track that does not move (of one frame: clips below 32 ms) gives 0. Unrelated sounds
correlate too, since most have their energy in the bass.

Sources: Peeters, "A large set of audio features for sound description", 2004 (centroid, zero-crossing rate). Davis &
Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980 (MFCC). Mueller,
"Fundamentals of Music Processing", 2015 (chroma, tempogram). McFee et al., "librosa", SciPy 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noisebook.audio.mel import MelConfig, mel_filter_bank
from noisebook.metrics.signals import (
    check_rate,
    check_samples,
    judged,
    pearson,
    power_spectrogram,
    require,
    resample,
    windows,
)

__all__ = ["WEIGHTS", "Composite", "centroid_correlation", "chroma_similarity", "mel_correlation", "mfcc_correlation",
           "mfcc_correlation_without_c0", "onset_correlation", "spectrum_correlation", "summary_score",
           "tempo_agreement", "verify_score", "waveform_correlation", "zcr_correlation"]  # fmt: skip

_RATE, _N_FFT, _HOP = 16000, 2048, 512
_MEL = MelConfig(sample_rate=_RATE, n_fft=_N_FFT, hop_length=_HOP, n_mels=128)
_STILL = 1e-10  # a sample below this has no sign
_SOUNDING_DB = 60.0  # frames further below the loudest have no harmony worth comparing
_correlation = judged(_RATE, seconds=0.01, worst=0.0, best=1.0)


@_correlation
def waveform_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of the samples, -1 to 1; about 0 wherever phases are new."""
    return pearson(reference, estimate)


@_correlation
def spectrum_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of `|FFT|` of the whole clip, both halves of the spectrum, -1 to 1."""
    return pearson(np.abs(np.fft.fft(reference)), np.abs(np.fft.fft(estimate)))


@_correlation
def mel_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of mel power spectrograms (128 Slaney filters, 0 to 8 kHz), -1 to 1."""
    filters = mel_filter_bank(_MEL).T
    return pearson(_spectrogram(reference) @ filters, _spectrogram(estimate) @ filters)


@_correlation
def centroid_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of the tracks of the spectral centroid, `sum f |S| / sum |S|` per frame; 0 Hz in silence."""
    return pearson(_centroids(reference), _centroids(estimate))


@_correlation
def zcr_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of the tracks of the zero-crossing rate, -1 to 1."""
    return pearson(_zero_crossing_rates(reference), _zero_crossing_rates(estimate))


@_correlation
def mfcc_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of 13 mel-frequency cepstral coefficients, c0 among them, all frames in one, -1 to 1.

    c0, the level, is negative and larger than all others, so that this is high for most pairs of sounds.
    """
    return pearson(_mfcc(reference), _mfcc(estimate))


@_correlation
def mfcc_correlation_without_c0(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of the coefficients 1 to 12, -1 to 1: the shape of the spectrum, without its level."""
    return pearson(_mfcc(reference)[1:], _mfcc(estimate)[1:])


@_correlation
def chroma_similarity(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Mean over frames of the correlation between the energies of the 12 pitch classes, -1 to 1.

    Over the frames of the reference within 60 dB of its loudest. (The usual cosine is far from 0 for noise too, since
    energies are positive.)
    """
    librosa, options = require("librosa"), {"n_fft": _N_FFT, "hop_length": _HOP, "tuning": 0.0, "norm": None}
    chroma, chroma_hat = (
        librosa.feature.chroma_stft(y=_at_least_a_frame(signal), sr=_RATE, **options).T
        for signal in (reference, estimate)
    )
    energy = chroma.sum(axis=1)
    sounding = np.flatnonzero(energy > energy.max() * 10 ** (-_SOUNDING_DB / 10))
    return float(np.mean([pearson(chroma[t], chroma_hat[t]) for t in sounding])) if sounding.size else 0.0


@_correlation
def onset_correlation(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Pearson correlation of the onset strengths, the rise of the mel spectrum in dB from frame to frame, -1 to 1."""
    librosa = require("librosa")

    def onsets(signal: np.ndarray) -> np.ndarray:
        # Reflected at the ends, where librosa's silence would be an onset of any sound.
        mel = librosa.feature.melspectrogram(y=_at_least_a_frame(signal), sr=_RATE, pad_mode="reflect")
        return librosa.onset.onset_strength(S=librosa.power_to_db(mel), sr=_RATE)

    return pearson(onsets(reference), onsets(estimate))


@_correlation
def tempo_agreement(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """`1 - |a - b| / max(a, b)` of the two tempi in beats per minute, 0 to 1; 0 where only one signal has onsets."""
    tempi = _tempo(reference), _tempo(estimate)
    return 1 - abs(tempi[0] - tempi[1]) / max(tempi) if max(tempi) > 0 else None


_SHARED = {  # of both scores
    waveform_correlation: 0.25, spectrum_correlation: 0.20, mel_correlation: 0.20, mfcc_correlation: 0.15,
    tempo_agreement: 0.10, centroid_correlation: 0.05,
}  # fmt: skip
WEIGHTS = {metric.__name__: weight for metric, weight in _SHARED.items()}  # type: ignore[attr-defined]
_LAST_WEIGHT, _POWER_FLOOR = 0.05, 1e-10


@dataclass(frozen=True)
class Composite:
    """A weighted sum and what went into it."""

    score: float  # up to 1 (`verify_score`), about 1.1 (`summary_score`, whose SNR is not limited)
    parts: dict[str, float]  # `{name: value}` before weighting, by the names of the metrics' table


def summary_score(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> Composite:
    """The score of the predecessor's final summary, with the signal-to-noise ratio, of `[N]` and `[N']` samples."""
    pair = _common(reference, estimate, sample_rate)
    power = max(float(np.square(pair[0], dtype=np.float64).mean()), _POWER_FLOOR)
    error = float(np.square(pair[0] - pair[1], dtype=np.float64).mean())
    snr_db = 10 * math.log10(power / (error + _POWER_FLOOR))
    return _weighted(pair, {"snr_db": snr_db}, _LAST_WEIGHT * (snr_db + 20) / 40)


def verify_score(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> Composite:
    """The score of the predecessor's verification, with the zero-crossing rate; otherwise as `summary_score`."""
    pair = _common(reference, estimate, sample_rate)
    zcr = zcr_correlation(*pair, sample_rate=_RATE)
    return _weighted(pair, {"zcr_correlation": zcr}, _LAST_WEIGHT * zcr)


def _common(reference: np.ndarray, estimate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Both at 16 kHz, in single precision as the predecessor read its files, cut to the shorter one."""
    check_rate(sample_rate)
    named = (("reference", reference), ("estimate", estimate))
    pair = [resample(check_samples(name, s), sample_rate=sample_rate, to=_RATE).astype(np.float32) for name, s in named]
    length = min(len(signal) for signal in pair)
    return pair[0][:length], pair[1][:length]


def _weighted(pair: tuple[np.ndarray, np.ndarray], last: dict[str, float], last_term: float) -> Composite:
    parts = {metric.__name__: metric(*pair, sample_rate=_RATE) for metric in _SHARED}  # type: ignore[attr-defined]
    return Composite(sum(WEIGHTS[name] * value for name, value in parts.items()) + last_term, parts | last)


def _spectrogram(signal: np.ndarray) -> np.ndarray:
    return power_spectrogram(signal, n_fft=_N_FFT, hop_length=_HOP, pad_mode="constant")


def _centroids(signal: np.ndarray) -> np.ndarray:
    magnitude = np.sqrt(_spectrogram(signal))
    total = magnitude.sum(axis=1)
    moment = magnitude @ np.fft.rfftfreq(_N_FFT, 1 / _RATE)
    return np.divide(moment, total, out=np.zeros_like(total), where=total > np.finfo(np.float32).tiny)


def _zero_crossing_rates(signal: np.ndarray) -> np.ndarray:
    padded = np.pad(np.where(np.abs(signal) > _STILL, signal, 0.0), _N_FFT // 2, mode="edge")
    negative = windows(padded < 0, _N_FFT, _HOP)
    return (negative[:, 1:] != negative[:, :-1]).mean(axis=1)


def _mfcc(signal: np.ndarray) -> np.ndarray:
    return require("librosa").feature.mfcc(y=_at_least_a_frame(signal), sr=_RATE, n_mfcc=13)


def _tempo(signal: np.ndarray) -> float:
    """In beats per minute, as `librosa.beat.beat_track` estimates it; 0 without any onset."""
    librosa = require("librosa")
    onsets = librosa.onset.onset_strength(y=_at_least_a_frame(signal), sr=_RATE, aggregate=np.median)
    return float(librosa.feature.tempo(onset_envelope=onsets, sr=_RATE)[0]) if onsets.any() else 0.0


def _at_least_a_frame(signal: np.ndarray) -> np.ndarray:
    return np.pad(signal, (0, max(0, _N_FFT - signal.size)))
