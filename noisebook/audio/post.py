"""What may be done to decoded features, and to the sound of a vocoder, knowing the original.

features [B, 1, T, F] --smoothed, lifted--> vocoder --band_lifted, high_passed--> loudness_ratio, peak_gain
"""

from __future__ import annotations

from math import log, log10
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.level import SPECTRUM_FRAME, power_spectrum

if TYPE_CHECKING:
    import torch

    from noisebook.audio.features import Features

HIGHS = 4000.0  # Hz, from here up
_LIFTED_FROM = 3700.0  # Hz: bins that peak above it, of 64 mels those from 48 on
_RAMP_BINS, _RAMP_HZ = 4, 500.0
_REACH = 0.128  # seconds that a filter reaches to either side


def smoothed(features: torch.Tensor, frames: int) -> torch.Tensor:
    """Moving average over an odd number of frames; the ends are held."""
    import torch.nn.functional as F

    half = frames // 2
    padded = F.pad(features, (0, 0, half, half), mode="replicate")
    return padded.unfold(2, frames, 1).mean(dim=-1)


def lifted(values: torch.Tensor, gain_db: float, features: Features) -> torch.Tensor:
    """`ln(10) / 20 * gain_db` more in the bins above 3.7 kHz, raised-cosine ramp over the first of them."""
    number = np.cumsum(features.centres > _LIFTED_FROM)  # 1 for the first of them
    return values + values.new_tensor(_ramp(number / (_RAMP_BINS + 1)) * gain_db * log(10) / 20)


def band_lifted(samples: np.ndarray, sample_rate: int, factor: float) -> np.ndarray:
    """What is above 4 kHz times `factor`, `[C, N]`; the gain rises over the first 500 Hz."""
    return _filtered(samples, sample_rate, HIGHS, HIGHS + _RAMP_HZ, (1.0, factor))


def high_passed(samples: np.ndarray, sample_rate: int, cutoff: float) -> np.ndarray:
    """Without what is below `cutoff` Hz, `[C, N]`: the gain rises from 0 at 0.6 to 1 at 1.4 times the cutoff."""
    return _filtered(samples, sample_rate, 0.6 * cutoff, 1.4 * cutoff, (0.0, 1.0))


def energy(samples: np.ndarray) -> float:
    """Sum of squares."""
    return float(np.square(samples, dtype=np.float64).sum())


def high_band_energy(samples: np.ndarray, sample_rate: int) -> float:
    """Energy of `[C, N]` from 4 kHz up, on the scale of other results for that length only."""
    half = SPECTRUM_FRAME // 2
    padded = np.pad(samples, ((0, 0), (half, half + -samples.shape[1] % half)))
    return float(power_spectrum(padded)[np.fft.rfftfreq(SPECTRUM_FRAME, 1 / sample_rate) >= HIGHS].sum())


def high_band_loss_db(reference: np.ndarray, samples: np.ndarray, sample_rate: int) -> float:
    """How many dB `samples` lack of the reference's energy from 4 kHz up; negative where they have more.

    0 where either has none: there is nothing to compare.
    """
    wanted, found = high_band_energy(reference, sample_rate), high_band_energy(samples, sample_rate)
    return 10 * (log10(wanted) - log10(found)) if wanted > 0 and found > 0 else 0.0


def loudness_ratio(
    reference: np.ndarray, samples: np.ndarray, limits: tuple[float, float], *, softness: float = 0.0
) -> float:
    """The factor that gives `samples` the RMS of the reference, within `limits`; 1 for silence. `softness` is the share
    of the way from 1 to the factor that is left out, before the limits."""
    found = energy(samples)
    if found == 0:
        return 1.0
    ratio = 1 + (1 - softness) * ((energy(reference) / found) ** 0.5 - 1)
    return min(max(ratio, limits[0]), limits[1])


def peak_gain(samples: np.ndarray) -> float:
    """The factor, at most 1, that keeps the peak within full scale."""
    return 1 / max(1.0, float(np.abs(samples).max()))


def _ramp(position: np.ndarray) -> np.ndarray:
    """Raised cosine: 0 up to position 0, 1 from position 1."""
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(position, 0, 1))


def _filtered(
    samples: np.ndarray, sample_rate: int, first: float, last: float, gains: tuple[float, float]
) -> np.ndarray:
    """`[C, N]` through a symmetric filter whose gain goes from one to the other between two frequencies in Hz: no
    delay, exact length."""
    from scipy.signal import oaconvolve

    half = round(_REACH * sample_rate)
    count = 2 * half + 1  # odd, so that the filter is symmetric about a sample
    frequencies = np.fft.rfftfreq(8 * count, 1 / sample_rate)
    wanted = gains[0] + (gains[1] - gains[0]) * _ramp((frequencies - first) / (last - first))
    taps = np.roll(np.fft.irfft(wanted, 8 * count), half)[:count] * np.hanning(count + 2)[1:-1]
    return oaconvolve(samples, taps[None], mode="same", axes=1).astype(samples.dtype)
