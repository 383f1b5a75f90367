"""Distances of sets against their formulas and against each other's biases; intervals against their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest

from noisebook.audio.mel import log_mel
from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import (
    bootstrap_interval,
    frechet_distance,
    frechet_distance_extrapolated,
    kernel_distance,
    mel_patches,
)

RATE = 16000


def gaussian(count: int, seed: int, *, dims: int = 3, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, size=(count, dims))


def test_the_distance_of_gaussians_is_the_formula() -> None:
    a = gaussian(200000, 0) * [1, 2, 3]
    b = gaussian(200000, 1) * [2, 2, 1] + [1, 0, 0]
    assert frechet_distance(a, b) == pytest.approx(1 + (1 - 2) ** 2 + 0 + (3 - 1) ** 2, rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    turn = np.linalg.qr(gaussian(3, 2))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(frechet_distance(a, b))
    assert frechet_distance(a[:, :1], b[:, :1]) == pytest.approx(1 + (1 - 2) ** 2, rel=0.02)


def test_the_distance_equals_the_root_of_scipy() -> None:
    linalg = pytest.importorskip("scipy.linalg")
    a, b = gaussian(50, 0, dims=6) @ gaussian(6, 1, dims=6), gaussian(40, 2, dims=6, shift=0.3)
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    cross = linalg.sqrtm(covariances[0] @ covariances[1])
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(covariances[0] + covariances[1] - 2 * cross.real)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_singular_covariances_have_a_distance() -> None:
    """Fewer features than dimensions, where the root of a product is not real: only the shift is left."""
    a = gaussian(5, 0, dims=20)
    assert frechet_distance(a, a + 2) == pytest.approx(80)
    assert frechet_distance(np.ones((3, 4)), np.zeros((3, 4))) == pytest.approx(4)


def test_extrapolation_takes_the_bias_away() -> None:
    pairs = [(gaussian(200, 2 * i, dims=20), gaussian(200, 2 * i + 1, dims=20)) for i in range(8)]
    biased = [frechet_distance(a, b) for a, b in pairs]
    freed = [frechet_distance_extrapolated(a, b) for a, b in pairs]
    assert np.mean(biased) > 1
    assert abs(np.mean(freed)) < 0.3
    shifted = frechet_distance_extrapolated(pairs[0][0], pairs[0][1] + 1)
    assert shifted == pytest.approx(20, rel=0.1)
    assert frechet_distance_extrapolated(*pairs[0], seed=1) != frechet_distance_extrapolated(*pairs[0])


def test_kernel_distance_equals_its_formula() -> None:
    a, b = gaussian(30, 0), gaussian(20, 1, shift=1)
    apart = [math.dist(x, y) for i, x in enumerate(a) for y in a[i + 1 :]]
    width = np.median(apart)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return math.exp(-(math.dist(x, y) ** 2) / (2 * width**2))

    within_a = np.mean([kernel(a[i], a[j]) for i in range(30) for j in range(30) if i != j])
    within_b = np.mean([kernel(b[i], b[j]) for i in range(20) for j in range(20) if i != j])
    across = np.mean([kernel(x, y) for x in a for y in b])
    assert kernel_distance(a, b) == pytest.approx(within_a + within_b - 2 * across)


def test_kernel_distance_has_no_bias_and_sees_shape() -> None:
    same = [kernel_distance(gaussian(40, 2 * i), gaussian(40, 2 * i + 1)) for i in range(30)]
    assert abs(np.mean(same)) < 0.01
    assert min(same) < 0 < max(same)
    two_heaps = np.sign(gaussian(1500, 0, dims=1)) + 0.1 * gaussian(1500, 1, dims=1)
    one_heap = two_heaps.std() * gaussian(1500, 2, dims=1)  # same mean, same variance
    assert frechet_distance(one_heap, two_heaps) < 0.01
    assert kernel_distance(one_heap, two_heaps) > 0.01


def test_sets_that_are_none_are_refused() -> None:
    a = gaussian(10, 0)
    for distance in (frechet_distance, frechet_distance_extrapolated, kernel_distance):
        with pytest.raises(ConfigError, match=r"shapes \(10, 3\) and \(10, 2\)"):
            distance(a, a[:, :2])
        with pytest.raises(ConfigError, match=r"shapes \(10, 3\) and \(10,\)"):
            distance(a, a[:, 0])
        with pytest.raises(ConfigError, match="features at least, not 1 and 10"):
            distance(a[:1], a)
        with pytest.raises(ConfigError, match="NaN or infinite"):
            distance(a, a * np.inf)
    with pytest.raises(ConfigError, match="equal to one another"):
        kernel_distance(np.ones((5, 3)), a)


def test_the_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    intervals = [bootstrap_interval(rng.normal(2, 1, size=40), level=0.9, resamples=300) for _ in range(200)]
    covered = np.mean([low <= 2 <= high for _, low, high in intervals])
    assert 0.84 < covered < 0.95
    widths = [high - low for _, low, high in intervals]
    assert np.mean(widths) == pytest.approx(2 * 1.645 / math.sqrt(40), rel=0.1)


def test_the_interval_of_few_and_of_infinite_values() -> None:
    assert bootstrap_interval([3.5]) == (3.5, 3.5, 3.5)
    mean, low, high = bootstrap_interval([1, 2, 3, 4, 5])
    assert 1 <= low < mean == 3 < high <= 5
    assert bootstrap_interval([1, 2, 3, 4, 5]) == (mean, low, high)
    mean, low, high = bootstrap_interval([1.0, 2.0, math.inf])
    assert mean == high == math.inf
    assert 1 <= low < math.inf
    assert bootstrap_interval([math.inf] * 3) == (math.inf,) * 3


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, r"shape \(0,\)"),
        ([[1.0, 2.0]], {}, r"shape \(1, 2\)"),
        ([1.0, math.nan], {}, "without NaN"),
        ([math.inf, -math.inf], {}, "both infinities"),
        ([1.0], {"level": 1.0}, "level 1.0"),
        ([1.0], {"resamples": 0}, "0 resamples"),
    ],
)
def test_what_has_no_interval_is_refused(values: list[float], options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        bootstrap_interval(values, **options)  # type: ignore[arg-type]


def test_mel_patches_are_statistics_of_bands_of_the_log_mel() -> None:
    torch = pytest.importorskip("torch")
    sound = 0.1 * np.random.default_rng(0).normal(size=RATE)
    patches = mel_patches(sound, RATE)
    level = 10 ** (round(40 * np.log10(0.5 / np.abs(sound).max())) / 40)
    mel = log_mel(torch.from_numpy((level * sound).astype(np.float32))[None])[0, 0].numpy()
    bands = mel.reshape(100, 16, 4).mean(2)
    assert patches.shape == (6, 48)
    np.testing.assert_allclose(patches[1, :16], bands[16:32].mean(0), atol=1e-4)
    np.testing.assert_allclose(patches[1, 16:32], bands[16:32].std(0), atol=1e-4)
    np.testing.assert_allclose(patches[1, 32:], np.abs(np.diff(bands[16:32], axis=0)).mean(0), atol=1e-4)


def test_patches_ignore_loudness_and_know_the_rate() -> None:
    time = np.arange(2 * RATE) / RATE
    tone = 0.4 * np.sin(2 * np.pi * 440 * time) + 0.01 * np.random.default_rng(0).normal(size=time.size)
    mean, quiet, fast = (mel_patches(*given).mean(0) for given in ((tone, RATE), (0.1 * tone, RATE), (tone, 2 * RATE)))
    np.testing.assert_allclose(quiet, mean, atol=0.03)
    assert np.abs(fast - mean).max() > 1


def test_silence_and_one_sample_have_patches() -> None:
    for sound in (np.zeros(RATE), np.zeros(1), np.ones(1)):
        assert np.isfinite(mel_patches(sound, RATE)).all()
    with pytest.raises(AudioError, match="samples has shape"):
        mel_patches(np.zeros((1, RATE)), RATE)
    with pytest.raises(ConfigError, match="sample_rate 0"):
        mel_patches(np.zeros(RATE), 0)
