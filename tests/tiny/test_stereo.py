"""Stereo as one latent and an image, through the whole codec on a tiny real model."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.image import FRAME_SECONDS, LEVELS, StereoImage, image_bands, image_frames, measure_image
from noisebook.audio.waveform import Waveform
from noisebook.codec.encoder import header_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import PRESETS, image_bitrate
from noisebook.codec.signal import Rendered
from noisebook.codec.stereo import image_payload, read_image
from noisebook.codec.stream import Stream
from noisebook.codec.timeline import Layout, Timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream, UnsupportedStream
from noisebook.synthesis.damage import damage_of, examined
from noisebook.synthesis.options import DamageOptions


def noise(seconds: float, rate: int = 16000, channels: int = 2, seed: int = 0) -> np.ndarray:
    return (0.2 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))).astype(np.float32)


def wandering(seconds: float, rate: int = 16000) -> np.ndarray:
    """Noise that moves from side to side and in and out of coherence: an image that takes all that it is given."""
    common, left, right = (noise(seconds, rate, 1, seed)[0] for seed in (1, 2, 3))
    time = np.arange(len(common)) / rate
    angle = np.pi / 4 * (1 + np.sin(2 * np.pi * 0.7 * time))
    wide = 0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * time)
    sides = [np.cos(angle) * (common + wide * left), np.sin(angle) * (common + wide * right)]
    return np.stack(sides).astype(np.float32)


def opened(data: bytes, backend):
    """Header, timeline, choices and image."""
    stream = Stream(data, backend.info)
    return stream.header, stream.timeline, *stream.contents()[:2]


def test_the_presets_bitrate_is_that_of_the_file(backend):
    """Image and choices of a minute are within 3 % of the preset's name; at 30 bit/s, where an image has few values
    that it could spend a rest of its bits on, within 5 %."""
    sound = Waveform(wandering(61.44), 16000)  # six windows of the model: no unit is cut
    measured = measure_image(sound.samples, backend.info.sample_rate)
    for preset in PRESETS:
        header = header_of(sound, EncodeOptions(preset=preset.name), backend.info)
        image = image_payload(measured, header, image_bitrate(header, backend.info))
        assert header.channel_mode is ChannelMode.IMAGE
        payload = len(image) + Layout.of_header(header, backend.info).payload_size
        assert 8 * payload / sound.duration == pytest.approx(
            float(preset.name), rel=0.05 if preset.name == "30" else 0.03
        ), preset.name
        assert 8 * len(image) / sound.duration <= 205


def test_a_bitrate_is_that_of_the_file(backend):
    sound = wandering(10.24)
    for bitrate in (300, 1000, 4000):
        stream = api.compress(sound, sample_rate=16000, backend=backend, bitrate=bitrate, search="none")
        shown = api.read_info(stream, info=backend.info)
        assert shown.payload_bytes * 8 / shown.duration == pytest.approx(bitrate, rel=0.05)
        assert 0 < shown.image_bytes * 8 / shown.duration < 0.12 * bitrate


def test_dual_shares_the_bitrate_of_the_file(backend):
    sound = noise(10.24)
    for preset in ("300", "3000"):
        stream = api.compress(sound, sample_rate=16000, backend=backend, preset=preset, channels="dual", search="none")
        shown = api.read_info(stream, info=backend.info)
        assert (shown.channel_mode, shown.preset, shown.image_bytes) == ("dual", None, 0)
        assert shown.payload_bytes * 8 / shown.duration == pytest.approx(float(preset), rel=0.05)


def test_two_equal_channels_cost_three_bytes_at_most(backend, chirp):
    mono = api.compress(chirp, sample_rate=16000, backend=backend, preset="300")
    twice = np.concatenate([chirp, chirp])
    stream = api.compress(twice, sample_rate=16000, backend=backend, preset="300")
    assert len(stream) - len(mono) <= 3
    sound = api.decompress(stream, backend=backend)
    np.testing.assert_array_equal(sound.samples[0], sound.samples[1])
    np.testing.assert_allclose(sound.samples[:1], api.decompress(mono, backend=backend).samples, atol=1e-3)
    shown = api.read_info(stream, info=backend.info)
    assert (shown.channel_mode, shown.channels, shown.intact) == ("equal", 2, True)
    almost = twice.copy()
    almost[1, -1] += 1e-3
    assert api.read_info(api.compress(almost, sample_rate=16000, backend=backend, preset="300")).channel_mode == "image"


@pytest.mark.parametrize("silent", [0, 1])
@pytest.mark.parametrize(("preset", "rate"), [("8", 16000), ("300", 44100), ("3000", 16000)])
def test_a_silent_channel_stays_silent(backend, silent, preset, rate):
    sound = noise(2.3, rate)
    sound[silent] = 0
    heard = api.decompress(api.compress(sound, sample_rate=rate, backend=backend, preset=preset), backend=backend)
    assert not heard.samples[silent].any()
    assert heard.samples[1 - silent].any()


def test_channels_are_not_exchanged(backend):
    sound = noise(3.2)
    sound[1] *= 0.25
    for channels in (sound, sound[::-1]):
        stream = api.compress(channels, sample_rate=16000, backend=backend, preset="1500")
        left, right = np.square(api.decompress(stream, backend=backend).samples).mean(1)
        first, second = np.square(channels).mean(1)
        assert 10 * np.log10(left / right) == pytest.approx(10 * np.log10(first / second), abs=2)


@pytest.mark.usefixtures("short_segments")
def test_blocks_and_parts_are_the_whole(backend):
    stream = api.compress(wandering(6.1), sample_rate=16000, backend=backend, preset="700", search="none")
    whole = api.decompress(stream, backend=backend).samples
    joined = np.concatenate([b.samples for b in api.decompress_to_blocks(stream, backend=backend).blocks], axis=1)
    np.testing.assert_array_equal(joined, whole)
    for seconds in (0.1, 0.7):
        blocks = [block.samples for block in api.play(stream, backend=backend, seconds=seconds)]
        np.testing.assert_allclose(np.concatenate(blocks, axis=1), whole, atol=2e-5 * np.abs(whole).max())
    part = api.decompress(stream, backend=backend, start=2.5, end=2.6).samples
    np.testing.assert_allclose(part, whole[:, 40000:41600], atol=2e-5 * np.abs(whole).max())


def test_a_progressive_prefix_keeps_its_image(backend):
    sound = noise(4.0)
    sound[1] = 0
    stream = api.compress(sound, sample_rate=16000, backend=backend, preset="1500", progressive=True, search="none")
    image = api.read_info(stream).image_bytes
    header, size = container.parse_header(stream)
    first = size + image + 2 + next(Layout.of_header(header, backend.info).payload_sizes())
    shown = api.read_info(stream[: first + 2], info=backend.info)
    assert (shown.intact, shown.verified, shown.image_bytes) == (False, 1, image)
    heard = api.decompress(stream[: first + 2], backend=backend, damaged=True)
    assert heard.samples.shape == sound.shape
    assert heard.samples[0].any()
    assert not heard.samples[1].any()
    with pytest.raises(TruncatedStream, match="stereo image"):
        api.decompress(stream[: size + 1], backend=backend)
    with pytest.raises(TruncatedStream, match="stereo image"):
        api.decompress(stream[: size + 1], backend=backend, damaged=True)


@pytest.mark.parametrize("offset", [0, 1, 5])
def test_a_damaged_image_is_refused_and_taken_for_equal_on_demand(backend, offset, caplog):
    stream = api.compress(wandering(4.0), sample_rate=16000, backend=backend, preset="1500", search="none")
    whole = api.decompress(stream, backend=backend)
    _, size = container.parse_header(stream)
    damaged = bytearray(stream)
    damaged[size + offset] ^= 0x15  # of the image's size, or of its message
    with pytest.raises((CorruptStream, TruncatedStream), match=r"stereo image|payloads end at"):
        api.decompress(bytes(damaged), backend=backend)
    assert api.read_info(bytes(damaged), info=backend.info).verified == 0
    with caplog.at_level(logging.WARNING):
        heard = api.decompress(bytes(damaged), backend=backend, damaged=True)
    assert "stereo image is damaged" in caplog.text
    np.testing.assert_array_equal(heard.samples[0], heard.samples[1])
    power = [np.square(sound.samples).mean() for sound in (heard, whole)]
    assert 10 * np.log10(power[0] / power[1]) == pytest.approx(0, abs=0.5)  # the choices are where they were


def test_an_image_that_no_encoder_writes_is_corrupt(backend):
    stream = api.compress(wandering(2.0), sample_rate=16000, backend=backend, preset="300", search="none")
    header, _ = container.parse_header(stream)
    _, _, choices, image = opened(stream, backend)
    for message in (b"\xff" * 40, b"\0", image + b"\0"):
        forged = container.pack(header, [container.sized(message), *choices])
        with pytest.raises(CorruptStream):
            api.decompress(forged, backend=backend)


def test_an_image_is_not_read_before_the_length_is_bounded(backend, monkeypatch):
    stream = api.compress(wandering(2.0), sample_rate=16000, backend=backend, preset="300", search="none")

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("noisebook.codec.decoder.read_image", never)
    with pytest.raises(AudioError, match="max_seconds"):
        api.decompress(stream, backend=backend, max_seconds=1)
    with pytest.raises(AssertionError):
        api.decompress(stream, backend=backend)


def test_an_earlier_version_is_refused_by_name(backend):
    stream = api.compress(noise(1), sample_rate=16000, backend=backend, preset="300", search="none")
    with pytest.raises(UnsupportedStream, match="format version 1"):
        api.decompress(b"\xdd\xc1" + stream[2:], backend=backend)


def test_the_image_of_a_sound_is_in_the_stream(backend):
    sound = Waveform(wandering(8.0), 16000)
    stream = api.compress(sound, backend=backend, preset="3000", search="none")
    header, timeline, _, message = opened(stream, backend)
    image = read_image(message, timeline)
    assert (image.bands, image.frames) == (image_bands(16000), image_frames(8 * 16000, 16000))
    assert timeline == Layout.of_header(header, backend.info)
    assert np.abs(image.level).max() >= 3  # at the sides
    mono = replace(header, channel_mode=ChannelMode.MONO)
    assert Timeline.of(mono, backend.info).frames == timeline.frames


def test_a_target_and_a_recording_are_coded_with_an_image(backend):
    sound = wandering(2.0)
    stream = api.compress(sound, sample_rate=16000, backend=backend, target_nmse=5.0, search="none")
    assert api.read_info(stream).channel_mode == "image"
    assert api.decompress(stream, backend=backend).channels == 2


@pytest.mark.parametrize("channels", ["mid-side", "stereo"])
def test_channels_that_there_are_not(backend, channels):
    with pytest.raises(ConfigError, match="auto, dual, mono are possible"):
        api.compress(noise(1), sample_rate=16000, backend=backend, channels=channels)


def _form_of(samples: np.ndarray, rate: int, backend, task: str, **options):
    sound = Waveform(samples, rate)
    return examined(sound, damage_of(sound, task, DamageOptions(**options), backend.info), backend).form


def test_a_gap_has_the_image_of_what_is_nearest(backend):
    """Left up to 2 s, right from 3 s on; between them nothing is known."""
    sound = noise(5.0)
    sound[1, : 2 * 16000] *= 0.1
    sound[0, 3 * 16000 :] *= 0.1
    image = _form_of(sound, 16000, backend, "inpaint", gaps=[(2.0, 3.0)]).image
    seconds = (np.arange(image.frames) + 0.5) * FRAME_SECONDS
    known = image.level.mean(0)
    assert (known[(seconds > 2.1) & (seconds < 2.4)] > 5).all()
    assert (known[(seconds > 2.6) & (seconds < 2.9)] < -5).all()
    own = measure_image(noise(5.0), backend.info.sample_rate)
    assert np.abs(own.level[:, seconds < 1]).mean() < 2, "no image of another sound"


def test_a_lost_band_has_the_image_of_the_one_below(backend):
    sound = noise(3.0)
    spectrum = np.fft.rfft(sound)
    spectrum[0] *= 0.1
    spectrum[:, np.fft.rfftfreq(sound.shape[1], 1 / 16000) > 3000] = 0
    low = np.fft.irfft(spectrum, sound.shape[1]).astype(np.float32)
    image = _form_of(low, 16000, backend, "bandwidth", cutoff=3000).image
    first = image_bands(6000)
    assert (image.level[first:] == image.level[first - 1]).all()
    assert image.level[first:].mean() < -5
    declipped = _form_of(low, 16000, backend, "declip", threshold=0.05).image
    assert declipped is not None


def test_a_restored_gap_is_heard_where_the_sound_is(backend):
    sound = noise(3.0)
    sound[1] = 0
    restored = api.restore(sound, "inpaint", sample_rate=16000, backend=backend, gaps=[(1.0, 1.5)], steps=2).sound
    assert restored.samples[0, 18000:22000].any()
    assert not restored.samples[1].any()


@pytest.mark.parametrize("mode", [ChannelMode.MONO, ChannelMode.EQUAL, ChannelMode.DUAL, ChannelMode.IMAGE])
def test_an_offset_of_the_vocoder_is_not_heard(backend, mode):
    """Whatever way the channels are coded; and a silent side stays silent to the bit."""
    header = Header(bytes(2), 4, 16000, mode, 32000, 0)
    vocoded = noise(2, channels=mode.latents) + np.float32(0.2)
    left = StereoImage(np.full((31, 13), LEVELS, np.int8), np.zeros((31, 13), np.int8))
    image = left if mode is ChannelMode.IMAGE else None
    heard = np.concatenate(list(Rendered([vocoded], mode, Timeline.of(header, backend.info), image).blocks()), axis=1)
    assert heard.shape == (mode.channels, 32000)
    assert np.abs(heard.mean(axis=1)).max() < 1e-4
    assert np.std(heard[0]) > 0.15
    assert mode is not ChannelMode.IMAGE or not heard[1].any()


def test_a_bitrate_out_of_reach_is_named_as_it_was_given(backend):
    sound = wandering(0.5)
    assert api.compress(sound, sample_rate=16000, backend=backend, bitrate=8200, search="none")
    with pytest.raises(ConfigError, match=r"a bitrate of 12000 bit/s in stereo: 5 to 8200 are possible"):
        api.compress(sound, sample_rate=16000, backend=backend, bitrate=12000)
