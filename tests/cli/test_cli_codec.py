"""compress, decompress and info where everything is right."""

from __future__ import annotations

import json
import os
import sys
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noisebook.api import Decoding
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform
from tests.cli.conftest import tone


def test_round_trip_beside_the_source(noisebook, engine, sound):
    ran = noisebook("compress", sound, *engine)
    assert (ran.status, ran.err) == (0, "")
    size = Path("song.ddcm").stat().st_size
    assert ran.text.startswith(f"song.ddcm: {size} bytes, ")
    assert ran.text.count("\n") == 1
    original = read(sound)
    sound.unlink()
    ran = noisebook("decompress", "song.ddcm", *engine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.startswith("song.wav: 0.25 s, mono at 16000 Hz, ")
    assert read("song.wav").samples.shape == original.samples.shape
    assert sorted(os.listdir()) == ["song.ddcm", "song.wav"]


@pytest.mark.parametrize("given", [["out.bin"], ["-o", "out.bin"], ["--output", "out.bin"]])
def test_named_output(noisebook, engine, sound, given):
    assert noisebook("compress", sound, *given, *engine).status == 0
    assert sorted(os.listdir()) == ["out.bin", "song.wav"]


def test_only_the_last_suffix_is_replaced(noisebook, engine, sound):
    sound.rename("take.2.wav")
    assert noisebook("compress", "take.2.wav", *engine).status == 0
    assert sorted(os.listdir()) == ["take.2.ddcm", "take.2.wav"]


def test_force_overwrites(noisebook, engine, sound, stream_bytes):
    Path("song.ddcm").write_bytes(b"old")
    assert noisebook("compress", sound, "-f", *engine).status == 0
    assert Path("song.ddcm").read_bytes() == stream_bytes


def test_standard_streams_carry_the_same_bytes_as_files(noisebook, engine, sound, stream_bytes):
    ran = noisebook("compress", "-", *engine, stdin=sound.read_bytes())
    assert (ran.status, ran.out) == (0, stream_bytes)
    assert ran.err.startswith("-: ")  # the report stays out of the stream's way
    back = noisebook("decompress", "-", *engine, stdin=stream_bytes)
    assert back.status == 0
    noisebook("decompress", "-", "file.wav", *engine, stdin=stream_bytes)
    assert back.out == Path("file.wav").read_bytes()
    assert noisebook("compress", sound, "-", "--quiet", *engine) == (0, stream_bytes, "")


def test_quiet_says_nothing(noisebook, engine, sound):
    assert noisebook("compress", sound, "--quiet", *engine) == (0, b"", "")
    assert noisebook("decompress", "song.ddcm", "x.flac", "--quiet", *engine) == (0, b"", "")


def test_json_reports(noisebook, engine, sound):
    ran = noisebook("compress", sound, "--json", "--quiet", *engine)
    report = json.loads(ran.out)
    size = Path("song.ddcm").stat().st_size
    assert ran.err == ""
    assert report.pop("seconds") > 0
    assert report.pop("why_more").startswith("11 bytes are not payload (352 bit/s) and choices come 0.08 s")
    assert report == {
        "output": "song.ddcm",
        "asked_bitrate": 3000,
        "payload_bytes": size - 11,
        "other_bytes": 11,
        "bytes": size,
        "bitrate": 8 * size / 0.25,
        "ratio_to_pcm16": round(8000 / size, 2),
        "duration": 0.25,
    }
    report = json.loads(noisebook("decompress", "song.ddcm", "x.wav", "--json", *engine).out)
    assert report.pop("seconds") > 0
    assert report.pop("held") >= 0
    assert report == {"output": "x.wav", "sample_rate": 16000, "channels": 1, "duration": 0.25}


def test_json_goes_to_standard_error_where_standard_output_is_the_result(noisebook, engine, sound, stream_bytes):
    ran = noisebook("compress", sound, "-", "--json", *engine)
    assert ran.out == stream_bytes
    assert json.loads(ran.err)["output"] == "-"


def test_options_reach_the_stream(noisebook, engine):
    write("stereo.wav", Waveform.of(0.1 * np.random.default_rng(0).standard_normal((2, 3000)), 44100))

    def header(*options: object) -> dict[str, object]:
        assert noisebook("compress", "stereo.wav", "a.ddcm", "-f", *options, *engine).status == 0
        return json.loads(noisebook("info", "a.ddcm", "--json", *engine[:2]).out)

    plain = header()
    assert (plain["preset"], plain["channel_mode"], plain["seed"], plain["tag"]) == ("3000", "image", 0, 0)
    assert (plain["sample_rate"], plain["sample_count"], plain["intact"]) == (44100, 3000, True)
    assert header("-p", "30")["preset"] == "30"
    assert header("--channels", "dual")["channel_mode"] == "dual"
    assert header("--mono")["channel_mode"] == header("--channels", "mono")["channel_mode"] == "mono"
    assert header("--seed", 7)["seed"] == 7
    assert header("--tag", "music")["tag"] == 1
    fast, high = (header("-b", 900, "-q", quality) for quality in ("fast", "high"))
    assert fast["preset"] is high["preset"] is None
    assert fast["params"]["steps"] < high["params"]["steps"]  # type: ignore[index]
    quick = header("-p", "300", "-q", "fast")
    assert quick["preset"] is None
    assert quick["params"]["steps"] <= header("-p", "300")["params"]["steps"]  # type: ignore[index]


def test_silence_reaches_the_stream(noisebook, engine):
    """Loud bursts in faint noise, then digital silence."""
    noise = np.random.default_rng(0).standard_normal(16000 * 9).astype(np.float32)
    level = np.where(np.arange(len(noise)) // 800 % 40 == 7, 0.3, 0.001) * (np.arange(len(noise)) < 6.4 * 16000)
    write("bursts.wav", Waveform.of(noise * level, 16000))
    plain = noisebook("compress", "bursts.wav", "--search", "none", "--json", *engine)
    variable = noisebook("compress", "bursts.wav", "-f", "--search", "none", "--variable-rate", "--json", *engine)
    assert (plain.status, variable.status) == (0, 0)
    assert json.loads(variable.out)["bytes"] <= json.loads(plain.out)["bytes"]
    shown = json.loads(noisebook("info", "bursts.ddcm", "--json", *engine[:2]).out)
    assert (shown["pauses"], shown["intact"]) == (1, True)
    assert noisebook("decompress", "bursts.ddcm", "back.wav", *engine).status == 0
    refused = noisebook("compress", "bursts.wav", "-f", "--codec", "vq", "--codebook", "x", "--variable-rate", *engine)
    assert refused.status == 2
    assert "--variable-rate is not an option of --codec vq" in refused.err


def test_tail_steps_change_the_sound_and_threads_hardly(noisebook, engine, stream):
    sounds = [
        noisebook("decompress", stream, "-", "--quiet", *options, *engine).out
        for options in ([], ["--tail-steps", 3], ["--tail-steps", 1], ["--threads", 1])
    ]
    assert sounds[0] == sounds[1] != sounds[2]
    # Another number of threads may add up in another order: at most the last bit of a sample.
    default, one_thread = (np.frombuffer(sound[44:], "<i2").astype(int) for sound in (sounds[0], sounds[3]))
    assert np.abs(default - one_thread).max() <= 1


def test_bfloat16(noisebook, engine, stream):
    assert noisebook("decompress", stream, "--dtype", "bfloat16", *engine).status == 0
    assert read("song.wav").sample_count == 4000


def test_one_sample(noisebook, engine):
    write("one.wav", Waveform.of([0.5], 48000))
    assert noisebook("compress", "one.wav", *engine).status == 0
    assert noisebook("decompress", "one.ddcm", "back.wav", *engine).status == 0
    assert read("back.wav").samples.shape == (1, 1)
    assert read("back.wav").sample_rate == 48000


def test_several_channels_are_coded_with_mono(noisebook, engine):
    write("three.wav", Waveform.of(np.full((3, 2000), 0.1), 16000))
    assert noisebook("compress", "three.wav", "--mono", *engine).status == 0


def test_a_name_that_is_not_utf8(noisebook, engine, sound):
    name = os.fsdecode(b"caf\xe9.wav")
    sound.rename(name)
    ran = noisebook("compress", name, *engine)
    assert (ran.status, ran.err) == (0, "")
    assert os.fsdecode(b"caf\xe9.ddcm") in os.listdir()


def test_clipping_is_reported(noisebook, engine, stream, monkeypatch):
    loud = Waveform.of([0.5, 2.0, -3.0], 16000)
    monkeypatch.setattr("noisebook.api.decompress_to_blocks", lambda *_, **__: Decoding(16000, 1, 3, iter([loud])))
    assert "2 samples were beyond full scale" in noisebook("decompress", stream, *engine).text
    assert json.loads(noisebook("decompress", stream, "-", "--json", *engine).err)["held"] == 2
    once = Waveform.of([0.5, 2.0, -1.0], 16000)
    monkeypatch.setattr("noisebook.api.decompress_to_blocks", lambda *_, **__: Decoding(16000, 1, 3, iter([once])))
    told = noisebook("decompress", stream, "once.wav", *engine).text
    assert "1 sample was beyond full scale and is turned down" in told


def test_info_as_a_table(noisebook, engine, stream):
    ran = noisebook("info", stream, *engine[:2])
    assert (ran.status, ran.err) == (0, "")
    rows = {line[:15].strip(): line[15:] for line in ran.text.splitlines()}
    assert rows["preset"] == "3000"
    assert rows["intact"] == "yes"
    assert rows["sample rate"] == "16000"
    assert rows["seed"] == "0"
    assert rows["params"].startswith("log2_part 8, log2_K 13, ")


def test_info_of_damaged_streams_shows_and_fails(noisebook, engine, stream_bytes):
    for damaged in (stream_bytes[:-3], stream_bytes[:-1] + bytes([stream_bytes[-1] ^ 1]), stream_bytes + b"\0"):
        ran = noisebook("info", "-", "--json", *engine[:2], stdin=damaged)
        assert ran.status == 1
        assert json.loads(ran.out)["intact"] is False
        assert ran.err == (
            "noisebook: -: damaged or cut short: its size or a checksum is wrong; "
            "decompress --damaged plays what is there\n"
        )


def test_info_with_another_model_shows_the_header(noisebook, other_model, stream):
    ran = noisebook("info", stream, "--json", "--model", other_model)
    assert ran.status == 0
    assert json.loads(ran.out)["intact"] is None
    assert ran.err.startswith("noisebook: only the header can be read: ")


class Terminal(TextIOWrapper):
    """A standard stream that says it is a terminal."""

    def __init__(self) -> None:
        super().__init__(BytesIO(), "utf-8")

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("quiet", [False, True])
def test_progress_is_drawn_on_a_terminal_only(quiet, monkeypatch, capsys):
    from noisebook.cli._shared import progress

    with progress("working", quiet=quiet) as work:
        if work.on_step is not None:
            work.on_step(3, 3)
    assert capsys.readouterr().err == ""  # the standard error of this test is no terminal
    screen = StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("working", quiet=quiet) as work:
        assert (work.on_step is None) == quiet
        if work.on_step is not None:
            work.on_step(3, 3)
    assert ("working" in screen.getvalue()) == (not quiet)


@pytest.mark.parametrize(("apart", "told"), [(11.9, ""), (12.1, "noisebook: working: about 2 minutes for 12 steps\n")])
def test_what_takes_long_says_so_after_two_steps(apart, told, monkeypatch, capsys):
    from noisebook.cli import _shared

    times = iter([0.0, 50.0, 50.0 + apart, *(100.0 + i for i in range(20))])
    monkeypatch.setattr(_shared.time, "perf_counter", lambda: next(times))
    with _shared.progress("working", quiet=False) as work:
        for done in range(1, 13):
            work.on_step(done, 12)
    assert capsys.readouterr().err == told


def test_a_stream_is_not_written_to_a_terminal(sound, capsys, monkeypatch):
    from noisebook.cli import main

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(SystemExit) as end:
        main(["compress", str(sound), "-"])
    assert end.value.code == 1
    assert capsys.readouterr().err == "noisebook: standard output is a terminal; redirect it, or name a file with -o\n"
    assert terminal.buffer.getvalue() == b""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "other_bytes", "told"),
    [
        (["-p", "30"], 12, "12 bytes are not payload (15.2 bit/s) and choices come 5.12 s of sound at a time (19.5 "),
        (["-p", "30", "-q", "high"], 18, "18 bytes are not payload (22.9 bit/s) and choices come 10.24 s of sound at "),
    ],
)
def test_the_report_says_why_a_file_has_more_than_was_asked_for(noisebook, engine, options, other_bytes, told):
    write("short.wav", tone(1, 100800))  # 6.3 s
    ran = noisebook("compress", "short.wav", "a.ddcm", "--search", "none", *options, *engine)
    assert f"; more than 30 bit/s, for {told}" in ran.text
    values = json.loads(noisebook("compress", "short.wav", "-f", "--search", "none", *options, "--json", *engine).text)
    assert values["bitrate"] == round(8 * values["bytes"] / 6.3, 3)
    assert (values["asked_bitrate"], values["other_bytes"]) == (30, other_bytes)
    assert values["payload_bytes"] + other_bytes == values["bytes"]
    assert values["why_more"].startswith(told)


def test_a_bitrate_that_is_met_needs_no_reason(noisebook, engine):
    write("long.wav", tone(1, 160000))
    ran = noisebook("compress", "long.wav", "--search", "none", "-q", "fast", "-b", "3k", *engine)
    assert "more than" not in ran.text
    ran = noisebook("compress", "long.wav", "-f", "--target-nmse", "-1", "--search", "none", "--json", *engine)
    assert (json.loads(ran.text)["asked_bitrate"], json.loads(ran.text)["why_more"]) == (None, None)


def test_a_stream_that_is_cut_short_names_what_plays_it(fails, engine, stream_bytes):
    told = fails("decompress", "-", "x.wav", *engine, stdin=stream_bytes[:-20])
    assert told.endswith("cut short; decompress --damaged plays what is there")
    damaged = bytearray(stream_bytes)
    damaged[-8] ^= 1
    told = fails("decompress", "-", "x.wav", *engine, stdin=bytes(damaged))
    assert told.endswith("are damaged; decompress --damaged plays what is there")


@pytest.mark.parametrize(
    ("name", "bits", "subtype"),
    [("a.wav", "16", "PCM_16"), ("a.wav", "24", "PCM_24"), ("a.wav", "float", "FLOAT"), ("a.flac", "24", "PCM_24"),
     ("a.aiff", "float", "FLOAT"), ("-", "24", "PCM_24"), ("-", "float", "FLOAT")],
)  # fmt: skip
def test_bits_of_what_is_written(noisebook, engine, stream, name, bits, subtype):
    ran = noisebook("decompress", stream, name, "--bits", bits, *engine)
    assert ran.status == 0, ran.err
    written = soundfile.SoundFile(BytesIO(ran.out) if name == "-" else name)
    assert written.subtype == subtype
    samples = written.read()
    usual = noisebook("decompress", stream, "usual.wav", *engine)
    assert usual.status == 0
    np.testing.assert_allclose(samples, soundfile.read("usual.wav")[0], atol=2 / 32768)


@pytest.mark.parametrize(
    ("name", "bits", "told"), [("a.flac", "float", "16 or 24"), ("a.ogg", "24", "vorbis"), ("a.mp3", "16", "mpeg")]
)
def test_bits_that_a_format_does_not_have(noisebook, engine, stream, name, bits, told):
    ran = noisebook("decompress", stream, name, "--bits", bits, *engine)
    assert ran.status == 1
    assert told in ran.err
    assert not Path(name).exists()
