"""models and doctor, with a small model in the place of the embedded one."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from noisebook.benchmark import doctor


@pytest.fixture
def embedded(tiny_model, monkeypatch):
    from noisebook.backends import mini_files as mini

    monkeypatch.setattr(mini, "WEIGHTS", tiny_model)
    return tiny_model


@pytest.fixture
def no_model(tmp_path, monkeypatch):
    from noisebook.backends import mini_files as mini

    monkeypatch.setattr(mini, "WEIGHTS", tmp_path / "nothing")


def test_models(noisebook, embedded):
    from noisebook.backends.mini_files import fingerprint

    ran = noisebook("models")
    assert (ran.status, ran.err) == (0, "")
    first, *files = ran.text.splitlines()
    own = fingerprint(embedded).hex()
    assert first.startswith(f"mini: stream id {own[:4]}, {own[:16]}, 0.")
    assert first.endswith(f"inside the package, {embedded}")
    assert [line.split(":")[0] for line in files] == ["  vae.safetensors", "  denoiser.safetensors"]
    assert all(line.endswith(": no training record") for line in files)


def test_the_stream_id_is_what_info_shows(noisebook, embedded, stream):
    (row,) = json.loads(noisebook("models", "--json").out)["models"]
    assert row["fingerprint"].startswith(json.loads(noisebook("info", stream, "--json").out)["model"])
    assert row["parameters"] > 1000


def test_a_stream_finds_the_model_that_made_it(noisebook, embedded, other_model, sound, tmp_path, monkeypatch):
    monkeypatch.setenv("NOISEBOOK_MODELS", str(tmp_path / "models"))
    assert noisebook("compress", sound, "a.ddcm", "--model", other_model, "--device", "cpu").status == 0
    assert noisebook("compress", sound, "b.ddcm", "--device", "cpu").status == 0
    told = noisebook("decompress", "a.ddcm", "--device", "cpu").told()
    assert "which is not here" in told
    assert told.startswith("a.ddcm: ")
    shown = noisebook("info", "a.ddcm", "--json")
    assert json.loads(shown.out)["intact"] is None
    assert "only the header can be read: the stream was made with" in shown.err

    ran = noisebook("models", "--install", other_model, "--json")
    name = json.loads(ran.out)["models"][1]["name"]
    assert ran.err == f"noisebook: {name} is in {json.loads(ran.out)['models'][1]['folder']} (your folder of models)\n"
    ran = noisebook("decompress", "a.ddcm", "b.ddcm", "-o", "back/", "--device", "cpu")
    assert (ran.status, ran.err) == (0, "")
    assert noisebook("decompress", "a.ddcm", "given.wav", "--model", other_model, "--device", "cpu").status == 0
    assert Path("back/a.wav").read_bytes() == Path("given.wav").read_bytes()
    assert json.loads(noisebook("info", "a.ddcm", "--json").out)["intact"] is True
    assert noisebook("verify", sound, "a.ddcm", "--device", "cpu", "--metrics", "mel_db_mae").status == 0
    assert "made with" in noisebook("decompress", "a.ddcm", "no.wav", "--model", "mini", "--device", "cpu").told()
    assert noisebook("compress", sound, "c.ddcm", "--model", name, "--device", "cpu").status == 0
    assert Path("c.ddcm").read_bytes() == Path("a.ddcm").read_bytes()


def test_what_cannot_be_installed(fails, embedded):
    assert "holds no model" in fails("models", "--install", ".")
    assert "no folder" in fails("models", "--install", "nowhere")


def test_training_records_are_shown(noisebook, tiny_model, tmp_path, monkeypatch):
    from noisebook.backends import mini_files
    from noisebook.backends.mini_files import load_network, save_network
    from noisebook.networks.band_vae import BandVae, BandVaeConfig

    folder = Path(shutil.copytree(tiny_model, tmp_path / "trained"))
    network = load_network(folder / "vae.safetensors", BandVae, BandVaeConfig)
    save_network(folder / "vae.safetensors", network, {"minutes": 89.7, "steps": 1200, "data_hours": 3.14159})
    monkeypatch.setattr(mini_files, "WEIGHTS", folder)
    assert "  vae.safetensors: 90 minutes, 1200 steps, 3.1 h of audio\n" in noisebook("models").text


def test_models_without_a_model(noisebook, no_model):
    assert "vae.safetensors" in noisebook("models").told()


def test_doctor_is_content(noisebook, embedded):
    ran = noisebook("doctor")
    assert (ran.status, ran.err) == (0, "")
    states = {line[8:26].strip(): line[:8].strip() for line in ran.text.splitlines()}
    needed = ("python", "libraries", "torch", "embedded model", "round trip")
    assert {states[name] for name in needed} == {"ok"}
    assert "failed" not in states.values()
    assert "\x1b" not in ran.text  # no colours outside a terminal


def test_doctor_names_what_fails(noisebook, no_model):
    ran = noisebook("doctor", "--json")
    assert (ran.status, ran.err) == (1, "")
    checks = {check["name"]: check for check in json.loads(ran.out)["checks"]}
    assert checks["python"]["state"] == "ok"
    assert checks["round trip"]["state"] == "failed"
    assert checks["embedded model"]["detail"].startswith("ModelError: ")


def test_doctor_survives_any_failure(monkeypatch):
    monkeypatch.setattr("torch.get_num_threads", lambda: 1 / 0)
    checks = {check.name: check for check in doctor.diagnose()}
    assert checks["torch"] == doctor.Check("torch", "failed", "ZeroDivisionError: division by zero")


def test_doctor_notices_a_codec_that_returns_nonsense(embedded, monkeypatch):
    from noisebook.audio.waveform import Waveform

    monkeypatch.setattr("noisebook.api.decompress", lambda *_, **__: Waveform.of([0.0, 0.0], 16000))
    checks = {check.name: check for check in doctor.diagnose()}
    assert checks["round trip"].state == "failed"
    assert "(1, 2)" in checks["round trip"].detail


def test_doctor_says_what_optional_parts_are_for(monkeypatch):
    def nothing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", nothing)
    monkeypatch.setattr(doctor, "distributions", lambda name: ())
    monkeypatch.setenv("PATH", "")
    checks = {check.name: check for check in doctor.diagnose()}
    assert checks["ffmpeg"].state == checks["matplotlib"].state == "missing"
    assert checks["matplotlib"].detail == "figures: pip install 'noisebook[plot]'"
    assert checks["libraries"].state == "failed"


def test_doctor_runs_every_part_of_a_mini_model(noisebook, tiny_model, monkeypatch):
    from noisebook.backends.mini import MiniBackend

    assert "forward pass" in noisebook("doctor", "--model", tiny_model, "--device", "cpu").text
    monkeypatch.setattr(MiniBackend, "vocode", lambda self, bands: bands[:, 0, :, 0] / 0)
    ran = noisebook("doctor", "--model", tiny_model, "--device", "cpu")
    assert ran.status == 1
    assert ran.text.splitlines()[-1].endswith("vocoder: the output is not finite")
