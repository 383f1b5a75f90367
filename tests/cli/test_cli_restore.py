"""`noisebook restore`: files, reports, streams, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.damage import clip, low_pass, silence
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform

pytestmark = pytest.mark.usefixtures("files")


@pytest.fixture
def files() -> None:
    """gap.wav, band.wav, clipped.wav and sound.wav: 0.8 s of noise, with a gap from 0.3 to 0.4 s, and so on."""
    drawn = np.random.default_rng(1).normal(0, 0.1, (1, 12800)).astype("f4")
    sound = Waveform(drawn * np.float32(0.8 / np.abs(drawn).max()), 16000)
    write("sound.wav", sound)
    write("gap.wav", silence(sound, ((4800, 6400),)))
    write("band.wav", low_pass(sound, 3000))
    write("full.wav", Waveform(sound.samples, 48000))
    loud = Waveform(np.clip(4 * sound.samples, -1, 1), 16000)
    write("clipped.wav", clip(loud, 0.999))


def test_a_gap_is_found_and_filled(noisebook, engine):
    ran = noisebook("restore", "gap.wav", "--task", "inpaint", "--json", "--steps", 2, *engine)
    assert ran.status == 0, ran
    told = json.loads(ran.text)
    assert told["gaps"] == [[0.3, 0.4]]
    assert told["output"] == "gap-restored.wav"
    restored, damaged = (read(name).samples for name in ("gap-restored.wav", "gap.wav"))
    assert np.allclose(restored[:, :4600], damaged[:, :4600], atol=1e-4)
    assert np.abs(restored[:, 4900:6300]).mean() > 1e-4


def test_gaps_are_told_and_repeated(noisebook, engine):
    gaps = ("--gap", "0.1:0.2", "--gap", "0.5:0.55")
    ran = noisebook("restore", "sound.wav", "-", "--task", "inpaint", *gaps, "--steps", 1, *engine)
    assert ran.status == 0, ran
    assert ran.out.startswith(b"RIFF")
    assert "0.1-0.2 s, 0.5-0.55 s" in ran.err


def test_a_band_and_a_prompt(noisebook, engine):
    words = ("--cutoff", 3000, "--prompt", "sombre speech", "--guidance", 2, "--steps", 2)
    ran = noisebook("restore", "band.wav", "wide.flac", "--task", "bandwidth", *words, *engine)
    assert ran.status == 0, ran
    assert "sombre" in ran.err
    assert "3000 Hz" in ran.text
    assert read("wide.flac").sample_count == 38400


def test_declipping_makes_room(noisebook, engine):
    ran = noisebook("restore", "clipped.wav", "-o", "out.wav", "--task", "declip", "--steps", 1, "--json", *engine)
    assert ran.status == 0, ran
    told = json.loads(ran.text)
    assert told["gain_db"] < 0
    assert told["threshold"] == pytest.approx(0.999, abs=1e-3)
    lost = np.abs(read("clipped.wav").samples) > 0.9
    kept = (read("out.wav").samples / read("clipped.wav").samples)[~lost & (np.abs(read("clipped.wav").samples) > 0.1)]
    assert np.allclose(kept, 10 ** (told["gain_db"] / 20), rtol=0.01)


def test_a_stream(noisebook, engine):
    words = ("--ddcm", "-p", "300", "--tag", "music", "--seed", 9)
    ran = noisebook("restore", "band.wav", "--task", "bandwidth", *words, "--json", *engine)
    assert ran.status == 0, ran
    told = json.loads(ran.text)
    assert told["output"] == "band-restored.ddcm"
    assert told["bytes"] == Path("band-restored.ddcm").stat().st_size
    assert told["bitrate"] == pytest.approx(10 * told["bytes"])
    assert noisebook("decompress", "band-restored.ddcm", "back.wav", *engine).status == 0
    assert read("back.wav").sample_count == 38400


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("sound.wav", "--task", "inpaint"), "nothing to restore"),
     (("full.wav", "--task", "bandwidth"), "nothing to restore"),
     (("sound.wav", "--task", "declip"), "nothing to restore"),
     (("gap.wav", "--task", "inpaint", "--gap", "0.5:0.9"), "within"),
     (("gap.wav", "--task", "inpaint", "--gap", "0.5:0.4"), "before"),
     (("gap.wav", "--task", "declip", "--gap", "0.5:0.6"), "inpaint"),
     (("band.wav", "--task", "bandwidth", "--cutoff", "9000"), "8000 Hz"),
     (("band.wav", "--task", "bandwidth", "--cutoff", "nan"), "cutoff"),
     (("band.wav", "--task", "bandwidth", "--threshold", "0.5"), "declip"),
     (("clipped.wav", "--task", "declip", "--threshold", "1.5"), "peak"),
     (("clipped.wav", "--task", "declip", "--threshold", "nan"), "threshold"),
     (("band.wav", "x.ddcm", "--task", "bandwidth"), "--ddcm"),
     (("band.wav", "x.wav", "--task", "bandwidth", "--ddcm"), "x.ddcm"),
     (("band.wav", "x.pdf", "--task", "bandwidth"), "suffix"),
     (("band.wav", "--task", "bandwidth", "--ddcm", "--seed", "256"), "seed"),
     (("band.wav", "--task", "bandwidth", "--ddcm", "--preset", "x"), "preset"),
     (("band.wav", "--task", "bandwidth", "--prompt", "qwertz"), "qwertz"),
     (("none.wav", "--task", "bandwidth"), "none.wav"),
     (("band.wav", "sound.wav", "--task", "bandwidth"), "-f")],
)  # fmt: skip
def test_what_cannot_be_done(fails, engine, arguments, word):
    assert word in fails("restore", *arguments, *engine)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(("band.wav",), "--task"), (("band.wav", "--task", "polish"), "polish"),
     (("gap.wav", "--task", "inpaint", "--gap", "0.5"), "START:END"),
     (("gap.wav", "--task", "inpaint", "--gap", "a:b"), "START:END"),
     (("gap.wav", "--task", "inpaint", "--ddcm", "--no-keep"), "--keep"),
     (("gap.wav", "--task", "inpaint", "--ddcm", "--prompt", "music"), "--prompt"),
     (("gap.wav", "--task", "inpaint", "--preset", "300"), "--preset"),
     (("gap.wav", "--task", "inpaint", "--strength", "2"), "--strength"),
     (("gap.wav", "a.wav", "-o", "b.wav", "--task", "inpaint"), "once")],
)  # fmt: skip
def test_wrong_usage(fails, engine, arguments, word):
    assert word in fails("restore", *arguments, *engine, status=2)
