"""Wrong sounds, streams and outputs: each gives one clear line, exit status 1 or 2, and leaves no file behind."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.errors import StreamError


def float_wav(name: str, samples: np.ndarray) -> None:
    soundfile.write(name, samples, 16000, subtype="FLOAT")


# --- sounds ----------------------------------------------------------------------------------------------------------


def test_no_such_file(fails, engine):
    Path("no.ddcm").touch()  # the missing input is told, not the existing output
    assert fails("compress", "no.wav", *engine) == "there is no file no.wav"
    assert fails("compress", "no.wav", "no.ddcm", "-f", *engine) == "there is no file no.wav"
    assert fails("compress", "", *engine) == "there is no file ''"
    assert fails("decompress", "gone.ddcm", *engine) == "there is no file gone.ddcm"
    assert fails("info", "gone.ddcm") == "there is no file gone.ddcm"


def test_directory(fails, engine):
    Path("folder.wav").mkdir()
    told = "{} is a directory; name a file in it, or do all of it: noisebook batch {} {} RESULTS"
    assert fails("compress", "folder.wav", *engine) == told.format("folder.wav", "compress", "folder.wav")
    assert fails("compress", ".", *engine) == told.format(".", "compress", ".")
    assert fails("decompress", ".", *engine) == told.format(".", "decompress", ".")
    assert fails("reconstruct", ".", *engine) == told.format(".", "reconstruct", ".")
    assert fails("transform", ".", "--prompt", "music", *engine) == ". is a directory; name a file in it"
    assert fails("restore", ".", "--task", "declip", *engine) == ". is a directory; name a file in it"
    assert fails("codebook", "fit", ".", "-o", ".") == ". is a directory; name a file in it"
    assert fails("info", ".") == ". is a directory; name a file in it"
    assert fails("recommend", ".") == ". is a directory; name a file in it"


def test_empty_file(fails, engine):
    Path("empty.wav").touch()
    assert fails("compress", "empty.wav", *engine) == "cannot read empty.wav: the file is empty (0 bytes)"
    assert "the file is empty" in fails("compress", "-", *engine)
    Path("empty.ddcm").touch()
    assert fails("decompress", "empty.ddcm", *engine).startswith("empty.ddcm: ")
    assert fails("decompress", "-", *engine).startswith("-: ")


def test_text_with_a_sounds_name(fails, engine, monkeypatch):
    monkeypatch.setenv("PATH", "")  # no ffmpeg
    Path("text.wav").write_text("hello, sound\n" * 40)
    assert fails("compress", "text.wav", *engine).startswith("cannot read text.wav: libsndfile cannot decode it")
    assert fails("decompress", "text.wav", "out.wav", *engine).startswith("text.wav is not a stream: ")


def test_no_samples(fails, engine):
    float_wav("none.wav", np.zeros((0, 1)))
    assert "no samples" in fails("compress", "none.wav", *engine)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(fails, engine, value):
    float_wav("bad.wav", np.array([0.0, value, 0.0]))
    assert "1 of 3 samples are NaN or infinite, the first at sample 1" in fails("compress", "bad.wav", *engine)


def test_three_channels(fails, engine):
    write("three.wav", Waveform.of(np.zeros((3, 100)), 16000))
    assert fails("compress", "three.wav", *engine).endswith("mix down first (--mono)")


@pytest.mark.parametrize("rate", [1, 999, 384_001, 2**31 - 1])
def test_sample_rates_outside_the_range(fails, engine, sound, rate):
    data = bytearray(sound.read_bytes())
    data[24:28] = struct.pack("<I", rate)
    assert f"a sample rate of {rate} Hz: allowed are" in fails("compress", "-", *engine, stdin=bytes(data))


# --- streams ---------------------------------------------------------------------------------------------------------


def test_every_truncation_is_an_error(backend, stream_bytes):
    from noisebook import api

    for length in range(len(stream_bytes)):
        with pytest.raises(StreamError):
            api.decompress(stream_bytes[:length], backend=backend)


@pytest.mark.parametrize("length", [1, 2, 7, 12, -1])
def test_truncated_stream(fails, engine, stream_bytes, length):
    Path("cut.ddcm").write_bytes(stream_bytes[:length])
    assert fails("decompress", "cut.ddcm", *engine).startswith("cut.ddcm: ")


def test_flipped_bits(fails, engine, stream_bytes):
    for byte in (0, 1, 2, 4, 6, 8, len(stream_bytes) // 2, len(stream_bytes) - 1):
        damaged = bytearray(stream_bytes)
        damaged[byte] ^= 0x10
        told = fails("decompress", "-", "out.wav", *engine, stdin=bytes(damaged))
        assert told.startswith("-"), told


def test_bytes_after_the_end(fails, engine, stream_bytes):
    assert fails("decompress", "-", "out.wav", *engine, stdin=stream_bytes + b"x").startswith("-: ")


def test_wrong_model(fails, other_model, stream):
    told = fails("decompress", stream, "--model", other_model)
    assert told.startswith("song.ddcm: the stream was made with model ")


# --- mix-ups ---------------------------------------------------------------------------------------------------------


def test_compressing_a_stream_gives_a_hint(fails, engine, stream):
    assert fails("compress", stream, *engine).endswith("noisebook decompress song.ddcm")
    assert fails("compress", stream, "x.ddcm", *engine).endswith("noisebook decompress song.ddcm")


def test_decompressing_a_sound_gives_a_hint(fails, engine, sound):
    told = fails("decompress", sound, *engine)
    assert told.startswith("song.wav is not a stream: ")
    assert told.endswith("noisebook compress song.wav")
    assert fails("info", sound).endswith("noisebook compress song.wav")


@pytest.mark.parametrize("name", ["out.wav", "OUT.FLAC", "out.mp3"])
def test_a_stream_under_a_sounds_name_is_refused(fails, engine, sound, name):
    assert f"{name} is named like a sound" in fails("compress", sound, name, "-f", *engine)


@pytest.mark.parametrize("name", ["out.ddcm", "out", "out.m4a", "out.wav.txt"])
def test_a_sound_of_unknown_format_is_refused(fails, stream, name):
    told = fails("decompress", stream, name, "--model", "not even loaded")
    assert told.startswith(f"cannot write {name} as sound; its suffix must be one of .wav .flac ")


def test_a_format_that_cannot_hold_the_rate_is_refused_before_decoding(fails, engine, noisebook):
    write("cd.wav", Waveform.of(np.full(2000, 0.1), 44100))
    assert noisebook("compress", "cd.wav", *engine).status == 0
    told = fails("decompress", "cd.ddcm", "cd.opus", "--model", "not even loaded")
    assert told.startswith("cannot write cd.opus: OPUS does not take 44100 Hz")
    assert told.endswith(".wav and .flac hold every stream")


# --- outputs ---------------------------------------------------------------------------------------------------------


def test_existing_output(fails, engine, sound, stream):
    assert fails("compress", sound, *engine) == "song.ddcm exists; -f overwrites it"
    assert fails("decompress", stream, *engine) == "song.wav exists; -f overwrites it"


def test_output_that_appears_meanwhile(fails, engine, sound, monkeypatch):
    """Another program may be quicker than the check at the beginning."""
    Path("song.ddcm").write_bytes(b"theirs")
    monkeypatch.setattr("noisebook.cli._files.check_target", lambda *_, **__: None)
    assert "song.ddcm exists" in fails("compress", sound, *engine)


def test_output_is_the_input(fails, engine, sound, stream):
    Path("same").symlink_to("song.wav")
    assert fails("compress", sound, "same", "-f", *engine) == "same is the input itself; name another output"
    stream.rename("stream.wav")
    assert "is the input itself" in fails("decompress", "stream.wav", "-f", *engine)


def test_output_folder_is_missing(fails, engine, sound, stream):
    assert fails("compress", sound, "no/song.ddcm", *engine) == "there is no folder no; make it first"
    assert fails("decompress", stream, "-o", "no/a.wav", *engine) == "there is no folder no; make it first"
    assert fails("compress", sound, "song.wav/a", *engine) == "there is no folder song.wav; make it first"


def test_output_is_a_directory(fails, engine, sound):
    Path("folder.wav").mkdir()
    told = fails("transform", sound, "folder.wav", "--prompt", "music", *engine)
    assert told == "folder.wav is a directory; name a file in it"


def test_name_too_long(fails, engine, sound):
    assert "too long" in fails("compress", sound, "x" * 300, *engine)
    assert fails("compress", "x" * 300, *engine).startswith("there is no file xxx")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_output_folder_without_permission(fails, engine, sound):
    Path("locked").mkdir(mode=0o500)
    assert fails("compress", sound, "locked/a.ddcm", *engine).endswith("Permission denied")


def test_output_refused_by_the_system(fails, engine, sound, stream, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.replace", refuse)
    assert fails("compress", sound, "a.ddcm", *engine) == "cannot write a.ddcm: Permission denied"
    assert fails("decompress", stream, "a.wav", *engine) == "cannot write a.wav: Permission denied"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_full_disk(fails, noisebook, engine, sound):
    assert fails("compress", sound, "/dev/full", *engine) == "cannot write /dev/full: No space left on device"
    assert noisebook("compress", sound, "/dev/null", *engine).status == 0


def test_two_outputs(fails, engine, sound):
    told = fails("compress", sound, "a.ddcm", "-o", "b.ddcm", *engine, status=2)
    assert told.startswith("give the output once")
    assert told.endswith("; see noisebook compress --help")


# --- files that are cut short ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["song.wav", "song.aiff"])
def test_a_header_that_promises_more_than_there_is(noisebook, engine, name):
    write(name, Waveform.of(np.full(4000, 0.1), 16000))
    whole = Path(name).read_bytes()
    assert noisebook("compress", name, "whole.ddcm", *engine).err == ""
    Path(name).write_bytes(whole[: len(whole) // 2])
    ran = noisebook("compress", name, "half.ddcm", *engine)
    assert ran.status == 0
    assert ran.err.startswith(f"noisebook: {name} is cut short: its header promises 2.0")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_size_that_was_not_known_is_no_promise(noisebook, engine, sound, size):
    """What programs write into a pipe."""
    data = bytearray(sound.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = struct.pack("<I", size)
    ran = noisebook("compress", "-", "x.ddcm", *engine, stdin=bytes(data))
    assert "cut short" not in ran.err
