"""The whole program on an AudioLDM 2 in the layout of diffusers."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import noisebook as package
from noisebook import api
from noisebook.api.models import load_backend
from noisebook.audio.damage import clip, low_pass, silence
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform
from noisebook.codec.presets import DEFAULT, PRESETS
from noisebook.synthesis.reconstruction_presets import PRESETS as RECONSTRUCTIONS
from tests.family.conftest import LICENCE, noise

Report = Callable[..., dict[str, Any]]


@pytest.fixture
def engine(audioldm2_folder: Path) -> list[object]:
    return ["--model", audioldm2_folder, "--device", "cpu"]


@pytest.fixture
def run(noisebook, audioldm2_folder, load, monkeypatch) -> Report:
    """A command that must succeed; what it reports. The checkpoint is loaded once for all tests."""

    def loaded(model: str, **options: Any) -> Any:
        return load(audioldm2_folder) if model == str(audioldm2_folder) else load_backend(model, **options)

    monkeypatch.setattr(api, "load_backend", loaded)

    def ran(*words: object, model: Path = audioldm2_folder) -> dict[str, Any]:
        device = () if "info" in words or "--reset" in words else ("--device", "cpu")
        result = noisebook(*words, "--json", "--model", model, *device)
        assert result.status == 0, result
        return json.loads(result.text)

    return ran


# --- streams -----------------------------------------------------------------------------------------------------


def test_a_stream_in_one_process_and_its_sound_in_another(run, engine, sound):
    run("compress", sound, "-p", "300")
    run("decompress", "song.ddcm", "here.wav")
    path = filter(None, [str(Path(package.__file__).parents[1]), os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "noisebook", "decompress", "song.ddcm", "back.wav", *map(str, engine)]
    ran = subprocess.run(words, env=environment, capture_output=True, timeout=240, check=False, text=True)
    assert ran.returncode == 0, ran
    told = [line for line in ran.stderr.splitlines() if not line.startswith(LICENCE)]
    assert told == []  # neither bars nor remarks of the libraries
    np.testing.assert_allclose(read("back.wav").samples, read("here.wav").samples, atol=1e-4)


@pytest.mark.parametrize(
    ("count", "sample_rate", "channels"),
    [(1, 16000, 1), (5, 8000, 2), (28665, 22050, 2)],
)
def test_every_length_rate_and_number_of_channels_comes_back(run, count, sample_rate, channels):
    write("x.wav", Waveform(noise(2, channels=channels).samples[:, :count], sample_rate))
    run("compress", "x.wav", "-p", "8")
    run("decompress", "x.ddcm", "back.wav")
    back = read("back.wav")
    assert (back.samples.shape, back.sample_rate) == ((channels, count), sample_rate)
    assert np.isfinite(back.samples).all()
    assert run("info", "x.ddcm")["channel_mode"] == ("mono" if channels == 1 else "image")


@pytest.mark.parametrize("preset", [PRESETS[0].name, DEFAULT, PRESETS[-1].name])
def test_presets(run, preset):
    write("short.wav", noise(0.3))
    size = run("compress", "short.wav", "-p", preset)["bytes"]
    shown = run("info", "short.ddcm")
    assert (shown["preset"], shown["intact"], shown["channel_mode"]) == (preset, True, "mono")
    assert shown["file_bytes"] == size == Path("short.ddcm").stat().st_size
    assert run("decompress", "short.ddcm", "back.wav", "--tail-steps", 1)["duration"] == 0.3
    assert np.abs(read("back.wav").samples).max() > 1e-4


def test_a_bitrate_and_how_it_is_spread(run, sound):
    steps = {}
    for quality in ("fast", "high"):
        size = run("compress", sound, "-f", "-b", 2000, "-q", quality)["bytes"]
        assert size == pytest.approx(0.64 * 2000 / 8, abs=30)  # 0.64 s is 0.5 s in whole frames of the denoiser
        steps[quality] = run("info", "song.ddcm")["coded_steps"]
    assert steps["fast"] < steps["high"]


def test_the_licence_is_told_once(noisebook, engine, sound, empty_cache):
    first, second = (noisebook("compress", sound, "-f", "-p", "8", *engine) for _ in range(2))
    assert (first.status, second.status) == (0, 0)
    assert first.err.startswith(LICENCE)
    assert "CC BY-NC-SA" in first.err
    assert first.err.count("\n") == 1
    assert second.err == ""


def test_a_codebook_is_fitted_and_codes(run, noisebook, engine, sound, tiny_model):
    fitted = run("codebook", "fit", sound, "-o", "mine.safetensors", "--unit", "position", "--method", "kmeans",
                 "--size", 8)  # fmt: skip
    assert fitted["model"].startswith(run("codebook", "info", "mine.safetensors")["model"])
    run("compress", sound, "--codec", "vq", "--codebook", "mine.safetensors")
    assert run("info", "song.ddcm")["codec"] == "vq"
    run("decompress", "song.ddcm", "back.wav", "--codebook", "mine.safetensors")
    assert read("back.wav").samples.shape == read(sound).samples.shape
    other = noisebook("compress", sound, "x.ddcm", "--codec", "vq", "--codebook", "mine.safetensors", "--model",
                      tiny_model, "--device", "cpu")  # fmt: skip
    assert "fitted for autoencoder" in other.told()


# --- generation and transformation -------------------------------------------------------------------------------


def test_a_prompt_is_heard_and_a_seed_repeats_it(run):
    def made(name: str, *words: object) -> np.ndarray:
        report = run("generate", *words, name, "--seconds", 0.7, "--steps", 2)
        assert report["unknown_words"] == []
        return read(name).samples

    dog = made("dog.wav", "A dog barks", "--seed", 3)
    assert dog.shape == (1, 11200)
    np.testing.assert_array_equal(dog, made("again.wav", "A dog barks", "--seed", 3))
    assert not np.allclose(dog, made("piano.wav", "Solo piano", "--seed", 3), atol=1e-4)
    assert not np.allclose(dog, made("not.wav", "A dog barks", "--seed", 3, "--negative", "rain"), atol=1e-4)


def test_a_generated_stream_decodes_to_the_sound_itself(run):
    run("generate", "A dog barks", "dog.ddcm", "--seconds", 0.64, "--ddcm", 8, "--steps", 3, "--seed", 1, "--wav",
        "dog.wav")  # fmt: skip
    run("decompress", "dog.ddcm", "back.wav")
    assert Path("back.wav").read_bytes() == Path("dog.wav").read_bytes()


@pytest.mark.parametrize("method", ["input-based", "improved", "guided", "full-diffusion"])
def test_transformations(run, sound, method):
    told = run("transform", sound, "-p", "Solo piano", "-m", method, "--steps", 2, "-s", 0.6)
    changed = read(told["output"])
    assert changed.samples.shape == (1, 8000)
    assert not np.allclose(changed.samples, read(sound).samples, atol=1e-3)


# --- reconstruction and restoration ------------------------------------------------------------------------------


def test_every_reconstruction(run, sound):
    told = run("reconstruct", sound, "folder", "--all")
    assert {path.stem for path in Path("folder").iterdir()} == {f"song-{preset.name}" for preset in RECONSTRUCTIONS}
    assert all(read(path).samples.shape == (1, 8000) for path in Path("folder").iterdir())
    assert len(json.dumps(told)) > 100


@pytest.mark.parametrize(
    ("task", "damage", "told"),
    [
        ("inpaint", lambda sound: silence(sound, ((4800, 6400),)), {"gaps": [[0.3, 0.4]]}),
        ("bandwidth", lambda sound: low_pass(sound, 3000), {"cutoff": 3000}),
        (
            "declip",
            lambda sound: clip(Waveform(4 * sound.samples, 16000), 0.5),
            {"threshold": pytest.approx(0.5, abs=1e-3)},
        ),
    ],
    ids=["inpaint", "bandwidth", "declip"],
)
def test_restorations(run, task, damage, told):
    drawn = np.random.default_rng(1).normal(0, 0.1, (1, 12800)).astype(np.float32)
    write("bad.wav", damage(Waveform(drawn, 16000)))
    options = ("--cutoff", 3000) if task == "bandwidth" else ()
    report = run("restore", "bad.wav", "--task", task, "--steps", 2, "--prompt", "rain", *options)
    assert {name: report[name] for name in told} == told
    assert read("bad-restored.wav").samples.shape == (1, 12800)
    assert not np.array_equal(read("bad-restored.wav").samples, read("bad.wav").samples)


def test_a_restoration_as_a_stream(run):
    write("bad.wav", silence(Waveform(noise(0.8).samples, 16000), ((4800, 6400),)))
    run("restore", "bad.wav", "good.ddcm", "--task", "inpaint", "--ddcm", "-p", "300")
    run("decompress", "good.ddcm", "good.wav")
    assert read("good.wav").samples.shape == (1, 12800)


# --- calibration -------------------------------------------------------------------------------------------------


def test_calibration_changes_what_a_stream_means_and_can_be_taken_back(run, noisebook, audioldm2_folder, sound):
    model = Path(shutil.copytree(audioldm2_folder, "model"))
    run("compress", sound, "old.ddcm", "-p", "8", model=model)
    looked = run("calibrate", sound, "--dry-run", model=model)
    assert looked["stored"] is None
    calibrated = run("calibrate", sound, model=model)
    assert calibrated["stored"] == str(model / "noisebook-curve.json")
    assert calibrated["errors"] == looked["errors"] == sorted(looked["errors"])
    assert calibrated["errors_before"] != calibrated["errors"]
    assert calibrated["fingerprint"] != looked["fingerprint"]
    assert (
        calibrated["errors"][-1] <= 1
    )  # the weights are random, and the noise they predict has nothing to do with any

    told = noisebook("decompress", "old.ddcm", "x.wav", "--model", model, "--device", "cpu").told()
    assert looked["fingerprint"][:4] in told
    assert calibrated["fingerprint"][:4] in told
    run("compress", sound, "new.ddcm", "-p", "8", model=model)
    run("decompress", "new.ddcm", "new.wav", model=model)

    assert run("calibrate", "--reset", model=model)["fingerprint"] == looked["fingerprint"]
    assert not (model / "noisebook-curve.json").exists()
    run("decompress", "old.ddcm", "old.wav", model=model)
    assert noisebook("decompress", "new.ddcm", "y.wav", "--model", model, "--device", "cpu").status == 1


def test_calibration_with_the_sounds_of_the_package(run, monkeypatch, sound):
    monkeypatch.setattr("noisebook.cli.models.bundled_clips", lambda: {"sound": sound})
    assert len(run("calibrate", "--dry-run")["timesteps"]) == 20


@pytest.mark.parametrize("text", ['{"timesteps": [1, 0], "errors": [1, 2]}', "[1]"])
def test_a_damaged_curve_is_told_and_can_be_forgotten(run, noisebook, audioldm2_folder, sound, text):
    model = Path(shutil.copytree(audioldm2_folder, "model"))
    (model / "noisebook-curve.json").write_text(text)
    told = noisebook("compress", sound, "--model", model, "--device", "cpu").told()
    assert "noisebook-curve.json" in told
    assert "calibrate again" in told
    assert noisebook("doctor", "--model", model, "--device", "cpu").status == 1
    run("calibrate", "--reset", model=model)
    run("compress", sound, "-p", "8", model=model)


# --- the doctor --------------------------------------------------------------------------------------------------


def test_the_doctor_looks_at_every_part(noisebook, audioldm2_folder):
    ran = noisebook("doctor", "--model", audioldm2_folder, "--device", "cpu", "--json")
    assert ran.status == 0, ran
    checks = {check["name"]: check for check in json.loads(ran.text)["checks"]}
    assert {check["state"] for check in checks.values()} == {"ok"}
    assert {path.name for path in audioldm2_folder.iterdir() if path.is_dir()} < set(checks)
    assert "AudioLDM2Pipeline" in checks["model"]["detail"]
    assert "AudioLDM2UNet2DConditionModel" in checks["unet"]["detail"]
    assert "25 frames a second" in checks["latents"]["detail"]
    assert "GB free on cpu" in checks["memory"]["detail"]


def test_the_doctor_tells_the_curve_in_use(noisebook, audioldm2_folder):
    model = Path(shutil.copytree(audioldm2_folder, "model"))
    path = model / "noisebook-curve.json"

    def told() -> str:
        ran = noisebook("doctor", "--model", model, "--device", "cpu", "--json")
        return next(check for check in json.loads(ran.text)["checks"] if check["name"] == "error curve")["detail"]

    assert told().startswith("assumed, that of a typical denoiser")
    assert str(path) in told()
    path.write_text('{"timesteps": [0, 999], "errors": [0.1, 1.0]}')
    assert told() == f"measured, in {path}"
    path.write_text('{"timesteps": [0, 999], "errors": [0.1, 90.0]}')
    assert told() == f"measured, in {path}, by an older version: it exceeds 1; calibrate again"


def test_a_curve_that_cannot_be_kept_is_told(noisebook, audioldm2_folder, sound):
    model = Path(shutil.copytree(audioldm2_folder, "model"))
    (model / "noisebook-curve.json").mkdir()  # as unwritable as a folder that is read-only, for every user
    for words in ([sound, "--device", "cpu"], ["--reset"]):
        told = noisebook("calibrate", *words, "--model", model).told()
        assert "noisebook-curve.json cannot be" in told
        assert "make its folder writable" in told
