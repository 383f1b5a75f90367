"""The three verbs with streams of a quantised latent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from noisebook.quantizers.fitting import fit


@pytest.fixture(scope="session")
def book_file(tiny_model, tmp_path_factory) -> Path:
    from noisebook.backends.mini import MiniBackend

    backend = MiniBackend(tiny_model)
    sweep = 0.4 * torch.sin(300 * torch.linspace(1, 8, 64 * 1920).square())
    latents = [backend.encode(backend.features(sweep[None]))]
    model = backend.info.autoencoder.hex()
    path = tmp_path_factory.mktemp("books") / "mine.safetensors"
    fit(latents, unit="frame", method="adaptive", size=8, stages=2, bits_per_frame=6.0, model=model).save(path)
    return path


@pytest.fixture
def vq(book_file, engine) -> list[object]:
    return ["--codec", "vq", "--codebook", book_file, *engine]


def test_a_round_trip_and_what_info_says(noisebook, sound, vq, book_file, engine):
    assert noisebook("compress", sound, *vq).status == 0
    data = Path("song.ddcm").read_bytes()
    shown = json.loads(noisebook("info", "song.ddcm", *engine[:2], "--json").text)
    assert (shown["codec"], shown["rule"], shown["intact"], shown["file_bytes"]) == ("vq", "hard", True, len(data))
    assert (shown["params"], shown["coded_steps"]) == (None, 0)
    assert noisebook("decompress", "song.ddcm", "back.wav", "--codebook", book_file, *engine).status == 0
    assert Path("back.wav").stat().st_size == 44 + 2 * 4000


def test_standard_input_and_output(noisebook, sound, vq, book_file, engine):
    ran = noisebook("compress", "-", *vq, stdin=sound.read_bytes())
    assert ran.status == 0
    back = noisebook("decompress", "-", "--codebook", book_file, *engine, stdin=ran.out)
    assert back.status == 0
    assert back.out[:4] == b"RIFF"


def test_a_bitrate_reaches_an_adaptive_codebook(noisebook, sound, vq):
    sizes = []
    for bitrate in (120, 300):
        assert noisebook("compress", sound, *vq, "--bitrate", bitrate, "-f").status == 0
        sizes.append(Path("song.ddcm").stat().st_size)
    assert sizes[0] != sizes[1]


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--codebook", "x"], "--codebook"),
        (["--rule", "soft"], "--rule"),
        (["--codec", "vq"], "--codebook"),
        (["--codec", "vq", "--codebook", "x", "--preset", "300"], "--preset"),
        (["--codec", "vq", "--codebook", "x", "--seed", "1"], "--seed"),
        (["--codec", "vq", "--codebook", "x", "--quality", "high"], "--quality"),
        (["--codec", "vq", "--codebook", "x", "--tag", "music"], "--tag"),
        (["--codec", "mp3"], "mp3"),
    ],
)
def test_options_that_do_not_go_together(fails, sound, engine, options, word):
    assert word in fails("compress", sound, *options, *engine, status=2)


@pytest.mark.parametrize(
    ("options", "word"),
    [(["--rule", "soft"], "one table"), (["--bitrate", "0"], "budget")],
)
def test_values_that_the_codebook_does_not_have(fails, sound, vq, options, word):
    assert word in fails("compress", sound, *vq, *options)


def test_a_codebook_that_is_not_there_or_is_none(fails, sound, engine):
    Path("bad.safetensors").write_bytes(b"no codebook")
    for name in ("missing.safetensors", "bad.safetensors"):
        assert name in fails("compress", sound, "--codec", "vq", "--codebook", name, *engine)


def test_decoding_without_the_codebook_names_it(noisebook, fails, sound, vq, engine):
    assert noisebook("compress", sound, *vq).status == 0
    fingerprint = json.loads(noisebook("info", "song.ddcm", "--json", *engine[:2]).text)["codebook"]
    assert fingerprint in fails("decompress", "song.ddcm", "back.wav", *engine)
