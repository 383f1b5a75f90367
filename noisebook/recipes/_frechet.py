"""How far two sets of sounds are apart: the Frechet distance of log-mel statistics, without any network.

    waveform, peak 0.5 -> log-mel -> patches of 0.16 s -> per patch and band: mean, deviation, mean step -> Gaussian

The formula is that of Frechet Inception Distance (Heusel et al. 2017) and Frechet Audio Distance (Kilgour et al.
2019); the features are plain, so the numbers compare with one another only.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from noisebook.audio.level import apply_gain, coding_gain
from noisebook.audio.mel import log_mel
from noisebook.errors import ConfigError

__all__ = ["band_levels_db", "frechet_distance", "patch_features"]

_PATCH = 16  # mel frames
_BANDS = 16  # the 64 mel bins in fours
_DB = 20 / np.log(10)


def patch_features(sounds: Iterable[np.ndarray]) -> np.ndarray:
    """`[patches, 48]` of sounds `[N]` at 16 kHz: in each band the level, how it varies and how it steps, in nepers.

    Every sound is brought to the same peak first, so that loudness is no difference; silence stays silent.
    """
    features = []
    for sound in sounds:
        bands = _bands(sound)
        patches = bands[: len(bands) // _PATCH * _PATCH].reshape(-1, _PATCH, _BANDS)
        steps = np.abs(np.diff(patches, axis=1)).mean(1)
        features.append(np.concatenate((patches.mean(1), patches.std(1), steps), axis=1))
    return np.concatenate(features)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)` of features `[n, V]`.

    Raises:
        ConfigError: a set of fewer than two features.
    """
    if min(len(a), len(b)) < 2:
        raise ConfigError(f"a covariance needs two features at least, not {len(a)} and {len(b)}")
    covariance_a, covariance_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = _root(covariance_a)
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, shift + np.trace(covariance_a) + np.trace(covariance_b) - 2 * cross))


def band_levels_db(sounds: Iterable[np.ndarray]) -> np.ndarray:
    """`[16]`, mean level of each band in dB, at the same peak."""
    return _DB * np.concatenate([_bands(sound) for sound in sounds]).mean(0)


def _bands(sound: np.ndarray) -> np.ndarray:
    """`[frames, 16]`, log-mel of whole latent frames."""
    samples = apply_gain(sound, coding_gain(sound))[: len(sound) // 640 * 640].astype(np.float32)
    mel = log_mel(torch.from_numpy(samples[None]))[0, 0].numpy().astype(np.float64)
    return mel.reshape(len(mel), _BANDS, -1).mean(2)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T
