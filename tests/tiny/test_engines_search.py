"""What an encoder may add, on a tiny real model: the decoder needs none of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import Decoder, decode_latent
from noisebook.codec.encoder import compress, target_latent
from noisebook.codec.options import EncodeOptions, Priority
from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder, decode_segment, encode_segment
from noisebook.codec.timeline import plan_of
from noisebook.coding import container
from noisebook.coding.container import CodingParams
from noisebook.errors import ConfigError

PARAMS = CodingParams(7, 9, 8, 6, 70)


@pytest.fixture
def waveform(chirp) -> Waveform:
    return Waveform(chirp, 16000)


def decompress(data: bytes, **options) -> Waveform:
    return Decoder(data, **options).sound()


def errors(stream: bytes, waveform: Waveform, backend) -> torch.Tensor:
    """Squared error of each latent frame and bin, `[L, F']`."""
    header, decoded = decode_latent(stream, backend=backend, tail_steps=1)
    target = target_latent(waveform, header, backend=backend)
    return (decoded - target).square().mean((0, 1))


@pytest.mark.parametrize(
    "options",
    [{"search": "shaped"}, {"priorities": (Priority(3.0, low=1000),)},
     {"search": "shaped", "priorities": (Priority(0.5, high=300),)}],
)  # fmt: skip
def test_the_stream_is_another_of_the_same_size_and_follows_the_sound(options, backend, waveform):
    plain = compress(waveform, backend=backend, options=EncodeOptions(params=PARAMS, search="none"))
    stream = compress(
        waveform, backend=backend, options=EncodeOptions(**{"params": PARAMS, "search": "none"} | options)
    )
    assert len(stream) == len(plain)
    assert stream != plain
    (header, size), (other, other_size) = container.parse_header(stream), container.parse_header(plain)
    assert (replace(header, gain_half_db=other.gain_half_db), size) == (other, other_size)
    assert decompress(stream, backend=backend).samples.shape == waveform.samples.shape
    other = compress(
        Waveform(waveform.samples[:, ::-1].copy(), 16000), backend=backend, options=EncodeOptions(params=PARAMS)
    )
    assert errors(stream, waveform, backend).mean() < errors(other, waveform, backend).mean()


@pytest.mark.parametrize(("early", "weight"), [(True, 8.0), (False, 8.0)])
def test_priority_in_time_moves_the_error(early, weight, backend, waveform):
    half = 0.76
    wanted = Priority(weight, end=half) if early else Priority(weight, start=half)
    plain, stream = (
        compress(
            waveform, backend=backend, options=EncodeOptions(params=replace(PARAMS, unit_frames=256), priorities=p)
        )
        for p in ((), (wanted,))
    )
    header = container.parse_header(stream)[0]
    assert header.params.unit_frames == backend.info.window_frames
    before, after = (errors(s, waveform, backend).mean(1) for s in (plain, stream))
    favoured = slice(0, 19) if early else slice(19, 38)
    rest = slice(19, 38) if early else slice(0, 19)
    assert after[favoured].mean() < before[favoured].mean()
    assert after[rest].mean() > before[rest].mean()


def test_a_priority_in_time_makes_long_units_of_a_preset(backend, waveform):
    options = EncodeOptions(preset="3000", priorities=(Priority(2.0, end=0.5),))
    header = container.parse_header(compress(waveform, backend=backend, options=options))[0]
    assert header.params == replace(by_name("3000").params, unit_frames=256)
    band = EncodeOptions(preset="3000", priorities=(Priority(2.0, low=500),))
    assert container.parse_header(compress(waveform, backend=backend, options=band))[0].preset


def test_priority_of_a_band_moves_the_error(backend, waveform):
    plain, stream = (
        compress(waveform, backend=backend, options=EncodeOptions(params=PARAMS, priorities=priorities))
        for priorities in ((), (Priority(8.0, low=2000),))
    )
    before, after = (errors(s, waveform, backend).mean(0) for s in (plain, stream))
    assert after[10:].mean() < before[10:].mean()
    assert after[:6].mean() > before[:6].mean()


def test_encoding_to_a_quality_takes_search_and_tag(backend, waveform):
    options = EncodeOptions(tag="music", search="shaped", target_nmse=3.0)
    data = compress(waveform, backend=backend, options=options)
    assert container.parse_header(data)[0].tag == 1
    assert np.isfinite(decompress(data, backend=backend).samples).all()


def test_the_default_is_the_shaped_search_and_none_can_be_had(backend, waveform):
    by_default, shaped, none = (
        api.compress(waveform, backend=backend, preset="3000", **options)
        for options in ({}, {"search": "shaped"}, {"search": "none"})
    )
    assert by_default == shaped != none
    assert by_default == compress(waveform, backend=backend, options=EncodeOptions(preset="3000"))


def test_the_state_of_the_encoder_is_the_decoders(backend):
    coder = SegmentCoder(PARAMS, plan_of(PARAMS, backend.info), backend.info, 2, 24, 5, 1)
    target = torch.randn(2, 8, 24, 16, generator=torch.Generator().manual_seed(1))
    start = coder.start_noise(backend.device)
    payload, x = encode_segment(target, coder, backend.denoise, (), start)
    assert torch.equal(decode_segment(payload, coder, backend.denoise, (), start), x)
    assert len(payload) == -(-coder.partition.parts * coder.params.choice_bits * len(coder.plan) // 8)


def test_an_unknown_search_is_refused(backend, waveform):
    with pytest.raises(ConfigError, match="none, shaped are"):
        compress(waveform, backend=backend, options=EncodeOptions(params=PARAMS, search="deep"))
