"""The picture of a clip and its decode: what is drawn lies where it should."""

from __future__ import annotations

import numpy as np
from PIL import Image

from experiments import picture
from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform

TIME = np.arange(48_000) / 48_000


def test_levels_are_those_of_the_bins() -> None:
    levels = picture.spectrogram(np.sin(2 * np.pi * 48_000 / 4096 * 100 * TIME))
    assert np.median(levels.argmax(axis=1)) == 100
    assert abs(levels[len(levels) // 2].max()) < 0.1


def test_the_recipe_draws_a_small_file(tiny_model, tmp_path) -> None:
    clip, out = tmp_path / "music-a.wav", tmp_path / "decode.webp"
    write(clip, Waveform((0.3 * np.sin(2 * np.pi * 440 * TIME))[None].astype(np.float32), 48_000))
    picture.main([str(clip), "--out", str(out), "--model", str(tiny_model), "--preset", "300"])
    with Image.open(out) as drawn:
        assert drawn.size == (900, 540)
    assert out.stat().st_size < 100_000
