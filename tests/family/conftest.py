"""The command and the library on small checkpoints of other projects, without a network, with a cache of their own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noisebook.api.models import load_backend
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from tests.cli.conftest import Command, run_main

FAMILY = ("audioldm2", "audioldm", "musicldm", "stable_audio")
MEL_MODELS = FAMILY[:3]
LICENCE = "noisebook: The weights of AudioLDM 2 "  # told once to a user, before anything else


@pytest.fixture(scope="session")
def session_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def cache(session_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache is neither read nor written."""
    monkeypatch.setenv("NOISEBOOK_CACHE", str(session_cache))
    return session_cache


@pytest.fixture
def empty_cache(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that remembers nothing of other tests."""
    folder = tmp_path / "empty-cache"
    monkeypatch.setenv("NOISEBOOK_CACHE", str(folder))
    return folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may go to a network, whatever a stream or a checkpoint says."""

    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"a connection to {arguments[1:]}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test works in an empty folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)


@pytest.fixture
def noisebook() -> Command:
    return run_main


@pytest.fixture
def folder(request: pytest.FixtureRequest) -> Path:
    """The checkpoint of the family's member that the test is parametrized with."""
    return request.getfixturevalue(f"{request.param}_folder")


def each(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("folder", names, indirect=True)


@pytest.fixture(scope="session")
def load(session_cache: Path) -> Callable[..., Any]:
    """A backend on the CPU; one for all tests that only use it."""
    backends: dict[Path, Any] = {}

    def loaded(folder: Path) -> Any:
        if folder not in backends:
            backends[folder] = load_backend(str(folder), device="cpu")
        return backends[folder]

    return loaded


def noise(seconds: float = 0.5, *, sample_rate: int = 16000, channels: int = 1, seed: int = 0) -> Waveform:
    """Low-passed noise of moderate level: a sound that no part of the codec can get right by accident."""
    drawn = np.random.default_rng(seed).normal(0, 0.2, (channels, round(seconds * sample_rate) + 7))
    smooth = np.apply_along_axis(np.convolve, 1, drawn, np.ones(8) / 8, "valid")
    return Waveform(smooth.astype(np.float32), sample_rate)


@pytest.fixture
def sound() -> Path:
    """song.wav: 0.5 s, mono, at 16 kHz."""
    write("song.wav", noise())
    return Path("song.wav")
