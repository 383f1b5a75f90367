"""AudioLDM 2 at its true size, with random weights: what coding calls, holds and takes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.api.models import load_backend
from noisebook.audio.waveform import Waveform
from noisebook.backends.cache import write_tensors
from noisebook.backends.latent_diffusion import LatentDiffusion
from noisebook.backends.mini_files import count_parameters
from noisebook.codec.presets import by_name
from noisebook.codec.segment import TAIL_STEPS

SECONDS = 2.56

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for library in ("diffusers", "transformers"):
        pytest.importorskip(library, reason=f"checkpoints of other projects need {library}")
    from tests.checkpoints.family import build_audioldm2

    return build_audioldm2(tmp_path_factory.mktemp("real"), size="coding")


def test_a_stream_at_the_true_size(folder, empty_cache, capsys):
    """Few calls of the denoiser, the parameters of four parts in seven, and memory for the largest of them."""
    forget_peak()
    with timed("load", capsys):
        backend = load_backend(str(folder), device="cpu")
        write_tensors(LatentDiffusion.empty_prompt(backend.checkpoint), random_prompt())  # its text parts are not there
        for part in ("vae", "unet", "vocoder"):
            backend.networks(part)
    weights = [path for part in ("vae", "unet", "vocoder") for path in backend.checkpoint.weights(part)]
    assert count_parameters(weights) == pytest.approx(457e6, rel=0.01)

    calls = counting(backend)
    sound = Waveform(np.random.default_rng(0).normal(0, 0.1, (1, round(16000 * SECONDS))).astype("f4"), 16000)
    with timed("compress", capsys):
        stream = api.compress(sound, backend=backend, preset="300", search="none")
    steps = by_name("300").params.steps
    assert [shape for shape, _ in calls] == [(1, 8, 64, 16)] * (steps + TAIL_STEPS)  # it hears its own decode
    calls.clear()
    with timed("decompress", capsys):
        back = api.decompress(stream, backend=backend)
    assert len(calls) == steps + TAIL_STEPS
    assert back.samples.shape == sound.samples.shape
    assert np.isfinite(back.samples).all()
    assert backend.networks.loaded == ("vae", "vocoder")  # the denoiser made room
    with capsys.disabled():
        print(f"peak of memory {peak() / 1e9:.2f} GB", end="; ")
    assert peak() < 3.5e9  # what built the checkpoint in this process left some


def test_memory_of_the_commands_at_the_true_size(tmp_path, capsys):
    """Of processes of their own: text encoders, denoiser, autoencoder and vocoder are not in it together."""
    from tests.checkpoints.family import build_audioldm2

    model = build_audioldm2(tmp_path / "model", size="real")
    environment = {**os.environ, "NOISEBOOK_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    for most, *words in (
        (3.0e9, "generate", "a dog barks", "dog.wav", "-t", "2.56", "--steps", "2", "--negative", "rain"),
        (2.2e9, "compress", "dog.wav", "dog.ddcm", "-p", "300"),
        (2.2e9, "decompress", "dog.ddcm", "back.wav"),
    ):
        command = [sys.executable, "-m", "noisebook", *words, "--model", str(model), "--device", "cpu"]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment)
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0
        with capsys.disabled():
            print(f"{words[0]} {used.ru_maxrss * 1024 / 1e9:.2f} GB", end="; ")
        assert used.ru_maxrss * 1024 < most


def random_prompt() -> dict[str, torch.Tensor]:
    """As the text parts of the published checkpoint shape it: eight vectors of GPT-2, one of T5."""
    draw = torch.Generator().manual_seed(0)
    return {
        "encoder_hidden_states": torch.randn(1, 8, 768, generator=draw),
        "encoder_hidden_states_1": torch.randn(1, 1, 1024, generator=draw),
        "encoder_attention_mask_1": torch.ones(1, 1, dtype=torch.long),
    }


def counting(backend) -> list[tuple[tuple[int, ...], int]]:
    """Shapes and timesteps of the calls of the U-Net from now on, which may be loaded again."""
    calls, predict = list[tuple[tuple[int, ...], int]](), backend._prediction_of

    def note(x: torch.Tensor, t: int, given: dict[str, torch.Tensor]) -> torch.Tensor:
        calls.append((tuple(x.shape), t))
        return predict(x, t, given)

    backend._prediction_of = note
    return calls


def forget_peak() -> None:
    """Building the checkpoint took memory too (proc(5): 5 resets the high water mark)."""
    status = Path("/proc/self/clear_refs")
    if not status.exists():
        pytest.skip("the peak of memory is read from /proc")
    status.write_text("5")


def peak() -> int:
    """Bytes resident at most since `forget_peak`."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


@contextmanager
def timed(what: str, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    started = time.perf_counter()
    yield
    with capsys.disabled():
        print(f"{what} {time.perf_counter() - started:.1f} s", end="; ")
