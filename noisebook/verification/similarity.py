"""One number for two sounds: do their log-mels move alike?

samples -> log-mel, 20 ms -> smoothed over 0.1 s -> minus its own mean over 1 s -> `Features.movement`

The mean over a second takes away what two unrelated sounds easily share: level, long-term spectrum, fades. What is
left says *when* *which* band is louder than around that time, and that an unrelated sound gets right only by chance.
Phase plays no part, so that generated phase costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebook.audio.mel import MelConfig, mel_filter_bank
from noisebook.metrics.signals import powers

SAMPLE_RATE = 16_000
FRAME_RATE = 50  # a second
_MEL = MelConfig(hop_length=SAMPLE_RATE // FRAME_RATE, n_mels=32)
_RANGE_DB = 50.0  # below a sound's loudest value of the mel nothing is heard
_SILENT = 1e-7  # power of the mel, that of a tone at -100 dBFS
_STEADY_DB = 0.5  # less movement than this is none
_SMOOTH, _LOCAL = 5, FRAME_RATE  # frames
_BLOCK = 4096  # frames that are transformed at a time


@dataclass(frozen=True, eq=False)
class Features:
    """What a sound is compared by, at 50 frames a second."""

    log_mel: np.ndarray  # [T, 32] dB below the loudest value, at least -50; all zero for silence
    movement: np.ndarray  # [T, 32] dB, its deviation from its own mean over a second
    silent: bool  # nothing reaches about -100 dBFS

    @property
    def frames(self) -> int:
        return len(self.log_mel)

    @property
    def steady(self) -> bool:
        """Whether it moves by less than 0.5 dB, as a constant tone does."""
        return float(np.sqrt(np.square(self.movement).mean())) < _STEADY_DB

    @property
    def spectrum(self) -> np.ndarray:
        """`[1, 32]`: its mean over time, less the mean over bands."""
        spectrum = self.log_mel.mean(0, keepdims=True)
        return spectrum - spectrum.mean()


def features(samples: np.ndarray) -> Features:
    """Of `[N]` samples at 16 kHz, N at least 1."""
    power = _mel_power(np.asarray(samples, np.float64))
    if power.max() < _SILENT:
        return Features(np.zeros_like(power), np.zeros_like(power), silent=True)
    return of_log_mel(10 * np.log10(np.maximum(power / power.max(), 10 ** (-_RANGE_DB / 10))))


def of_log_mel(log_mel: np.ndarray) -> Features:
    """Of a log-mel `[T, 32]` in dB, of a sound that is not silent."""
    smooth = _moving_mean(log_mel, np.hanning(_SMOOTH + 2)[1:-1])
    return Features(log_mel, smooth - _moving_mean(smooth, np.ones(_LOCAL + 1)), silent=False)


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation coefficient of two arrays of one shape whose means are near 0; 0 where one of them is all 0."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norm if norm > 0 else 0.0


def likeness(reference: Features, sound: Features) -> float:
    """Similarity of the movements of two sounds; of the spectra, where the reference is steady."""
    if reference.steady:
        return similarity(reference.spectrum, sound.spectrum)
    return similarity(reference.movement, sound.movement)


def at_every_shift(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """`similarity` of `[T, V]` with `b` turned on by 0, 1, ... T - 1 frames, its end following before its start."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm == 0:
        return np.zeros(len(a))
    cross = (np.fft.rfft(a, axis=0) * np.fft.rfft(b, axis=0).conj()).sum(1)
    return np.fft.irfft(cross, n=len(a)) / norm


def _mel_power(samples: np.ndarray) -> np.ndarray:
    """`[T, 32]`: only of frames that lie within the sound, since an edge would be one thing that all sounds share."""
    padded, bank = np.pad(samples, (0, max(0, _MEL.n_fft - len(samples)))), mel_filter_bank(_MEL).T
    starts = range(0, len(padded) - _MEL.n_fft + 1, _BLOCK * _MEL.hop_length)
    reach = (_BLOCK - 1) * _MEL.hop_length + _MEL.n_fft  # samples of a block
    return np.concatenate([powers(padded[i : i + reach], _MEL.n_fft, _MEL.hop_length) @ bank for i in starts])


def _moving_mean(columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of the neighbours in time, an odd number of them; at the ends of those that there are."""
    from scipy.ndimage import convolve1d

    counted = np.pad(columns, ((0, 0), (0, 1)), constant_values=1.0)  # a column of ones, for the sum of the weights
    sums = convolve1d(counted, weights, axis=0, mode="constant")
    return np.asarray(sums[:, :-1] / sums[:, -1:])
