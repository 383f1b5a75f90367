"""Figures are written, and show what they should."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.waveform import Waveform
from noisebook.errors import MissingExtra
from noisebook.report import figures


def tone(hz: float, rate: int = 22050) -> Waveform:
    return Waveform((0.3 * np.sin(2 * np.pi * hz * np.arange(rate) / rate))[None].astype(np.float32), rate)


def test_grid_is_a_png(tmp_path):
    path = tmp_path / "grid.png"
    figures.spectrogram_grid({"low": tone(300), "high": tone(3000), "both": tone(1000)}, path, columns=2)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_energy_lies_where_the_tone_is():
    low, high = (figures._picture(tone(hz)).mean(1).argmax() for hz in (300, 3000))
    positions, labels = figures._frequency_ticks()
    expected = dict(zip(labels, positions, strict=True))
    assert low < expected["1000"] < high
    assert expected["2000"] < high < expected["4000"]


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="noisebook\\[plot\\]"):
        figures.spectrogram_grid({"a": tone(300)}, tmp_path / "x.png")
