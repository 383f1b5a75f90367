"""What the coding parameters of a header can ask for: no more than the caller allows, told before any work."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import numpy as np
import pytest

from fuzz.toy import ToyBackend
from noisebook import api
from noisebook.codec.options import DecodeOptions
from noisebook.codec.presets import LOWEST, PRESETS, QUALITIES, params_for
from noisebook.codec.timeline import Layout, Timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams, Header, LatentCode, LatentRule
from noisebook.errors import AudioError
from tests.fuzz.test_fuzz_bounds import within

INFO = replace(ToyBackend().info, latent_channels=8, latent_bins=16)  # as large as real latents
TOY = ToyBackend(INFO)
SECONDS = 10
DEAR = {
    "steps": CodingParams(15, 5, 256, 979, 0),
    "atoms": CodingParams(15, 21, 256, 200, 0),
    "atoms and steps": CodingParams(12, 15, 256, 250, 0),
}


def header_of(params: CodingParams | None = None, preset: int = 0, seconds: float = SECONDS) -> Header:
    return Header(INFO.fingerprint[:2], preset, 16000, ChannelMode.MONO, round(16000 * seconds), params=params)


def stream_of(header: Header) -> bytes:
    """With payloads of zeros, which are the first atoms of each codebook."""
    return container.pack(header, [bytes(size) for size in Layout.of_header(header, INFO).payload_sizes()])


def work_of(header: Header) -> float:
    return (Timeline.of(header, INFO) if header.latent else Layout.of_header(header, INFO)).effort


@pytest.mark.parametrize("name", DEAR)
def test_what_is_dear_is_refused_at_once_and_the_caller_may_allow_it(name: str) -> None:
    data = stream_of(header_of(DEAR[name]))
    assert len(data) < 40_000
    shown = api.read_info(data, info=INFO)
    assert shown.work is not None
    assert shown.work > DecodeOptions().max_work
    sentence = f"ask for {shown.work:.1f} times the work of the dearest preset, and 10 times are allowed (max_work)"
    calls = ({}, {"start": 0.0, "end": 0.1}, {"damaged": True})
    for options in calls:
        with within(1.0, allocated=4_000_000), pytest.raises(AudioError, match=re.escape(sentence)):
            api.decompress(data, backend=TOY, **options)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=re.escape(sentence)):
        api.play(data, backend=TOY)


def test_a_caller_may_allow_more_or_less() -> None:
    dear = stream_of(header_of(replace(DEAR["steps"], steps=214), seconds=1))
    with pytest.raises(AudioError, match=r"10\.7 times"):
        api.decompress(dear, backend=TOY)
    assert api.decompress(dear, backend=TOY, max_work=11).duration == 1
    cheap = stream_of(header_of(preset=8, seconds=1))
    with pytest.raises(AudioError, match=r"1\.0 times the work of the dearest preset, and 0\.9 times are allowed"):
        api.decompress(cheap, backend=TOY, max_work=0.9)


def test_a_quantised_latent_is_a_look_up() -> None:
    latent = LatentCode(LatentRule.HARD, bytes(4))
    assert work_of(Header(INFO.fingerprint[:2], 0, 16000, ChannelMode.MONO, 16000, latent=latent)) == 0


@pytest.mark.parametrize("seconds", [0.1, 10, 64, 3600])
def test_whatever_this_package_writes_is_far_below_the_limit(seconds: float) -> None:
    for preset in PRESETS:
        assert work_of(header_of(preset=preset.wire_id, seconds=seconds)) <= 1
    for quality in QUALITIES:
        for bitrate in np.geomspace(LOWEST, 8000, 20):
            assert work_of(header_of(params_for(bitrate, quality=quality), seconds=seconds)) < 2.2
    generated = CodingParams(15, 5, 256, 100, 0)  # as `generate --ddcm` does
    assert work_of(header_of(generated, seconds=min(seconds, 64))) < DecodeOptions().max_work


ALLOWED = {
    "structured": CodingParams(7, 12, 8, 100, 0),
    "small parts": CodingParams(4, 9, 1, 100, 0),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_is_allowed_takes_a_few_times_as_long_as_the_dearest_preset(name: str) -> None:
    """The toy has no networks, so this is the time of the choices alone; a machine with other things to do is granted
    four times of the ten."""
    header = header_of(ALLOWED[name])
    assert 3 < work_of(header) <= DecodeOptions().max_work
    dearest = max(_seconds(header_of(preset=preset.wire_id)) for preset in PRESETS)
    assert _seconds(header) < 40 * dearest


def _seconds(header: Header) -> float:
    data = stream_of(header)
    started = time.process_time()
    api.decompress(data, backend=TOY, tail_steps=1)
    return time.process_time() - started
