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


def test_a_grid_has_no_empty_pictures(monkeypatch, tmp_path):
    kept = saved_axis(monkeypatch)
    figures.spectrogram_grid({name: tone(440) for name in "abcd"}, tmp_path / "grid.png", columns=3)
    axes = [axis for axis in kept[0].figure.axes if axis.images]
    assert len(axes) == 4
    assert [bool(axis.get_xlabel()) for axis in axes] == [False, True, True, True]  # at the foot of each column
    assert [bool(axis.get_ylabel()) for axis in axes] == [True, False, False, True]


def test_energy_lies_where_the_tone_is():
    low, high = (figures.log_mel_db(tone(hz)).mean(1).argmax() for hz in (300, 3000))
    positions, labels = figures.frequency_ticks()
    expected = dict(zip(labels, positions, strict=True))
    assert low < expected["1000"] < high
    assert expected["2000"] < high < expected["4000"]


def test_without_matplotlib_the_error_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="noisebook\\[plot\\]"):
        figures.spectrogram_grid({"a": tone(300)}, tmp_path / "x.png")


def curve(*points: tuple[float, float], interval: float | None = 1.0) -> list[figures.Point]:
    return [
        figures.Point(rate, mean, *((mean - interval, mean + interval) if interval else ())) for rate, mean in points
    ]


def saved_axis(monkeypatch: pytest.MonkeyPatch):
    """The axis of the next figure, kept when it is saved."""
    kept = []
    save = figures._figure_class().savefig

    def savefig(figure, *arguments, **options):
        kept.append(figure.axes[0])
        save(figure, *arguments, **options)

    monkeypatch.setattr(figures._figure_class(), "savefig", savefig)
    return kept


def test_rates_are_logarithmic_and_in_order(monkeypatch, tmp_path):
    kept = saved_axis(monkeypatch)
    curves = {"ddcm": curve((3000, 3), (300, 5), (30, 9)), "opus": curve((6000, 8)), "vq": curve((400, 4), (200, 6))}
    levels = {"Autoencoder": 2.0, "Vocoder": 1.9, "Silence": 92.0}
    path = tmp_path / "rates.png"
    figures.rate_quality(curves, path, label="m (dB)", better="lower", levels=levels, scattered=("vq",))
    assert path.read_bytes().startswith(b"\x89PNG")
    (axis,) = kept
    lines = {line.get_label(): line for line in axis.get_lines()}
    assert list(lines["ddcm"].get_xdata()) == [30, 300, 3000]
    assert list(lines["ddcm"].get_ydata()) == [9, 5, 3]
    assert lines["vq"].get_linestyle() == "None"
    assert axis.get_xscale() == "log"
    assert {"100", "1000", "5000"} <= {tick.get_text() for tick in axis.get_xticklabels()}
    assert {"Autoencoder 2", "Vocoder 1.9", "Silence 92"} <= lines.keys()
    low, high = axis.get_ylim()
    assert low <= 1.9
    assert high < 20, "silence is too far away to be shown"


def test_one_input_has_no_band(monkeypatch, tmp_path):
    kept = saved_axis(monkeypatch)
    figures.rate_quality({"a": curve((10, 1), (20, 2), interval=None)}, tmp_path / "a.svg", label="m", better="zero")
    assert not kept[0].collections
    figures.rate_quality({"a": curve((10, 1), (20, 2))}, tmp_path / "b.svg", label="m", better="zero")
    assert len(kept[1].collections) == 1


def test_residuals_end_in_a_ring(monkeypatch, tmp_path):
    kept = saved_axis(monkeypatch)
    figures.residual_steps({"300": [-1.0, -2.0, -3.0, -2.5], "3000": [-1.0, -4.0, -6.0]}, tmp_path / "r.png")
    steps, ring, *_ = kept[0].get_lines()
    assert list(steps.get_ydata()) == [-1, -2, -3]
    assert (list(ring.get_xdata()), list(ring.get_ydata())) == ([3], [-2.5])
    assert ring.get_fillstyle() == "none"


def test_no_matplotlib_is_told_before_the_work(monkeypatch):
    figures.check_installed()
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="noisebook\\[plot\\]"):
        figures.check_installed()
