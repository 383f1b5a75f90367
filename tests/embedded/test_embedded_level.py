"""The level of what the model that ships makes of a sound: an offset is not heard."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest

from noisebook import api
from noisebook.audio import io

PIECE = 320  # samples, 20 ms


@pytest.fixture(scope="module")
def embedded():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """`[N]`: four seconds with three pauses, two of them digital silence, in 16 bits."""
    spoken = 0.6 * io.read(str(files("noisebook") / "assets" / "demo-speech.flac")).samples[0, :40000]
    room = 1e-4 * np.random.default_rng(0).standard_normal(8000)
    silence = np.zeros(8000)
    return to_16_bits(np.concatenate([silence, spoken[:20000], silence, spoken[20000:], room]))


def to_16_bits(samples: np.ndarray) -> np.ndarray:
    return (np.rint(samples * 32768) / 32768).astype(np.float32)


def levels_db(samples: np.ndarray) -> np.ndarray:
    """Of each 20 ms."""
    power = np.square(samples[0, : samples.shape[1] // PIECE * PIECE].reshape(-1, PIECE)).mean(axis=1)
    return 10 * np.log10(power + 1e-10)


def test_an_offset_makes_no_bursts(embedded, speech, quick_vocoder):
    def decoded(samples: np.ndarray) -> np.ndarray:
        stream = api.compress(samples, sample_rate=16000, backend=embedded, preset="300", search="none")
        return levels_db(api.decompress(stream, backend=embedded).samples)

    clean = decoded(speech)
    for offset in (0.3, 0.03):
        assert (decoded(to_16_bits(speech + offset)) <= clean + 1).all(), offset
