"""How loud a sound is: peak, the codec's coding gain, and loudness after ITU-R BS.1770-4.

Loudness is measured block by block and at any rate, for sounds of hours at 1 to 384 kHz; pyloudnorm takes a whole
array, and none shorter than 400 ms.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf, log10

import numpy as np

from noisebook.audio.high_pass import high_passed
from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import AudioError

__all__ = ["apply_gain", "coding_gain", "coding_gain_of", "loudness_lufs", "loudness_of", "peak_db"]


def peak_db(samples: np.ndarray) -> float:
    """Largest magnitude of an array of any shape, in dB relative to 1.0; -inf for silence."""
    return _decibel(_peak(samples) ** 2)


def coding_gain(samples: np.ndarray, *, target_peak: float = 0.5) -> int:
    """Gain in half-dB steps that brings the peak nearest to `target_peak`.

    Args:
        samples: any shape, full scale 1.0.
        target_peak: wanted magnitude, above 0.

    Returns:
        An int8, -128 to 127 (-64 dB to +63.5 dB, clamped); 0 for digital silence.

    Raises:
        AudioError: `target_peak` is not above 0.
    """
    if not target_peak > 0:
        raise AudioError(f"a target peak of {target_peak}: give a magnitude above 0")
    peak = _peak(samples)
    if peak == 0:
        return 0
    return max(-128, min(127, round(40 * (log10(target_peak) - log10(peak)))))


def coding_gain_of(sound: Sound) -> int:
    """`coding_gain` of a sound that need not be held whole, of what is not below hearing in it."""
    return coding_gain(np.array([_peak(block) for block in high_passed(sound).blocks()]))


def apply_gain(samples: np.ndarray, half_db: int) -> np.ndarray:
    """Samples times `10 ** (half_db / 40)`, float dtype and shape kept. The negative gain undoes it, to the
    last place of the dtype; a gain of 0 changes nothing."""
    return samples * samples.dtype.type(10.0 ** (half_db / 40))


def loudness_lufs(waveform: Waveform) -> float:
    """`loudness_of` a waveform."""
    return loudness_of(waveform.blocks(), waveform.sample_rate)


def loudness_of(blocks: Iterable[np.ndarray], sample_rate: int) -> float:
    """Integrated, gated loudness (ITU-R BS.1770-4) in LUFS; -inf where nothing passes the gate of -70 LUFS.

    Blocks of 400 ms every 100 ms; a sound shorter than one block is one block of its own length, which the
    standard leaves open. Channels weigh 1, except in 5.0 and 5.1 (order L R C [LFE] Ls Rs).

    Args:
        blocks: `[C, n]` in order, of any lengths.
        sample_rate: Hz.
    """
    power = _block_power(blocks, sample_rate)  # [blocks]
    power = power[power > _power(_ABSOLUTE_GATE)]
    if not power.size:
        return -inf
    gated = power[power > _power(_loudness(power.mean()) + _RELATIVE_GATE)]
    return _loudness(gated.mean())


_ABSOLUTE_GATE, _RELATIVE_GATE = -70.0, -10.0  # LUFS; LU below the mean of what passes the first
_OFFSET = -0.691  # equation 2: takes back the K-weighting's gain at 997 Hz
_SURROUND = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}  # table 3
_HOPS_PER_BLOCK, _HOPS_PER_PIECE = 4, 100

# Tables 1 and 2, numerator and denominator at 48 kHz: the head's shelf, then the high-pass.
_BIQUADS = (
    ((1.53512485958697, -2.69169618940638, 1.19839281085285), (1.0, -1.69065929318241, 0.73248077421585)),
    ((1.0, -2.0, 1.0), (1.0, -1.99004745483398, 0.99007225036621)),
)


def _block_power(blocks: Iterable[np.ndarray], sample_rate: int) -> np.ndarray:
    """K-weighted mean square of each block of 400 ms, summed over weighted channels; `[blocks]` float64.

    The filter acts in the frequency domain, piece by piece (overlap-save): a piece carries half a second of
    what came before, in which the impulse response has long died away, and drops it after filtering.
    """
    hop, context = max(1, round(sample_rate / 10)), max(1, sample_rate // 2)
    size, energy = context + _HOPS_PER_PIECE * hop, []
    held = np.empty((0, 0), np.float32)
    for block in blocks:
        held = np.concatenate([held if held.size else np.zeros((len(block), context), block.dtype), block], axis=1)
        while held.shape[1] >= size:
            energy.append(_hop_energy(held[:, :size], sample_rate, context, hop))
            held = held[:, size - context :]
    rest, per_block = held.shape[1] - context, _HOPS_PER_BLOCK
    if not energy and 0 < rest < per_block * hop:
        hop, per_block = rest, 1
    if rest >= hop:
        energy.append(_hop_energy(held[:, : context + rest // hop * hop], sample_rate, context, hop))
    if not energy:
        return np.zeros(0)
    whole = np.concatenate(energy, axis=1)
    weights = _SURROUND.get(len(whole), (1.0,) * len(whole))
    return np.convolve(np.asarray(weights) @ whole, np.ones(per_block), mode="valid") / (hop * per_block)


def _hop_energy(samples: np.ndarray, sample_rate: int, context: int, hop: int) -> np.ndarray:
    """Sum of squares of each hop after K-weighting of `[C, context + hops * hop]`, `[C, hops]` float64."""
    piece = samples.astype(np.float64)
    response = _k_weighting(np.fft.rfftfreq(piece.shape[1], 1 / sample_rate))
    filtered = np.fft.irfft(np.fft.rfft(piece) * response, n=piece.shape[1])[:, context:]
    return np.square(filtered).reshape(len(piece), -1, hop).sum(axis=2)


def _k_weighting(frequency: np.ndarray) -> np.ndarray:
    """Complex response at each frequency in Hz.

    The standard gives coefficients for 48 kHz only. Their response, read at the frequencies of any other
    rate, is the same weighting at that rate; above 24 kHz it stays at the plateau it has reached there.
    """
    delay = np.exp(-2j * np.pi * np.minimum(frequency, 24_000) / 48_000)
    powers = np.stack([np.ones_like(delay), delay, delay**2])
    response = np.ones_like(delay)
    for numerator, denominator in _BIQUADS:
        response *= (np.asarray(numerator) @ powers) / (np.asarray(denominator) @ powers)
    return response


def _loudness(power: float) -> float:
    return _OFFSET + _decibel(float(power))


def _power(loudness: float) -> float:
    return float(10 ** ((loudness - _OFFSET) / 10))


def _decibel(power: float) -> float:
    return 10 * log10(power) if power > 0 else -inf


def _peak(samples: np.ndarray) -> float:
    return max(float(samples.max(initial=0)), -float(samples.min(initial=0)))
