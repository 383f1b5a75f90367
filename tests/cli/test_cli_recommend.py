from __future__ import annotations

import json
import os
import shlex

import numpy as np
import pytest

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.verification.rules import RULES


def test_the_command_comes_first_and_every_choice_has_its_reason(noisebook, sound):
    ran = noisebook("recommend", sound)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.text.splitlines()
    assert shlex.split(lines[0])[:4] == ["noisebook", "compress", "song.wav", "--preset"]
    assert lines[1].startswith("  method compress (to be stored): ")
    assert lines[2].startswith("  preset ")
    assert lines[-1].startswith("  heard: 0.25 s, mono, up to ")
    assert os.listdir() == ["song.wav"]


def test_the_recommended_command_runs(noisebook, engine, sound):
    command = json.loads(noisebook("recommend", sound, "--need", "smallest", "--json").out)["command"]
    assert noisebook(*shlex.split(command)[1:], *engine).status == 0
    assert os.path.getsize("song.ddcm") < 100


def test_json(noisebook, sound):
    values = json.loads(noisebook("recommend", sound, "--json").out)
    assert set(values) == {"method", "preset", "second", "sound", "command", "reasons", "features"}
    assert values["features"]["side_db"] is None
    write("stereo.wav", Waveform(np.random.default_rng(0).uniform(-0.5, 0.5, (2, 4000)).astype(np.float32), 16000))
    assert json.loads(noisebook("recommend", "stereo.wav", "--json").out)["features"]["channels"] == 2


def test_the_rules_need_no_sound(noisebook):
    ran = noisebook("recommend", "--rules")
    assert ran.text.splitlines()[0].split() == ["aspect", "need", "sound", "condition", "advice", "second", "why"]
    assert len(ran.text.splitlines()) == 1 + len(RULES)
    assert noisebook("recommend").text == ran.text
    rows = json.loads(noisebook("recommend", "--rules", "--json").out)["rules"]
    assert [row["condition"] for row in rows] == [rule.condition for rule in RULES]


def test_rows_for_a_need_or_a_kind_of_sound(noisebook, sound):
    rows = json.loads(noisebook("recommend", "--need", "research", "--json").out)["rules"]
    assert {row["need"] for row in rows if row["aspect"] == "preset"} == {"research"}
    rows = json.loads(noisebook("recommend", "--sound-kind", "voice", "--json").out)["rules"]
    assert {row["sound"] for row in rows} == {"any", "voice", "voice, short-effect"}
    found = json.loads(noisebook("recommend", sound, "--sound-kind", "ambience", "--json").out)
    assert (found["sound"], found["preset"], found["second"]) == ("ambience", "700", "300")


@pytest.mark.parametrize(("arguments", "status", "told"), [
    (["--need", "tiny"], 1, "research"),
    (["--sound-kind", "birds"], 1, "ambience"),
    (["absent.wav"], 1, "no file"),
    (["song.wav", "--need", "tiny"], 1, "smallest"),
])  # fmt: skip
def test_what_cannot_be_recommended(arguments, status, told, fails, sound):
    assert told in fails("recommend", *arguments, status=status)


@pytest.mark.parametrize(("right", "told"), [(1, "equal"), (-1, "opposite")])
def test_channels_that_share_all_or_nothing_are_named(noisebook, right, told):
    left = np.random.default_rng(0).uniform(-0.5, 0.5, 4000).astype(np.float32)
    write("stereo.wav", Waveform(np.stack([left, right * left]), 16000))
    assert f"2 channels, the first two {told}, up to" in noisebook("recommend", "stereo.wav").text
