from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.channels import downmix, from_mid_side, to_mid_side
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError


def test_mid_is_the_mean_and_side_half_the_difference() -> None:
    left_right = np.array([[1.0, 0.5, 0.25], [1.0, -0.5, 0.75]], np.float32)
    assert to_mid_side(left_right).tolist() == [[1.0, 0.0, 0.5], [0.0, 0.5, -0.25]]
    assert to_mid_side(left_right).dtype == np.float32


def test_inverse_is_exact_on_sixteen_bit_sound() -> None:
    steps = np.random.default_rng(0).integers(-32768, 32768, (2, 5000))
    samples = (steps / 32768).astype(np.float32)
    assert np.array_equal(from_mid_side(to_mid_side(samples)), samples)
    assert np.array_equal(to_mid_side(from_mid_side(samples)), samples)


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (2, 5, 1)])
@pytest.mark.parametrize("transform", [to_mid_side, from_mid_side])
def test_only_stereo(transform: object, shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="not stereo"):
        transform(np.zeros(shape))  # type: ignore[operator]


def test_downmix_is_the_mean_of_all_channels() -> None:
    mono = downmix(Waveform.of([[0.0, 3.0, 3.0], [1.0, 3.0, -3.0], [2.0, 0.0, 0.0]], 8000))
    assert mono.samples.tolist() == [[1.0, 2.0, 0.0]]
    assert mono.samples.dtype == np.float32
    assert mono.sample_rate == 8000


def test_downmix_leaves_mono_alone() -> None:
    mono = Waveform.of([0.0, 1.0], 8000)
    assert downmix(mono) is mono
