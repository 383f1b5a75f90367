"""Fixtures shared by all kinds of tests: a real mini model with small random weights, and synthetic sounds."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

settings.register_profile("steady", deadline=None)  # a busy machine is no failure
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Neither models that are installed nor what is remembered; in processes that tests start too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MODELS", "CACHE"):
            patch.setenv(f"NOISEBOOK_{name}", str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a mini model: every layer real and small, weights random."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"), seed=0)


@pytest.fixture(scope="session")
def other_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("other"), seed=1)


def make_tiny_model(folder: Path, *, seed: int) -> Path:
    import torch

    from noisebook.networks.band_vae import BandVae, BandVaeConfig
    from noisebook.networks.denoiser import Denoiser, DenoiserConfig

    torch.manual_seed(seed)
    return stored_model(
        folder,
        BandVae(BandVaeConfig(dim=32, hidden=32, encoder_blocks=1, decoder_blocks=1)),
        Denoiser(DenoiserConfig(dim=32, hidden=32, blocks=1, heads=2)),
    )


def stored_model(folder: Path, *networks: Any) -> Path:
    """The folder, with a file for each network of a model."""
    from dataclasses import asdict

    import torch

    from noisebook.backends.mini_files import FILES, save_network
    from tests.mels import CURVE

    for name, network in zip(FILES, networks, strict=True):
        for parameter in network.parameters():  # the zero-initialised layers too
            parameter.data += 0.02 * torch.randn_like(parameter)
        save_network(folder / name, network, {"curve": asdict(CURVE)})
    return folder


@pytest.fixture(scope="session")
def bands(tiny_model: Path):  # type: ignore[no-untyped-def]
    """The small model of bands at 48 kHz."""
    from noisebook.backends.mini import MiniBackend

    return MiniBackend(tiny_model)


@pytest.fixture(scope="session")
def backend():  # type: ignore[no-untyped-def]
    """A model of mels at 16 kHz, much quicker than one of bands."""
    from tests.mels import MelModel

    return MelModel()


@pytest.fixture
def short_segments(monkeypatch: pytest.MonkeyPatch) -> int:
    """Segments have 40 latent frames, 1.6 s, in place of 1600; the last one has 10 at least."""
    monkeypatch.setattr("noisebook.codec.timeline.SEGMENT_FRAMES", 40)
    monkeypatch.setattr("noisebook.codec.timeline._SHORTEST_SEGMENT", 10)
    return 40


@pytest.fixture
def quick_vocoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of that of bands, which takes as long as all that most tests measure."""
    from noisebook.audio.features import BAND_FEATURES
    from tests.mels import Bursts

    monkeypatch.setattr("noisebook.backends.mini.synthesise_bands", Bursts(BAND_FEATURES))


@pytest.fixture
def chirp() -> np.ndarray:
    """1.5 s at 16 kHz: a rising tone with decay, `[1, 24000]` float32."""
    time = np.arange(24000) / 16000
    return (0.3 * np.sin(2 * np.pi * (200 + 600 * time) * time) * np.exp(-time))[None].astype(np.float32)


@pytest.fixture(scope="session")
def audioldm2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small AudioLDM 2 in the layout of diffusers, its language model of the class that is published, GPT2Model."""
    return make_checkpoint(tmp_path_factory, "audioldm2")


@pytest.fixture(scope="session")
def audioldm2_lm_head_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with GPT2LMHeadModel, which the pipeline of diffusers can run."""
    return make_checkpoint(tmp_path_factory, "audioldm2", language_model="GPT2LMHeadModel")


@pytest.fixture(scope="session")
def audioldm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small AudioLDM in the layout of diffusers."""
    return make_checkpoint(tmp_path_factory, "audioldm")


@pytest.fixture(scope="session")
def musicldm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small MusicLDM in the layout of diffusers."""
    return make_checkpoint(tmp_path_factory, "musicldm")


@pytest.fixture(scope="session")
def stable_audio_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Stable Audio Open in the layout of diffusers."""
    return make_checkpoint(tmp_path_factory, "stable_audio")


def make_checkpoint(folders: pytest.TempPathFactory, family: str, **options: str) -> Path:
    for library in ("diffusers", "transformers"):
        pytest.importorskip(library, reason=f"checkpoints of other projects need {library}")
    from tests.checkpoints import family as builders

    folder = getattr(builders, f"build_{family}")(folders.mktemp(family), **options)
    gc.freeze()  # the libraries are large, and whenever a network leaves memory all garbage is collected
    return folder
