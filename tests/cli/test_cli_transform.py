from __future__ import annotations

import json
import os

import numpy as np
import pytest

from noisebook.audio.io import read

FAST = ("--steps", "2")


@pytest.mark.parametrize("method", ["input-based", "improved", "guided", "full-diffusion"])
def test_beside_the_source_by_default(method, noisebook, engine, sound):
    ran = noisebook("transform", sound, "-p", "music", "-m", method, *FAST, *engine)
    assert (ran.status, ran.err) == (0, "")
    assert ran.text.startswith(f"song-{method}.wav: {method}, strength 0.5, 0.25 s, ")
    assert read(f"song-{method}.wav").samples.shape == (1, 4000)
    assert sorted(os.listdir()) == [f"song-{method}.wav", "song.wav"]


def test_the_report_and_unknown_words(noisebook, engine, sound):
    ran = noisebook(
        "transform", sound, "x.flac", "-p", "purple music", "-s", 0.3, "--seed", 7, *FAST, "--json", *engine
    )
    values = json.loads(ran.out)
    assert "purple" in ran.err
    assert values["unknown_words"] == ["purple"]
    assert (values["output"], values["strength"], values["seed"], values["method"]) == ("x.flac", 0.3, 7, "input-based")
    assert read("x.flac").samples.shape == (1, 4000)


def test_options_reach_the_transformation(noisebook, engine, sound):
    variants = {
        "a": [],
        "b": ["--seed", 1],
        "c": ["-p", "music"],
        "d": ["-p", "music", "--negative", "speech"],
        "e": ["--codebook", "none"],
        "f": ["-m", "improved"],
        "g": ["-m", "improved", "--temperature", 5, "--top-k", 3],
        "h": ["-m", "improved", "--mix", 0.2],
        "i": ["-m", "guided"],
        "j": ["-m", "guided", "--pull", "linear"],
        "k": ["-m", "guided", "--pull", "linear", "--pull-strength", 0.5],
        "l": ["-m", "guided", "--scales", 3],
        "m": ["-m", "guided", "--pull", "ddcm"],
        "n": ["--scheduler", "ddpm"],
        "o": ["--spacing", "karras"],
        "p": ["--strength", 0.9],
        "q": ["-p", "music", "--guidance", 6],
        "r": ["-p", "music", "--guidance", 6, "--rescale", 0],
    }
    for name, options in variants.items():
        ran = noisebook("transform", sound, f"{name}.wav", *options, "--steps", 4, "--quiet", *engine)
        assert ran == (0, b"", ""), name
    sounds = {name: read(f"{name}.wav").samples.tobytes() for name in variants}
    assert len(set(sounds.values())) == len(variants)


def test_through_standard_streams(noisebook, engine, sound):
    ran = noisebook("transform", "-", *FAST, "--codebook", "none", *engine, stdin=sound.read_bytes())
    assert ran.status == 0
    noisebook("transform", sound, "x.wav", *FAST, "--codebook", "none", *engine)
    assert np.array_equal(read("x.wav").samples, read_bytes(ran.out))


def read_bytes(data: bytes) -> np.ndarray:
    with open("back.wav", "wb") as file:
        file.write(data)
    return read("back.wav").samples


def test_a_codebook_of_a_file(noisebook, engine, sound):
    from noisebook import api

    backend = api.load_backend(str(engine[1]), device="cpu")
    api.fit_codebook([read(sound)], backend=backend, unit="position", method="kmeans", size=4).save("book.safetensors")
    assert noisebook("transform", sound, "x.wav", "--codebook", "book.safetensors", *FAST, *engine).status == 0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--strength", 1.5], "strength"),
        (["--method", "magic"], "magic"),
        (["--method", "guided", "--codebook", "own"], "--codebook is no option of --method guided"),
        (["--temperature", 1], "--temperature is no option of --method input-based"),
        (["--method", "improved", "--pull-strength", 0.5], "--pull-strength is no option of --method improved"),
        (["--steps", 0], "steps"),
        (["--scales", 7], "scales"),
        (["--spacing", "odd"], "spacing"),
        (["--seed", -1], "seed"),
    ],
)
def test_wrong_usage(options, told, fails, engine, sound):
    assert told in fails("transform", sound, *options, *engine, status=2)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-p", "qqq"], "qqq"),
        (["-m", "improved", "--codebook", "none"], "codebook"),
        (["-m", "guided", "--pull", "ddcm", "--scheduler", "unipc"], "ddpm"),
        (["--codebook", "missing.safetensors"], "missing.safetensors"),
        (["--guidance", -2], "guidance"),
        (["-o", "song.wav"], "input itself"),
        (["-o", "x.txt"], "suffix"),
    ],
)
def test_what_cannot_be_done(options, told, fails, engine, sound):
    assert told in fails("transform", sound, *options, *engine)
