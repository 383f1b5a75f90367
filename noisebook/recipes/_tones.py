"""Synthetic sounds for training the vocoder: what instruments of the lab make and recordings never do.

Recordings have a noise floor, so a network that hears only them is lost when a pure tone stands over digital silence.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noisebook.recipes._clips import SAMPLE_RATE

__all__ = ["tones"]

Samples = npt.NDArray[np.float32]


def tones(batch: int, samples: int, rng: np.random.Generator) -> Samples:
    """Sines, chords, harmonic stacks and sweeps, over silence or faint noise: `[batch, samples]`, peak 0.5 or less."""
    return np.stack([_tone(samples, rng) for _ in range(batch)])


def _tone(samples: int, rng: np.random.Generator) -> Samples:
    seconds = np.arange(samples) / SAMPLE_RATE
    frequencies, levels = _partials(rng)
    # An octave up or down in a second at most: most tones stand still.
    slope = rng.normal(0, 0.3) if rng.random() < 0.4 else 0.0
    glide = 2.0 ** (slope * seconds)
    turns = np.cumsum(glide) / SAMPLE_RATE
    phases = 2 * np.pi * (frequencies[:, None] * turns + rng.random((len(frequencies), 1)))
    audible = frequencies[:, None] * glide < 0.49 * SAMPLE_RATE  # no partial folds back
    sound = (levels[:, None] * np.sin(phases) * audible).sum(axis=0) * _envelope(samples, rng)
    sound *= 0.5 * 10 ** (-np.abs(rng.normal(0, 12)) / 20) / max(np.abs(sound).max(), 1e-9)
    if rng.random() < 0.5:
        sound += 10 ** rng.uniform(-5, -2) * rng.standard_normal(samples)
    return sound.astype(np.float32)


def _partials(rng: np.random.Generator) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Frequencies in Hz and levels of one to forty partials: a sine, a chord of sines, or a harmonic stack."""
    lowest = 40 * 2 ** rng.uniform(0, 7.5)  # 40 Hz to 7.2 kHz
    kind = rng.random()
    if kind < 0.4:
        return np.array([lowest]), np.ones(1)
    if kind < 0.6:
        frequencies = np.minimum(40 * 2 ** rng.uniform(0, 7.5, rng.integers(2, 6)), 7500)
        return frequencies, 10 ** rng.uniform(-1, 0, len(frequencies))
    fundamental = 40 * 2 ** rng.uniform(0, 5)
    orders = np.arange(1.0, min(40, int(7500 / fundamental)) + 1)
    return fundamental * orders, (1.0 / orders) ** rng.uniform(0, 2)


def _envelope(samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Steady, decaying from an onset, or switched on and off by short ramps."""
    kind, place = rng.random(), np.arange(samples)
    if kind < 0.4:
        return np.ones(samples)
    onset = int(rng.integers(samples))
    if kind < 0.7:
        return np.where(place < onset, 0.0, np.exp(-(place - onset) / (SAMPLE_RATE * rng.uniform(0.02, 0.5))))
    edges = np.sort(rng.integers(0, samples, 2))
    gate = ((place >= edges[0]) & (place < edges[1])).astype(np.float64)
    ramp = np.hanning(int(rng.integers(16, 800)))
    smooth = np.convolve(gate, ramp / ramp.sum(), mode="same")
    return smooth if rng.random() < 0.5 else 1 - smooth
