"""Broken checkpoints and missing libraries: one line that says what is wrong and what to do, and the doctor's too."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from noisebook.api.models import load_backend
from noisebook.audio.io import write
from noisebook.errors import MissingExtra, ModelError
from tests.checkpoints.damage import KINDS, damage
from tests.family.conftest import LICENCE, noise

# What the message of each kind of damage to a part has to say: the part or file, and what to do.
TOLD = {
    "missing folder": ("there are mini", "a folder"),
    "empty folder": ("holds no model", "model_index.json"),
    "file": ("is a file", "give the folder"),
    "other pipeline": ("StableDiffusionPipeline", "noisebook knows AudioLDM2Pipeline"),
    "other class": ("PART is a UNet1DModel", "noisebook knows"),
    "no index": ("holds no model", "model_index.json"),
    "no part": ("has no PART", "download it whole"),
    "no config": ("PART has no config.json", "not all of it"),
    "broken json": ("config.json cannot be read", "download it again"),
    "other shape": ("PART", "download it again"),
    "lost tensor": ("PART", "do not fit its configuration", "download it again"),
    "pickle": ("PART has its weights only as", "a pickle can run code", "convert it"),
    "truncated": ("PART", ".safetensors is damaged or not whole", "download it again"),
    "unfinished": ("PART has no .safetensors weights", "download it again"),
    "absent shards": ("has no", "-of-00002.safetensors", "download it whole"),
}
WHOLE = ("missing folder", "empty folder", "file", "other pipeline", "no index")  # about no part


@pytest.fixture
def model(audioldm2_folder: Path) -> Path:
    return Path(shutil.copytree(audioldm2_folder, "model"))


def assert_told(message: str, kind: str, part: str) -> None:
    for words in TOLD[kind]:
        assert words.replace("PART", part) in message, message


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_says_in_one_line_what_is_wrong(noisebook, model, kind):
    write("x.wav", noise(0.1))
    damage(model, kind)
    ran = noisebook("compress", "x.wav", "--model", model, "--device", "cpu")
    lines = [line for line in ran.err.splitlines(keepends=True) if not line.startswith(LICENCE)]
    assert_told(ran._replace(err="".join(lines)).told(), kind, "unet")
    assert not Path("x.ddcm").exists()


@pytest.mark.parametrize("part", ["vae", "vocoder", "language_model"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in WHOLE])
def test_every_part_says_what_is_wrong_with_it(model, kind, part):
    damage(model, kind, part=part)
    with pytest.raises(ModelError) as refused:
        load_backend(str(model), device="cpu").networks(part)
    assert_told(str(refused.value), kind, part)


@pytest.mark.parametrize("kind", KINDS)
def test_the_doctor_finds_it(noisebook, model, kind):
    damage(model, kind)
    ran = noisebook("doctor", "--model", model, "--device", "cpu", "--json")
    assert (ran.status, ran.err) == (1, "")
    failed = [check for check in json.loads(ran.text)["checks"] if check["state"] == "failed"]
    assert [check["name"] for check in failed] == ["model" if kind in WHOLE else "unet"]
    assert_told(failed[0]["detail"], kind, "unet")


def test_the_doctor_finds_a_broken_scheduler(noisebook, model):
    path = model / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "beta_schedule": "sigmoid"}))
    ran = noisebook("doctor", "--model", model, "--device", "cpu")
    assert ran.status == 1
    assert "sigmoid" in ran.text
    assert "scaled_linear and linear" in ran.text


def test_the_doctor_never_raises(noisebook, model):
    """Not even where the model index itself leaves out what coding needs."""
    index = json.loads((model / "model_index.json").read_text())
    (model / "scheduler" / "scheduler_config.json").write_text("{")
    ran = noisebook("doctor", "--model", model, "--device", "cpu")
    assert ran.status == 1
    assert "failed  scheduler" in ran.text
    del index["scheduler"]
    shutil.rmtree(model / "scheduler")
    (model / "model_index.json").write_text(json.dumps(index))
    ran = noisebook("doctor", "--model", model, "--device", "cpu")
    assert ran.status == 1
    assert "model_index.json names no scheduler" in ran.text


def test_a_vae_of_another_mel(model):
    path = model / "vocoder" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "sampling_rate": 32000}))
    with pytest.raises(ModelError, match="32000 Hz with hop 160"):
        load_backend(str(model), device="cpu")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"prediction_type": "flow"}, "predicts 'flow'"),
        ({"trained_betas": [0.1, 0.2]}, "betas of its own"),
        ({"rescale_betas_zero_snr": True}, "betas of its own"),
        ({"beta_start": "small"}, "download it again"),
        ({"beta_start": -1.0}, "download it again"),
        ({"num_train_timesteps": 1}, "download it again"),
    ],
)
def test_a_schedule_that_is_unknown(model, change, told):
    path = model / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelError, match=told):
        load_backend(str(model), device="cpu")


def test_weights_of_a_variant_alone_are_taken(model, load, audioldm2_folder):
    """As a download with variant="fp16" leaves them; another file, and so another model."""
    path = model / "unet" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_name("diffusion_pytorch_model.fp16.safetensors"))
    backend = load_backend(str(model), device="cpu")
    assert backend.networks("unet") is not None
    assert backend.info.fingerprint == load(audioldm2_folder).info.fingerprint  # these have the same contents


# --- names -------------------------------------------------------------------------------------------------------


def test_a_name_that_is_none(noisebook):
    write("x.wav", noise(0.1))
    told = noisebook("compress", "x.wav", "--model", "audioldm3", "--device", "cpu").told()
    assert "there are mini, audioldm2, audioldm2-large, audioldm2-music" in told


def test_a_repository_that_is_not_here_offline(noisebook):
    write("x.wav", noise(0.1))
    told = noisebook("compress", "x.wav", "--model", "nobody/nothing", "--offline", "--device", "cpu").told()
    assert "nobody/nothing is not on this machine" in told
    assert "hf download nobody/nothing" in told


def test_a_repository_without_a_network(noisebook, monkeypatch):
    import huggingface_hub

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    write("x.wav", noise(0.1))
    told = noisebook("compress", "x.wav", "--model", "nobody/nothing", "--device", "cpu").told()
    assert "no route to host" in told
    assert "give the folder" in told


# --- parts that load, and do not fit each other ---------------------------------------------------------------------


def widen_a_text_encoder(model: Path) -> None:
    """Its vectors have twice as many values as the part behind it takes: each file is whole."""
    from transformers import T5Config, T5EncoderModel

    config = json.loads((model / "text_encoder_2" / "config.json").read_text())
    T5EncoderModel(T5Config(**{**config, "d_model": 2 * config["d_model"]})).save_pretrained(model / "text_encoder_2")


def test_the_doctor_runs_every_part(noisebook, model, empty_cache):
    ran = noisebook("doctor", "--model", model, "--device", "cpu")
    assert ran.status == 0
    assert all("licensed" in line for line in ran.err.splitlines())  # said once in a process
    assert "forward pass      encoder, denoiser with a prompt, decoder, vocoder: finite" in ran.text
    widen_a_text_encoder(model)
    ran = noisebook("doctor", "--model", model, "--device", "cpu", "--json")
    checks = json.loads(ran.text)["checks"]
    assert ran.status == 1
    assert [check["name"] for check in checks if check["state"] == "failed"] == ["forward pass"]
    assert "after encoder: ModelError: the text encoder cannot compute what it is given" in checks[-1]["detail"]


def test_parts_that_do_not_fit_are_an_error_and_no_trace(noisebook, model, empty_cache):
    widen_a_text_encoder(model)
    write("x.wav", noise(0.5))
    ran = noisebook("compress", "x.wav", "-q", "fast", "--model", model, "--device", "cpu")
    told = ran.err.splitlines()[-1]  # behind the notice of the licence
    assert ran.status == 1
    assert told.startswith("noisebook: the text encoder cannot compute what it is given")
    assert told.endswith("noisebook doctor --model tells which parts do")


# --- libraries ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["diffusers", "transformers"])
def test_a_library_that_is_not_installed(noisebook, model, monkeypatch, library):
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=rf"needs {library}: pip install 'noisebook\[audioldm2\]'"):
        load_backend(str(model), device="cpu").networks("vae")
    write("x.wav", noise(0.1))
    assert "noisebook[audioldm2]" in noisebook("compress", "x.wav", "--model", model, "--device", "cpu").told()
    ran = noisebook("doctor", "--model", model, "--device", "cpu")
    assert ran.status == 1
    assert "noisebook[audioldm2]" in ran.text


def test_the_hubs_library_that_is_not_installed(noisebook, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    write("x.wav", noise(0.1))
    told = noisebook("compress", "x.wav", "--model", "nobody/nothing", "--device", "cpu").told()
    assert "needs huggingface_hub: pip install 'noisebook[audioldm2]'" in told


# --- the doctor and the empty prompt -----------------------------------------------------------------------------


def test_the_doctor_knows_that_coding_needs_the_empty_prompt_once(noisebook, model, empty_cache):
    def checks() -> tuple[int, dict[str, dict[str, str]]]:
        ran = noisebook("doctor", "--model", model, "--device", "cpu", "--json")
        return ran.status, {check["name"]: check for check in json.loads(ran.text)["checks"]}

    assert checks()[1]["empty prompt"]["detail"] == "made at the first use"
    whole = Path(shutil.copytree(model, "whole"))
    shutil.rmtree(model / "text_encoder_2")
    shutil.rmtree(model / "feature_extractor")
    status, found = checks()
    assert status == 1
    assert (found["text_encoder_2"]["state"], found["feature_extractor"]["state"]) == ("missing", "missing")
    assert "only prompts need it" in found["text_encoder_2"]["detail"]
    assert "not needed" in found["feature_extractor"]["detail"]
    assert found["empty prompt"]["state"] == "failed"
    assert "text_encoder_2 to make it are missing" in found["empty prompt"]["detail"]

    load_backend(str(whole), device="cpu").condition("")  # the same weights: known from now on
    status, found = checks()
    assert (status, found["empty prompt"]["state"]) == (0, "ok")
