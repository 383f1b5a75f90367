"""Variable rate: silence takes no bits, is silence again, and nothing else about a stream changes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.batch.worker import side_by_side
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import compress_towards, header_of, prepare, target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import by_name
from noisebook.codec.segment import silence_of
from noisebook.codec.signal import levelled, silent_spans
from noisebook.codec.stream import Stream
from noisebook.codec.timeline import Layout, with_pauses
from noisebook.coding import container
from noisebook.errors import CorruptStream, TruncatedStream


def broken(seconds: float, *, floor: float = 0.0, channels: int = 1) -> Waveform:
    """Noise for 1.28 s, silence for 2.56 s, and so on."""
    noise = np.random.default_rng(0).standard_normal((channels, round(seconds * 16000))).astype(np.float32)
    spoken = (np.arange(noise.shape[1]) // 20480 % 3 == 0).astype(np.float32)
    return Waveform(noise * (0.1 * spoken + floor), 16000)


def coded(sound: Waveform, backend, **options) -> bytes:
    return api.compress(sound, backend=backend, search="none", preset="700", **options)


def unpaused(sound: Waveform, backend, **options) -> bytes:
    """A stream whose silence is coded as sound is."""
    wanted = EncodeOptions(preset="700", search="none", **options)
    prepared = prepare(sound, wanted, backend)
    header, target = replace(prepared.header, pauses=()), prepared.latent
    prepared = replace(prepared, header=header, timeline=Layout.of_header(header, backend.info))
    return compress_towards(lambda a, b: target[:, :, a:b], prepared, backend=backend)


def worthwhile(sound: Waveform, header: container.Header, info):
    header = replace(header, pauses=())
    samples = levelled(sound, header.gain_half_db, info.sample_rate)
    layout = Layout.of_header(header, info)
    return with_pauses(header, layout, silent_spans(samples, layout, 60.0))[0].pauses


def paused_frames(stream: bytes, info) -> np.ndarray:
    """`[channels, L]` bool."""
    header = container.parse_header(stream)[0]
    layout = Layout.of_header(header, info)
    units = [layout.paused(index) for index in range(layout.segment_count)]
    sizes = [end - start for start, end in layout.segments()]
    none = np.zeros((layout.channels, 1), bool)
    return np.concatenate([np.repeat(none if each is None else each, size if each is None else 16, axis=1)[:, :size]
                           for each, size in zip(units, sizes, strict=True)], axis=1)  # fmt: skip


def test_silence_takes_no_bits_and_is_silence_again(backend):
    sound = broken(7.68)
    plain, stream = unpaused(sound, backend), coded(sound, backend)
    assert stream == coded(sound, backend, variable_rate=True)
    header = container.parse_header(stream)[0]
    assert header.pauses == ((5, 11), (17, 24))  # without the cells that a neighbour's sound reaches into
    assert len(plain) - len(stream) == 5 * 16 * 2 * 14 // 8 - 6  # units, steps, parts, bits; 6 bytes of header
    latent = decode_latent(stream, backend=backend)[1]
    paused = torch.from_numpy(paused_frames(stream, backend.info))
    assert paused.sum() == 5 * 16
    torch.testing.assert_close(latent.transpose(1, 2)[paused], silence_of(backend)[0, :, 0].expand(5 * 16, -1, -1))
    assert api.decompress(stream, backend=backend).samples.shape == sound.samples.shape
    spoken = ~paused
    target = target_latent(sound, header, backend=backend)
    own, other = ((decode_latent(s, backend=backend)[1] - target).transpose(1, 2)[spoken].square().mean()
                  for s in (stream, plain))  # fmt: skip
    assert own < 1.1 * other


def test_the_encoder_walks_where_the_decoder_walks(backend):
    """The choices are those of the closed loop: any other stream of the same length is further away."""
    sound = broken(3.84)
    stream = coded(sound, backend, variable_rate=True)
    header = container.parse_header(stream)[0]
    random = api.random_stream(header, backend.info)
    assert len(random) == len(stream)
    target = target_latent(sound, header, backend=backend)
    errors = [(decode_latent(s, backend=backend)[1] - target).square().mean() for s in (stream, random)]
    assert errors[0] < errors[1]


def test_what_is_not_far_below_the_level_is_no_silence(backend):
    info = backend.info
    for floor, found in ((1e-5, True), (1e-3, False)):
        sound = broken(7.68, floor=floor)
        header = header_of(sound, EncodeOptions(preset="700"), info)
        assert bool(worthwhile(sound, header, info)) == found


def test_a_pause_must_pay(backend):
    """Two cells of 100 bit/s are shorter than a unit; without silence a stream is the plain one."""
    short = Waveform(np.where(np.arange(64000) // 12000 == 2, 0, 0.2).astype(np.float32)[None], 16000)
    header = header_of(short, EncodeOptions(preset="100"), backend.info)
    assert worthwhile(short, header, backend.info) == ()
    brief = replace(by_name("6000").params, unit_frames=8)
    assert worthwhile(short, replace(header, preset=0, params=brief), backend.info)
    loud = Waveform(broken(1.2).samples, 16000)
    assert coded(loud, backend, variable_rate=True) == coded(loud, backend)


def test_a_silent_side_costs_nothing(backend):
    """Two microphones, of which one is off: the bits of one; and a sound of nothing but silence: no bits at all."""
    noise = broken(1.2).samples
    stereo = Waveform(np.concatenate([noise, 0 * noise]), 16000)
    stream = coded(stereo, backend, variable_rate=True, channels="dual")
    header = container.parse_header(stream)[0]
    assert header.pauses == ((4, 8),)
    both = paused_frames(stream, backend.info)
    assert both[1].all()
    assert not both[0].any()
    silence = Waveform(np.zeros((2, 32000), np.float32), 16000)
    for constant in (0.0, 0.25):
        empty = coded(Waveform(silence.samples + np.float32(constant), 16000), backend)
        assert len(empty) == container.overhead(container.parse_header(empty)[0], 1)
        assert not api.decompress(empty, backend=backend).samples.any()


def test_only_a_variable_rate_takes_what_is_far_below_the_level_for_silence(backend):
    faint = broken(7.68, floor=1e-5)
    assert container.parse_header(coded(faint, backend))[0].pauses == ()
    assert container.parse_header(coded(faint, backend, variable_rate=True))[0].pauses


@pytest.mark.parametrize("sample_rate", [16000, 44100])
def test_silence_within_a_sound_is_silence_however_it_is_cut(backend, sample_rate):
    """But for the 5 ms at either side of a pause, and what a change of rate rings into it."""
    sound = Waveform(broken(7.68).samples, 16000) if sample_rate == 16000 else resample(broken(7.68), sample_rate)
    stream = coded(sound, backend)
    pauses = container.parse_header(stream)[0].pauses
    assert pauses == ((5, 11), (17, 24))
    whole = api.decompress(stream, backend=backend)
    for first, last in pauses:
        edges = (round(place * sample_rate) for place in (0.32 * first + 0.02, 0.32 * last - 0.02))
        inside = whole.samples[:, slice(*edges)]
        assert np.abs(inside).max() <= (0 if sample_rate == 16000 else 1e-5)
    assert np.abs(whole.samples[:, : round(1.6 * sample_rate)]).max() > 0
    for start, end in ((1.5, 1.7), (1.65, 3.6), (3.4, 7.0)):
        part = api.decompress(stream, backend=backend, start=start, end=end)
        expected = whole.samples[:, round(start * sample_rate) : round(end * sample_rate)]
        np.testing.assert_allclose(part.samples, expected, atol=1e-5)
    blocks = [block.samples for block in api.play(stream, backend=backend, seconds=0.7)]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole.samples, atol=1e-5)


@pytest.mark.usefixtures("short_segments")
def test_a_part_over_a_joint_of_segments_is_the_same_sound(backend):
    stream = coded(broken(4.6), backend, variable_rate=True)
    whole = api.decompress(stream, backend=backend, tail_steps=1)
    part = api.decompress(stream, backend=backend, tail_steps=1, start=1.2, end=4.4)
    np.testing.assert_allclose(part.samples, whole.samples[:, 19200:70400], atol=1e-4)


def test_damaged_ones_are_refused_and_play_as_far_as_they_go(backend):
    data = coded(broken(7.68), backend, variable_rate=True)
    header, size = container.parse_header(data)
    for cut in (5, size - 1, size + 4, len(data) - 1):
        with pytest.raises(TruncatedStream):
            api.decompress(data[:cut], backend=backend)
    whole = api.decompress(data, backend=backend)
    np.testing.assert_array_equal(
        api.decompress(data[:-2], backend=backend, damaged=True).samples, whole.samples
    )  # only the checksum is missing
    half = api.decompress(data[: (size + len(data)) // 2], backend=backend, damaged=True)
    assert half.samples.shape == whole.samples.shape
    assert not np.array_equal(half.samples, whole.samples)
    late = container.pack(replace(header, pauses=((5, 11), (17, 25))), [data[size:-2]])
    with pytest.raises(CorruptStream, match="cell 25, the sound at 24"):
        api.decompress(late, backend=backend)


def test_info_and_batches(backend):
    sounds = [broken(3.84), broken(3.84, floor=1e-5)]
    alone = [coded(sound, backend, variable_rate=True) for sound in sounds]
    jobs = [partial(lambda sound, share: coded(sound, share(backend), variable_rate=True), sound) for sound in sounds]
    assert side_by_side(jobs) == alone
    shown = api.read_info(alone[0], info=backend.info)
    size = container.overhead(container.parse_header(alone[0])[0], 1)
    assert (shown.pauses, shown.intact, shown.payload_bytes) == (1, True, len(alone[0]) - size)
    cut = api.read_info(alone[0][:-1], info=backend.info)
    assert (cut.pauses, cut.intact, cut.payload_bytes) == (1, False, None)


# With `short_segments`, of 1.6 s: of `broken(4.6)` the first is sound, the second a pause, the third both.


@pytest.mark.usefixtures("short_segments")
def test_a_progressive_stream_pauses_where_the_usual_one_does(backend):
    sound = broken(4.6)
    usual, stream = (coded(sound, backend, variable_rate=True, progressive=each) for each in (False, True))
    header = container.parse_header(stream)[0]
    assert header.pauses == ((5, 11),)
    assert header == replace(container.parse_header(usual)[0], progressive=True)
    sizes = Layout.of_header(header, backend.info)
    assert [sizes.segment_bits(index) for index in range(3)] == [5 * 14, 0, (2 * 2 + 1) * 14]
    assert len(stream) == container.overhead(header, sizes.steps) + sizes.steps * -(-(70 + 70) // 8)
    choices, other = (Stream(data, backend.info).contents().choices for data in (stream, usual))
    assert choices == other
    assert choices[1] == b""
    whole = api.decompress(usual, backend=backend)
    np.testing.assert_array_equal(api.decompress(stream, backend=backend).samples, whole.samples)
    for start, end in ((0.2, 0.4), (2.0, 2.5), (3.0, 4.0)):
        part = api.decompress(stream, backend=backend, start=start, end=end)
        expected = whole.samples[:, round(start * 16000) : round(end * 16000)]
        np.testing.assert_allclose(part.samples, expected, atol=1e-4)
    assert len(api.random_stream(header, backend.info)) == len(stream)
    assert api.read_info(api.random_stream(header, backend.info), info=backend.info).intact


@pytest.mark.usefixtures("short_segments")
def test_what_begins_a_progressive_stream_with_pauses_is_the_whole_sound(backend):
    stream = coded(broken(4.6), backend, variable_rate=True, progressive=True)
    header, size = container.parse_header(stream)
    sizes = Layout.of_header(header, backend.info)
    step, heard = sizes.step_size, []
    for kept in (size + step, size + step + 2, size + 2 * step, len(stream) // 2, len(stream) - 2, len(stream)):
        heard.append(api.decompress(stream[:kept], backend=backend, damaged=True, tail_steps=1))
        assert heard[-1].duration == 4.6
        if kept < len(stream):
            with pytest.raises(TruncatedStream):
                api.decompress(stream[:kept], backend=backend)
    assert len({sound.samples.tobytes() for sound in heard}) == 4, "a checksum that is lost costs nothing"
    first = -(-sizes.segment_bits(0) // 8)
    within = api.decompress(stream[: size + first], backend=backend, damaged=True, tail_steps=1)
    assert within.duration == 3.2, "the first segment, and the pause behind it"
    with pytest.raises(TruncatedStream, match="first step"):
        api.decompress(stream[: size + first - 1], backend=backend, damaged=True)


@pytest.mark.usefixtures("short_segments")
def test_info_of_a_progressive_stream_with_pauses(backend):
    stream = coded(broken(4.6), backend, variable_rate=True, progressive=True)
    shown = api.read_info(stream, info=backend.info)
    header, size = container.parse_header(stream)
    there = len(stream) - size - 2 * 16
    assert (shown.order, shown.pauses, shown.intact, shown.verified, shown.segments) == ("steps", 1, True, 16, 3)
    assert shown.payload_bytes == there == Layout.of_header(header, backend.info).payload_size
    cut = api.read_info(stream[: len(stream) // 2], info=backend.info)
    assert (cut.intact, cut.verified, cut.payload_bytes) == (False, 7, there)


@pytest.mark.usefixtures("short_segments")
def test_a_progressive_stream_of_silence(backend):
    silence = Waveform(np.zeros((1, 80000), np.float32), 16000)
    stream = coded(silence, backend, variable_rate=True, progressive=True)
    header, size = container.parse_header(stream)
    assert header.pauses == ((0, 16),)
    assert len(stream) == container.overhead(header, 16)
    whole = api.decompress(stream, backend=backend)
    assert whole.duration == 5
    cut = api.decompress(stream[: size + 1], backend=backend, damaged=True)
    np.testing.assert_array_equal(cut.samples, whole.samples)
    with pytest.raises(TruncatedStream):
        api.decompress(stream[:size], backend=backend, damaged=True)


@pytest.mark.usefixtures("short_segments")
def test_bytes_bound_the_segments_of_silence(backend):
    """A header of 16 bytes, and steps of none: 128 segments at most."""
    header = container.Header(backend.info.fingerprint[:2], 5, 16000, container.ChannelMode.MONO, 0, progressive=True)
    for segments, allowed in ((128, True), (129, False)):
        samples, cells = segments * 40 * 640, segments * 5
        header = replace(header, sample_count=samples, pauses=((0, cells),))
        assert container.overhead(header, 0) == 16
        data = container.pack(header, [b""] * 10)
        silence = Waveform(np.zeros((1, samples), np.float32), 16000)
        if allowed:
            assert api.read_info(data, info=backend.info).segments == segments
            assert worthwhile(silence, replace(header, pauses=()), backend.info) == ((0, cells),)
        else:
            for damaged in (False, True):
                with pytest.raises(CorruptStream, match="fewer bits than there are segments"):
                    api.decompress(data, backend=backend, damaged=damaged)
            assert worthwhile(silence, replace(header, pauses=()), backend.info) == ()
