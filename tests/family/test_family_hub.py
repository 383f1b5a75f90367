"""Checkpoints by their name on a hub: what is fetched and when, and what is kept where. The hub here is a folder."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace

import pytest

from noisebook import api
from noisebook.api.models import load_backend
from noisebook.audio.io import write
from noisebook.errors import ModelError
from tests.checkpoints.damage import damage
from tests.family.conftest import noise

CODING = {"vae", "unet", "scheduler", "vocoder"}
NAME = "someone/audioldm2"


class Hub:
    """A repository, and the snapshots of it that were downloaded."""

    def __init__(self, repository: Path, snapshot: Path) -> None:
        self.repository, self.snapshot = repository, snapshot
        self.fetched: list[str] = []

    def snapshot_download(self, hub_id: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        assert hub_id == NAME
        if not local_files_only:
            names = [str(path.relative_to(self.repository)) for path in self.repository.rglob("*") if path.is_file()]
            for name in names:
                if any(fnmatch(name, pattern) for pattern in allow_patterns) and not (self.snapshot / name).exists():
                    self.fetched.append(name)
                    (self.snapshot / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(self.repository / name, self.snapshot / name)
        elif not self.snapshot.is_dir():
            raise FileNotFoundError("no snapshot")
        return str(self.snapshot)

    def model_info(self, hub_id: str, *, files_metadata: bool) -> SimpleNamespace:
        assert (hub_id, files_metadata) == (NAME, True)
        paths = [path for path in self.repository.rglob("*") if path.is_file()]
        sizes = {str(path.relative_to(self.repository)): path.stat().st_size for path in paths}
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name, size=size) for name, size in sizes.items()])

    def parts(self) -> set[str]:
        """Whose files were fetched since this was asked last."""
        names, self.fetched = self.fetched, []
        return {name.partition("/")[0] for name in names if "/" in name}


@pytest.fixture
def hub(audioldm2_folder: Path, tmp_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(Path(shutil.copytree(audioldm2_folder, tmp_path / "repository")), tmp_path / "snapshot")
    monkeypatch.setattr("huggingface_hub.snapshot_download", made.snapshot_download)
    monkeypatch.setattr("huggingface_hub.model_info", made.model_info)
    return made


@pytest.fixture
def load_it() -> Callable[..., object]:
    return lambda **options: load_backend(NAME, device="cpu", **options)


def test_parts_are_fetched_when_they_are_needed(hub, load_it):
    (hub.repository / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    backend = load_it()
    assert hub.parts() == CODING
    backend.denoise(next(iter(backend.networks("vae").parameters())).new_zeros(1, 8, 8, 16), 500)
    assert hub.parts() == {"text_encoder", "text_encoder_2", "projection_model", "language_model", "tokenizer",
                           "tokenizer_2"}  # fmt: skip
    assert load_it(offline=True).info == backend.info
    assert not list(hub.snapshot.rglob("*.bin"))


def test_the_size_of_a_download_is_told_before_it(hub, load_it, caplog):
    with (hub.repository / "unet" / "diffusion_pytorch_model.fp16.safetensors").open("wb") as file:
        file.truncate(50_000_000)  # of zeros, which hardly take room
    (hub.repository / "unet" / "diffusion_pytorch_model.bin").write_bytes(bytes(20_000_000))  # not fetched
    with caplog.at_level(logging.WARNING, logger="noisebook"):
        load_it()
        assert f"{NAME}: 0.05 GB of vae, unet, scheduler, vocoder are downloaded, once" in caplog.text
        caplog.clear()
        load_it()
        assert "downloaded" not in caplog.text


def test_an_interrupted_download_goes_on(hub, load_it):
    load_it()
    (weights,) = (hub.snapshot / "unet").glob("*.safetensors")
    weights.unlink()
    with pytest.raises(ModelError, match=r"unet has no .safetensors weights; download it again"):
        load_it(offline=True)
    hub.parts()
    load_it()
    assert hub.parts() == {"unet"}


def test_a_repository_of_pickles_is_told_as_one(hub, load_it):
    damage(hub.repository, "pickle")
    with pytest.raises(ModelError, match=rf"{NAME} has none for unet; a pickle can run code.* convert it"):
        load_it()


def test_a_calibration_is_kept_in_the_cache_and_not_in_the_download(hub, load_it, noisebook, empty_cache):
    write("x.wav", noise(0.2))
    ran = noisebook("calibrate", "x.wav", "--model", NAME, "--device", "cpu", "--json")
    assert ran.status == 0, ran
    stored = Path(json.loads(ran.text)["stored"])
    assert empty_cache in stored.parents
    assert not list(hub.snapshot.rglob("noisebook-*"))
    assert load_it().info.fingerprint.hex() == json.loads(ran.text)["fingerprint"]
    assert noisebook("calibrate", "--reset", "--model", NAME).status == 0
    assert not stored.exists()


def test_the_doctor_downloads_nothing(hub, load_it, noisebook):
    ran = noisebook("doctor", "--model", NAME, "--device", "cpu")
    assert ran.status == 1
    assert f"{NAME} is not on this machine" in ran.text
    load_it()
    hub.parts()
    ran = noisebook("doctor", "--model", NAME, "--device", "cpu")
    assert hub.parts() == set()
    assert ran.status == 1
    assert "coding needs it once" in ran.text  # the empty prompt's parts were not fetched yet


def test_info_of_a_stream_downloads_nothing(hub, load_it, noisebook):
    Path("x.ddcm").write_bytes(api.compress(noise(0.1), backend=load_it(), preset="8"))
    shutil.rmtree(hub.snapshot)
    hub.parts()
    assert "not on this machine" in noisebook("info", "x.ddcm", "--model", NAME).told()
    assert hub.parts() == set()
