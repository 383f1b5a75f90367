"""Synthetic sounds for training at 48 kHz: steady notes, chords and strings, which recordings seldom hold still."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]


def notes(samples: int, rng: np.random.Generator, sample_rate: int = 48_000) -> Samples:
    """One to five notes of one instrument at random, `[samples]`, peak 0.5 or less; over silence, or faint noise."""
    seconds = np.arange(samples) / sample_rate
    sound = sum(_note(seconds, rng, sample_rate) for _ in range(int(rng.choice([1, 1, 2, 3, 4, 5]))))
    sound = sound * _envelope(samples, rng, sample_rate)
    sound *= 0.5 * 10 ** (-np.abs(rng.normal(0, 10)) / 20) / max(np.abs(sound).max(), 1e-9)
    if rng.random() < 0.4:
        sound = sound + 10 ** rng.uniform(-5, -2) * rng.standard_normal(samples)
    return np.asarray(sound, np.float32)


def _note(seconds: npt.NDArray[np.float64], rng: np.random.Generator, sample_rate: int) -> npt.NDArray[np.float64]:
    """Harmonics of 40 Hz to 2 kHz, or a sine of up to 8 kHz, often with vibrato, decay or stretched partials."""
    pure = rng.random() < 0.3
    fundamental = 40 * 2 ** rng.uniform(0, 7.6 if pure else 5.6)
    orders = np.arange(1, 2 if pure else 1 + max(1, min(int(rng.integers(2, 40)), int(20_000 / fundamental))))
    stretch = np.sqrt(1 + (rng.uniform(0, 6e-4) if rng.random() < 0.3 else 0) * orders**2)
    levels = orders ** -rng.uniform(0.4, 2.2) * (rng.random(len(orders)) < 0.9)
    depth, rate = (rng.uniform(0.001, 0.012), rng.uniform(4, 7)) if rng.random() < 0.25 else (0.0, 5.0)
    slope = rng.normal(0, 0.2) if rng.random() < 0.2 else 0.0
    glide = 2.0 ** (slope * seconds) * (1 + depth * np.sin(2 * np.pi * rate * seconds + rng.uniform(0, 6.3)))
    turns = np.cumsum(glide) * fundamental / sample_rate
    decay = rng.uniform(0.2, 3.0) if rng.random() < 0.4 else 0.0
    sound = np.zeros(len(seconds))
    for order, level, warp in zip(orders, levels, stretch, strict=True):
        if order * warp * fundamental * glide.max() < 0.48 * sample_rate and level:
            fading = np.exp(-seconds * decay * (1 + 0.3 * order)) if decay else 1.0
            sound += level * np.sin(2 * np.pi * (order * warp * turns + rng.random())) * fading
    return sound * 10 ** rng.uniform(-0.6, 0)


def _envelope(samples: int, rng: np.random.Generator, sample_rate: int) -> npt.NDArray[np.float64]:
    """Steady, or begun and ended within the crop by short ramps."""
    if rng.random() < 0.5:
        return np.ones(samples)
    first, last = np.sort(rng.integers(0, samples, 2))
    gate = np.zeros(samples)
    gate[first:last] = 1
    ramp = np.hanning(int(rng.integers(32, sample_rate // 10)))
    return np.convolve(gate, ramp / ramp.sum(), mode="same")
