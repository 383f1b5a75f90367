from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.waveform import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Waveform, check_sample_rate
from noisebook.errors import AudioError


def test_properties() -> None:
    waveform = Waveform.of(np.zeros((2, 24000)), 16000)
    assert (waveform.channels, waveform.sample_count, waveform.duration) == (2, 24000, 1.5)
    assert waveform.samples.dtype == np.float32


def test_one_dimension_is_mono() -> None:
    assert Waveform.of(np.arange(3.0), 8000).samples.tolist() == [[0.0, 1.0, 2.0]]


@pytest.mark.parametrize(
    ("dtype", "low", "centre"),
    [
        (np.int8, -128, 0),
        (np.int16, -32768, 0),
        (np.int32, -(2**31), 0),
        (np.int64, -(2**63), 0),
        (np.uint8, 0, 128),
        (np.uint16, 0, 32768),
    ],
)
def test_integers_are_scaled_by_full_scale(dtype: type, low: int, centre: int) -> None:
    half = centre + (centre - low) // 2
    assert Waveform.of(np.array([low, centre, half], dtype), 8000).samples.tolist() == [[-1.0, 0.0, 0.5]]


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.longdouble])
def test_floats_keep_their_values(dtype: type) -> None:
    assert Waveform.of(np.array([0.25, -1.5], dtype), 8000).samples.tolist() == [[0.25, -1.5]]


def test_float32_is_shared_not_copied() -> None:
    array = np.zeros((2, 10), np.float32)
    assert np.shares_memory(Waveform.of(array, 8000).samples, array)
    assert np.shares_memory(Waveform.of(array[0], 8000).samples, array)
    assert array.flags.writeable


@pytest.mark.parametrize("shape", [(), (1, 2, 3)])
def test_wrong_number_of_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match=f"{len(shape)} dimensions"):
        Waveform.of(np.zeros(shape), 8000)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 5)])
def test_empty(shape: tuple[int, ...]) -> None:
    with pytest.raises(AudioError, match="no samples"):
        Waveform.of(np.zeros(shape), 8000)


def test_more_channels_than_samples_suggests_transposing() -> None:
    with pytest.raises(AudioError, match="44100 channels of 2 samples: transpose"):
        Waveform.of(np.zeros((44100, 2)), 44100)
    # A reader knows its layout: a stereo file of one sample is sound.
    assert Waveform(np.zeros((2, 1), np.float32), 44100).channels == 2


@pytest.mark.parametrize("array", [np.zeros(4, complex), np.zeros(4, bool), np.array(["a", "b"])])
def test_other_kinds_of_array(array: np.ndarray) -> None:
    with pytest.raises(AudioError, match="real floats or integers"):
        Waveform.of(array, 8000)


def test_constructor_takes_nothing_but_float32_planes() -> None:
    for array in (np.zeros((1, 4)), np.zeros(4, np.float32)):
        with pytest.raises(AudioError, match=r"use Waveform\.of"):
            Waveform(array, 8000)


def test_not_finite_names_number_and_place() -> None:
    samples = np.zeros((2, 50))
    samples[1, 7] = np.nan
    samples[0, 9:11] = -np.inf
    with pytest.raises(AudioError, match=r"3 of 100 samples .* sample 7 of channel 1"):
        Waveform.of(samples, 8000)


def test_float64_beyond_float32_is_not_finite() -> None:
    with pytest.raises(AudioError, match="1 of 2 samples"):
        Waveform.of(np.array([0.0, 1e300]), 8000)


@pytest.mark.parametrize("rate", [0, -1, MIN_SAMPLE_RATE - 1, MAX_SAMPLE_RATE + 1, 44100.5, 44100.0, "44100", None])
def test_bad_sample_rate(rate: object) -> None:
    with pytest.raises(AudioError, match="sample rate of"):
        Waveform.of(np.zeros(4), rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [MIN_SAMPLE_RATE, np.int64(16000), MAX_SAMPLE_RATE])
def test_good_sample_rate_becomes_an_int(rate: int) -> None:
    assert type(check_sample_rate(rate)) is int
    assert type(Waveform.of(np.zeros(4), rate).sample_rate) is int
