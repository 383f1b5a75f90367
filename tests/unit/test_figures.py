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


METRIC = {"name": "m", "label": "Metric", "unit": "dB", "direction": "lower"}


def results(levels: dict[str, float] | None = None, *, n: int = 5, **curves: list[tuple[float, float]]) -> dict:
    """A method for each point, named by its series and rate, and a control for each level; one metric."""
    methods = [
        {"id": f"{series}-{rate}", "label": f"{series.upper()} {rate} bit/s", "series": series, "bit_per_second": rate,
         "family": series if series in ("ddcm", "vq") else "codec", "mean": mean}
        for series, points in curves.items() for rate, mean in points
    ]  # fmt: skip
    methods += [
        {"id": name, "label": name, "series": "control", "family": "control", "bit_per_second": None, "mean": mean}
        for name, mean in (levels or {}).items()
    ]
    ranking = [
        {"method": m["id"], "metric": "m", "mean": m["mean"], "low": m["mean"] - 1, "high": m["mean"] + 1, "n": n}
        for m in methods
    ]
    return {"methods": methods, "ranking": ranking, "metrics": [METRIC]}


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
    curves = {"ddcm": [(3000, 3), (300, 5), (30, 9)], "opus": [(6000, 8)], "vq": [(400, 4), (200, 6)]}
    path = tmp_path / "rates.png"
    compared = results({"Autoencoder": 2.0, "Vocoder": 1.9, "Silence": 92.0}, **curves)
    assert figures.rate_quality(compared, METRIC, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    (axis,) = kept
    lines = {line.get_label(): line for line in axis.get_lines()}
    assert list(lines["DDCM"].get_xdata()) == [30, 300, 3000]
    assert list(lines["DDCM"].get_ydata()) == [9, 5, 3]
    assert lines["VQ"].get_linestyle() == "None"
    assert axis.get_xscale() == "log"
    assert {"100", "1000", "5000"} <= {tick.get_text() for tick in axis.get_xticklabels()}
    assert axis.get_ylabel() == "Metric (dB)"
    assert {"Autoencoder 2", "Vocoder 1.9", "Silence 92"} <= lines.keys()
    low, high = axis.get_ylim()
    assert low <= 1.9
    assert high < 20, "silence is too far away to be shown"


def test_one_input_has_no_band(monkeypatch, tmp_path):
    kept = saved_axis(monkeypatch)
    curve = {"ddcm": [(10, 1), (20, 2)]}
    figures.rate_quality(results(n=1, **curve), METRIC, tmp_path / "a.svg")
    assert not kept[0].collections
    figures.rate_quality(results(**curve), METRIC, tmp_path / "b.svg")
    assert len(kept[1].collections) == 1


def test_without_a_codec_there_is_no_curve(tmp_path):
    assert not figures.rate_quality(results({"Silence": 9.0}), METRIC, tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


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
