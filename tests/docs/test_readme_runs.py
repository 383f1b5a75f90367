"""The README's commands, pasted in order in one folder, all work: no name is taken, nothing is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.io import read, write
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from tests.cli.conftest import run_main
from tests.docs.test_readme import COMMANDS

ASSETS = Path(api.__file__).parents[1] / "assets"
SKIPPED = ("studio", "play")  # one serves until it is stopped, the other needs loudspeakers
FASTER = {  # added to the commands of a verb
    "verify": ["--metrics", "mel_db_mae"],
    "compare": ["--methods", "ddcm,control", "--rates", "300", "--metrics", "mel_db_mae", "--limit-seconds", "1"],
    "bench": ["--quick"],  # as `_small` has it
    "batch": ["--workers", "1"],
    "codebook": ["--size", "16"],
}
REACHED = {"--target-mel-db": "25"}  # by a model with random weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What somebody has who begins: a song in stereo, a talk, an old recording, folders of sounds."""
    monkeypatch.chdir(tmp_path)
    song, talk = (read(ASSETS / name) for name in ("demo.flac", "demo-speech.flac"))
    left = np.tile(song.samples[0], 3)[: 9 * song.sample_rate]
    write("song.mp3", Waveform(np.stack((left, 0.5 * left)), song.sample_rate))
    write("talk.wav", Waveform(talk.samples[:, : talk.sample_rate], talk.sample_rate))
    write("old.wav", resample(resample(read("talk.wav"), 8000), talk.sample_rate))
    for name in ("recordings/a.wav", "recordings/deep/b.flac", "my-sounds/a.wav"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write(name, Waveform(talk.samples[:, : talk.sample_rate], talk.sample_rate))
    return tmp_path


@pytest.fixture
def _small(
    tiny_model: Path, quick_vocoder: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """A small model in the place of the embedded one, its codebook in that of the shipped, and a short benchmark."""
    from noisebook.benchmark.runs import Options
    from noisebook.quantizers import files as shipped

    quick = Options(presets=("300",), seconds=0.5, durations=(("300", 0.5), ("300", 1.0)), against=None, runs=1)
    monkeypatch.setattr(Options, "quick", lambda: quick)
    backend = api.load_backend(str(tiny_model), device="cpu")
    codebooks = tmp_path_factory.mktemp("codebooks")
    rng = np.random.default_rng(0)
    noise = Waveform.of(0.1 * rng.normal(size=16000), 16000)
    api.fit_codebook([noise], backend=backend, size=4, stages=2).save(codebooks / "frame-residual.safetensors")
    monkeypatch.setattr("noisebook.backends.mini_files.WEIGHTS", tiny_model)
    monkeypatch.setattr(shipped, "FOLDER", codebooks)
    shipped._fingerprints.cache_clear()
    yield
    shipped._fingerprints.cache_clear()


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("_small")
def test_all_commands_in_order(folder):
    for command in COMMANDS:
        _, verb, *arguments = shlex.split(command, comments=True)
        if verb in SKIPPED:
            continue
        for option in REACHED.keys() & set(arguments):
            arguments[arguments.index(option) + 1] = REACHED[option]
        ran = run_main(verb, *arguments, *FASTER.get(verb, ()))
        assert ran.status == 0, f"{command}: {ran.err}"
    for made in ("song.ddcm", "back.wav", "talk-input-based.wav", "report/index.html", "streams/deep/b.ddcm"):
        assert Path(made).is_file(), made
