"""What holds for any two signals: a number in the documented range, the best for the same, no mark for silence."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from noisebook.metrics import METRICS, align, bootstrap_interval

MONO = [m for m in METRICS if m.kind != "stereo"]
QUICK = [m for m in MONO if m.installed and m.needs in (None, "librosa", "zimtohrli", "pystoi", "pesq")]
RATES = st.sampled_from([8000, 16000, 22050, 44100])
SAMPLES = st.floats(-1, 1, width=32)


@st.composite
def signals(draw: st.DrawFn) -> np.ndarray:
    """Noise, tones, clicks, constants, silence and whatever hypothesis finds, of 1 to 6000 samples."""
    size = draw(st.one_of(st.integers(1, 40), st.integers(41, 6000)))
    kind = draw(st.sampled_from(["noise", "tone", "click", "constant", "silence", "any"]))
    level = draw(st.sampled_from([1.0, 0.1, 1e-4, 1e-9, 1e-30]))
    if kind == "any":
        return draw(arrays(np.float32, min(size, 64), elements=SAMPLES))
    time = np.arange(size)
    shapes = {
        "noise": np.random.default_rng(size).uniform(-1, 1, size),
        "tone": np.sin(0.05 * (1 + size % 7) * time),
        "click": (time == size // 2).astype(float),
        "constant": np.ones(size),
        "silence": np.zeros(size),
    }
    return level * shapes[kind]


@pytest.mark.parametrize("metric", QUICK, ids=lambda m: m.name)
@settings(max_examples=25)
@given(a=signals(), b=signals(), rate=RATES)
def test_any_pair_has_a_value_in_the_range(metric, a, b, rate) -> None:
    size = min(a.size, b.size)
    value = metric.function(a[:size], b[:size], sample_rate=rate)
    assert type(value) is float
    assert metric.range[0] <= value <= metric.range[1]  # which no NaN is
    if metric.unit == "LU":
        assert math.isfinite(value)


@pytest.mark.parametrize("metric", QUICK, ids=lambda m: m.name)
@settings(max_examples=10)
@given(a=signals(), rate=RATES)
def test_the_same_is_best_and_silence_is_not(metric, a, rate) -> None:
    best = metric.function(a, a.copy(), sample_rate=rate)
    silent = metric.function(a, np.zeros_like(a), sample_rate=rate)
    if metric.direction == "zero":
        assert best == 0 >= silent
    elif metric.direction == "lower":
        assert best == 0 <= silent
    elif metric.needs in (None, "librosa"):
        assert best == metric.range[1]
        assert silent <= 0 or not a.astype(np.float32).any()
    else:
        assert best >= silent


@settings(max_examples=50)
@given(a=signals(), b=signals(), lag=st.none() | st.just(0))
def test_alignment_returns_equal_parts_of_what_it_was_given(a, b, lag) -> None:
    aligned = align(a, b, sample_rate=8000, lag=lag, max_lag_seconds=0.1)
    size = aligned.reference.size
    assert size == aligned.estimate.size >= max(1, min(a.size, b.size) - abs(aligned.lag))
    assert abs(aligned.lag) <= min(800, min(a.size, b.size) // 2)
    first = max(0, -aligned.lag)
    assert np.array_equal(aligned.reference, a.astype(float)[first : first + size])
    assert np.array_equal(aligned.estimate, b.astype(float)[first + aligned.lag : first + aligned.lag + size])
    assert -1 <= aligned.correlation <= 1
    assert not math.isnan(aligned.gain_db)


@settings(max_examples=50)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), level=st.floats(0.05, 0.99))
def test_an_interval_lies_among_the_values(values, level) -> None:
    _, low, high = bootstrap_interval(values, level=level, resamples=200)
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert min(values) - slack <= low <= high <= max(values) + slack


@pytest.mark.parametrize("metric", [m for m in METRICS if m.kind == "stereo"], ids=lambda m: m.name)
@settings(max_examples=25)
@given(channels=st.tuples(signals(), signals(), signals(), signals()), rate=RATES)
def test_any_two_stereo_sounds_have_a_value_in_the_range(metric, channels, rate) -> None:
    size = min(channel.size for channel in channels)
    a, b, c, d = (channel[:size] for channel in channels)
    pair = np.stack([a, b]), np.stack([c, d])
    value = metric.function(*pair, sample_rate=rate)
    assert type(value) is float
    assert metric.range[0] <= value <= metric.range[1] + 1e-9  # a mean of values at the limit
    assert metric.function(pair[0], pair[0].copy(), sample_rate=rate) == 0
