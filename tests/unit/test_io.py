from __future__ import annotations

import os
import shutil
import stat
import subprocess
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.audio.formats import WRITABLE
from noisebook.audio.io import read, wav_bytes, write, write_bytes_atomic
from noisebook.audio.level import PeakGuard
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg executable is not on the PATH")
LOSSLESS = [suffix for suffix, (_, subtypes) in WRITABLE.items() if subtypes[0] == "PCM_16"]
LOSSY = [suffix for suffix in WRITABLE if suffix not in LOSSLESS]


def tone(*, channels: int = 1, count: int = 16001, sample_rate: int = 16000) -> Waveform:
    phase = 2 * np.pi * 440 * np.arange(count) / sample_rate
    samples = [0.5 * np.sin(phase + channel) for channel in range(channels)]
    return Waveform(np.stack(samples).astype(np.float32), sample_rate)


def steps16(channels: int) -> Waveform:
    """Every 16-bit value in every channel."""
    steps = np.arange(-32768, 32768, dtype=np.int16)
    return Waveform.of(np.stack([np.roll(steps, channel) for channel in range(channels)]), 44100)


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", LOSSLESS)
def test_sixteen_bits_survive_exactly(tmp_path: Path, suffix: str, channels: int) -> None:
    original = steps16(channels)
    assert write(tmp_path / f"a{suffix}", original) == 0
    back = read(tmp_path / f"a{suffix}")
    assert back.sample_rate == 44100
    assert np.array_equal(back.samples, original.samples)


@pytest.mark.parametrize(
    ("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-25), ("FLOAT", 0)]
)
def test_rounding_is_to_the_nearest_step(tmp_path: Path, subtype: str, step: float) -> None:
    original = Waveform.of(np.random.default_rng(0).uniform(-0.99, 0.99, 5000), 48000)
    write(tmp_path / "a.wav", original, subtype=subtype.lower())
    assert soundfile.info(tmp_path / "a.wav").subtype == subtype
    assert np.abs(read(tmp_path / "a.wav").samples - original.samples).max() <= step / 2


@pytest.mark.parametrize("count", [1, 999, 50_001])
@pytest.mark.parametrize("suffix", LOSSY)
def test_lossy_formats_keep_length_rate_and_sound(tmp_path: Path, suffix: str, count: int) -> None:
    original = tone(channels=2, count=count)
    write(tmp_path / f"a{suffix}", original)
    back = read(tmp_path / f"a{suffix}")
    assert back.sample_rate == 16000
    assert back.samples.shape == (2, count)
    if count > 10_000:
        difference = back.samples - original.samples
        assert np.sqrt(np.mean(difference[:, 1000:-1000] ** 2)) < 0.02


def test_long_vorbis_is_written(tmp_path: Path) -> None:
    long = Waveform(np.zeros((1, 3_000_000), np.float32), 16000)
    write(tmp_path / "a.ogg", long)
    assert read(tmp_path / "a.ogg").sample_count == 3_000_000


def test_opus_inside_ogg_by_subtype(tmp_path: Path) -> None:
    write(tmp_path / "a.ogg", tone(), subtype="OPUS")
    assert soundfile.info(tmp_path / "a.ogg").subtype == "OPUS"


def test_samples_beyond_full_scale_are_counted_and_held(tmp_path: Path) -> None:
    loud = Waveform.of([0.5, 1.0, -1.0, 1.5, -2.0, 1.0001], 16000)
    assert write(tmp_path / "a.wav", loud) == 3
    held = read(tmp_path / "a.wav").samples[0]
    (wanted,) = PeakGuard(16000).blocks([loud.samples])
    np.testing.assert_allclose(held, wanted[0], atol=1 / 32768)
    assert np.abs(held).max() <= 1
    assert write(tmp_path / "a.mp3", loud) == 3
    assert write(tmp_path / "float.wav", loud, subtype="FLOAT") == 0
    assert np.array_equal(read(tmp_path / "float.wav").samples, loud.samples)


def test_wav_bytes_are_a_whole_file(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(channels=2))
    assert wav_bytes(tone(channels=2)) == (tmp_path / "a.wav").read_bytes()


def test_suffix_in_capitals_and_text_paths(tmp_path: Path) -> None:
    write(f"{tmp_path}/A.FLAC", tone())
    assert soundfile.info(tmp_path / "A.FLAC").format == "FLAC"
    assert read(f"{tmp_path}/A.FLAC").sample_count == 16001


def test_content_counts_for_reading_not_the_suffix(tmp_path: Path) -> None:
    write(tmp_path / "a.flac", tone())
    for name in ("a.raw", "a.mp3", "a", "-i", "http:a.wav"):
        (tmp_path / name).write_bytes((tmp_path / "a.flac").read_bytes())
        assert read(tmp_path / name).sample_count == 16001


def test_streams_are_read_to_their_end_without_seeking() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        out.write(wav_bytes(tone(count=1000)))
    with os.fdopen(reading, "rb") as stream:
        assert read(stream).sample_count == 1000
    assert read(BytesIO(wav_bytes(tone(count=7)))).sample_count == 7


def test_opus_is_decoded_without_a_seam() -> None:
    buffer = BytesIO()
    soundfile.write(buffer, tone(count=200_000, sample_rate=48000).samples[0], 48000, format="OGG", subtype="OPUS")
    buffer.seek(0)
    difference = read(buffer).samples - tone(count=200_000, sample_rate=48000).samples
    assert np.abs(difference[0, 1000:-1000]).max() < 0.05


@needs_ffmpeg
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("as_stream", [False, True])
def test_ffmpeg_reads_what_libsndfile_does_not(tmp_path: Path, channels: int, *, as_stream: bool) -> None:
    write(tmp_path / "a.wav", tone(channels=channels, sample_rate=44100))
    path = tmp_path / "-a.m4a"
    convert = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-i",
        str(tmp_path / "a.wav"),
        "-c:a",
        "alac",
        f"file:{path}",
    ]
    subprocess.run(convert, check=True)
    back = read(BytesIO(path.read_bytes()) if as_stream else path)
    assert back.sample_rate == 44100
    assert np.array_equal(back.samples, read(tmp_path / "a.wav").samples)


def test_without_ffmpeg_the_error_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "a.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    with pytest.raises(AudioError, match="ffmpeg, which might, is not on the PATH"):
        read(tmp_path / "a.m4a")


def test_existing_target_needs_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "a.wav"
    target.write_bytes(b"precious")
    with pytest.raises(AudioError, match=r"exists already.*-f"):
        write(target, tone())
    assert target.read_bytes() == b"precious"
    write(target, tone(), overwrite=True)
    assert read(target).sample_count == 16001
    assert os.listdir(tmp_path) == ["a.wav"]


def test_overwriting_keeps_the_mode_and_follows_links(tmp_path: Path) -> None:
    target, link = tmp_path / "a.ddcm", tmp_path / "link.ddcm"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes_atomic(link, b"new", overwrite=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_new_files_have_the_usual_mode(tmp_path: Path) -> None:
    (tmp_path / "usual").write_bytes(b"")
    write_bytes_atomic(tmp_path / "a", b"new")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "a").write_bytes(b"old")
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(AudioError, match="No space left"):
        write_bytes_atomic(tmp_path / "a", b"new", overwrite=True)
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_device_is_written_and_not_replaced() -> None:
    write_bytes_atomic(os.devnull, b"gone", overwrite=True)
    assert not Path(os.devnull).is_file()
