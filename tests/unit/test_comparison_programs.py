"""External codecs: what is run, what is read back, and how failures are told."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.comparison import programs
from noisebook.comparison.judging import measured_delay, probe
from noisebook.comparison.methods import Job
from noisebook.comparison.programs import CODECS, Codec, Point, Tool
from noisebook.errors import AudioError

COPY = f"{sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' IN FILE"
BACK = f"{sys.executable} -c 'import shutil, sys; shutil.copy(*sys.argv[1:])' FILE OUT"
SOUND = Waveform((0.3 * np.sin(np.arange(16000) * 0.1))[None].astype(np.float32), 16000)
SAMPLES = np.rint(SOUND.samples * 32768) / 32768


def method(encode: str = COPY, decode: str = BACK, *, raw: bool = False, rate: int = 16000, timeout: float = 60):
    tool = Tool((sys.executable,), encode, decode, raw=raw)
    codec = Codec("copy", "Copy", ".copy", rate, (tool,), (Point("x", "as it is", 1000, "x"),))
    row = programs.method_of(codec, codec.points[0])
    return row.run(Job(SOUND, timeout=timeout))


@pytest.mark.parametrize("raw", [False, True])
def test_a_codec_that_copies_gives_the_sound_back(raw):
    coded = method(raw=raw)
    assert np.array_equal(coded.sound.samples, SAMPLES)
    assert len(coded.data) == 32000 + (0 if raw else 44)  # the whole file is counted, its header too
    assert coded.encode_seconds > 0
    assert coded.decode_seconds > 0


def test_a_codec_is_given_its_own_rate():
    assert method(rate=8000).sound.samples.shape == (1, 8000)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('bad bitrate')", "ended with status 1: bad bitrate"),
        ("raise SystemExit(3)", "status 3: no reason"),
    ],
)
def test_failures_say_what_the_program_said(code, told):
    with pytest.raises(AudioError, match=told):
        method(f'{sys.executable} -c "{code}"')


def test_a_program_that_hangs_is_stopped():
    with pytest.raises(AudioError, match=r"stopped after 0\.2 s"):
        method(f"{sys.executable} -c 'import time; time.sleep(60)'", timeout=0.2)


def test_what_is_not_sound_is_an_error():
    with pytest.raises(AudioError, match="cannot read"):
        method(decode=f'{sys.executable} -c \'open("out.wav", "w").write("no sound")\'')


def test_a_missing_program_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    rows = programs.methods()
    reasons = {row.series: row.missing for row in rows}
    assert reasons["opus"] == "not installed: opusenc and opusdec or ffmpeg with libopus"
    assert reasons["mp3"] == "not installed: ffmpeg with libmp3lame"
    with pytest.raises(AudioError, match="cannot be run"):
        rows[0].run(Job(SOUND))


TOOLS = [pytest.param(codec, tool, id=f"{codec.name}-{tool.programs[0]}") for codec in CODECS for tool in codec.tools]
# What is known of each codec: samples of delay at 48 kHz.
DELAYS = {"opus": range(-6, 7), "mp3": range(1100, 1111), "codec2": range(600, 1500), "speex": range(-60, 600)}


@pytest.mark.parametrize(("codec", "tool"), TOOLS)
def test_real_codecs(codec, tool):
    point = codec.points[-1]
    row = programs.method_of(replace(codec, tools=(tool,)), point)
    if row.missing:
        pytest.skip(f"{codec.label} is {row.missing}")
    speech = probe(48000)
    coded = row.run(Job(speech))
    rate = 8 * len(coded.data) / speech.duration
    assert 0.9 * point.bit_per_second < rate < 1.25 * point.bit_per_second + 500
    assert measured_delay(speech, resample(coded.sound, 48000)) in DELAYS[codec.name]
    assert row.version
