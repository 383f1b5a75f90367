"""models and doctor, with a small model in the place of the embedded one."""

from __future__ import annotations

import json

import pytest

from noisebook import diagnosis


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
    from noisebook.backends.mini import fingerprint

    ran = noisebook("models")
    assert (ran.status, ran.err) == (0, "")
    first, *files = ran.text.splitlines()
    assert first.startswith(f"mini: stream id {fingerprint(embedded).hex()[:4]}, 0.")
    assert first.endswith(str(embedded))
    assert [line.split(":")[0] for line in files] == [
        "  vae.safetensors",
        "  denoiser.safetensors",
        "  vocoder.safetensors",
    ]
    assert all(line.endswith(": no training record") for line in files)


def test_the_stream_id_is_what_info_shows(noisebook, embedded, stream):
    (row,) = json.loads(noisebook("models", "--json").out)["models"]
    assert row["fingerprint"].startswith(json.loads(noisebook("info", stream, "--json").out)["model"])
    assert row["parameters"] > 1000


def test_training_records_are_shown():
    from noisebook.cli.machine import _training

    record = {"minutes": 89.7, "steps": 1200, "data_hours": 3.14159, "curve": {}}
    assert _training(record) == "90 minutes, 1200 steps, 3.1 h of audio"


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
    monkeypatch.setattr(diagnosis, "_torch", lambda: 1 / 0)
    checks = {check.name: check for check in diagnosis.diagnose()}
    assert checks["torch"] == diagnosis.Check("torch", "failed", "ZeroDivisionError: division by zero")


def test_doctor_notices_a_codec_that_returns_nonsense(embedded, monkeypatch):
    from noisebook.audio.waveform import Waveform

    monkeypatch.setattr("noisebook.api.decompress", lambda *_, **__: Waveform.of([0.0, 0.0], 16000))
    checks = {check.name: check for check in diagnosis.diagnose()}
    assert checks["round trip"].state == "failed"
    assert "(1, 2)" in checks["round trip"].detail


def test_doctor_says_what_optional_parts_are_for(monkeypatch):
    def nothing(name: str) -> str:
        raise diagnosis.PackageNotFoundError(name)

    monkeypatch.setattr(diagnosis, "version", nothing)
    monkeypatch.setenv("PATH", "")
    checks = {check.name: check for check in diagnosis.diagnose()}
    assert checks["ffmpeg"].state == checks["matplotlib"].state == "missing"
    assert checks["matplotlib"].detail == "figures: pip install 'noisebook[plot]'"
    assert checks["libraries"].state == "failed"


def test_doctor_runs_every_part_of_a_mini_model(noisebook, tiny_model, monkeypatch):
    from noisebook.networks.vocoder import Vocoder

    assert "forward pass" in noisebook("doctor", "--model", tiny_model, "--device", "cpu").text
    monkeypatch.setattr(Vocoder, "forward", lambda self, mel: mel[:, 0, :, 0] / 0)
    ran = noisebook("doctor", "--model", tiny_model, "--device", "cpu")
    assert ran.status == 1
    assert ran.text.splitlines()[-1].endswith("vocoder: the output is not finite")
