from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import read
from noisebook.synthesis.reconstruction_presets import PRESETS

NAMES = [preset.name for preset in PRESETS]


def test_beside_the_source_by_default(noisebook, engine, sound):
    ran = noisebook("reconstruct", sound, *engine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.startswith("song-matched.wav: matched, 0.25 s, ")
    assert read("song-matched.wav").samples.shape == (1, 4000)
    assert noisebook("reconstruct", sound, "-p", "simple", "--quiet", *engine) == (0, b"", "")
    assert sorted(os.listdir()) == ["song-matched.wav", "song-simple.wav", "song.wav"]


def test_the_report_tells_what_ran_and_what_silence_would_get(noisebook, engine, sound):
    options = ["--front-end", "historical", "--vocoder", "griffin-lim", "--post", "smooth=3,loudness=0.5:2", "--json"]
    ran = noisebook("reconstruct", sound, "x.flac", "-p", "ultimate-fix", *options, *engine)
    values = json.loads(ran.out)
    assert (values["output"], values["preset"]) == ("x.flac", "ultimate-fix")
    assert values["held"] == (np.abs(read("x.flac").samples) > 0.999).sum()
    assert values["ran"]["front_end"] == "clap"
    assert values["ran"]["vocoder"] == "griffin-lim"
    assert values["ran"]["post"].startswith("smooth 3 frames, loudness x")
    assert values["silence"]["energy_ratio_db"] is None
    assert values["silence"]["snr_db"] == 0
    assert values["measures"].keys() == values["silence"].keys()
    assert read("x.flac").samples.shape == (1, 4000)


def test_all_presets_side_by_side(noisebook, engine, sound):
    ran = noisebook("reconstruct", sound, "out", "--all", "--json", *engine)
    assert ran.status == 0
    assert sorted(os.listdir("out")) == sorted(f"song-{name}.wav" for name in NAMES)
    outputs = json.loads(ran.out)["outputs"]
    assert [values["preset"] for values in outputs] == NAMES
    assert noisebook("reconstruct", sound, "out", "--all", *engine).told().endswith("exists; -f overwrites it")
    assert noisebook("reconstruct", sound, "out", "--all", "-f", "--quiet", *engine) == (0, b"", "")


def test_seeds_and_presets_change_the_sound(noisebook, engine, sound):
    for name, options in (("a", []), ("b", ["--seed", "1"]), ("c", ["--posterior", "mode"])):
        noisebook("reconstruct", sound, f"{name}.wav", "-p", "simple", *options, *engine)
    a, b, c = (read(f"{name}.wav").samples for name in "abc")
    assert not np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_the_table_needs_no_sound(noisebook):
    ran = noisebook("reconstruct", "--list")
    assert ran.status == 0
    table, alike = ran.text.split("\n\n")
    assert [line.split()[0] for line in table.splitlines()] == ["preset", *NAMES]
    assert "  simple, ultimate, critical-fix: always" in alike.splitlines()
    told = json.loads(noisebook("reconstruct", "--list", "--json").out)
    assert [row["preset"] for row in told["presets"]] == NAMES
    assert len(told["same"]) == len(alike.splitlines()) - 1 == 2


def test_presets_that_are_told_to_be_the_same_write_the_same_file(noisebook, engine, sound):
    noisebook("reconstruct", sound, "out", "--all", *engine)
    told = json.loads(noisebook("reconstruct", "--list", "--json").out)["same"]
    files = {name: Path(f"out/song-{name}.wav").read_bytes() for name in NAMES}
    always = next(one["presets"] for one in told if one["when"] == "always")
    assert len({files[name] for name in always}) == 1
    sampled = {name for name in NAMES if files[name] == files["simple"]}
    assert sampled == set(always)


def test_help_names_every_preset(noisebook):
    text = "".join(noisebook("reconstruct", "--help").text.split())  # lines break after hyphens
    assert all(name in text for name in NAMES)


def test_standard_streams(noisebook, engine, sound):
    ran = noisebook("reconstruct", "-", *engine, stdin=sound.read_bytes())
    noisebook("reconstruct", sound, "file.wav", *engine)
    assert ran.out == Path("file.wav").read_bytes()
    assert ran.err.startswith("-: matched")


@pytest.mark.parametrize(("options", "status", "told"), [
    (["-p", "v6"], 1, "v4-high-freq"),
    (["--front-end", "mfcc"], 1, "clap-wide"),
    (["--posterior", "mean"], 1, "blend"),
    (["--latent-limit", "9"], 1, "strict"),
    (["--vocoder", "hifigan"], 1, "griffin-lim"),
    (["--post", "echo"], 1, "high-pass"),
    (["--all", "-p", "simple"], 2, "--preset"),
    (["--seed", "-1"], 2, "--seed"),
    (["a.wav", "-o", "b.wav"], 2, "once"),
    (["song.wav"], 1, "input itself"),
    (["out.ddcm"], 1, ".wav"),
    (["nowhere/out", "--all"], 1, "nowhere"),
    (["song.wav", "--all"], 1, "is a file"),
    (["-", "--all"], 1, "--all"),
])  # fmt: skip
def test_bad_options_are_told_before_any_work(options, status, told, fails, engine, sound):
    assert told in fails("reconstruct", sound, *options, *engine, status=status)


def test_nothing_to_reconstruct(fails):
    assert "IN" in fails("reconstruct", status=2)
    assert "no file" in fails("reconstruct", "absent.wav")
    assert "no file" in fails("reconstruct", "absent.wav", "out", "--all")
