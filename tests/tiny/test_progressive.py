"""Progressive streams of several segments: the same choices in another order, played from any part of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from noisebook import api
from noisebook.codec.stream import Stream
from noisebook.codec.timeline import Layout
from noisebook.coding import container
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream

SEGMENT, SEGMENTS = 40, 3  # frames, in place of 1600; 1.6 s
SECONDS = 4.6  # of sound


pytestmark = pytest.mark.usefixtures("short_segments")


def streams(backend, **options) -> tuple[bytes, bytes]:
    """The same sound in the usual order and in the progressive one."""
    sound = (0.2 * np.random.default_rng(3).standard_normal((1, round(SECONDS * 16000)))).astype(np.float32)
    options = {"sample_rate": 16000, "preset": "700", **options}
    return api.compress(sound, backend=backend, **options), api.compress(
        sound, backend=backend, progressive=True, **options
    )


@pytest.mark.parametrize("options", [{}, {"seed": 3, "bitrate": 200.0, "preset": None}], ids=["preset", "engine"])
def test_the_order_changes_nothing_but_the_order(backend, options):
    usual, progressive = streams(backend, **options)
    header = container.parse_header(progressive)[0]
    assert header == replace(container.parse_header(usual)[0], progressive=True)
    assert len({Stream(data, backend.info).contents().choices for data in (progressive, usual)}) == 1
    whole = api.decompress(usual, backend=backend)
    np.testing.assert_array_equal(api.decompress(progressive, backend=backend).samples, whole.samples)
    part = api.decompress(progressive, backend=backend, start=3.0, end=3.5)
    np.testing.assert_allclose(part.samples, whole.samples[:, 48000:56000], atol=1e-5)
    sizes = Layout.of_header(header, backend.info)
    assert len(progressive) == container.overhead(header, sizes.steps) + sizes.payload_size


def test_only_the_segments_of_a_part_are_decoded(backend):
    calls: list[int] = []
    data = streams(backend)[1]
    api.decompress(data, backend=backend, start=4.0, end=4.1, on_step=lambda _, total: calls.append(total))
    assert 0 < len(calls) <= 2 * calls[0] // SEGMENTS


def test_info_tells_the_order_and_how_much_is_there(backend):
    usual, progressive = streams(backend)
    shown = api.read_info(progressive, info=backend.info)
    assert (shown.order, shown.intact, shown.verified, shown.coded_steps) == ("steps", True, 16, 16)
    header, size = container.parse_header(progressive)
    assert shown.payload_bytes == len(progressive) - size - 2 * 16
    assert shown.payload_bytes == sum(Layout.of_header(header, backend.info).payload_sizes())
    assert api.read_info(usual, info=backend.info).verified == SEGMENTS
    assert api.read_info(usual, info=backend.info).order == "segments"
    cut = api.read_info(progressive[: len(progressive) // 2], info=backend.info)
    assert (cut.intact, cut.verified) == (False, 7)
    flipped = bytearray(progressive)
    flipped[len(progressive) // 2] ^= 1
    assert api.read_info(bytes(flipped), info=backend.info).verified == 7
    with pytest.raises(CorruptStream, match="step 7"):
        api.decompress(bytes(flipped), backend=backend)
    assert api.decompress(bytes(flipped), backend=backend, damaged=True).duration == SECONDS


def test_a_prefix_is_the_whole_sound(backend):
    _, stream = streams(backend)
    header, size = container.parse_header(stream)
    step = next(Layout.of_header(header, backend.info).payload_sizes())
    sounds = []
    for kept in (size + step, size + step + 2, size + 2 * step, len(stream) // 2, len(stream) - 2, len(stream)):
        if kept < len(stream):
            with pytest.raises(TruncatedStream):
                api.decompress(stream[:kept], backend=backend)
        sounds.append(api.decompress(stream[:kept], backend=backend, damaged=True, tail_steps=1))
        assert sounds[-1].duration == SECONDS
    assert len({sound.samples.tobytes() for sound in sounds}) == 4, "a checksum that is lost costs nothing"


def test_within_the_first_step_the_sound_ends_where_the_stream_does(backend):
    _, stream = streams(backend)
    header, size = container.parse_header(stream)
    step = next(Layout.of_header(header, backend.info).payload_sizes())
    heard = api.decompress(stream[: size + step // 2], backend=backend, damaged=True, tail_steps=1)
    assert heard.duration == SEGMENT / 25
    with pytest.raises(TruncatedStream, match="first step"):
        api.decompress(stream[: size + 3], backend=backend, damaged=True)


def test_a_codebook_of_latents_has_no_progressive_order():
    with pytest.raises(ConfigError, match="progressive"):
        container.Header(
            b"ab", 0, 16000, container.ChannelMode.MONO, 1, latent=container.LatentCode(1, bytes(4)), progressive=True
        )
