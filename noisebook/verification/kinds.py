"""Music, speech or effects: multinomial logistic regression of 26 numbers that do not depend on the level.

lines    how much of the energy in spectral peaks stays at its frequency, or within 8 Hz of it, for 0.13, 0.26 and
         0.51 s: notes stay, vowels glide, birds chirp, rain has no peaks
octaves  share of the energy that is in peaks, in six bands: birds sing above 2 kHz, and voices do not
peaks    how many there are at a time, and how much that varies
pitch    how near they are to one grid of semitones, whatever its tuning; entropy of their pitch classes
level    pauses, spread and speed of the level in pieces of 20 ms: speech pauses, and music rarely does
colour   flatness, centroid, and how much they vary; zero crossings

`python -m training.kinds TRAINING` fits them on training sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from noisebook.metrics.signals import powers
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, features

__all__ = ["KINDS", "KINDS_FILE", "STATISTICS", "Spectrum", "kind_statistics", "likeness_of_kinds", "power_spectra"]

KINDS = ("music", "speech", "effects")
KINDS_FILE = Path(__file__).parents[1] / "assets" / "controls" / "kinds.json"
_SIZE = 2048  # samples of a window, 128 ms; they overlap by half
_LASTING = (2, 4, 8)  # spectra, of 64 ms
_OCTAVES = (0, 250, 500, 1000, 2000, 4000, 8000)  # Hz, edges
_PITCHED = (200.0, 3000.0)  # Hz, where peaks are resolved well enough to be notes
_CLASSES = 60  # pitch classes, a fifth of a semitone each
_PAUSE_DB = -30.0  # below the loudest piece
STATISTICS = (
    *(f"{what} for {64 * lasting} ms" for lasting in _LASTING for what in ("steady", "nearly steady")),
    *(f"peaks of {low} to {high} Hz" for low, high in pairwise(_OCTAVES)),
    "log number of peaks", "its spread", "semitone grid", "entropy of pitch classes",
    "pauses", "median level", "quiet level", "spread of level", "speed of level",
    "flatness", "its spread", "log centroid", "log spread of centroid", "zero crossings",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Power spectra of a sound at 16 kHz, and the peaks in them.

    Attributes:
        power: `[spectra, 1025]`.
    """

    power: np.ndarray

    @classmethod
    def of(cls, heard: np.ndarray) -> Spectrum:
        """Of samples `[N]`."""
        return cls(power_spectra(heard, _SIZE))

    @cached_property
    def log(self) -> np.ndarray:
        """Natural logarithm of the power, 120 dB below the loudest bin at least."""
        return np.asarray(np.log(self.power + 1e-12 * self.power.max() + 1e-300))

    @cached_property
    def floor(self) -> np.ndarray:
        """Logarithm of the geometric mean of the 33 bins (260 Hz) around each."""
        around = np.pad(self.log, ((0, 0), (17, 16)), mode="reflect").cumsum(1)
        return np.asarray((around[:, 33:] - around[:, :-33]) / 33)

    @cached_property
    def tonal(self) -> np.ndarray:
        """Which bins are 12 dB above their floor, bool."""
        return np.asarray(self.power > 16 * np.exp(self.floor))

    @cached_property
    def peaks(self) -> np.ndarray:
        """Which tonal bins are no smaller than their neighbours, bool."""
        peaks = np.zeros_like(self.tonal)
        inner, power = self.power[:, 1:-1], self.power
        peaks[:, 1:-1] = self.tonal[:, 1:-1] & (inner >= power[:, :-2]) & (inner >= power[:, 2:])
        return peaks

    @cached_property
    def loud(self) -> np.ndarray:
        """Which spectra are within 30 dB of the loudest, bool."""
        energy = self.power.sum(1)
        return np.asarray(energy > 1e-3 * energy.max())


def power_spectra(samples: np.ndarray, size: int) -> np.ndarray:
    """`[frames, size // 2 + 1]` of half-overlapping Hann windows; a short sound is one window."""
    return powers(np.pad(samples, (0, max(0, size - len(samples)))), size, size // 2)


def kind_statistics(heard: np.ndarray) -> np.ndarray:
    """`[26]` numbers, named by `STATISTICS`, of a sound `[N]` at 16 kHz that is not silent."""
    spectrum = Spectrum.of(heard)
    crossings = float((np.diff(np.signbit(heard)) != 0).mean()) if len(heard) > 1 else 0.0
    groups = (_lines, _octaves, _count, _pitch)
    found = [value for group in groups for value in group(spectrum)]
    return np.array([*found, *_level(heard), *_colour(spectrum), crossings])


def likeness_of_kinds(heard: np.ndarray) -> dict[str, float]:
    """Probability of each kind for samples `[N]` at 16 kHz; even for silence."""
    if features(heard).silent:
        return dict.fromkeys(KINDS, 1 / len(KINDS))
    fit = _regression()
    scores = (kind_statistics(heard) - fit["centre"]) / fit["scale"] @ fit["weights"] + fit["bias"]
    odds = np.exp(scores - scores.max())
    return dict(zip(KINDS, (odds / odds.sum()).tolist(), strict=True))


@cache
def _regression() -> dict[str, np.ndarray]:
    """`centre` and `scale` `[26]`, `weights` `[26, 3]`, `bias` `[3]`."""
    return {name: np.array(values) for name, values in json.loads(KINDS_FILE.read_text(encoding="utf-8")).items()}


def _lines(spectrum: Spectrum) -> list[float]:
    """Shares of the peaks' energy that were peaks before: in the same bin, and in that or a neighbour."""
    peaks, energy = spectrum.peaks, spectrum.power * spectrum.peaks
    near = peaks.copy()
    near[:, 1:] |= peaks[:, :-1]
    near[:, :-1] |= peaks[:, 1:]
    total = energy.sum() + 1e-30
    return [float((energy[ago:] * before[:-ago]).sum() / total) for ago in _LASTING for before in (peaks, near)]


def _octaves(spectrum: Spectrum) -> list[float]:
    frequencies, energy = _frequencies(spectrum), (spectrum.power * spectrum.peaks).sum(0)
    total = spectrum.power.sum() + 1e-30
    return [float(energy[(frequencies >= a) & (frequencies < b)].sum() / total) for a, b in pairwise(_OCTAVES)]


def _count(spectrum: Spectrum) -> list[float]:
    number = spectrum.peaks.sum(1)[spectrum.loud]
    return [float(np.log1p(number.mean())), float(number.std() / (number.mean() + 1))]


def _pitch(spectrum: Spectrum) -> list[float]:
    """Resultant length of peaks on a circle of one semitone, and entropy of sixty classes of an octave, in nats."""
    frequencies = _frequencies(spectrum)
    wanted = (frequencies > _PITCHED[0]) & (frequencies < _PITCHED[1])
    frame, peak = np.nonzero(spectrum.peaks & spectrum.loud[:, None] & wanted)
    if len(peak) < 4:
        return [0.0, float(np.log(_CLASSES))]
    left, middle, right = (spectrum.log[frame, peak + side] for side in (-1, 0, 1))
    apex = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)  # of a parabola through the three
    cents = 1200 * np.log2((peak + np.clip(apex, -0.5, 0.5)) * SAMPLE_RATE / _SIZE / 440)
    weight = np.sqrt(spectrum.power[frame, peak])
    weight = weight / weight.sum()
    grid = abs((weight * np.exp(2j * np.pi * cents / 100)).sum())
    classes = np.bincount((cents % 1200 * _CLASSES / 1200).astype(int) % _CLASSES, weight, _CLASSES)
    return [float(grid), float(-(classes * np.log(classes + 1e-12)).sum())]


def _level(heard: np.ndarray) -> list[float]:
    energy = np.add.reduceat(np.square(heard), np.arange(0, len(heard), SAMPLE_RATE // FRAME_RATE))
    level = 10 * np.log10(energy / energy.max() + 1e-9)
    speed = float(np.abs(np.diff(level)).mean()) if len(level) > 1 else 0.0
    low, middle = np.percentile(level, (10, 50))
    return [float((level < _PAUSE_DB).mean()), float(middle), float(low), float(level.std()), speed]


def _colour(spectrum: Spectrum) -> list[float]:
    power, frequencies = spectrum.power[spectrum.loud], _frequencies(spectrum)
    mean = np.log(power.mean(1) + 1e-30)
    flatness = spectrum.log[spectrum.loud].mean(1) - mean
    centroid = power @ frequencies / (power.sum(1) + 1e-30)
    return [float(flatness.mean()), float(flatness.std()), float(np.log(centroid.mean() + 1)),
            float(np.log(centroid.std() + 1))]  # fmt: skip


def _frequencies(spectrum: Spectrum) -> np.ndarray:
    return np.arange(spectrum.power.shape[1]) * SAMPLE_RATE / _SIZE
