"""Properties of controls, ranking and delays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noisebook.audio.waveform import Waveform
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.judging import measured_delay, placed, probe
from noisebook.comparison.methods import Job
from noisebook.comparison.publishing import ranking

SPEECH = probe(16000)
RATE = 16000


def sound(count: int, seed: int) -> Waveform:
    return Waveform((0.1 * np.random.default_rng(seed).standard_normal((1, count))).astype(np.float32), RATE)


def control(name: str, job: Job, seed: int) -> Waveform:
    return next(method for method in catalogue(seed=seed) if method.id == name).run(job).sound


def rms(waveform: Waveform) -> float:
    return float(np.sqrt(np.square(waveform.samples, dtype=np.float64).mean()))


@given(count=st.integers(1, 60000), seed=st.integers(0, 255))
def test_controls_have_length_and_level_of_the_sound(count, seed):
    job = Job(sound(count, seed), other=sound(777, seed + 1))
    for made in (control("pink-noise", job, seed), control("another-clip", job, seed)):
        assert made.samples.shape == job.sound.samples.shape
        assert rms(made) == pytest.approx(rms(job.sound), rel=1e-3)


@given(count=st.integers(8001, 80000), seed=st.integers(0, 255))
def test_a_shuffle_keeps_every_sample_and_no_place(count, seed):
    job = Job(Waveform(np.arange(1, count + 1, dtype=np.float32)[None] / count, RATE))
    samples, mixed = job.sound.samples[0], control("shuffled", job, seed).samples[0]
    assert np.array_equal(np.sort(mixed), samples)
    sizes = [len(piece) for piece in np.array_split(samples, max(1, count // 8000))]
    assert not any(mixed[start] == samples[start] for start in np.cumsum([0, *sizes[:-1]]))


@given(delay=st.integers(-1500, 1500), gain=st.floats(0.1, 3))
@settings(max_examples=8)
def test_the_delay_of_a_waveform_is_found_to_the_sample(delay, gain):
    samples = gain * SPEECH.samples
    late = np.pad(samples, ((0, 0), (max(0, delay), 0)))[:, max(0, -delay) :]
    assert measured_delay(SPEECH, Waveform(late.astype(np.float32), RATE)) == delay


@given(lag=st.integers(-5000, 5000), extra=st.integers(-3000, 3000))
def test_a_sound_is_put_where_it_belongs(lag, extra):
    reference = sound(20000, 1)
    late = np.pad(reference.samples, ((0, 0), (max(0, lag), 4000)))[:, max(0, -lag) :]
    place = placed(reference, Waveform(np.ascontiguousarray(late[:, : 21000 + extra]), RATE), lag=lag)
    assert place.sound.samples.shape == reference.samples.shape
    part = slice(place.start, place.end)
    assert np.array_equal(place.sound.samples[:, part], reference.samples[:, part])
    assert not place.sound.samples[:, : place.start].any()
    assert not place.sound.samples[:, place.end :].any()
    assert place.start == max(0, -lag)
    assert place.gain_db == pytest.approx(0, abs=1e-9)


NUMBERS = st.floats(-100, 100)
METRIC = {"name": "m", "unit": ""}


@settings(max_examples=25)
@given(
    values=st.dictionaries(st.sampled_from("abcdef"), st.lists(NUMBERS, min_size=5, max_size=5), min_size=2),
    direction=st.sampled_from(["higher", "lower", "zero"]),
)
def test_ranks_follow_the_means(values, direction):
    rows = [{"method": name, "metrics": {"m": value}} for name, own in values.items() for value in own]
    lines = ranking(rows, [METRIC | {"direction": direction}])
    assert [line["rank"] for line in lines] == list(range(1, len(values) + 1))
    worth = {"higher": lambda x: -x, "lower": lambda x: x, "zero": abs}[direction]
    means = [worth(line["mean"]) for line in lines]
    assert means == sorted(means)
    for line in lines:
        assert line["n"] == 5
        assert line["mean"] == pytest.approx(np.mean(values[line["method"]]))
        assert line["low"] - 1e-9 <= line["mean"] <= line["high"] + 1e-9
    few = [row for row in rows if row["method"] == rows[0]["method"]][:4]
    fewer = ranking(few, [METRIC | {"direction": direction}])
    assert (fewer[0]["low"], fewer[0]["high"], fewer[0]["n"]) == (None, None, 4)
