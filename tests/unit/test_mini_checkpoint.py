"""Weights on disk: what is saved comes back, and every damage has a name."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from noisebook.audio.features import BAND_FEATURES
from noisebook.backends.mini import MiniBackend
from noisebook.backends.mini_files import (
    FILES,
    count_parameters,
    describe,
    fingerprint,
    load_network,
    read_metadata,
    save_network,
)
from noisebook.diffusion.plan import Curve, scaled_linear
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig

SMALL = DenoiserConfig(dim=16, hidden=16, blocks=1, heads=2, tags=("a", "b"))


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_network(tmp_path / "net.safetensors", Denoiser(SMALL), {"steps": 7, "note": "ü"})
    return tmp_path / "net.safetensors"


def rewrite(path: Path, *, tensors=None, drop: str | None = None, **metadata: str) -> None:
    """Save the file anew with some tensors or metadata changed."""
    with safe_open(path, "pt") as file:
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        texts = dict(file.metadata())
    texts.update(metadata)
    if drop is not None:
        del texts[drop]
    path.unlink()
    save_file({**old, **(tensors or {})}, path, texts)


# --- one network -------------------------------------------------------------------------------------------------


def test_a_network_comes_back_as_its_float16_self(saved):
    torch.manual_seed(0)
    original = Denoiser(SMALL)
    network = load_network(saved, Denoiser, DenoiserConfig)
    assert network.config == SMALL  # the tuple of tags too
    assert not network.training
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert not value.requires_grad
        assert torch.equal(value, original.state_dict()[name].half().float()), name


def test_the_file_is_float16_with_its_metadata(saved):
    with safe_open(saved, "pt") as file:
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    metadata = read_metadata(saved)
    assert metadata["network"] == "Denoiser"
    assert json.loads(metadata["config"]) == {**asdict(SMALL), "tags": ["a", "b"]}
    assert json.loads(metadata["record"]) == {"steps": 7, "note": "ü"}
    assert count_parameters([saved]) == sum(p.numel() for p in Denoiser(SMALL).parameters())
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]  # nothing partial left


def test_saving_what_was_loaded_changes_nothing(saved, tmp_path):
    again = tmp_path / "again.safetensors"
    save_network(again, load(saved), {"steps": 7, "note": "ü"})
    assert read_metadata(again) == read_metadata(saved)
    first, second = load_file(saved), load_file(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def load(path: Path) -> torch.nn.Module:
    return load_network(path, Denoiser, DenoiserConfig)


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors: no such weights file"):
        load(tmp_path / "none.safetensors")
    with pytest.raises(ModelError, match="no such weights file"):
        load(tmp_path)  # a folder


def test_another_network(saved):
    with pytest.raises(ModelError, match="holds Denoiser, not BandVae"):
        load_network(saved, BandVae, BandVaeConfig)


def test_truncated_anywhere(saved):
    data = saved.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(data) // 2, len(data) - 1):
        saved.write_bytes(data[:size])
        with pytest.raises(ModelError):
            load(saved)


def test_not_safetensors(saved):
    saved.write_bytes(b"RIFF" + bytes(1000))
    with pytest.raises(ModelError, match="not a safetensors file"):
        load(saved)
    with pytest.raises(ModelError, match="not a safetensors file"):
        count_parameters([saved])


@pytest.mark.parametrize(
    "config",
    [
        {**asdict(SMALL), "colour": 3},
        {**asdict(SMALL), "dim": 32},
        {**asdict(SMALL), "blocks": 2},
        {**asdict(SMALL), "blocks": 0},
        {**asdict(SMALL), "dim": "wide"},
        {**asdict(SMALL), "dim": -1},
        {**asdict(SMALL), "tags": None},
        {},
        None,
    ],
    ids=str,
)
def test_a_config_that_does_not_fit(saved, config):
    rewrite(saved, config=json.dumps(config))
    with pytest.raises(ModelError, match="do not fit"):
        load(saved)


def test_unknown_config_keys_are_named(saved):
    rewrite(saved, config=json.dumps({**asdict(SMALL), "colour": 3}))
    with pytest.raises(ModelError, match="has no colour"):
        load(saved)


def test_metadata_that_is_missing_or_no_json(saved):
    rewrite(saved, config="{")
    with pytest.raises(ModelError, match="do not fit"):
        load(saved)
    rewrite(saved, drop="config")
    with pytest.raises(ModelError, match="do not fit"):
        load(saved)
    rewrite(saved, drop="network")
    with pytest.raises(ModelError, match="an unknown network"):
        load(saved)


def test_tensors_of_another_shape_or_name(saved):
    rewrite(saved, tensors={"output.weight": torch.zeros(3, 3)})
    with pytest.raises(ModelError, match=r"output\.weight"):
        load(saved)
    rewrite(saved, tensors={"output.weight": torch.zeros(128, 16), "extra": torch.zeros(1)})
    with pytest.raises(ModelError, match="extra"):
        load(saved)


# --- the two together --------------------------------------------------------------------------------------------


def test_info_of_the_model(bands):
    info = bands.info
    assert (info.sample_rate, info.features, info.frame_samples) == (48000, BAND_FEATURES, 1920)
    assert (info.latent_channels, info.latent_bins, info.frame_values) == (8, 16, 128)
    assert info.frames_per_second == 25
    assert info.tags == ("music", "speech", "effects")
    assert info.schedule == scaled_linear()
    assert info.curve == Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99))
    assert len(info.fingerprint) == 32


def test_backend_runs_end_to_end_in_its_documented_shapes(bands):
    waveform = 0.1 * torch.randn(2, 1920 * 5, generator=torch.Generator().manual_seed(0))
    features = bands.features(waveform)
    latent = bands.encode(features)
    assert features.shape == (2, 1, 20, 192)
    assert latent.shape == (2, 8, 5, 16)
    assert bands.denoise(latent, 500).shape == latent.shape
    assert bands.decode(latent).shape == features.shape
    assert bands.vocode(features).shape == waveform.shape
    assert not latent.requires_grad


def test_tags_are_checked_and_matter(bands):
    x = torch.randn(1, 8, 4, 16, generator=torch.Generator().manual_seed(0))
    assert not torch.equal(bands.denoise(x, 500, tag=1), bands.denoise(x, 500))
    for tag in (-1, 4):
        with pytest.raises(ConfigError, match=f"tag {tag}.*to 3"):
            bands.denoise(x, 500, tag=tag)


def test_bfloat16_is_close_and_float32_between(tiny_model, bands):
    half = MiniBackend(tiny_model, dtype=torch.bfloat16)
    x = torch.randn(1, 8, 8, 16, generator=torch.Generator().manual_seed(0))
    for name, argument in (("denoise", (x, 300)), ("decode", (x,)), ("encode", (bands.decode(x),))):
        exact, rough = getattr(bands, name)(*argument), getattr(half, name)(*argument)
        assert rough.dtype == torch.float32
        assert 0 < (rough - exact).norm() < 0.03 * exact.norm(), name
    assert half.vocode(bands.decode(x)).dtype == torch.float32


def test_unknown_device(tiny_model):
    with pytest.raises(ConfigError, match="device 'abacus'"):
        MiniBackend(tiny_model, device="abacus")


def test_fingerprint_is_of_vae_and_denoiser(copy):
    before = fingerprint(copy)
    assert MiniBackend(copy).info.fingerprint == before
    seen = {before}
    for name, key in ((FILES[0], "encoder_skip.bias"), (FILES[1], "output.bias")):
        with safe_open(copy / name, "pt") as file:
            changed = file.get_tensor(key) + 1
        rewrite(copy / name, tensors={key: changed})
        seen.add(fingerprint(copy))
        assert MiniBackend(copy).info.fingerprint == fingerprint(copy)
    assert len(seen) == 3


@pytest.mark.parametrize("name", FILES)
def test_each_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ModelError, match=name.replace(".", r"\.")):
        MiniBackend(copy)


def test_fingerprint_of_nothing(tmp_path):
    with pytest.raises(ModelError, match="a mini model is a folder with"):
        fingerprint(tmp_path)


@pytest.mark.parametrize(
    "record",
    [
        "{}",
        "[]",
        "{",
        "null",
        '{"curve": 3}',
        '{"curve": {"timesteps": [0]}}',
        '{"curve": {"timesteps": [0], "errors": [0]}}',
    ],
)
def test_a_denoiser_without_a_usable_curve(copy, record):
    rewrite(copy / FILES[1], record=record)
    with pytest.raises(ModelError, match="error curve"):
        MiniBackend(copy)


def test_files_of_different_models(copy):
    tiny = dict(dim=32, hidden=32)
    wrong = [
        (FILES[1], Denoiser(DenoiserConfig(latent_bins=8, heads=2, blocks=1, **tiny))),
        (FILES[0], BandVae(BandVaeConfig(latent_channels=4, **tiny))),
        (FILES[0], BandVae(BandVaeConfig(bands=80, **tiny))),  # fits the denoiser, and not the front end
    ]
    for name, network in wrong:
        kept = (copy / name).read_bytes()
        save_network(copy / name, network, {"curve": {"timesteps": [0], "errors": [1.0]}})
        with pytest.raises(ModelError, match="different shapes"):
            MiniBackend(copy)
        (copy / name).write_bytes(kept)


def test_a_model_of_mels_is_refused_by_the_version_that_reads_it(copy):
    rewrite(copy / FILES[0], network="MelVae")
    with pytest.raises(ModelError, match=r"mels at 16 kHz, which noisebook 0\.1 reads"):
        MiniBackend(copy)


def test_describe(tiny_model):
    described = describe(tiny_model)
    assert tuple(described) == FILES
    assert described[FILES[0]]["config"]["dim"] == 32
    assert "curve" in described[FILES[1]]["record"]


def test_the_backend_turns_v_into_an_estimate_of_clean_data(bands):
    x = torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(0))
    alpha = bands.info.schedule.alpha(999)
    estimate = bands.denoise(x, 999)
    v = (np.sqrt(alpha) * x - estimate) / np.sqrt(1 - alpha)
    raw = bands._denoiser(x, torch.tensor([999]), torch.tensor([0]))
    torch.testing.assert_close(v.float(), raw, rtol=0, atol=1e-4)
