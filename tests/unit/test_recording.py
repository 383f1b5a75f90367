"""Sound files decoded block by block: the same samples as at once, again and again, and none of them held."""

from __future__ import annotations

import os
import tracemalloc
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.audio import formats, io
from noisebook.audio.formats import WRITABLE, encode, encode_blocks, pipe_wav
from noisebook.audio.io import Recording, read, write, write_atomic
from noisebook.audio.level import coding_gain_of
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Sound, Waveform, downmix
from noisebook.errors import AudioError, ConfigError


def noise(channels: int = 2, count: int = 30_011, rate: int = 16000) -> Waveform:
    samples = np.random.default_rng(1).uniform(-0.4, 0.4, (channels, count)).astype(np.float32)
    return Waveform(samples, rate)


def joined(sound: Sound) -> np.ndarray:
    return np.concatenate(list(sound.blocks()), axis=1)


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_blocks_are_what_libsndfile_gives_at_once(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, noise())
    with soundfile.SoundFile(path) as file:
        at_once = file.read(dtype="float32", always_2d=True).T
    monkeypatch.setattr(io, "_BLOCK", 999)
    np.testing.assert_array_equal(read(path).samples, at_once)
    with Recording(path) as sound:
        assert (sound.sample_rate, sound.channels, sound.sample_count) == (16000, 2, at_once.shape[1])
        assert sound.duration == sound.sample_count / 16000
        assert all(block.shape[1] <= 999 for block in sound.blocks())
        for _ in range(2):
            np.testing.assert_array_equal(joined(sound), at_once)
    with Recording(BytesIO(path.read_bytes())) as sound:
        np.testing.assert_array_equal(joined(sound), at_once)


def test_what_an_encoder_asks_is_the_same_of_a_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.wav", noise(rate=44100))
    whole = read(tmp_path / "a.wav")
    monkeypatch.setattr(io, "_BLOCK", 1000)
    with Recording(tmp_path / "a.wav") as sound:
        assert coding_gain_of(sound) == coding_gain_of(whole)
        np.testing.assert_array_equal(resample(sound, 16000).samples, resample(whole, 16000).samples)
        np.testing.assert_array_equal(resample(sound, 44100).samples, whole.samples)
        mixed = downmix(sound)
        assert (mixed.channels, mixed.sample_rate, mixed.sample_count) == (1, 44100, 30_011)
        np.testing.assert_array_equal(joined(mixed), downmix(whole).samples)


def test_a_recording_is_not_held(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(count=3_000_000))
    tracemalloc.start()
    with Recording(tmp_path / "a.wav") as sound:
        assert sum(block.shape[1] for block in sound.blocks()) == 3_000_000
    assert tracemalloc.get_traced_memory()[1] < 6_000_000  # of 24 million bytes
    tracemalloc.reset_peak()
    read(tmp_path / "a.wav")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * 24_000_000, "the whole, and not twice"


def test_numbers_that_are_none_are_found_in_any_block(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.zeros((100, 2), np.float32)
    samples[42, 1] = np.nan
    data = BytesIO()
    soundfile.write(data, samples, 16000, format="WAV", subtype="FLOAT")
    monkeypatch.setattr(io, "_BLOCK", 40)
    with pytest.raises(AudioError, match=r"from 40 on are NaN .* at sample 42 of channel 1"):
        Recording(BytesIO(data.getvalue()))


def test_a_file_that_shrinks_while_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise())
    with Recording(tmp_path / "a.wav") as sound:
        os.truncate(tmp_path / "a.wav", 1000)
        with pytest.raises(AudioError, match=r"a\.wav"):
            joined(sound)


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_blocks_are_written_as_the_whole(suffix: str) -> None:
    sound = noise()
    container, subtypes = WRITABLE[suffix]
    blocks = [sound.samples[:, :5000], sound.samples[:, 5000:5001], sound.samples[:, 5001:]]
    for subtype in subtypes:
        file = BytesIO()
        clipped = encode_blocks(file, blocks, sound.samples.shape, 16000, container, subtype)
        data, expected = encode(sound, container, subtype)
        written, whole = (soundfile.read(BytesIO(each))[0] for each in (file.getvalue(), bytes(data)))
        np.testing.assert_array_equal(written, whole)
        assert clipped == expected


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (1, 999), (2, 30_011)])
def test_a_pipe_takes_the_bytes_of_a_file(channels: int, count: int) -> None:
    loud = Waveform(3 * noise(channels, count, 22050).samples, 22050)
    data, clipped = encode(loud, "WAV", "PCM_16")
    written: list[bytes] = []
    blocks = (loud.samples[:, start : start + 500] for start in range(0, count, 500))
    assert pipe_wav(written.append, blocks, loud.samples.shape, 22050) == clipped
    assert b"".join(written) == bytes(data)
    blocks_written = len(written) - 2
    assert count // 500 <= blocks_written <= 2 + count // 500, "every block at once, but for what the guard looks ahead"


def test_pieces_have_one_size_whatever_the_blocks() -> None:
    samples = noise(count=10_000).samples
    pieces = list(formats._pieces([samples[:, :100], samples[:, 100:100], samples[:, 100:9000], samples[:, 9000:]]))
    assert [len(piece) for piece in pieces] == [4096, 4096, 10_000 - 2 * 4096]
    np.testing.assert_array_equal(np.concatenate(pieces).T, samples)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    class Full(BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    sound = noise()
    with pytest.raises(OSError, match="No space"):
        encode_blocks(Full(), [sound.samples], sound.samples.shape, 16000, "WAV", "PCM_16")

    def fail(_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(AudioError, match=r"cannot write .*: No space left on device"):
        write_atomic(tmp_path / "a.wav", fail)

    def refuse(_: object) -> None:
        raise ConfigError("of the decoder")

    with pytest.raises(ConfigError, match=r"^of the decoder$"):
        write_atomic(tmp_path / "a.wav", refuse)
    assert os.listdir(tmp_path) == []
