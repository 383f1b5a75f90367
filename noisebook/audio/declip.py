"""Clipped samples from what the others say, by the sparsity of spectra alone.

Iterative hard thresholding with the samples as constraints (after Kitic et al., "Consistent iterative hard
thresholding for signal declipping", 2013): keep the strongest coefficients of each short spectrum, put back what is
known, and lower the bar.
"""

from __future__ import annotations

import numpy as np

from noisebook.audio.damage import clipped_samples
from noisebook.audio.waveform import Waveform

__all__ = ["consistent", "sparsely_declipped"]

_WINDOW = 0.064  # seconds
_OVERLAP = 4
_ROUNDS, _FIRST_DB, _LAST_DB = 30, 10.0, 60.0  # the bar below the strongest coefficient of a frame, first and last
_BLOCK = 2**19  # samples that are worked on at a time
_HEADROOM = 8.0  # times the threshold: as far as a sample may go


def sparsely_declipped(waveform: Waveform, threshold: float) -> Waveform:
    """The sound with its samples at and beyond the threshold drawn further out, the others as they were to the bit."""
    lost = clipped_samples(waveform.samples, threshold)
    samples = waveform.samples.copy()
    size = 1 << max(4, round(np.log2(_WINDOW * waveform.sample_rate)))
    for row, flags in zip(samples, lost, strict=True):
        for start in range(0, len(row), _BLOCK):
            end = min(len(row), start + _BLOCK)
            if flags[start:end].any():
                left, right = max(0, start - 2 * size), min(len(row), end + 2 * size)
                piece = _declipped(row[left:right].copy(), flags[left:right], threshold, size)
                row[start:end] = piece[start - left : end - left]
    return Waveform(samples, waveform.sample_rate)


def consistent(clipped: np.ndarray, restored: np.ndarray, lost: np.ndarray, threshold: float) -> np.ndarray:
    """`restored` made to agree with `clipped`, arrays of one shape.

    Where nothing is lost it is the clipped sound, to the bit; where something is, it has the sign of the clipped
    sample, and at least its magnitude.
    """
    sign = np.sign(clipped)
    magnitude = np.clip(sign * restored, np.abs(clipped), max(_HEADROOM * threshold, float(np.abs(clipped).max())))
    return np.where(lost, sign * magnitude, clipped).astype(np.float32)


def _declipped(clipped: np.ndarray, lost: np.ndarray, threshold: float, size: int) -> np.ndarray:
    """One channel `[N]`."""
    import torch

    window = torch.hann_window(size)
    hop = size // _OVERLAP
    restored = clipped
    for bar_db in np.linspace(_FIRST_DB, _LAST_DB, _ROUNDS):
        samples = torch.from_numpy(restored)
        spectrum = torch.stft(samples, size, hop, window=window, pad_mode="constant", return_complex=True)
        magnitude = spectrum.abs()
        bar = magnitude.amax(0, keepdim=True) * 10 ** (-float(bar_db) / 20)
        sparse = torch.istft(torch.where(magnitude > bar, spectrum, 0), size, hop, window=window, length=len(samples))
        restored = consistent(clipped, sparse.numpy(), lost, threshold)
    return restored
