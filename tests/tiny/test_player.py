"""Parts of streams, blocks, and damaged streams, on a tiny real model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.codec import timeline as timelines
from noisebook.codec.timeline import Layout
from noisebook.coding import container
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream


def sound(seconds: float, rate: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return (0.2 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))).astype(np.float32)


@pytest.fixture(scope="module", params=[(16000, 1), (44100, 2), (11025, 1)], ids=lambda p: f"{p[0]} Hz, {p[1]} ch")
def stream(request, backend):
    rate, channels = request.param
    return api.compress(sound(5.3, rate, channels), sample_rate=rate, backend=backend, preset="300")


class Placed:
    """A backend whose sound is a sine that goes on through the timeline, wherever a piece of it begins."""

    def __init__(self, backend) -> None:
        self._backend = backend

    def __getattr__(self, name):
        return getattr(self._backend, name)

    def to_waveform(self, latent, first_frame=0):
        return self.vocode(self._backend.decode(latent), first_frame * self.info.feature_frames)[:, None]

    def vocode(self, features, first_frame=0):
        hop = self.info.features.hop_length
        samples = torch.arange(first_frame * hop, (first_frame + features.shape[2]) * hop, dtype=torch.float64)
        return (0.1 * torch.sin(0.05 * samples)).float().expand(len(features), -1)


@pytest.mark.usefixtures("short_segments")
def test_every_piece_is_told_where_it_begins(backend):
    placed, noise = Placed(backend), sound(5.3, 16000)
    stream = api.compress(noise, sample_rate=16000, backend=backend, preset="300")
    whole = api.decompress(stream, backend=placed).samples
    assert np.abs(np.diff(whole, 2)).max() < 1.1 * 0.05**2 * np.abs(whole).max()  # a sine without a break
    part = api.decompress(stream, backend=placed, start=2.0, end=3.5)
    np.testing.assert_allclose(part.samples, whole[:, 32000:56000], atol=1e-6)
    joined = np.concatenate([block.samples for block in api.play(stream, backend=placed, seconds=0.7)], axis=1)
    np.testing.assert_allclose(joined, whole, atol=1e-6)
    reconstructed = api.reconstruct(noise, sample_rate=16000, backend=placed).waveform.samples
    level = np.abs(whole).max() / np.abs(reconstructed).max()  # a decode is matched to the original's, this is not
    np.testing.assert_allclose(level * reconstructed, whole, atol=1e-6)


def test_a_part_is_the_same_as_in_the_whole(stream, backend):
    whole = api.decompress(stream, backend=backend)
    for start, end in ((0.0, 0.4), (1.2345, 2.5), (4.9, 5.3), (0.0, 5.3), (3.0, 3.0001)):
        part = api.decompress(stream, backend=backend, start=start, end=end)
        first, last = round(start * whole.sample_rate), round(end * whole.sample_rate)
        assert part.samples.shape == (whole.channels, last - first)
        np.testing.assert_allclose(part.samples, whole.samples[:, first:last], atol=2e-5 * np.abs(whole.samples).max())


def test_blocks_join_to_the_whole(stream, backend):
    whole = api.decompress(stream, backend=backend)
    blocks = list(api.play(stream, backend=backend, seconds=0.7))
    assert len(blocks) == 8
    joined = np.concatenate([block.samples for block in blocks], axis=1)
    assert joined.shape == whole.samples.shape
    np.testing.assert_allclose(joined, whole.samples, atol=2e-5 * np.abs(whole.samples).max())


@pytest.mark.usefixtures("short_segments")
@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (44100, 2)])
def test_what_goes_to_a_file_is_the_whole_to_the_bit(backend, rate, channels):
    data = api.compress(sound(4.3, rate, channels), sample_rate=rate, backend=backend, preset="100")
    whole = api.decompress(data, backend=backend)
    decoding = api.decompress_to_blocks(data, backend=backend)
    assert (decoding.sample_rate, decoding.channels, decoding.sample_count) == (rate, channels, whole.sample_count)
    assert decoding.duration == whole.duration
    blocks = list(decoding.blocks)
    assert len(blocks) >= 3
    np.testing.assert_array_equal(np.concatenate([block.samples for block in blocks], axis=1), whole.samples)
    part = api.decompress_to_blocks(data, backend=backend, start=1, end=2)
    np.testing.assert_array_equal(
        next(part.blocks).samples, api.decompress(data, backend=backend, start=1, end=2).samples
    )
    with pytest.raises(AudioError, match="max_seconds"):
        api.decompress_to_blocks(data, backend=backend, max_seconds=4)


def test_a_recording_is_coded_as_the_sound_that_is_in_it(backend, tmp_path):
    io.write(tmp_path / "a.wav", Waveform(sound(2.3, 44100, 2), 44100))
    held = io.read(tmp_path / "a.wav")
    with io.Recording(tmp_path / "a.wav") as recording:
        for channels in ("auto", "mono"):
            options = {"backend": backend, "preset": "100", "channels": channels}
            assert api.compress(recording, **options) == api.compress(held, **options)


def test_only_the_segments_of_a_part_are_decoded(backend, short_segments):
    across = short_segments / backend.info.frames_per_second
    data = api.compress(sound(2.5 * across, 16000), sample_rate=16000, backend=backend, preset="30")
    calls: list[int] = []
    part = api.decompress(
        data, backend=backend, start=1.45 * across, end=1.55 * across, on_step=lambda done, total: calls.append(total)
    )
    assert part.sample_count == round(0.1 * across * 16000)
    assert 0 < len(calls) <= calls[0] / 3 + 1
    whole = api.decompress(data, backend=backend).samples
    part = api.decompress(data, backend=backend, start=across - 0.5, end=across + 0.5).samples
    first = round((across - 0.5) * 16000)
    np.testing.assert_allclose(part, whole[:, first : first + part.shape[1]], atol=2e-5 * np.abs(whole).max())


def test_a_part_that_there_is_not(stream, backend):
    for start, end in ((6.0, None), (2.0, 1.0), (-1.0, 2.0), (2.0, 2.0)):
        with pytest.raises(ConfigError, match=r"5\.3|start -1: at least 0"):
            api.decompress(stream, backend=backend, start=start, end=end)
    with pytest.raises(ConfigError, match="blocks"):
        api.play(stream, backend=backend, seconds=0)


def test_a_stream_that_is_cut_short_plays_less_exactly(backend):
    data = api.compress(sound(3, 16000), sample_rate=16000, backend=backend, preset="700")
    header, size = container.parse_header(data)
    coded = Layout.of_header(header, backend.info)
    whole = api.decompress(data, backend=backend).samples
    with pytest.raises(TruncatedStream):
        api.decompress(data[:-1], backend=backend)
    # The last two bytes are the checksum: without them nothing is lost.
    np.testing.assert_array_equal(api.decompress(data[:-2], backend=backend, damaged=True).samples, whole)
    steps, sounds = [], []
    for kept in range(len(data), size, -20):
        steps.append(coded.whole_steps(0, min(kept, len(data) - 2) - size))
        if steps[-1]:
            sounds.append(api.decompress(data[:kept], backend=backend, damaged=True).samples)
            assert sounds[-1].shape == whole.shape
    assert steps == sorted(steps, reverse=True)
    assert steps[0] == coded.steps
    assert len({found.tobytes() for found in sounds}) == len(set(steps) - {0})
    with pytest.raises(TruncatedStream, match="first step"):
        api.decompress(data[: size + 1], backend=backend, damaged=True)


def test_a_flipped_bit_is_refused_and_played_on_demand(backend):
    data = api.compress(sound(3, 16000), sample_rate=16000, backend=backend, preset="700")
    _, size = container.parse_header(data)
    flipped = bytearray(data)
    flipped[size + 3] ^= 1
    with pytest.raises(CorruptStream):
        api.decompress(bytes(flipped), backend=backend)
    heard = api.decompress(bytes(flipped), backend=backend, damaged=True)
    whole = api.decompress(data, backend=backend)
    assert heard.samples.shape == whole.samples.shape
    assert not np.array_equal(heard.samples, whole.samples)


def test_what_is_behind_a_cut_is_not_played(backend, short_segments):
    info = backend.info
    seconds = (short_segments + 20) / info.frames_per_second
    data = api.compress(sound(seconds, 16000), sample_rate=16000, backend=backend, preset="30")
    header, size = container.parse_header(data)
    first = next(Layout.of_header(header, info).payload_sizes())
    heard = api.decompress(data[: size + first + 2], backend=backend, damaged=True)
    assert heard.sample_count == short_segments * info.frame_samples


def test_the_peak_guard_is_the_same_whole_in_parts_and_block_by_block(backend, monkeypatch):
    """A decode far beyond full scale is held within it, unless that is not wanted."""
    sound = 0.3 * np.random.default_rng(5).standard_normal((1, 40000)).astype(np.float32)
    stream = api.compress(sound, sample_rate=16000, backend=backend, preset="700", search="none")
    header, size = container.parse_header(stream)
    loud = container.pack(replace(header, gain_half_db=header.gain_half_db - 12), [stream[size:-2]])
    raw = api.decompress(loud, backend=backend, peak_guard=False)
    held = api.decompress(loud, backend=backend)
    assert np.abs(raw.samples).max() > 1.2
    assert np.abs(held.samples).max() <= 1
    assert (held.samples == raw.samples).any()
    decoding = api.decompress_to_blocks(loud, backend=backend)
    blocks = np.concatenate([block.samples for block in decoding.blocks], axis=1)
    np.testing.assert_allclose(blocks, held.samples, atol=1e-5)
    assert decoding.held == np.count_nonzero(np.abs(raw.samples) > 1)
    played = [block.samples for block in api.play(loud, backend=backend, seconds=0.3)]
    np.testing.assert_allclose(np.concatenate(played, axis=1), held.samples, atol=1e-4)
    for start, end in ((0.5, 0.6), (1.0, 2.4)):
        part = slice(round(start * 16000), round(end * 16000))
        for made in (api.decompress(loud, backend=backend, start=start, end=end).samples,
                     np.concatenate([b.samples for b in api.decompress_to_blocks(
                         loud, backend=backend, start=start, end=end).blocks], axis=1)):  # fmt: skip
            np.testing.assert_allclose(made, held.samples[:, part], atol=1e-4)


@pytest.mark.parametrize("call", [api.decompress, api.decompress_to_blocks, api.play], ids=lambda call: call.__name__)
@pytest.mark.parametrize("part", [{}, {"start": 0.5, "end": 1.5}], ids=["whole", "part"])
def test_a_stream_is_opened_once(call, part, backend, monkeypatch):
    """Its header is parsed, its checksums are looked at and its plan is made once, whatever is heard of it."""
    data = api.compress(sound(2.0, 16000), sample_rate=16000, backend=backend, preset="300", search="none")
    calls = []

    def counted(function):
        return lambda *arguments, **options: calls.append(function.__name__) or function(*arguments, **options)

    for module, name in ((container, "parse_header"), (container, "split"), (timelines, "plan_of")):
        monkeypatch.setattr(module, name, counted(getattr(module, name)))
    heard = call(data, backend=backend, **part)
    for _ in getattr(heard, "blocks", heard) if call is not api.decompress else ():
        pass
    assert sorted(calls) == ["parse_header", "plan_of", "split"]
