"""How far two sets of sounds are apart, and how sure a mean is.

    sounds -> mel_patches -> features [n, V] --.-> frechet_distance               Gaussians: mean and covariance
    sounds -> mel_patches -> features [m, V] --+-> frechet_distance_extrapolated  the same, for endless sets
                                               `-> kernel_distance                no shape assumed, no bias
    values of clips -> bootstrap_interval -> mean, low, high

They judge what has no reference, as generated sound. Features are `[n, V]` real and finite, one row for one piece of
sound, of any embedding; what is not two sets of at least two is a ConfigError. Numbers compare only with numbers of the
same embedding, and, for `frechet_distance`, of sets of the same size: its bias falls like 1/n.

Sources: Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017 (Frechet distance). Kilgour et al.,
"Frechet Audio Distance", Interspeech 2019. Chong & Forsyth, "Effectively unbiased FID and Inception Score", CVPR 2020,
and Gui et al., "Adapting Frechet Audio Distance for generative music evaluation", ICASSP 2024 (extrapolation). Gretton
et al., "A kernel two-sample test", JMLR 2012, and Chung et al., "KAD: no more FAD!", ICML 2025 (kernel distance).
Efron & Tibshirani, "An introduction to the bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from noisebook.audio.level import apply_gain, coding_gain
from noisebook.audio.mel import log_mel
from noisebook.errors import ConfigError
from noisebook.metrics.signals import check_rate, check_samples, resample

__all__ = ["bootstrap_interval", "frechet_distance", "frechet_distance_extrapolated", "kernel_distance",
           "mel_patches"]  # fmt: skip

_RATE, _FRAME = 16000, 640  # Hz; samples of 4 mel frames, of which a sound keeps whole ones
_PATCH = 16  # mel frames, 0.16 s
_BANDS = 16  # the 64 mel bins in fours
_SIZES = 10  # of subsets, for the extrapolation
_ROWS = 1024  # of the kernel matrix that are held at once
_MEDIAN_OF = 2000  # features that settle the width of the kernel


def frechet_distance(a: ArrayLike, b: ArrayLike) -> float:
    """`|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a^1/2 C_b C_a^1/2)^1/2)` of features `[n, V]` and `[m, V]`, >= 0.

    The root is taken of a symmetric matrix, by its eigenvalues: real and stable also where covariances are singular, as
    `scipy.linalg.sqrtm` is not.
    """
    a, b = _sets(a, b)
    covariance_a, covariance_b = (np.atleast_2d(np.cov(features, rowvar=False)) for features in (a, b))
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_b @ root).clip(0)).sum()
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(max(0.0, shift + np.trace(root @ root) + np.trace(covariance_b) - 2 * cross))


def frechet_distance_extrapolated(a: ArrayLike, b: ArrayLike, *, seed: int = 0) -> float:
    """The Frechet distance of endless sets, by a line through the distances of subsets over 1 / size.

    Both sets (of at least 8) are thinned alike, to ten sizes from a quarter to the whole, drawn by `seed`, so that
    sounds of one kind come out near 0 on either side of it. (The tools that extrapolate FAD thin one set only, and keep
    the other's bias.)
    """
    a, b = _sets(a, b, least=8)
    rng = np.random.default_rng(seed)
    fractions = np.linspace(0.25, 1.0, _SIZES)

    def thinned(features: np.ndarray, part: float) -> np.ndarray:
        return rng.permutation(features)[: max(2, round(part * len(features)))]

    distances = [frechet_distance(thinned(a, part), thinned(b, part)) for part in fractions]
    return float(np.polyfit(1 / fractions, distances, deg=1)[1])


def kernel_distance(a: ArrayLike, b: ArrayLike) -> float:
    """Kernel audio distance: the unbiased squared maximum mean discrepancy with a Gaussian kernel, about 0 to 2.

    `mean k(a, a') + mean k(b, b') - 2 mean k(a, b)` over pairs of different features, with
    `k(x, y) = exp(-|x - y|^2 / (2 w^2))` and w the median distance within `a`, the reference (Chung et al. 2025, whose
    tool prints 100 times this). A reference of which half of the features are equal is a ConfigError too.
    """
    from scipy.spatial.distance import cdist, pdist

    a, b = _sets(a, b)
    width = float(np.median(pdist(a[:: -(-len(a) // _MEDIAN_OF)])))  # of so many that lie evenly in the set
    if width == 0:
        raise ConfigError("the features of the reference are equal to one another: give a set of different sounds")
    n, m = len(a), len(b)

    def kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
        blocks = (cdist(x[first : first + _ROWS], y, "sqeuclidean") for first in range(0, len(x), _ROWS))
        return float(sum(np.exp(-block / (2 * width**2)).sum() for block in blocks))

    within_a, within_b = (kernel_sum(a, a) - n) / (n * (n - 1)), (kernel_sum(b, b) - m) / (m * (m - 1))
    return within_a + within_b - 2 * kernel_sum(a, b) / (n * m)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, level: float = 0.95, seed: int = 0, resamples: int = 2000
) -> tuple[float, float, float]:
    """Mean of `[n]` independent values, n >= 1, with the ends of its percentile bootstrap interval.

    Not by `scipy.stats.bootstrap`: the ends are means that were drawn, not points between two of them, so that infinite
    values of one sign make no NaN, and one value has an interval too. ConfigError for no value, NaN, infinities of both
    signs, and a level or a number of resamples out of range.
    """
    samples = np.asarray(values, dtype=np.float64)
    if samples.ndim != 1 or not samples.size or np.isnan(samples).any() or {-np.inf, np.inf} <= set(samples):
        raise ConfigError(
            f"values of shape {samples.shape} have no mean: give [n], n >= 1, without NaN or both infinities"
        )
    if not 0 < level < 1 or resamples < 1:
        raise ConfigError(f"level {level} and {resamples} resamples are out of range: give 0 < level < 1 and 1 or more")
    rng = np.random.default_rng(seed)
    means = np.array([samples[rng.integers(samples.size, size=samples.size)].mean() for _ in range(resamples)])
    ends = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    return float(samples.mean()), float(ends[0]), float(ends[1])


def mel_patches(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[patches, 48]`: how loud each of 16 bands of the log-mel is in each 0.16 s, how it varies and how it steps.

    Means, standard deviations and mean absolute differences of successive frames, in nepers, of `noisebook.audio.mel`
    at a peak of 0.5. Sounds below 0.16 s are extended with silence. AudioError and ConfigError as of `validate`.
    """
    import torch

    check_rate(sample_rate)
    sound = resample(check_samples("samples", samples), sample_rate=sample_rate, to=_RATE)
    sound = np.pad(sound, (0, max(0, _PATCH * 160 - sound.size)))
    sound = apply_gain(sound, coding_gain(sound))[: sound.size // _FRAME * _FRAME].astype(np.float32)
    mel = log_mel(torch.from_numpy(sound[None]))[0, 0].numpy().astype(np.float64)
    bands = mel.reshape(len(mel), _BANDS, -1).mean(2)
    patches = bands[: len(bands) // _PATCH * _PATCH].reshape(-1, _PATCH, _BANDS)
    steps = np.abs(np.diff(patches, axis=1)).mean(1)
    return np.concatenate((patches.mean(1), patches.std(1), steps), axis=1)


def _sets(a: ArrayLike, b: ArrayLike, *, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not a.shape[1]:
        raise ConfigError(f"features have shapes {a.shape} and {b.shape}: give [n, V] and [m, V]")
    if min(len(a), len(b)) < least:
        raise ConfigError(f"a set needs {least} features at least, not {len(a)} and {len(b)}: give more sounds")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ConfigError("features hold NaN or infinite values: look for what made them")
    return a, b
