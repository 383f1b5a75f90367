"""How far two folders of sounds are apart: what has no reference is judged by the company it keeps.

Distances between distributions of short pieces (`metrics.distribution`), each beside what it is between the two halves
of the reference, and to sounds that are something else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from noisebook.errors import ConfigError
from noisebook.metrics import frechet_distance, frechet_distance_extrapolated, kernel_distance, mel_patches
from noisebook.verification.controls import bundled_clips, pink_noise
from noisebook.verification.similarity import SAMPLE_RATE

_DISTANCES = (frechet_distance, frechet_distance_extrapolated, kernel_distance)
_RESAMPLES = 100
_MOST_PIECES = 2000  # of a set, for a resample
_FEWEST = 4  # sounds: two halves of two


@dataclass(frozen=True)
class Distance:
    """One distance between two sets."""

    name: str
    value: float  # of all pieces
    low: float  # low to high: 95 % of the values where the sounds of both sets are drawn anew, with replacement
    high: float
    controls: dict[str, float]  # the same distance from the reference to other sets, by their names


@dataclass(frozen=True)
class SetComparison:
    """Two sets of sounds, compared."""

    references: int  # sounds
    estimates: int
    distances: tuple[Distance, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_sets(references: Sequence[np.ndarray], estimates: Sequence[np.ndarray], *, seed: int = 0) -> SetComparison:
    """Compare two sets of sounds, each `[N]` at 16 kHz. ConfigError for less than four references or two estimates."""
    if len(references) < _FEWEST or len(estimates) < 2:
        raise ConfigError(
            f"{len(references)} and {len(estimates)} sounds: a set of references has {_FEWEST} at least, the other two"
        )
    ours, theirs = ([mel_patches(sound, SAMPLE_RATE) for sound in sounds] for sounds in (references, estimates))
    other = np.concatenate([mel_patches(clip.samples, SAMPLE_RATE) for clip in bundled_clips()])
    noise = mel_patches(pink_noise(20 * SAMPLE_RATE), SAMPLE_RATE)
    pooled, estimated = np.concatenate(ours), np.concatenate(theirs)
    distances = []
    for distance in _DISTANCES:
        low, high = _interval(distance, ours, theirs, seed)
        controls = {
            "halves of the reference": distance(np.concatenate(ours[::2]), np.concatenate(ours[1::2])),
            "other sounds": distance(pooled, other),
            "pink noise": distance(pooled, noise),
        }
        distances.append(Distance(distance.__name__, distance(pooled, estimated), low, high, controls))
    return SetComparison(len(references), len(estimates), tuple(distances))


def _interval(
    distance: Callable[[np.ndarray, np.ndarray], float], ours: list[np.ndarray], theirs: list[np.ndarray], seed: int
) -> tuple[float, float]:
    """Sounds are drawn, not pieces: those of one sound are not independent. (`scipy.stats.bootstrap` takes observations
    of one size, and a sound has as many pieces as it is long.)"""
    rng = np.random.default_rng(seed)

    def drawn(sounds: list[np.ndarray]) -> np.ndarray:
        pieces = np.concatenate([sounds[i] for i in rng.integers(len(sounds), size=len(sounds))])
        return rng.permutation(pieces)[:_MOST_PIECES]

    low, high = np.quantile([distance(drawn(ours), drawn(theirs)) for _ in range(_RESAMPLES)], (0.025, 0.975))
    return float(low), float(high)
