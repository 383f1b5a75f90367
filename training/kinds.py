"""Fit the kinds that `noisebook.verification.listening` tells apart: python -m training.kinds TRAINING

TRAINING is a folder of sounds named by kind. Level-free statistics of the log-mel, Fisher's linear discriminants of
them; what is fitted is written into the package.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from noisebook.errors import ConfigError
from noisebook.verification.listening import KINDS_FILE, kind_statistics
from noisebook.verification.similarity import SAMPLE_RATE, features
from training.clips import AUDIO_SUFFIXES, KINDS, kind_of, read_mono

_CROPS = (1.0, 2.5, 5.0, 10.0)  # seconds to which the kinds are fitted
_SHRINKAGE = 0.1  # of the covariance towards its diagonal


def fit_kinds(folder: Path) -> None:
    """Discriminants of crops of every training sound that is not the variant (`__v`) of another one."""
    rows, labels = [], []
    for path in _paths(folder):
        if "__v" in path.name:
            continue
        samples, kind = read_mono(path), KINDS.index(kind_of(path))
        for crop in (samples[: round(seconds * SAMPLE_RATE)] for seconds in _CROPS):
            if not features(crop).silent:
                rows.append(kind_statistics(crop))
                labels.append(kind)
    fit = discriminants(np.stack(rows), np.array(labels))
    values = {name: np.round(value, 5).tolist() for name, value in fit.items()}
    KINDS_FILE.write_text(json.dumps(values), encoding="utf-8")


def discriminants(features: np.ndarray, kinds: np.ndarray) -> dict[str, np.ndarray]:
    """Fisher's discriminants for features `[crops, V]` of known kinds `[crops]`, all kinds present.

    Gaussian classes of one covariance, equally likely: `p = softmax((features - centre) / scale @ weights + bias)`.
    """
    centre, scale = features.mean(0), features.std(0) + 1e-6
    normal = (features - centre) / scale
    means = np.stack([normal[kinds == kind].mean(0) for kind in range(len(KINDS))])
    within = np.cov((normal - means[kinds]).T)
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.diag(np.diag(within))
    weights = np.linalg.solve(within, means.T)
    bias = -0.5 * np.einsum("kv,vk->k", means, weights)
    return {"centre": centre, "scale": scale, "weights": weights, "bias": bias}


def _paths(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder}: no sound files in it; allowed are {', '.join(AUDIO_SUFFIXES)}")
    return paths


if __name__ == "__main__":
    fit_kinds(Path(sys.argv[1]))
