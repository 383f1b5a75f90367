"""Short held-out clips, and studies of them on the tiny model, whose parts go into copies of the pages."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import study_of
from experiments.study import ROOT, Bench, Options, Parts, fill, parts_of
from noisebook.audio.features import BAND_FEATURES
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.verification.controls import bundled_clips
from tests.mels import Bursts


@pytest.fixture(scope="module", autouse=True)
def _quick_vocoder() -> Iterator[None]:
    """That of bands takes longer than all that is measured here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("noisebook.backends.mini.synthesise_bands", Bursts(BAND_FEATURES))
        yield


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of each kind, 2 s; those of music are stereo at 24 kHz."""
    folder, rng = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    for name in ("a", "b"):
        noise = rng.normal(0, 0.1, (2, 48_000)).astype(np.float32)
        write(folder / f"music-{name}.flac", Waveform(noise + noise.mean(0), 24_000))
    for kind, prefix in (("speech", "speech"), ("effects", "sfx")):
        chosen = [clip for clip in bundled_clips() if clip.kind == kind][:2]
        for name, clip in zip("ab", chosen, strict=True):
            write(folder / f"{prefix}-{name}.flac", Waveform.of(clip.samples[:32_000], 16_000))
    return folder


@pytest.fixture(scope="session")
def bench(clips: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(Options("test", clips, str(tiny_model), tmp_path_factory.mktemp("report"), 1))


@pytest.fixture
def measured(clips: Path, tiny_model: Path, tmp_path: Path) -> Callable[[str], Parts]:
    """The parts of a study, by its name; each has a place on a page."""

    def parts(name: str) -> Parts:
        study = study_of(name)
        found = parts_of(study, Options(name, clips, str(tiny_model), tmp_path / "report", 1))
        pages = [shutil.copy(ROOT / page, tmp_path / Path(page).name) for page in study.pages]
        fill(pages, {key: part for key, part in found.items() if pages})
        assert all(part in "".join(page.read_text("utf-8") for page in pages) for part in found.values() if pages)
        prefix = f"{name} "
        assert all(key.startswith(prefix) for key in found)
        return {key.removeprefix(prefix): part for key, part in found.items()}

    return parts
