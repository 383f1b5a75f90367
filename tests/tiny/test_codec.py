"""The whole codec on a small random model: streams, lengths, channels, segments."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook.audio.level import PeakGuard, loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import Decoder, decode_latent
from noisebook.codec.encoder import compress, compress_towards, header_of, prepare, target_latent, targets
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import PRESETS
from noisebook.codec.segment import tail_after
from noisebook.codec.timeline import Layout
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams
from noisebook.errors import AudioError, CorruptStream, StreamError, TruncatedStream, UnsupportedStream, WrongModel
from tests.mels import MelModel

FAST = CodingParams(7, 7, 8, 3, 80)
PARAMS = [
    FAST,
    CodingParams(6, 8, 8, 3, 80),  # K > d: stacked transforms
    CodingParams(8, 5, 8, 3, 80),  # K < d
    CodingParams(10, 10, 8, 4, 0),  # a part a unit
]


def decompress(data: bytes, **options) -> Waveform:
    return Decoder(data, **options).sound()


def latent_error(stream: bytes, waveform: Waveform, backend) -> float:
    """Mean squared error of the decoded latent against the encoder's target."""
    header, decoded = decode_latent(stream, backend=backend, tail_steps=1)
    target = target_latent(waveform, header, backend=backend)
    return float((decoded - target).square().mean())


@pytest.mark.parametrize("params", PARAMS, ids=lambda e: f"{e.log2_part}-{e.log2_K}")
def test_every_engine_round_trips_and_follows_the_target(params, backend, chirp):
    waveform = Waveform(chirp, 16000)
    stream = compress(waveform, backend=backend, options=EncodeOptions(params=params))
    header, size = container.parse_header(stream)
    assert header.params == params
    assert len(stream) == container.overhead(header, 1) + Layout.of_header(header, backend.info).payload_size
    decoded = decompress(stream, backend=backend)
    assert decoded.samples.shape == chirp.shape
    assert np.array_equal(decoded.samples, decompress(stream, backend=backend).samples)
    # The same stream with its choices scrambled must be further from the sound.
    payload = bytes(b ^ 0x5A for b in stream[size:-3]) + stream[-3:-2]  # the filling stays zero
    scrambled = container.pack(header, [payload])
    own, other = (latent_error(s, waveform, backend) for s in (stream, scrambled))
    assert own < other


@pytest.mark.parametrize("count", [1, 2, 159, 160, 639, 640, 641, 5000, 16001])
def test_length_is_exact(count, backend, chirp):
    waveform = Waveform(chirp[:, :count], 16000)
    decoded = decompress(compress(waveform, backend=backend, options=EncodeOptions(params=FAST)), backend=backend)
    assert decoded.samples.shape == (1, count)
    assert np.isfinite(decoded.samples).all()


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 44100, 48000, 96000, 384000, 12345])
def test_sample_rate_is_restored(rate, backend, chirp):
    waveform = Waveform(chirp[:, :3000], rate)
    decoded = decompress(compress(waveform, backend=backend, options=EncodeOptions(params=FAST)), backend=backend)
    assert decoded.sample_rate == rate
    assert decoded.samples.shape == waveform.samples.shape


@pytest.mark.parametrize(("channels", "mode"), [("auto", ChannelMode.IMAGE), ("dual", ChannelMode.DUAL)])
def test_stereo(channels, mode, backend, chirp):
    stereo = Waveform(np.concatenate([chirp, 0.5 * chirp[:, ::-1]]), 16000)
    stream = compress(stereo, backend=backend, options=EncodeOptions(params=FAST, channels=channels))
    assert container.parse_header(stream)[0].channel_mode == mode
    assert decompress(stream, backend=backend).samples.shape == stereo.samples.shape


def test_more_than_two_channels_are_refused(backend, chirp):
    with pytest.raises(AudioError, match="3 channels"):
        compress(Waveform(np.repeat(chirp, 3, 0), 16000), backend=backend)


def test_segments_are_independent_and_join(backend, monkeypatch, chirp):
    monkeypatch.setattr("noisebook.codec.timeline.SEGMENT_FRAMES", 16)
    monkeypatch.setattr("noisebook.codec.timeline._SHORTEST_SEGMENT", 8)
    waveform = Waveform(chirp, 16000)  # 38 latent frames: segments of 16 and 22
    stream = compress(waveform, backend=backend, options=EncodeOptions(params=FAST))
    header, size = container.parse_header(stream)
    layout = Layout.of_header(header, backend.info)
    assert list(layout.segments()) == [(0, 16), (16, 38)]
    assert layout.segment_count == 2
    assert layout.payload_size == sum(layout.payload_sizes())
    assert len(stream) == size + layout.payload_size + 4
    assert decompress(stream, backend=backend).samples.shape == chirp.shape


def test_seed_changes_the_stream_and_only_its_own_decodes(backend, chirp):
    waveform = Waveform(chirp, 16000)
    streams = [compress(waveform, backend=backend, options=EncodeOptions(params=FAST, seed=seed)) for seed in (0, 7)]
    assert streams[0] != streams[1]
    sounds = [decompress(stream, backend=backend).samples for stream in streams]
    assert not np.array_equal(sounds[0], sounds[1])


def test_silence_is_made_no_noise_of(backend):
    """In 16 bits it is silence again, with any coding parameters."""
    stream = compress(
        Waveform(np.zeros((1, 8000), np.float32), 16000), backend=backend, options=EncodeOptions(params=FAST)
    )
    assert container.parse_header(stream)[0].gain_half_db == 127
    assert np.abs(decompress(stream, backend=backend).samples).max() < 5e-4


def test_another_model_is_refused_by_name(backend, chirp):
    stream = compress(Waveform(chirp, 16000), backend=backend, options=EncodeOptions(params=FAST))
    with pytest.raises(WrongModel, match=backend.info.fingerprint[:2].hex()):
        decompress(stream, backend=MelModel(seed=1))


def test_damage_is_named(backend, chirp):
    stream = compress(Waveform(chirp, 16000), backend=backend, options=EncodeOptions(params=FAST))
    for cut in range(len(stream)):
        with pytest.raises(StreamError):
            decompress(stream[:cut], backend=backend)
    with pytest.raises(TruncatedStream):
        decompress(stream[:-1], backend=backend)
    with pytest.raises(CorruptStream):
        decompress(stream + b"\0", backend=backend)
    for bit in range(0, 8 * len(stream), 37):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StreamError):
            decompress(bytes(damaged), backend=backend)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.name)
def test_presets_keep_their_promise(preset, backend):
    """Ten seconds: exact size, at most 12 bytes besides the payload, payload within 3 % of the nominal rate."""
    header = container.Header(b"ab", preset.wire_id, 48000, ChannelMode.MONO, 480000)
    layout = Layout.of_header(header, backend.info)
    assert container.overhead(header, 1) <= 12
    assert layout.payload_size * 8 / 10.24 <= 1.03 * float(preset.name)
    if preset is PRESETS[0]:
        assert container.overhead(header, 1) + layout.payload_size <= 32


def test_a_tag_that_the_model_does_not_have_is_refused(backend, chirp):
    stream = compress(Waveform(chirp, 16000), backend=backend, options=EncodeOptions(params=FAST, tag="effects"))
    header, size = container.parse_header(stream)
    payload = stream[size:-2]
    assert container.pack(header, [payload]) == stream
    with pytest.raises(UnsupportedStream, match="tag 4"):
        decompress(container.pack(replace(header, tag=4), [payload]), backend=backend)


def test_the_tail_is_short_where_the_bits_end_near_the_sound(backend):
    schedule = backend.info.schedule
    assert [len(tail_after(last, schedule)) for last in (900, 600, 300, 20)] == [6, 6, 3, 3]
    assert len(tail_after(None, schedule)) == 1
    assert [len(tail_after(last, schedule, 2)) for last in (900, 20)] == [2, 2]


def test_decoders_take_the_tail_that_suits_the_stream(backend, chirp):
    for preset, tail in (("8", 6), ("6000", 3)):
        stream = compress(Waveform(chirp, 16000), backend=backend, options=EncodeOptions(preset=preset))
        calls = []
        decompress(stream, backend=backend, on_step=lambda *step, calls=calls: calls.append(step))
        coded = Layout.of_header(container.parse_header(stream)[0], backend.info).steps
        assert calls[-1] == (coded + tail, coded + tail)


@pytest.mark.parametrize("search", ["none", "shaped"])
def test_a_decode_is_as_loud_as_its_original(backend, search):
    """To half a step of the gain; the choices are those of the gain at which the encoder listens."""
    noise = np.random.default_rng(0).standard_normal((1, 40000)).astype(np.float32)
    for sound in (Waveform(0.05 * noise, 16000), Waveform.of(0.3 * np.sign(noise[0, :30000]), 48000)):
        options = EncodeOptions(params=FAST, search=search)
        stream = compress(sound, backend=backend, options=options)
        decoded = decompress(stream, backend=backend)
        assert loudness_lufs(decoded) == pytest.approx(loudness_lufs(sound), abs=0.3)
        header = header_of(sound, options, backend.info)
        assert replace(container.parse_header(stream)[0], gain_half_db=header.gain_half_db) == header
        target = target_latent(sound, header, backend=backend)
        prepared = replace(prepare(sound, options, backend), sound=None)
        assert prepared.header == header
        assert torch.equal(prepared.latent, target)
        plain = compress_towards(targets(prepared, options, backend), prepared, backend=backend)
        assert stream[:-2] != plain[:-2]
        assert stream[container.parse_header(stream)[1] : -2] == plain[container.parse_header(plain)[1] : -2]


def test_what_the_peak_guard_takes_from_a_clipped_sound_is_given_back(backend):
    noise = np.random.default_rng(1).standard_normal(32000).astype(np.float32)
    sound = Waveform.of(np.clip(noise, -1, 1), 16000)
    options = EncodeOptions(params=FAST, search="none")
    raw = decompress(compress(sound, backend=backend, options=options), backend=backend)
    assert np.abs(raw.samples).max() > 1
    held = np.concatenate(list(PeakGuard(16000).blocks([raw.samples])), axis=1)
    assert loudness_lufs(Waveform(held, 16000)) == pytest.approx(loudness_lufs(sound), abs=1)
    beyond = Waveform(2 * sound.samples, 16000)  # its decode is not for whole numbers
    raw = decompress(compress(beyond, backend=backend, options=options), backend=backend)
    assert loudness_lufs(raw) == pytest.approx(loudness_lufs(beyond), abs=0.3)
