"""The codebooks inside the package as codecs: found by their fingerprint, at the rate their counts promise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import target_latent
from noisebook.codec.stream import Stream
from noisebook.coding import container
from noisebook.errors import WrongCodebook


@pytest.fixture(scope="module")
def embedded():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def melody() -> Waveform:
    """2 s of decaying tones at 16 kHz."""
    time = np.arange(32000) / 16000
    tones = [np.sin(2 * np.pi * hertz * time) * np.exp(-4 * (time % 0.5)) for hertz in (220, 330, 550)]
    return Waveform((0.2 * np.sum(tones, axis=0))[None].astype(np.float32), 16000)


def test_a_stream_finds_its_codebook_in_the_package(embedded, melody):
    stream = api.compress_with_codebook(melody, backend=embedded, codebook="frame-kmeans")
    assert len(stream) <= 18 + 50 * 12 / 8  # 50 frames at some ten bits
    sound = api.decompress(stream, backend=embedded)
    given = api.decompress(stream, backend=embedded, codebook="frame-kmeans")
    assert np.array_equal(sound.samples, given.samples)
    assert sound.samples.shape == melody.samples.shape
    with pytest.raises(WrongCodebook):
        api.decompress(stream, backend=embedded, codebook="frame-gaussian")


def test_an_unknown_codebook_is_named_by_its_fingerprint(embedded, melody):
    stream = api.compress_with_codebook(melody, backend=embedded, codebook="frame-kmeans")
    opened = Stream(stream, embedded.info)
    header = replace(opened.header, latent=replace(opened.header.latent, codebook=b"\1\2\3\4"))
    other = container.pack(header, opened.contents().choices)
    with pytest.raises(WrongCodebook, match="01020304"):
        api.decompress(other, backend=embedded)


def test_more_bits_come_nearer_to_the_sound(embedded, melody):
    errors = []
    for name in ("frame-gaussian", "frame-kmeans", "frame-residual"):
        book = api.load_codebook(name)
        stream = api.compress_with_codebook(melody, backend=embedded, codebook=book)
        header, latent = decode_latent(stream, backend=embedded, codebook_for=lambda _, book=book: book)
        target = target_latent(melody, header, backend=embedded)
        errors.append(float((latent - target).square().mean() / target.square().mean()))
    assert errors == sorted(errors, reverse=True)
