"""The table of metrics and `evaluate`."""

from __future__ import annotations

import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from noisebook import metrics
from noisebook.errors import AudioError, ConfigError, MissingExtra
from noisebook.metrics import METRICS, Metric, available, evaluate, snr_db, suite

RATE = 16000
EXTRAS = ["librosa", "visqol", "zimtohrli", "pystoi", "pesq", "speechmos", "onnxruntime", "cdpam", "resampy"]
NUMPY_ONLY = tuple(metric.name for metric in METRICS if metric.needs is None and metric.kind != "stereo")


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    reference = 0.1 * rng.normal(size=RATE)
    return reference, reference + 0.01 * rng.normal(size=RATE)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment in which no extra is installed."""
    for module in EXTRAS:
        monkeypatch.setitem(sys.modules, module, None)


def test_rows_are_unique_exported_and_consistent() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        if isinstance(metric.function, partial):  # a band of a metric
            assert getattr(metrics, metric.function.func.__name__) is metric.function.func
        else:
            assert getattr(metrics, metric.name) is metric.function
        assert metric.direction in ("higher", "lower", "zero")
        assert metric.range[0] < metric.range[1]
        assert set((metric.needs or "").split()) <= set(EXTRAS)
        assert metric.name.endswith("_db") <= (metric.unit == "dB")


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        METRICS[0].direction = "lower"  # type: ignore[misc]


@pytest.mark.parametrize("metric", [m for m in METRICS if m.name in NUMPY_ONLY], ids=lambda m: m.name)
def test_direction_and_range_tell_the_truth(metric: Metric, pair: tuple[np.ndarray, np.ndarray]) -> None:
    reference, estimate = pair
    rate = 2 * RATE  # so that every band holds something
    perfect = metric.function(reference, reference, sample_rate=rate)
    good = metric.function(reference, estimate, sample_rate=rate)
    bad = metric.function(reference, 8 * estimate[::-1], sample_rate=rate)
    order = {"higher": (bad, good, perfect), "lower": (perfect, good, bad), "zero": (0, abs(good), abs(bad))}
    assert list(order[metric.direction]) == sorted(order[metric.direction])
    assert good != bad
    assert perfect == {"higher": metric.range[1], "lower": metric.range[0], "zero": 0}[metric.direction]
    assert all(metric.range[0] <= value <= metric.range[1] for value in (perfect, good, bad))


def test_evaluate_runs_the_named_metrics_in_their_order(pair: tuple[np.ndarray, np.ndarray]) -> None:
    result = evaluate(*pair, sample_rate=RATE, names=["mel_db_mae", "snr_db"])
    assert list(result) == ["mel_db_mae", "snr_db"]
    assert result["snr_db"] == snr_db(*pair, sample_rate=RATE)
    assert evaluate(*pair, sample_rate=RATE, names=[]) == {}


@pytest.mark.usefixtures("bare")
def test_without_extras_evaluate_runs_what_numpy_can(pair: tuple[np.ndarray, np.ndarray]) -> None:
    assert available() == NUMPY_ONLY
    result = evaluate(*pair, sample_rate=RATE)
    assert tuple(result) == NUMPY_ONLY
    assert all(type(value) is float and math.isfinite(value) for value in result.values())


@pytest.mark.usefixtures("bare")
def test_a_missing_extra_is_refused_before_anything_is_computed(
    pair: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
        raise AssertionError("computed")

    rows = (Metric("first", "First", never, "", "higher", (0, 1)), *METRICS)
    monkeypatch.setattr(suite, "METRICS", rows)
    with pytest.raises(MissingExtra, match=r"visqol, estoi not installed: pip install 'noisebook\[metrics\]'"):
        evaluate(*pair, sample_rate=RATE, names=["first", "visqol", "estoi"])
    with pytest.raises(MissingExtra, match=r"estoi, cdpam not installed: pip install 'noisebook\[cdpam,metrics\]'"):
        evaluate(*pair, sample_rate=RATE, names=["first", "estoi", "cdpam"])


def test_a_metric_of_two_packages_is_installed_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    (dnsmos,) = (metric for metric in METRICS if metric.name == "dnsmos")
    found = {"speechmos": object(), "onnxruntime": object()}
    monkeypatch.setattr(suite, "find_spec", found.get)
    assert dnsmos.installed
    del found["onnxruntime"]
    assert not dnsmos.installed


def test_available_can_leave_speech_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "find_spec", lambda name: object())
    assert available(stereo=True) == tuple(metric.name for metric in METRICS)
    assert set(available()) - set(available(speech=False)) == {"stoi", "estoi", "pesq_wb", "dnsmos", "cdpam"}


def test_an_unknown_name_is_refused_with_the_choice(pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(ConfigError, match=r"no metric named snr, mel: choose from snr_db, .*cdpam"):
        evaluate(*pair, sample_rate=RATE, names=["snr", "snr_db", "mel"])


def test_evaluate_refuses_signals_of_two_lengths(pair: tuple[np.ndarray, np.ndarray]) -> None:
    with pytest.raises(AudioError, match="equal lengths"):
        evaluate(pair[0], pair[1][:-1], sample_rate=RATE, names=["snr_db"])


def test_importing_the_metrics_imports_nothing_heavy() -> None:
    heavy = {"torch", "librosa", "soxr", "scipy", "numba", *EXTRAS}
    code = f"import sys, noisebook.metrics; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
