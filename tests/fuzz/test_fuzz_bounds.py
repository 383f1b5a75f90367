"""What a small stream can ask for: refused, or bounded by its bytes and by what the caller allows."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from fuzz.toy import INFO, ToyBackend
from noisebook import api
from noisebook.codec import encoder
from noisebook.codec.options import EncodeOptions
from noisebook.codec.timeline import SEGMENT_FRAMES, Layout
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams, Header, LatentCode, LatentRule
from noisebook.errors import AudioError, CorruptStream, StreamError, TruncatedStream, UnsupportedStream

SECOND = 1.0
HEADER = Header(INFO.fingerprint[:2], 4, 1000, ChannelMode.MONO, 2**48)  # 8900 years
TWO_BITS = CodingParams(15, 1, 2048, 1, 0)  # of two signed atoms, for a whole segment: the fewest there are
FRAME = INFO.frame_samples / INFO.sample_rate


@contextmanager
def within(seconds: float, allocated: int) -> Iterator[None]:
    """Fails where what is inside takes longer, or more bytes of memory at a time."""
    tracemalloc.start()
    started = time.process_time()
    yield
    taken, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < seconds
    assert peak < allocated


LIES = {
    "preset": HEADER,
    "stereo, 1000 Hz": replace(HEADER, channel_mode=ChannelMode.DUAL),
    "progressive": replace(HEADER, progressive=True),
    "progressive, two bits": replace(HEADER, preset=0, params=TWO_BITS, progressive=True),
    "pauses": replace(HEADER, pauses=((0, 2**43),)),
    "pauses, progressive": replace(HEADER, pauses=((2**12, 2**43),), progressive=True),
    "pauses, progressive, half": replace(HEADER, pauses=((0, 2**42),), progressive=True),
    "two bits": replace(HEADER, preset=0, params=TWO_BITS),
    "longest plan": replace(HEADER, preset=0, params=replace(TWO_BITS, steps=1000, kappa_percent=1)),
    "largest codebook": replace(HEADER, preset=0, params=CodingParams(15, 21, 2048, 900, 0)),
    "latent": replace(HEADER, preset=0, latent=LatentCode(LatentRule.HARD, bytes(4))),
}
CALLS: dict[str, Callable[[bytes], object]] = {
    "decompress": lambda data: api.decompress(data, backend=ToyBackend()),
    "part": lambda data: api.decompress(data, backend=ToyBackend(), start=1e6, end=1e6 + 1),
    "play": lambda data: next(api.play(data, backend=ToyBackend())),
    "damaged": lambda data: api.decompress(data, backend=ToyBackend(), damaged=True, start=1e9),
    "info": lambda data: api.read_info(data, info=INFO),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("lie", LIES)
def test_millennia_in_thirty_bytes_are_refused_at_once(lie: str, call: str) -> None:
    data = container.pack(LIES[lie], [b"\0" * 8])
    assert len(data) <= 48
    with within(SECOND, allocated=4_000_000):
        if call == "info":
            assert api.read_info(data, info=INFO).intact is False
        else:
            with pytest.raises((StreamError, AudioError, ValueError)):
                CALLS[call](data)


@pytest.mark.parametrize("seconds", [10, 3600])
def test_what_is_left_of_a_damaged_stream_is_bounded_by_its_bytes(seconds: int) -> None:
    """The header promises 8900 years; payloads are there for one segment."""
    whole = encoder.compress(
        api.as_waveform(np.sin(np.arange(160000, dtype=np.float32))[None], 16000),
        backend=ToyBackend(),
        options=EncodeOptions(preset="300"),
    )
    header, size = container.parse_header(whole)
    lying = container.pack(replace(header, sample_count=16000 * seconds * 10**6), [b""])[:-2] + whole[size:]
    started = time.process_time()
    sound = api.decompress(lying, backend=ToyBackend(), damaged=True)
    assert sound.duration <= SEGMENT_FRAMES * FRAME
    assert time.process_time() - started < 10 * SECOND


def test_64_kilobytes_of_segments_are_opened_in_a_second() -> None:
    """The shortest segments there are, three bytes each."""
    count = 21_800
    samples = round(count * SEGMENT_FRAMES * FRAME * 16000)
    header = replace(HEADER, preset=0, params=TWO_BITS, sample_rate=16000, sample_count=samples)
    data = container.pack(header, [b"\0"] * count)
    assert 65_000 < len(data) < 2**16
    started = time.process_time()
    assert api.read_info(data, info=INFO).intact
    assert time.process_time() - started < SECOND
    with within(SECOND, allocated=64 * len(data)), pytest.raises(AudioError, match="max_seconds"):
        api.decompress(data, backend=ToyBackend())


def test_16_kilobytes_of_progressive_segments_are_opened_in_seconds() -> None:
    """The shortest segments there are: two bits each."""
    count = 2**16 - 400
    samples = round(count * SEGMENT_FRAMES * FRAME * 16000)
    header = replace(HEADER, preset=0, params=TWO_BITS, sample_rate=16000, sample_count=samples, progressive=True)
    data = container.pack(header, [bytes(count // 4)])
    assert 16_000 < len(data) < 2**14
    started = time.process_time()
    assert api.read_info(data, info=INFO).segments == count
    with pytest.raises(AudioError, match="max_seconds"):
        api.decompress(data, backend=ToyBackend())
    assert time.process_time() - started < 3 * SECOND


def test_16_kilobytes_of_progressive_silence_are_opened_in_seconds() -> None:
    """Segments of no bits: as many as header and first step have."""
    count, spoken = 2**17 - 3_250, 80
    cells, samples = count * SEGMENT_FRAMES // 8, round(count * SEGMENT_FRAMES * FRAME * 16000)
    params = CodingParams(4, 1, 2048, 1, 0)
    pauses = ((spoken * SEGMENT_FRAMES // 8, cells),)
    header = replace(
        HEADER, preset=0, params=params, sample_rate=16000, sample_count=samples, progressive=True, pauses=pauses
    )
    data = container.pack(header, [bytes(Layout.of_header(header, INFO).step_size)])
    assert 15_500 < len(data) < 2**14
    started = time.process_time()
    assert api.read_info(data, info=INFO).segments == count
    with pytest.raises(AudioError, match="max_seconds"):
        api.decompress(data, backend=ToyBackend())
    assert time.process_time() - started < 10 * SECOND


def test_a_caller_says_how_much_sound_is_made() -> None:
    header = replace(HEADER, preset=0, params=TWO_BITS, sample_rate=16000, sample_count=16000 * 30)
    data = container.pack(header, [b"\0"])
    assert len(data) < 30
    with pytest.raises(AudioError, match=r"30 s of sound, and at most 29 are allowed"):
        api.decompress(data, backend=ToyBackend(), max_seconds=29)
    assert api.decompress(data, backend=ToyBackend(), max_seconds=30).duration == 30
    assert api.decompress(data, backend=ToyBackend(), start=2, end=4, max_seconds=2).duration == 2
    with pytest.raises(AudioError, match="max_seconds"):
        api.decompress(data, backend=ToyBackend(), start=2, end=5, max_seconds=2)


@pytest.mark.parametrize("rate", [1, 999, 384_001, 768_000])
def test_rates_that_no_sound_has_here_are_refused_before_decoding(rate: int) -> None:
    data = container.pack(replace(HEADER, preset=0, params=TWO_BITS, sample_rate=rate, sample_count=1), [b"\0"])
    with pytest.raises(UnsupportedStream, match=f"{rate} Hz"):
        api.decompress(data, backend=ToyBackend())


def test_more_samples_than_a_sound_has_are_refused_before_decoding() -> None:
    segments, rate = 60, 384_000
    samples = round(segments * SEGMENT_FRAMES * FRAME * rate)
    header = Header(INFO.fingerprint[:2], 0, rate, ChannelMode.DUAL, samples, params=TWO_BITS)
    data = container.pack(header, [b"\0"] * segments)
    with within(SECOND, allocated=1_000_000), pytest.raises(AudioError, match="are possible"):
        api.decompress(data, backend=ToyBackend())


@pytest.mark.parametrize("size", [b"\xff" * 6 + b"\x3f", b"\xff\xff\xff\x7f", b"\x80"])
def test_lengths_of_codes_that_lie(size: bytes) -> None:
    header = replace(LIES["latent"], sample_rate=16000, sample_count=16000)
    data = container.pack(header, [size + b"abc"])
    with within(SECOND, allocated=100_000), pytest.raises((TruncatedStream, CorruptStream)):
        api.decompress(data, backend=ToyBackend())
