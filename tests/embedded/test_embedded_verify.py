"""The verdict on streams of the model inside the package."""

from __future__ import annotations

from pathlib import Path

import pytest

import noisebook
from noisebook.api.verify import random_stream, verify
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.coding.container import parse_header

ASSETS = Path(noisebook.__file__).parent / "assets"


@pytest.fixture(scope="module")
def embedded():  # type: ignore[no-untyped-def]
    return noisebook.load_backend(device="cpu")


@pytest.mark.parametrize("name", ["demo.flac", "demo-speech.flac"])
def test_a_stream_of_300_bits_a_second_is_related_and_random_ones_are_not(name, embedded):
    whole = read(ASSETS / name)
    sound = Waveform(whole.samples[:1, : 2 * whole.sample_rate], whole.sample_rate)
    stream = noisebook.compress(sound, backend=embedded, preset="300")
    own = verify(sound, stream, backend=embedded, metrics=["mel_db_mae"])
    assert own.verdict.related
    row = own.metrics[0]
    assert (
        row.controls["random indices"] < own.verdict.threshold < row.value < own.ceilings["autoencoder"]["similarity"]
    )
    random = random_stream(parse_header(stream)[0], embedded.info)
    assert not verify(sound, random, backend=embedded, metrics=[], controls=False).verdict.related
