"""Fit the kinds that `noisebook.verification.listening` tells apart: python -m training.kinds TRAINING

TRAINING is a folder of sounds named by kind and package, as `training.data build` makes it. Two crops of each chosen
sound, the statistics of each, and a logistic regression of them; what is fitted is written into the package.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import torch

from noisebook.errors import ConfigError
from noisebook.verification.listening import KINDS_FILE, kind_statistics
from noisebook.verification.similarity import SAMPLE_RATE, features
from training.clips import KINDS, kind_of, read_mono, sound_files

_MOST = {"music": 25, "speech": 70, "effects": 140}  # sounds of a package
_HEARD = 20  # seconds of a sound, of which crops are taken
_CROPS = ((5.0, 10.0), (2.5, 10.0))  # seconds, in turns
_RIDGE = 0.035  # of half the squared weights, against the mean loss: the best of leaving out whole packages
# Music that packages file as effects, by parts of its name.
_MUSIC = (
    "ride-of-the-valkyries", "marsshooter-data__menu", "marsshooter-data__score", "marsshooter-data__tutorial",
    "sonic-pi-samples__loop", "disco", "frog-music", "jingle", "grand-piano", "guit-em9", "victory", "cheburashka",
    "oedephon", "final-roll-call", "bassoon", "wardrums",
)  # fmt: skip
_SPEECH = ("radiomessage", "tv-newswav", "hogchant3")


def fit_kinds(folder: Path) -> None:
    """The regression for the sounds of a folder, written into the package; ConfigError unless it has all kinds."""
    rows, kinds, packages = [], [], []
    for number, path in enumerate(_chosen(folder)):
        kind = KINDS.index(kind_of(path))
        for crop in _crops(read_mono(path, SAMPLE_RATE)[: _HEARD * SAMPLE_RATE], number):
            if len(crop) >= SAMPLE_RATE // 2 and not features(crop).silent:
                rows.append(kind_statistics(crop))
                kinds.append(kind)
                packages.append(_package(path))
    if len(set(kinds)) < len(KINDS):
        raise ConfigError(f"{folder}: sounds of all kinds are needed: {', '.join(KINDS)}")
    fit = regression(np.stack(rows), np.array(kinds), _weights(np.array(kinds), np.array(packages)))
    values = {name: np.round(value, 5).tolist() for name, value in fit.items()}
    KINDS_FILE.write_text(json.dumps(values), encoding="utf-8")


def regression(rows: np.ndarray, kinds: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Multinomial logistic regression of statistics `[crops, V]` with a ridge, each crop with its kind (all are there)
    and its weight (1 in all): `p = softmax((row - centre) / scale @ weights + bias)`."""
    centre, scale = rows.mean(0), rows.std(0) + 1e-6
    x, target, share = (torch.from_numpy(one) for one in ((rows - centre) / scale, kinds, weights))
    slopes = torch.zeros(rows.shape[1], len(KINDS), dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(len(KINDS), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([slopes, bias], max_iter=500, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        entropy = torch.nn.functional.cross_entropy(x @ slopes + bias, target, reduction="none")
        value = (share * entropy).sum() + _RIDGE / 2 * slopes.square().sum()
        value.backward()
        return value

    search.step(loss)
    return {"centre": centre, "scale": scale, "weights": slopes.detach().numpy(), "bias": bias.detach().numpy()}


def _weights(kinds: np.ndarray, packages: np.ndarray) -> np.ndarray:
    """Every kind counts the same, and of a kind a package by the square root of its crops; 1 in all."""
    weights = np.zeros(len(kinds))
    for kind in range(len(KINDS)):
        own = kinds == kind
        for package in set(packages[own]):
            those = own & (packages == package)
            weights[those] = those.sum() ** -0.5
        weights[own] /= weights[own].sum() * len(KINDS)
    return weights


def _chosen(folder: Path) -> list[Path]:
    """Of each kind of each package some sounds, drawn; no variants (`__v`) of others, and none with a wrong kind."""
    paths = sound_files(folder)
    generator, chosen = np.random.default_rng(0), []
    for (kind, _), group in groupby(paths, lambda path: (kind_of(path), _package(path))):
        own = list(group)
        drawn = sorted(generator.permutation(len(own))[: _MOST[kind]])
        chosen += [own[i] for i in drawn if not (kind == "effects" and _is_other(own[i].name))]
    return [path for path in chosen if "__v" not in path.name]


def _is_other(name: str) -> bool:
    return any(part in name for part in (*_MUSIC, *_SPEECH))


def _package(path: Path) -> str:
    return path.name.split("__")[1] if path.name.count("__") > 1 else ""


def _crops(samples: np.ndarray, number: int) -> Iterator[np.ndarray]:
    """At places that the number of the sound decides."""
    generator = np.random.default_rng(number)
    for seconds in _CROPS[number % len(_CROPS)]:
        count = round(seconds * SAMPLE_RATE)
        start = int(generator.integers(0, max(1, len(samples) - count)))
        yield samples[start : start + count].astype(np.float64)


if __name__ == "__main__":
    fit_kinds(Path(sys.argv[1]))
