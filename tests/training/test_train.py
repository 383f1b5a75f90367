"""The whole training of a model of bands, for seconds: it steps, resumes, and what it makes is a model."""

from __future__ import annotations

import json
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from noisebook import api
from noisebook.audio.bands import log_bands
from noisebook.errors import ConfigError
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import DenoiserConfig
from training import train
from training.basis import begin_with_basis
from training.codec_stage import Rates
from training.sounds import Sounds


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, rng = tmp_path_factory.mktemp("sounds"), np.random.default_rng(0)
    seconds = np.arange(3 * 48_000) / 48_000
    for kind, pitch in (("music", 220), ("speech", 130), ("sfx", 700)):
        sound = 0.3 * np.sin(2 * np.pi * pitch * seconds) + 0.02 * rng.standard_normal(len(seconds))
        soundfile.write(folder / f"{kind}__made__tone-000.flac", sound, 48_000)
    return folder


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks of the model, narrower and of fewer blocks."""
    vae = partial(BandVaeConfig, dim=128, hidden=32, encoder_blocks=1, decoder_blocks=1)
    monkeypatch.setattr(train, "BandVaeConfig", vae)
    monkeypatch.setattr(train, "DenoiserConfig", partial(DenoiserConfig, dim=128, hidden=32, blocks=1, heads=2))


@pytest.mark.usefixtures("_small")
def test_a_dry_run_takes_two_steps_and_writes_nothing(sounds, tmp_path, capsys) -> None:
    train.main([str(sounds), str(tmp_path / "run"), "--dry-run", "--clips", "2", "--threads", "1"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    assert {"rate", "v", "band_db", "slopes"} <= set(rows[0])
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("_small")
def test_what_comes_out_is_a_model_and_a_second_run_goes_on(sounds, tmp_path) -> None:
    run = tmp_path / "run"
    arguments = [str(sounds), str(run), "--clips", "2", "--threads", "1", "--part-mib", "1"]
    train.main([*arguments, "--minutes", "0.0001"])  # one step
    first = torch.load(run / "codec.pt", weights_only=True)
    assert first["steps"] == 1
    backend = api.load_backend(str(run / "model"), device="cpu")
    assert backend.info.sample_rate == 48_000
    tone = (0.2 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000)).astype(np.float32)
    data = api.compress(tone, sample_rate=48_000, backend=backend, preset="300")
    back = api.decompress(data, backend=backend)
    assert back.samples.shape == (1, 48_000)
    assert np.isfinite(back.samples).all()

    parts = sorted(run.glob("model.tar.*"))
    assert len(parts) > 1
    assert all(part.stat().st_size <= 2**20 for part in parts)
    (tmp_path / "model.tar").write_bytes(b"".join(part.read_bytes() for part in parts))
    with tarfile.open(tmp_path / "model.tar") as archive:
        names = archive.getnames()
    assert {"model/vae.safetensors", "model/denoiser.safetensors"} <= set(names)

    train.main([*arguments, "--minutes", str(first["elapsed"] + 0.001)])
    again = torch.load(run / "codec.pt", weights_only=True)
    assert again["steps"] > 1
    assert again["elapsed"] > first["elapsed"]


def test_a_new_autoencoder_begins_with_what_a_linear_transform_can_do(sounds) -> None:
    torch.manual_seed(0)
    vae, loader = BandVae(BandVaeConfig()), Sounds(sounds, "cpu", [0], synthetic=0.0)
    begin_with_basis(vae, loader)
    bands = log_bands(Sounds(sounds, "cpu", [1], synthetic=0.0).batch(6, 128 * 480)[0])
    with torch.no_grad():
        latent = vae.encode(bands)
        error = (vae.decode(latent) - bands).abs().mean()
    assert 0.7 < float(latent.std()) < 1.5  # another batch than the one it was scaled by
    assert float(error) < 0.35  # 3 dB, of three tones in noise
    assert float(error) < 0.5 * float((bands - bands.mean((0, 2), keepdim=True)).abs().mean())


def test_batches_have_levels_and_kinds(sounds) -> None:
    loader = Sounds(sounds, "cpu", [0], synthetic=0.0)
    waveform, kinds = loader.batch(64, 4800)
    assert waveform.shape == (64, 4800)
    assert float(waveform.abs().max()) <= 0.5 + 1e-6
    assert set(kinds.tolist()) == {0, 1, 2}
    again, _ = Sounds(sounds, "cpu", [0], synthetic=0.0).batch(64, 4800)
    assert torch.equal(waveform, again)
    assert not torch.equal(waveform, Sounds(sounds, "cpu", [1], synthetic=0.0).batch(64, 4800)[0])


def test_an_empty_folder_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no sound files"):
        Sounds(tmp_path, "cpu", [0], synthetic=0.0)


def test_rates_rise_towards_the_clean_end_and_follow_what_is_seen() -> None:
    rates = Rates("cpu")
    rng = np.random.default_rng(0)
    coded = rates.timesteps(4000, 0, rng)
    assert coded.max() < 1000
    assert rates.weights.min() >= 0
    for _ in range(400):  # a denoiser that knows everything but in the noisiest third
        t = torch.arange(1000)
        rates.seen(t, torch.where(t > 666, 0.9, 0.05))
    moved = rates.timesteps(4000, 0, rng)
    assert np.median(moved) != pytest.approx(np.median(coded), abs=20)
