from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import threading
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.audio.formats import WRITABLE
from noisebook.audio.io import read, wav_bytes, write, write_bytes_atomic
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg executable is not on the PATH")
TONE = Waveform.of(0.5 * np.sin(np.arange(4000).reshape(2, 2000) * 0.1), 16000)


def message(source: object) -> str:
    """The error that reading gives, which must be one line."""
    with pytest.raises(AudioError) as caught:
        read(source)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def float_wav(samples: np.ndarray) -> BytesIO:
    buffer = BytesIO()
    soundfile.write(buffer, samples, 16000, format="WAV", subtype="FLOAT")
    return BytesIO(buffer.getvalue())


def test_missing_file(tmp_path: Path) -> None:
    assert message(tmp_path / "no.wav") == f"there is no file {tmp_path}/no.wav"


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in message(tmp_path)
    assert "is a directory" in message("")


def test_file_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"x")
    assert "Not a directory" in message(tmp_path / "a.wav" / "b.wav")


def test_nul_in_the_name() -> None:
    assert "null byte" in message("a\0.wav")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav_bytes(TONE))
    (tmp_path / "a.wav").chmod(0)
    assert "Permission denied" in message(tmp_path / "a.wav")


def test_refused_by_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    assert message(tmp_path / "a.wav") == f"cannot open {tmp_path}/a.wav: Permission denied"


def test_empty_file_and_stream(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert message(tmp_path / "a.wav") == f"cannot read {tmp_path}/a.wav: the file is empty (0 bytes)"
    assert "empty" in message(BytesIO())


@pytest.mark.parametrize("with_ffmpeg", [pytest.param(True, marks=needs_ffmpeg), False])
@pytest.mark.parametrize("content", [b"hello, sound\n" * 50, b"\x89PNG\r\n\x1a\n" + bytes(50), b"RIFF", bytes(5000)])
def test_not_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, *, with_ffmpeg: bool) -> None:
    if not with_ffmpeg:
        monkeypatch.setenv("PATH", "")
    (tmp_path / "a.wav").write_bytes(content)
    told = message(tmp_path / "a.wav")
    assert told.startswith(f"cannot read {tmp_path}/a.wav: libsndfile cannot decode it (")
    assert ("ffmpeg: " if with_ffmpeg else "install it") in told


def test_no_samples() -> None:
    assert "no samples" in message(float_wav(np.zeros((0, 2))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value: float) -> None:
    samples = np.zeros((100, 2))
    samples[42, 1] = value
    assert "1 of 200 samples are NaN or infinite, the first at sample 42 of channel 1" in message(float_wav(samples))


def test_sample_rate_outside_the_range() -> None:
    header = bytearray(wav_bytes(TONE))
    for rate in (1, 999, 400_000, 2**31 - 1):
        header[24:28] = rate.to_bytes(4, "little")
        assert f"a sample rate of {rate} Hz" in message(BytesIO(header))


def test_a_header_that_announces_too_much_is_refused_before_allocating(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    flac = BytesIO()
    soundfile.write(flac, TONE.samples.T, 16000, format="FLAC")
    data = bytearray(flac.getvalue())
    data[21] |= 0x0F  # the upper bits of the 36-bit sample count in STREAMINFO
    assert "and at most" in message(BytesIO(data))


@pytest.mark.parametrize("suffix", sorted(WRITABLE))
def test_damaged_files_are_sound_or_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    monkeypatch.setenv("PATH", "")  # libsndfile alone
    write(tmp_path / f"a{suffix}", TONE)
    whole = (tmp_path / f"a{suffix}").read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, min(80, len(damaged)), 2):
            damaged[place] = rng.integers(256)
        with contextlib.suppress(AudioError):
            assert read(BytesIO(damaged)).sample_count > 0


@needs_ffmpeg
@pytest.mark.parametrize("playlist", ["#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile {}\n"])
def test_a_playlist_reaches_neither_network_nor_other_files(tmp_path: Path, playlist: str) -> None:
    asked = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    (tmp_path / "other.wav").write_bytes(wav_bytes(TONE))
    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        for name in (
            f"http://127.0.0.1:{server.server_port}/a.wav",
            "other.wav",
            str(tmp_path / "other.wav"),
        ):
            (tmp_path / "list.wav").write_text(playlist.format(name))
            assert "ffmpeg: " in message(tmp_path / "list.wav")
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize("name", ["a", "a.xyz", "a.m4a", "a.raw", ".wav"])
def test_unknown_suffix_lists_the_allowed(tmp_path: Path, name: str) -> None:
    with pytest.raises(AudioError, match=r"none of \.wav \.flac \.ogg \.opus \.mp3"):
        write(tmp_path / name, TONE)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("suffix", "subtype", "sample_rate", "channels", "told"),
    [
        (".wav", "VORBIS", 16000, 1, "PCM_16 PCM_24 PCM_32 FLOAT, not VORBIS"),
        (".flac", "FLOAT", 16000, 1, "PCM_16 PCM_24, not FLOAT"),
        (
            ".opus",
            None,
            44100,
            1,
            "OPUS does not take 44100 Hz: resample to 8000, 12000, 16000, 24000, 48000 Hz",
        ),
        (".ogg", "OPUS", 22050, 1, "OPUS does not take 22050 Hz"),
        (".ogg", None, 384000, 1, "VORBIS does not take 384000 Hz: resample to 1000 to 200000 Hz"),
        (".mp3", None, 96000, 1, "MPEG_LAYER_III does not take 96000 Hz"),
        (".mp3", None, 16000, 3, "takes 2 channels at most, not 3"),
        (".flac", None, 16000, 9, "FLAC PCM_16 does not take 9 channels"),
        (".wav", None, 16000, 1025, "takes 1024 channels at most"),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, suffix: str, subtype: str | None, sample_rate: int, channels: int, told: str
) -> None:
    waveform = Waveform(np.zeros((channels, 100), np.float32), sample_rate)
    with pytest.raises(AudioError) as caught:
        write(tmp_path / f"a{suffix}", waveform, subtype=subtype)
    assert told in str(caught.value)
    assert os.listdir(tmp_path) == []


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "file").touch()
    for target, told in {
        "folder.wav": "is a directory",
        "missing/a.wav": "there is no folder",
        "file/a.wav": "there is no folder",
        "a\0.wav": "null byte",
    }.items():
        with pytest.raises(AudioError, match=told):
            write_bytes_atomic(tmp_path / target, b"x", overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.wav"]
