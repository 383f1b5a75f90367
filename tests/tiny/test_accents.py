"""Transients: accented units take twice the bits, come nearer to the sound, and nothing else about a stream changes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.batch.together import each_with
from noisebook.codec import accenting, ddcm
from noisebook.codec import layout as layouts
from noisebook.codec.accenting import accents_of
from noisebook.codec.ddcm import Settings
from noisebook.codec.effort import effort_of
from noisebook.codec.layout import layout_of
from noisebook.coding import container
from noisebook.coding.container import Codebook, Engine, Rule
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream, UnsupportedStream

ENGINE = Engine(Rule.PARTITIONED, Codebook.STRUCTURED, 9, 10, 1, 8, 10, 70)
TOP_M = Engine(Rule.TOP_M, Codebook.STRUCTURED, 0, 9, 3, 8, 4, 0)
STEPS, PARTS, BITS = 10, 2, 11  # of the engine, a unit and a choice


def clicking(seconds: float, *, clicks: tuple[float, ...] = (0.7, 2.3), channels: int = 1) -> Waveform:
    """Soft noise, and bursts of loud noise that last 50 ms."""
    noise = np.random.default_rng(0).standard_normal((channels, round(seconds * 16000))).astype(np.float32)
    level = np.full(noise.shape[1], 0.002, np.float32)
    for click in clicks:
        level[round(16000 * click) : round(16000 * click) + 800] = 0.3
    return Waveform(noise * level, 16000)


@pytest.fixture
def always(monkeypatch):
    """The fifth that rises most, however little: what the random weights of the model hear is no onset."""
    monkeypatch.setattr(accenting, "_ABOVE", 0)


def coded(sound: Waveform, backend, **options) -> bytes:
    return ddcm.compress(sound, backend=backend, settings=Settings(engine=ENGINE, **options))


@pytest.mark.usefixtures("always")
def test_accented_units_take_twice_the_bits_and_come_nearer(backend):
    sound = clicking(3.84)  # 12 units, of which 2 are accented
    plain, stream = coded(sound, backend), coded(sound, backend, transients=True)
    header = container.parse_header(stream)[0]
    cells = [cell for first, end in header.accents for cell in range(first, end)]
    assert len(cells) == 2
    own, other = container.overhead(header, 1), container.overhead(replace(header, accents=()), 1)
    assert own - other == 2 + 2 * len(header.accents)
    assert len(stream) - len(plain) == 2 * STEPS * PARTS * BITS // 8 + own - other
    target = ddcm.target_latent(sound, header, backend=backend)
    errors = [(ddcm.decode_latent(s, backend=backend)[1] - target).square().mean((0, 1, 3)).view(12, 8).mean(1)
              for s in (stream, plain)]  # fmt: skip
    assert errors[0][cells].mean() < 0.95 * errors[1][cells].mean()
    assert api.decompress(stream, backend=backend).samples.shape == sound.samples.shape
    assert len(api.random_stream(header, backend.info)) == len(stream)


def test_onsets_are_where_the_mel_rises(backend):
    """Of a mel that is a staircase: 0, and from some frames on more of it; a fifth of the units at most."""

    class Heard:
        info, device = backend.info, backend.device

        @staticmethod
        def decode(latent):
            return latent[:, :1, :, :1].repeat_interleave(4, dim=2).expand(-1, -1, -1, 64)

    header = ddcm.header_of(clicking(6.4), Settings(engine=ENGINE), backend.info)
    latent = torch.zeros(1, 8, 160, 16)
    latent[:, :, 60:] += 1
    latent[:, :, 100:] -= 5
    latent[:, :, 120:] += 3
    assert accents_of(latent, header, Heard()) == ((7, 8), (15, 16))


def test_a_model_without_a_mel_asks_its_denoiser(backend):
    class Waveforms:
        info, device = replace(backend.info, features=None), backend.device
        denoise = staticmethod(backend.denoise)

    sound = clicking(12.8, clicks=tuple(np.arange(0.1, 12.8, 0.9)))
    header = ddcm.header_of(sound, Settings(engine=ENGINE), backend.info)
    latent = ddcm.target_latent(sound, header, backend=backend)
    latent[:, :, 80:88] *= 3
    found = accents_of(latent, header, Waveforms())
    assert any(first <= 10 < end for first, end in found)
    assert sum(end - first for first, end in found) <= 8


def test_a_steady_sound_and_a_short_one_have_none(backend):
    for sound in (clicking(1.0), Waveform(np.zeros((1, 64000), np.float32), 16000)):
        assert coded(sound, backend, transients=True) == coded(sound, backend)


@pytest.mark.usefixtures("always")
def test_no_accent_lies_in_a_pause(backend):
    """Silence before each click: its unit pauses, the click's own does not."""
    sound = clicking(7.68, clicks=(2.6, 5.2))
    sound.samples[:, : round(2.5 * 16000)] = 0
    stream = coded(sound, backend, transients=True, variable_rate=True)
    header = container.parse_header(stream)[0]
    assert header.pauses == ((0, 7),)
    assert header.accents
    assert min(first for first, _ in header.accents) >= 7
    sizes = layout_of(header, backend.info)
    accented, paused = sizes.accented(0), sizes.paused(0)
    assert not (accented & paused).any()
    parts = (24 + accented.sum() - paused.sum()) * PARTS
    assert len(stream) == container.overhead(header, 1) + -(-STEPS * parts * BITS // 8)
    lost = replace(header, accents=((0, 5), *header.accents))
    assert layout_of(lost, backend.info).payload_size == sizes.payload_size, "the pause wins"
    assert api.read_info(stream, info=backend.info).accents == len(header.accents)
    assert api.decompress(stream, backend=backend).duration == 7.68


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("channels", [1, 2])
def test_order_parts_and_batches(backend, channels, monkeypatch):
    monkeypatch.setattr(layouts, "SEGMENT_FRAMES", 40)
    monkeypatch.setattr(layouts, "_SHORTEST_SEGMENT", 10)
    sound = clicking(4.6, channels=channels)
    usual, stream = (coded(sound, backend, transients=True, progressive=each) for each in (False, True))
    header = container.parse_header(stream)[0]
    assert header == replace(container.parse_header(usual)[0], progressive=True)
    assert header.accents
    assert ddcm.open_stream(stream, backend.info)[2] == ddcm.open_stream(usual, backend.info)[2]
    whole = api.decompress(usual, backend=backend)
    np.testing.assert_array_equal(api.decompress(stream, backend=backend).samples, whole.samples)
    part = api.decompress(stream, backend=backend, start=2.2, end=2.6)
    np.testing.assert_allclose(part.samples, whole.samples[:, 35200:41600], atol=1e-4)
    assert api.read_info(stream, info=backend.info).intact
    begun = api.decompress(stream[: len(stream) // 2], backend=backend, damaged=True)
    assert begun.duration == 4.6
    jobs = [partial(lambda sound, model: coded(sound, model, transients=True), sound)] * 2
    assert each_with(backend, jobs) == [usual, usual]


@pytest.mark.usefixtures("always")
def test_damaged_ones_are_refused_and_play_as_far_as_they_go(backend):
    data = coded(clicking(3.84), backend, transients=True)
    header, size = container.parse_header(data)
    for cut in (5, size - 1, size + 4, len(data) - 1):
        with pytest.raises(TruncatedStream):
            api.decompress(data[:cut], backend=backend)
    half = api.decompress(data[: (size + len(data)) // 2], backend=backend, damaged=True)
    assert half.duration == 3.84
    late = container.pack(replace(header, accents=((2, 3), (7, 13))), [data[size:-2]])
    with pytest.raises(CorruptStream, match="an accent ends at cell 13, the sound at 12"):
        api.decompress(late, backend=backend)
    subset = container.pack(replace(header, engine=TOP_M), [b""])
    with pytest.raises(UnsupportedStream, match="pauses and accents"):
        api.decompress(subset, backend=backend)


def test_only_the_partitioned_rule_has_transients(backend):
    with pytest.raises(ConfigError, match="partitioned"):
        ddcm.compress(clicking(2), backend=backend, settings=Settings(engine=TOP_M, transients=True))


def test_a_quality_may_be_asked_for(backend):
    sound = clicking(3.84)
    plain = api.compress(sound, backend=backend, target_nmse=-0.01, search="none")
    stream = api.compress(sound, backend=backend, target_nmse=-0.01, search="none", transients=True)
    assert not container.parse_header(plain)[0].accents
    assert api.read_info(stream, info=backend.info).intact


@pytest.mark.usefixtures("always")
def test_accents_count_as_work(backend):
    header = container.parse_header(coded(clicking(3.84), backend, transients=True))[0]
    timeline = layouts.timeline_of(header, backend.info)
    assert effort_of(header, timeline) >= effort_of(replace(header, accents=()), timeline)
