"""The walk of docs/audioldm2.md from a download to a batch, on a small checkpoint, and what is told on the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from noisebook.audio.io import read, write
from noisebook.cli import _shared
from tests.family.conftest import noise


def test_from_a_download_to_a_batch(noisebook, audioldm2_folder, tmp_path, monkeypatch):
    def run(*words: object, model: Path = Path("audioldm2"), status: int = 0) -> str:
        ran = noisebook(*words, "--model", model, "--device", "cpu")
        assert ran.status == status, ran
        return ran.out.decode() + ran.err if isinstance(ran.out, bytes) else str(ran.out) + ran.err

    shutil.copytree(audioldm2_folder, "audioldm2")  # hf download
    Path("my-music").mkdir()
    for index in range(2):
        write(f"my-music/{index}.wav", noise(0.5, seed=index))
    monkeypatch.setenv("NOISEBOOK_CACHE", str(tmp_path / "first"))
    told = run("doctor")
    assert "assumed, that of a typical denoiser" in told
    assert "CC BY-NC-SA 4.0" in told
    run("calibrate", "my-music/0.wav")
    assert "measured, in" in run("doctor")
    run("compress", "my-music/0.wav", "song.ddcm", "-p", "300")
    run("decompress", "song.ddcm", "here.wav")

    # The other machine has the checkpoint and a cache of its own. Without the curve the stream is another model's.
    shutil.copytree(audioldm2_folder, "elsewhere")
    monkeypatch.setenv("NOISEBOOK_CACHE", str(tmp_path / "second"))
    assert "noisebook-curve.json" in run("decompress", "song.ddcm", "there.wav", model=Path("elsewhere"), status=1)
    shutil.copy("audioldm2/noisebook-curve.json", "elsewhere")
    for part in ("text_encoder", "text_encoder_2", "projection_model", "language_model"):
        assert (Path("elsewhere") / part).is_dir()  # they make what the empty prompt means, once
    run("decompress", "song.ddcm", "there.wav", model=Path("elsewhere"))
    np.testing.assert_array_equal(read("there.wav").samples, read("here.wav").samples)

    run("codebook", "fit", "my-music", "-o", "mine.safetensors", "--method", "residual", "--size", "4")
    run("compress", "my-music/1.wav", "words.ddcm", "--codec", "vq", "--codebook", "mine.safetensors")
    run("decompress", "words.ddcm", "words.wav", "--codebook", "mine.safetensors")
    monkeypatch.setattr(_shared, "_LONG", 0.0)
    told = run("generate", "rain on a roof", "rain.wav", "-t", "0.5", "--preset", "quick", "--negative", "music")
    assert "generating: about 0 minutes for 10 steps" in told
    run("batch", "compress", "my-music", "streams", "-p", "300")
    assert {path.name for path in Path("streams").glob("*.ddcm")} == {"0.ddcm", "1.ddcm"}
    assert json.loads(noisebook("info", "streams/0.ddcm", "--model", "audioldm2", "--json").text)["intact"]
