"""`noisebook generate`: sounds and streams from a prompt, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import read

BRIEF = ["--seconds", "0.1", "--steps", "2"]


def test_a_prompt_becomes_a_sound(noisebook, engine):
    ran = noisebook("generate", "music", *BRIEF, "--seed", 5, *engine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.startswith("generated.wav: 0.10 s at 48000 Hz, seed 5, ")
    assert read("generated.wav").samples.shape == (1, 4800)
    noisebook("generate", "music", "-o", "same.flac", *BRIEF, "--seed", 5, *engine)
    noisebook("generate", "music", "other.wav", *BRIEF, "--seed", 6, *engine)
    first, same, other = (read(name).samples for name in ("generated.wav", "same.flac", "other.wav"))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_words_that_are_not_known_are_told(noisebook, engine):
    ran = noisebook("generate", "sombre music", "--negative", "loud talk", "--quiet", *BRIEF, *engine)
    assert (ran.status, ran.text) == (0, "")
    assert ran.err == "noisebook: words without effect: sombre, loud\n"


def test_the_report_as_json(noisebook, engine):
    ran = noisebook("generate", "odd music", "--json", *BRIEF, "--seed", 2**64 - 1, *engine)
    report = json.loads(ran.out)
    assert report.pop("seconds") > 0
    assert report == {"output": "generated.wav", "sample_rate": 48000, "channels": 1, "duration": 0.1,
                      "seed": 2**64 - 1, "unknown_words": ["odd"]}  # fmt: skip


def test_standard_output_carries_the_sound(noisebook, engine):
    ran = noisebook("generate", "", "-", *BRIEF, "--seed", 1, *engine)
    assert ran.out[:4] == b"RIFF"
    assert ran.err.startswith("-: 0.10 s")
    noisebook("generate", "", "file.wav", *BRIEF, "--seed", 1, *engine)
    assert Path("file.wav").read_bytes() == ran.out


def test_options_change_the_sound(noisebook, engine):
    def made(*options: object) -> bytes:
        ran = noisebook("generate", "speech", "-", "--quiet", "-t", 0.1, "--steps", 3, "--seed", 1, *options, *engine)
        assert ran.status == 0
        return ran.out

    sounds = [made(*options) for options in (
        [], ["--guidance", 1], ["--rescale", 0], ["--negative", "music"], ["--scheduler", "ddpm"],
        ["--scheduler", "unipc"], ["--spacing", "uniform"], ["-p", "detailed"])]  # fmt: skip
    assert len(set(sounds)) == len(sounds)
    assert made() == sounds[0]


def test_a_stream_decodes_to_the_sound_written_beside_it(noisebook, engine):
    ran = noisebook("generate", "music", "tune.ddcm", "--ddcm", 8, "--wav", "tune.wav", "--seed", 9, *BRIEF, *engine)
    assert (ran.status, ran.err) == (0, "")
    size = Path("tune.ddcm").stat().st_size
    assert ran.text.startswith(f"tune.ddcm: {size} bytes, ")
    assert noisebook("decompress", "tune.ddcm", "back.wav", *engine).status == 0
    assert Path("back.wav").read_bytes() == Path("tune.wav").read_bytes()
    info = json.loads(noisebook("info", "tune.ddcm", "--json", *engine[:2]).out)
    assert (info["seed"], info["tag"], info["intact"], info["sample_count"]) == (9, 1, True, 4800)
    assert info["params"]["log2_K"] == 2


def test_streams_are_named_and_reported_like_sounds(noisebook, engine):
    ran = noisebook("generate", "rain", "--ddcm", 4, "--candidates", 2, "--json", *BRIEF, *engine)
    report = json.loads(ran.out)
    assert report["output"] == "generated.ddcm"
    assert report["bytes"] == Path("generated.ddcm").stat().st_size
    assert report["wav"] is None
    stream = noisebook("generate", "rain", "-", "--ddcm", 4, "--seed", 3, *BRIEF, *engine)
    assert stream.out[:2] == b"\xdd\xc3"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["qwertz"], "no word of the prompt 'qwertz' is known"),
        (["music", "--negative", "qwertz"], "qwertz"),
        (["music", "--seconds", "0"], "seconds"),
        (["music", "--seconds", "nan"], "seconds"),
        (["music", "--guidance", "-2"], "guidance"),
        (["music", "x.ddcm"], "--ddcm"),
        (["music", "x.xyz"], "suffix"),
        (["music", "no/such/folder.wav"], "folder"),
        (["music", "--ddcm", "3"], "power of two"),
        (["music", "--ddcm", "4", "--candidates", "5"], "candidates"),
        (["music", "--ddcm", "4", "--seed", "256"], "255"),
        (["music", "--ddcm", "4", "--seconds", "65"], "64 seconds"),
        (["music", "x.wav", "--ddcm", "4"], "stream"),
        (["music", "x.ddcm", "--ddcm", "4", "--wav", "x.ddcm"], "--wav"),
        (["music", "x.ddcm", "--ddcm", "4", "--wav", "x.txt"], "suffix"),
    ],
)
def test_what_cannot_be_done_is_said(fails, engine, arguments, word):
    assert word in fails("generate", *arguments, *engine)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "PROMPT"),
        (["music", "a.wav", "-o", "b.wav"], "once"),
        (["music", "--wav", "a.wav"], "--wav goes with --ddcm only"),
        (["music", "--candidates", "3"], "--candidates"),
        (["music", "--ddcm", "4", "--guidance", "3"], "--guidance does not go with --ddcm"),
        (["music", "--ddcm", "4", "--preset", "quick"], "--preset"),
        (["music", "--seed", "-1"], "--seed"),
        (["music", "--scheduler", "euler"], "--scheduler"),
    ],
)
def test_wrong_usage(fails, engine, arguments, word):
    assert word in fails("generate", *arguments, *engine, status=2)


def test_nothing_is_overwritten_unasked(noisebook, fails, engine):
    Path("generated.wav").write_bytes(b"mine")
    assert "exists" in fails("generate", "music", *BRIEF, *engine)
    assert noisebook("generate", "music", "-f", *BRIEF, *engine).status == 0


def test_help_tells_the_presets_as_they_are():
    from noisebook.cli.main import cli
    from noisebook.synthesis.options import GENERATE_PRESETS, GenerateStreamOptions

    options = {option.name: option for option in cli.commands["generate"].params}
    listed = ", ".join(f"{name} {steps} and {guidance:g}" for name, (steps, guidance) in GENERATE_PRESETS.items())
    assert listed in options["preset"].help
    assert f"{GenerateStreamOptions().steps} by default" in options["steps"].help
