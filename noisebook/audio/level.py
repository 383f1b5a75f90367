"""How loud a sound is, and what brings it to a level: peak, coding gain, high-pass, loudness (ITU-R BS.1770-4), peak
guard, and the gain of a decode. All work block by block and at any rate, for sounds of hours at 1 to 384 kHz."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from math import inf, log10

import numpy as np

from noisebook.audio.resample import resampled_blocks
from noisebook.audio.waveform import Processed, Sound, Waveform

SPECTRUM_FRAME = 2048  # samples
_CODED_PEAK = 0.5  # of full scale
_PIECE = 2**18  # samples of a channel whose spectra are held


def peak_db(samples: np.ndarray) -> float:
    """Largest magnitude of an array of any shape, in dB relative to 1.0; -inf for silence."""
    return _decibel(_peak(samples) ** 2)


def coding_gain(samples: np.ndarray) -> int:
    """Gain in half-dB steps that brings the peak of an array of any shape nearest to 0.5: an int8, -128 to 127 (-64 dB
    to +63.5 dB, clamped); 0 for digital silence."""
    peak = _peak(samples)
    return max(-128, min(127, round(40 * (log10(_CODED_PEAK) - log10(peak))))) if peak > 0 else 0


def coding_gain_of(sound: Sound) -> int:
    """`coding_gain` of a sound that need not be held whole, of what is not below hearing in it."""
    return coding_gain(np.array([_peak(block) for block in high_passed(sound).blocks()]))


def apply_gain(samples: np.ndarray, half_db: int) -> np.ndarray:
    """Samples times `10 ** (half_db / 40)`, float dtype and shape kept. The negative gain undoes it, to the
    last place of the dtype; a gain of 0 changes nothing."""
    return samples * samples.dtype.type(10.0 ** (half_db / 40))


def power_spectrum(samples: np.ndarray) -> np.ndarray:
    """Power at `rfftfreq(SPECTRUM_FRAME)` of `[C, N]`, summed over channels: the mean over half overlapping frames
    within the sound behind a Hann window, a piece at a time."""
    half, window = SPECTRUM_FRAME // 2, np.hanning(SPECTRUM_FRAME + 1)[:-1]
    padded = np.pad(samples, ((0, 0), (0, max(0, SPECTRUM_FRAME - samples.shape[1]))))
    frames, total = padded.shape[1] // half - 1, np.zeros(half + 1)
    for start in range(0, frames * half, _PIECE):
        total += _power_of_frames(padded[:, start : start + _PIECE + half], window, half)
    return total / frames


def _power_of_frames(samples: np.ndarray, window: np.ndarray, hop: int) -> np.ndarray:
    """Power of `[C, N]` at each frequency, summed over channels and over all frames behind a window."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, len(window), axis=1)[:, ::hop]
    return np.square(np.abs(np.fft.rfft(frames * window))).sum(axis=(0, 1))


def _decibel(power: float) -> float:
    return 10 * log10(power) if power > 0 else -inf


def _peak(samples: np.ndarray) -> float:
    return max(float(samples.max(initial=0)), -float(samples.min(initial=0)))


# ---------------------------------------------------------------- high-pass

# An offset is no sound, yet it would set the coding gain, and what a model makes of it in a pause is a burst. Vocoders
# make offsets of their own beside loud bass, of some hundredths of its peak.
_CUTOFF = 20.0  # Hz, where 3 dB are lost; at 40 Hz it is 0.26 dB, and below 0.2 dB from 43 Hz on
SETTLED_SECONDS = 0.25  # until what came before counts for less than 1e-9: it fades as exp(-2 pi _CUTOFF t / sqrt(2))


def high_passed(sound: Sound) -> Processed:
    """A sound without what lies below hearing: a Butterworth filter of second order at 20 Hz, block by block.

    Its state begins as if the first sample had lasted for ever, so that an offset is gone from the start.
    """
    return Processed(sound, lambda blocks: high_passed_blocks(blocks, sound.sample_rate), sound.channels)


def high_passed_blocks(blocks: Iterable[np.ndarray], sample_rate: int) -> Iterator[np.ndarray]:
    """`high_passed` of blocks `[C, n]`, in order."""
    from scipy.signal import butter, sosfilt, sosfilt_zi

    sections = butter(2, _CUTOFF, "highpass", fs=sample_rate, output="sos")
    state = None
    for block in blocks:
        samples = block.astype(np.float64)
        if state is None:  # [sections, C, 2]
            state = sosfilt_zi(sections)[:, None] * samples[None, :, :1]
        filtered, state = sosfilt(sections, samples, axis=1, zi=state)
        yield filtered.astype(np.float32)


# ---------------------------------------------------------------- loudness

_GATE, _RELATIVE_GATE = -70.0, -10.0  # LUFS; LU below the mean of what passes the first
_OFFSET = -0.691  # equation 2: takes back the K-weighting's gain at 997 Hz
_SURROUND = {5: (1.0, 1.0, 1.0, 1.41, 1.41), 6: (1.0, 1.0, 1.0, 0.0, 1.41, 1.41)}  # table 3
_RATE, _HOP, _HOPS_PER_BLOCK = 48_000, 4_800, 4
_K_WEIGHTING = (  # tables 1 and 2, at 48 kHz: the head's shelf, then the high-pass
    (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585),
    (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621),
)


def loudness_lufs(waveform: Waveform) -> float:
    """`loudness_of` a waveform."""
    return loudness_of(waveform.blocks(), waveform.sample_rate)


def loudness_of(blocks: Iterable[np.ndarray], sample_rate: int) -> float:
    """Integrated, gated loudness (ITU-R BS.1770-4) in LUFS; -inf where nothing passes the gate of -70 LUFS.

    Blocks of 400 ms every 100 ms; a sound shorter than one block is one block of its own length, which the
    standard leaves open. Channels weigh 1, except in 5.0 and 5.1 (order L R C [LFE] Ls Rs). The sound comes in blocks
    `[C, n]` of any lengths. (pyloudnorm takes a whole array, and none shorter than a block.)
    """
    power = _block_power(resampled_blocks(blocks, sample_rate, _RATE))
    loudness = np.array([_OFFSET + _decibel(block) for block in power])
    passing = loudness > _GATE
    if not passing.any():
        return -inf
    gate = _OFFSET + _decibel(power[passing].mean()) + _RELATIVE_GATE
    return _OFFSET + _decibel(power[passing & (loudness > gate)].mean())


def _block_power(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """K-weighted mean square of each block of 400 ms, summed over weighted channels; `[blocks]` float64."""
    from scipy.signal import sosfilt

    state, rest, energy = None, np.zeros(0), np.zeros(0)
    for block in blocks:
        state = np.zeros((2, len(block), 2)) if state is None else state
        filtered, state = sosfilt(_K_WEIGHTING, block.astype(np.float64), axis=1, zi=state)
        rest = np.append(rest, np.asarray(_SURROUND.get(len(block), np.ones(len(block)))) @ np.square(filtered))
        whole = len(rest) // _HOP * _HOP
        energy, rest = np.append(energy, rest[:whole].reshape(-1, _HOP).sum(axis=1)), rest[whole:]
    if len(energy) < _HOPS_PER_BLOCK:
        count = _HOP * len(energy) + len(rest)
        return np.array([energy.sum() + rest.sum()]) / max(1, count)
    return np.convolve(energy, np.ones(_HOPS_PER_BLOCK), mode="valid") / (_HOP * _HOPS_PER_BLOCK)


# ---------------------------------------------------------------- levels of bands

_WELCH = 4096  # samples
_COUNTS = 0.1  # exponent of a band's power in what it counts: ten bands outweigh one that is 100 dB louder
_FAINT_DB = 70.0  # below the loudest band, from where on a band does not count


class BandPower:
    """The power of third octaves of a sound whose blocks pass."""

    def __init__(self, sample_rate: int) -> None:
        self._bins = np.fft.rfftfreq(_WELCH, 1 / sample_rate)
        self._edges = np.searchsorted(self._bins, 50 * 2 ** (np.arange(28) / 3))  # 50 Hz to 25.6 kHz
        self._sum, self._rest = np.zeros(len(self._bins)), np.zeros((1, 0))

    def of(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """The blocks `[C, n]`, measured."""
        for block in blocks:
            joined = np.concatenate([np.broadcast_to(self._rest, (len(block), self._rest.shape[1])), block], axis=1)
            whole = joined.shape[1] // _WELCH * _WELCH
            for start in range(0, whole, _PIECE):
                piece = joined[:, start : min(start + _PIECE, whole)]
                self._sum += _power_of_frames(piece, np.hanning(_WELCH), _WELCH)
            self._rest = joined[:, whole:]
            yield block

    @property
    def bands(self) -> np.ndarray:
        """`[27]`, on no particular scale; 0 for bands above half the sample rate."""
        last = np.abs(np.fft.rfft(self._rest * np.hanning(self._rest.shape[1]), n=_WELCH)) ** 2
        power = self._sum + last.sum(0)
        return np.array([power[first:end].sum() for first, end in pairwise(self._edges)])


def typical_change_db(before: np.ndarray, after: np.ndarray) -> float:
    """By how many dB the `BandPower.bands` of one sound lie over those of another of its length and rate: their median,
    in which louder bands count more."""
    there = (before > before.max() * 10 ** (-_FAINT_DB / 10)) & (after > 0)
    if not there.any():
        return 0.0
    changes = 10 * np.log10(after[there] / before[there])
    order, weights = np.argsort(changes), before[there] ** _COUNTS
    middle = np.searchsorted(np.cumsum(weights[order]), weights.sum() / 2)
    return float(changes[order][min(middle, len(order) - 1)])


# ---------------------------------------------------------------- peak guard

_MOST_DB = 4.0
_REACH_SECONDS = 0.001  # of the least gain to either side, and again of its smoothing


class PeakGuard:
    """Holds a sound within [-1, 1], all channels by the same gain, block by block: the same however it is cut.

    A decode may peak above its original, and an integer format would cut that off. A limiter turns it down instead,
    around a peak and by 4 dB at most. What is higher is clipped: that is a sound that was clipped before it was coded,
    and would lose its loudness otherwise. What is 2 ms away from all that is beyond full scale is kept to the bit.
    `held` counts the samples that were beyond full scale, so far.
    """

    def __init__(self, sample_rate: int) -> None:
        self._margin, self.held = guard_margin(sample_rate), 0

    def blocks(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """`[C, n]` in order to the same samples, held; a little later, as it looks ahead."""
        margin, waiting = self._margin, np.empty((0, 0), np.float32)
        for block in blocks:
            self.held += int(np.count_nonzero(np.abs(block) > 1))
            before = waiting if waiting.size else np.zeros((len(block), margin), np.float32)
            waiting = np.concatenate([before, block], axis=1)
            if waiting.shape[1] > 2 * margin:
                yield self._within(waiting)
                waiting = waiting[:, -2 * margin :]
        if waiting.shape[1] > margin:
            yield self._within(np.pad(waiting, ((0, 0), (0, margin))))

    def _within(self, samples: np.ndarray) -> np.ndarray:
        """What is a margin away from either end of `[C, n]`."""
        kept = samples[:, self._margin : samples.shape[1] - self._margin]
        peaks = np.abs(samples).max(axis=0)
        if peaks.max() <= 1:
            return kept
        return np.clip(kept * self._gain(peaks), -1, 1).astype(np.float32)

    def _gain(self, peaks: np.ndarray) -> np.ndarray:
        """`[n - 2 margin]`: means, by a Hann window, of the least gains around: none exceeds what its peak needs."""
        from scipy.ndimage import minimum_filter1d

        reach = self._margin // 2
        needed = np.maximum(1 / np.maximum(peaks.astype(np.float64), 1), 10 ** (-_MOST_DB / 20))
        least = minimum_filter1d(needed, 2 * reach + 1)[reach : len(peaks) - reach]
        window = np.hanning(2 * reach + 3)[1:-1]
        return 1 - np.convolve(1 - least, window / window.sum(), mode="valid")


def guard_margin(sample_rate: int) -> int:
    """Samples beyond which a `PeakGuard` does not notice a cut."""
    return 2 * max(1, round(_REACH_SECONDS * sample_rate))


# ---------------------------------------------------------------- the gain of a decode

_LEAST_GAIN, _MOST_GAIN = -128, 127  # half dB
_BEYOND_TYPICAL = 3.0  # dB
_NEAR, _MOST_ADDED = 0.5, 12  # LU; half dB that are added for what the peak guard takes


def matching_gain(sound: Sound, decoded: Callable[[], Iterable[np.ndarray]], gain: int) -> int:
    """The gain in half dB by which a decode has to be divided to be as loud (ITU-R BS.1770-4) as its original.

    A sound that was clipped peaks higher when it is decoded, and the peak guard takes some of its loudness; so much is
    added as brings what the guard leaves within half a unit. What lost its loudest bands alone is not lifted to their
    loudness, which would lift all others too: the gain stays within 3 dB of the typical band's.

    Args:
        sound: the original.
        decoded: all blocks of the decode at the original's rate, anew at each call, before any gain is taken back.
        gain: half dB that were applied before encoding.
    """
    rate, peak = sound.sample_rate, 0.0

    def measured() -> Iterator[np.ndarray]:
        nonlocal peak
        for block in decoded():
            peak = max(peak, float(np.abs(block).max(initial=0)))
            yield block

    original, found = BandPower(rate), BandPower(rate)
    gained = (apply_gain(block, gain) for block in high_passed(sound).blocks())
    wanted = max(_GATE, loudness_of(original.of(gained), rate))
    if wanted == _GATE and not any(block.any() for block in sound.blocks()):
        return _MOST_GAIN  # digital silence, of which no decode may make a noise
    change = max(_GATE, loudness_of(found.of(measured()), rate)) - wanted
    change = max(change, typical_change_db(original.bands, found.bands) - _BEYOND_TYPICAL)
    matched = max(_LEAST_GAIN, min(_MOST_GAIN, gain + round(2 * change)))
    if peak <= 10 ** (matched / 40) or any(np.abs(block).max() > 1 for block in sound.blocks()):
        return matched

    def is_near(half_db: int) -> bool:
        """Whether the decode is as loud as the sound behind the peak guard."""
        held = PeakGuard(rate).blocks(apply_gain(block, -half_db) for block in decoded())
        return wanted - gain / 2 - loudness_of(held, rate) <= _NEAR

    steps = [max(_LEAST_GAIN, matched - step) for step in range(_MOST_ADDED + 1)]
    return steps[bisect_left(steps[:-1], True, key=is_near)]
