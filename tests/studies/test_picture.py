"""The picture of a clip and its decode: what is drawn lies where it should."""

from __future__ import annotations

import numpy as np
from PIL import Image

from experiments import picture

TIME = np.arange(48_000) / 48_000


def test_levels_are_those_of_the_bins() -> None:
    levels = picture.spectrogram(np.sin(2 * np.pi * 48_000 / 4096 * 100 * TIME))
    assert np.median(levels.argmax(axis=1)) == 100
    assert abs(levels[len(levels) // 2].max()) < 0.1


def test_the_picture_is_a_small_file(measured, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(picture, "OUT", tmp_path / "decode.webp")
    measured("picture")
    with Image.open(picture.OUT) as drawn:
        assert drawn.size == (900, 540)
    assert picture.OUT.stat().st_size < 100_000
