"""Files from strangers: a sound, or one sentence. The store of results is bounded, and gives only what it was given."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from noisebook.audio.io import bundled_clips
from noisebook.errors import AudioError, NotAStream
from noisebook.studio.files import Limits, ResultStore, read_sound, read_stream, safe_name

LIMITS = Limits(seconds=2, megabytes=0.5)


def refused(path: Path) -> str:
    with pytest.raises(AudioError) as failure:
        read_sound(path, LIMITS)
    told = str(failure.value)
    assert "\n" not in told
    assert str(path.parent) not in told  # where the server keeps it
    return told


def wav_header(data_bytes: int, *, channels: int = 1, rate: int = 16000, kind: int = 1, bits: int = 16) -> bytes:
    width = channels * bits // 8
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * width, width, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", data_bytes)
    )


def test_a_sound_comes_as_it_is(song, sound):
    read = read_sound(song, LIMITS)
    assert read.sample_rate == sound.sample_rate
    np.testing.assert_allclose(read.samples, sound.samples, atol=2**-15)


def test_a_lying_suffix_does_not_matter_where_it_is_sound(song, sound):
    for suffix in (".raw", ".mp3", ".ddcm", ""):
        assert read_sound(song.rename(song.with_name(f"song{suffix}")), LIMITS).sample_count == sound.sample_count
        song = song.with_name(f"song{suffix}")


@pytest.mark.parametrize(
    "content", [b"<script>alert(1)</script>", b"\0" * 2000, b"RIFF\xff\xff\xff\xffWAVE", b"fLaC" * 99]
)
def test_what_is_no_sound_is_told(tmp_path, content):
    (tmp_path / "photo.wav").write_bytes(content)
    assert refused(tmp_path / "photo.wav").startswith("photo.wav is not a sound that this page can read: it takes WAV")


def test_an_empty_file_is_told(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert refused(tmp_path / "empty.wav") == "the file is empty (0 bytes)"


def test_a_large_file_is_not_opened(tmp_path):
    with (tmp_path / "large.wav").open("wb") as file:
        file.truncate(10**9)
    assert refused(tmp_path / "large.wav") == "the file has 1000.0 MB, and at most 0.5 MB are taken here"


def test_a_small_file_that_unfolds_into_hours_is_not_decoded(tmp_path):
    soundfile.write(tmp_path / "silence.flac", np.zeros(16000 * 600, np.int16), 16000)
    assert (tmp_path / "silence.flac").stat().st_size < LIMITS.megabytes * 1e6
    assert "the sound is 600.0 s long, and at most 2 s are taken here" in refused(tmp_path / "silence.flac")


def test_many_channels_are_told(tmp_path):
    soundfile.write(tmp_path / "six.wav", np.zeros((800, 6)), 16000)
    assert refused(tmp_path / "six.wav") == "the sound has 6 channels: mix it down to mono or stereo"


def test_samples_that_are_no_numbers_are_told(tmp_path):
    samples = np.zeros(800, np.float32)
    samples[[3, 5]] = np.nan, np.inf
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    assert "2 of 800 samples are NaN or infinite, the first at sample 3" in refused(tmp_path / "nan.wav")


def test_a_header_without_samples_is_told(tmp_path):
    (tmp_path / "none.wav").write_bytes(wav_header(0))
    assert "no samples" in refused(tmp_path / "none.wav")


def test_a_header_that_announces_too_much_reads_what_is_there(tmp_path):
    (tmp_path / "cut.wav").write_bytes(wav_header(2**31 - 100) + b"\x10\0" * 500)
    assert read_sound(tmp_path / "cut.wav", LIMITS).sample_count == 500


def test_a_wild_sample_rate_is_told(tmp_path):
    (tmp_path / "slow.wav").write_bytes(wav_header(20, rate=10) + b"\0" * 20)
    assert "a sample rate of 10 Hz: allowed are 1000 to 384000 Hz" in refused(tmp_path / "slow.wav")


def test_streams_have_limits_too(tmp_path, backend):
    from noisebook import api

    long = api.compress(np.zeros(16000 * 3, np.float32), sample_rate=16000, backend=backend, preset="8")
    (tmp_path / "long.ddcm").write_bytes(long)
    with pytest.raises(AudioError, match=r"the sound of the stream is 3\.0 s long, and at most 2 s"):
        read_stream(tmp_path / "long.ddcm", LIMITS)
    assert read_stream(tmp_path / "long.ddcm", Limits()) == long
    (tmp_path / "song.ddcm").write_bytes(b"RIFF and so on")
    with pytest.raises(NotAStream, match=r"^song\.ddcm: "):
        read_stream(tmp_path / "song.ddcm", LIMITS)


@given(st.text(max_size=80))
def test_names_of_visitors_are_tamed(name):
    tame = safe_name(name)
    assert 0 < len(tame) <= 48
    assert not set(tame) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert tame[0] not in ".-"


def test_names_lose_their_folders():
    assert safe_name("../../etc/passwd") == "passwd"
    assert safe_name(r"C:\sounds\my song (1).wav") == "my-song-1-.wav"
    assert safe_name("雨") == "sound"


def test_bundled_clips_can_be_read():
    for path in bundled_clips().values():
        assert read_sound(path, Limits()).duration > 1


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*"))


def test_files_are_found_by_token_and_name_only(tmp_path):
    store = ResultStore(tmp_path)
    token = store.put("ann", {"a.wav": b"abc"})
    found = store.find(token, "a.wav")
    assert found.read_bytes() == b"abc"
    for name in ("b.wav", "../a.wav", "..", "", "/etc/passwd"):
        assert store.find(token, name) is None
    assert store.find("..", "a.wav") is None
    assert len(token) >= 20


def test_an_owner_keeps_the_last_two(tmp_path):
    store = ResultStore(tmp_path, per_owner=2)
    tokens = [store.put("ann", {"a": b"x"}) for _ in range(4)]
    assert [store.find(token, "a") is not None for token in tokens] == [False, False, True, True]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(tokens[2:])


def test_room_is_made_by_the_oldest_of_all(tmp_path):
    store = ResultStore(tmp_path, megabytes=0.01)
    tokens = [store.put(str(owner), {"a": bytes(4000)}) for owner in range(5)]
    assert [store.find(token, "a") is not None for token in tokens] == [False] * 3 + [True] * 2
    assert size(tmp_path) == 8000
    big = store.put("big", {"a": bytes(40_000)})  # more than the room: it stays until the next one comes
    assert store.find(big, "a") is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_an_owner_that_leaves_takes_everything_along(tmp_path):
    store = ResultStore(tmp_path)
    ann, ben = store.put("ann", {"a": b"x"}), store.put("ben", {"a": b"x"})
    store.clear("ann")
    store.clear("nobody")
    assert (store.find(ann, "a"), store.find(ben, "a") is not None) == (None, True)


def test_many_threads_at_once(tmp_path):
    store = ResultStore(tmp_path, per_owner=2, megabytes=0.02)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: store.put(str(i % 3), {"a": bytes(1000)}), range(200)))
    assert size(tmp_path) == 6000
    assert len(list(tmp_path.iterdir())) == 6


def test_what_belongs_to_nobody_stays(tmp_path):
    store = ResultStore(tmp_path, per_owner=1, megabytes=0.01)
    kept = [store.put(None, {"a": bytes(4000)}) for _ in range(2)]
    for owner in range(3):
        newest = store.put(str(owner), {"a": bytes(4000)})
    assert all(store.find(token, "a") for token in (*kept, newest))
    assert len(list(tmp_path.iterdir())) == 3
