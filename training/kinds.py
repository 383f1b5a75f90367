"""A judge of what kind a sound is that knows nothing of the model: linear discriminants of log-mel statistics.

waveform -> log-mel -> level-free statistics -> Fisher's linear discriminant analysis -> p(music, speech, effects)
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from noisebook.audio.level import apply_gain, coding_gain
from noisebook.audio.mel import log_mel
from training.clips import KINDS, PackedAudio

__all__ = ["KindJudge", "kind_features", "train_judge"]

_BANDS = 16  # the 64 mel bands in fours
_MODULATIONS = (0.5, 2.0, 4.0, 8.0, 16.0, 50.0)  # Hz, edges of the modulation bands
_FRAMES_PER_SECOND = 100
_SHRINKAGE = 0.1  # of the covariance towards its diagonal


@dataclass(frozen=True)
class KindJudge:
    """Gaussian classes of one covariance, equally likely: `p = softmax(features @ weights + bias)`.

    Attributes:
        centre, scale: of the features `[V]`.
        weights: `[V, kinds]`.
        bias: `[kinds]`.
    """

    centre: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """`[N]` at 16 kHz -> probability of each of `KINDS`."""
        scores = (kind_features(samples) - self.centre) / self.scale @ self.weights + self.bias
        odds = np.exp(scores - scores.max())
        return odds / odds.sum()


def kind_features(samples: np.ndarray) -> np.ndarray:
    """Level-free statistics `[V]` of the log-mel of `[N]` at 16 kHz, a second or more.

    For 16 bands of frequency: mean above the sound's overall mean, standard deviation in time, mean absolute change
    from frame to frame; and for four wide bands the shares of six bands of modulation.
    """
    levelled = apply_gain(samples, coding_gain(samples))
    count = len(levelled) // 640 * 640
    mel = log_mel(torch.from_numpy(levelled[None, :count].astype(np.float32)))[0, 0].numpy()
    bands = mel.reshape(len(mel), _BANDS, -1).mean(2)
    wide = bands.reshape(len(mel), 4, -1).mean(2)
    spectrum = np.abs(np.fft.rfft((wide - wide.mean(0)) * np.hanning(len(wide))[:, None], axis=0)) ** 2
    frequency = np.fft.rfftfreq(len(wide), 1 / _FRAMES_PER_SECOND)
    edges = (0.0, *_MODULATIONS)
    energy = [spectrum[(frequency >= a) & (frequency < b)].sum(0) for a, b in pairwise(edges)]
    shares = np.log(np.array(energy) + 1e-3 * spectrum.sum(0) + 1e-9) - np.log(spectrum.sum(0) + 1e-9)
    return np.concatenate([bands.mean(0) - bands.mean(), bands.std(0), np.abs(np.diff(bands, axis=0)).mean(0),
                           shares.ravel()])  # fmt: skip


def train_judge(data: PackedAudio, *, samples: int, crops: int = 600, seed: int = 0) -> KindJudge:
    """A judge for sounds of `samples` samples, from random crops of training sound; every kind equally often."""
    waveform, kinds = data.sample(crops, samples, np.random.default_rng(seed))
    loud = np.abs(waveform).max(1) > 1e-3
    features = np.stack([kind_features(row) for row in waveform[loud]])
    return fit_judge(features, kinds[loud])


def fit_judge(features: np.ndarray, kinds: np.ndarray) -> KindJudge:
    """Fisher's discriminants for features `[crops, V]` of known kinds `[crops]`, all kinds present."""
    centre, scale = features.mean(0), features.std(0) + 1e-6
    normal = (features - centre) / scale
    means = np.stack([normal[kinds == kind].mean(0) for kind in range(len(KINDS))])
    within = np.cov((normal - means[kinds]).T)
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.diag(np.diag(within))
    weights = np.linalg.solve(within, means.T)
    return KindJudge(centre, scale, weights, -0.5 * np.einsum("kv,vk->k", means, weights))
