"""codebook fit, info and list."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.quantizers.codebook import load
from noisebook.quantizers.config import METHODS, UNITS

SMALL = ("--unit", "position", "--method", "kmeans", "--size", 8)


def test_fit_then_info(noisebook, engine, sound, tiny_model):
    ran = noisebook("codebook", "fit", sound, "-o", "mine.safetensors", *SMALL, "--json", *engine)
    assert (ran.status, ran.err) == (0, "")
    fitted = json.loads(ran.text)
    assert (fitted["unit"], fitted["method"], fitted["size"]) == ("position", "kmeans", 8)
    assert fitted["bytes"] == Path("mine.safetensors").stat().st_size
    assert fitted["fixed_bitrate"] == pytest.approx(3 * 16 * 25)
    assert 0 < fitted["bitrate"] < fitted["fixed_bitrate"]
    assert fitted["nmse_db"] < 0
    assert 1 < fitted["stages"][0]["perplexity"] <= fitted["stages"][0]["used"] <= 8
    shown = json.loads(noisebook("codebook", "info", "mine.safetensors", "--model", tiny_model, "--json").text)
    assert shown == {"name": "mine.safetensors", **{key: fitted[key] for key in shown if key != "name"}}
    text = noisebook("codebook", "info", "mine.safetensors", "--model", tiny_model).text
    assert load("mine.safetensors").fingerprint.hex() in text


def test_folders_are_searched_and_minutes_are_limited(noisebook, engine, sound):
    folder = Path("sounds") / "deep"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("no sound")
    for name in ("a.wav", "b.FLAC"):
        write(folder / name, Waveform(sound_of(sound).samples, 16000))
    seconds = {}
    for limit in ([], ["--limit-minutes", 0.3 / 60]):
        ran = noisebook("codebook", "fit", "sounds", "-o", "x.safetensors", "-f", *SMALL, "--json", *limit, *engine)
        seconds[bool(limit)] = json.loads(ran.text)["fitted_seconds"]
    assert seconds[False] == pytest.approx(0.5, abs=0.1)
    assert seconds[True] == pytest.approx(0.36, abs=0.05)


def test_too_little_sound_is_told_before_the_file_is_written(noisebook, engine, sound, monkeypatch):
    from noisebook.quantizers.codebook import LatentCodebook

    with monkeypatch.context() as patch:
        patch.setattr(LatentCodebook, "save", lambda *_, **__: None)
        ran = noisebook("codebook", "fit", sound, "-o", "x.safetensors", "--size", 4, *engine)
    assert "knows its sound by heart" in ran.err
    ran = noisebook("codebook", "fit", sound, "-o", "x.safetensors", "--size", 4, "--stages", 1, "--json", *engine)
    told = "noisebook: fitted to 7 vectors for 4 atoms: it knows its sound by heart and will do worse on any other"
    assert ran.err.startswith(told)
    assert json.loads(ran.text)["warning"].endswith("give 5.7 times as much sound, or a smaller size")
    write("long.wav", Waveform(np.tile(sound_of(sound).samples, 8), 16000))
    ran = noisebook("codebook", "fit", "long.wav", "-o", "y.safetensors", "--size", 4, "--stages", 1, "--json", *engine)
    assert (ran.err, json.loads(ran.text)["warning"]) == ("", None)


def test_a_hierarchical_codebook_tells_that_it_has_fewer_atoms(noisebook, engine, sound):
    options = ["--method", "hierarchical", "--stages", 2, "--block-frames", 2, "--size", 64]
    ran = noisebook("codebook", "fit", sound, "-o", "x.safetensors", *options, "--json", *engine)
    assert ran.err.startswith("noisebook: 4 atoms in place of 64, of 4 blocks of 2 frames; fitted to 7 vectors")
    values = json.loads(ran.text)
    assert (values["size"], values["asked_size"]) == (4, 64)


def test_commitment_and_temperature_reach_a_soft_codebook(noisebook, fails, engine, sound):
    def table(*options):
        arguments = ["-o", "x.safetensors", "-f", "--method", "ema", "--unit", "position", "--size", 4, *options]
        values = json.loads(noisebook("codebook", "fit", sound, *arguments, "--json", *engine).text)
        weight = values["objective"]["commitment"] / values["objective"]["codebook"]
        return load("x.safetensors").tensors["table.0"], (weight, values["temperature"])

    soft, settings = table("--temperature", 0.5)
    assert settings == (pytest.approx(0.25), 0.5)
    committed, settings = table("--temperature", 0.5, "--commitment", 0.9)
    assert settings == (pytest.approx(0.9), 0.5)
    assert not np.array_equal(committed, soft)
    told = fails("codebook", "fit", sound, "-o", "y.safetensors", "--temperature", 0.5, *engine)
    assert "temperature is an option of ema, not of residual" in told


def test_a_file_without_a_record_of_its_fit(noisebook, fails, engine, sound, tiny_model):
    from dataclasses import replace

    noisebook("codebook", "fit", sound, "-o", "mine.safetensors", *SMALL, "--quiet", *engine)
    replace(load("mine.safetensors"), record={"frames": 6}).save("bare.safetensors")
    assert "record" in fails("codebook", "info", "bare.safetensors", "--model", tiny_model)


def sound_of(path: Path) -> Waveform:
    from noisebook.audio.io import read

    return read(path)


@pytest.mark.parametrize("method", ["residual", "product", "hierarchical", "adaptive"])
def test_every_option_reaches_the_codebook(noisebook, engine, sound, method):
    options = {"residual": ["--stages", 2], "product": ["--groups", 4],
               "hierarchical": ["--stages", 2, "--block-frames", 3],
               "adaptive": ["--stages", 2, "--bits-per-frame", 3]}[method]  # fmt: skip
    ran = noisebook("codebook", "fit", sound, "-o", "x.safetensors", "--method", method, "--size", 2, "--seed", 3,
                    *options, "--quiet", *engine)  # fmt: skip
    assert ran == (0, b"", "")
    config = vars(load("x.safetensors").config)
    for option, value in zip(options[::2], options[1::2], strict=True):
        assert config[str(option)[2:].replace("-", "_")] == value
    assert (config["unit"], config["seed"]) == ("frame", 3)


def test_list_names_what_is_shipped(noisebook):
    rows = json.loads(noisebook("codebook", "list", "--json").text)["codebooks"]
    assert {row["method"] for row in rows} == set(METHODS)
    assert {row["unit"] for row in rows} == set(UNITS)
    lines = noisebook("codebook", "list").text.splitlines()
    assert [line.split()[0] for line in lines] == [row["name"] for row in rows]
    assert noisebook("codebook", "info", rows[0]["name"]).status == 0


def test_mistakes(fails, engine, sound):
    def fit(*arguments: object, status: int = 1) -> str:
        return fails("codebook", "fit", *arguments, *engine, status=status)

    assert "safetensors" in fit(sound, "-o", "book.bin")
    assert "folder" in fit(sound, "-o", "none/book.safetensors")
    Path("full.safetensors").write_bytes(b"old")
    assert "-f" in fit(sound, "-o", "full.safetensors")
    assert "no file" in fit("none.wav", "-o", "book.safetensors")
    Path("empty").mkdir()
    assert "no sounds" in fit("empty", "-o", "book.safetensors")
    assert "atoms from" in fit(sound, "-o", "book.safetensors", "--method", "kmeans")
    assert "magic" in fit(sound, "-o", "book.safetensors", "--method", "magic")
    assert "--size" in fit(sound, "-o", "book.safetensors", "--size", 1, status=2)
    assert "frame-residual" in fails("codebook", "info", "none")
    assert "safetensors" in fails("codebook", "info", "full.safetensors")
