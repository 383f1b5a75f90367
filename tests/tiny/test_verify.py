"""Verification joined with a backend: streams, random indices, ceilings."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook import api
from noisebook.api.verify import random_stream, verify
from noisebook.audio.damage import low_pass
from noisebook.audio.waveform import Waveform
from noisebook.codec.stream import Stream
from noisebook.coding.container import parse_header
from noisebook.errors import ConfigError, StreamError

RATE = 16_000


@pytest.fixture(scope="module")
def sound() -> Waveform:
    time = np.arange(RATE) / RATE
    return Waveform.of(0.3 * np.sin(2 * np.pi * (200 + 600 * time) * time) * np.exp(-time), RATE)


@pytest.fixture(scope="module")
def stream(sound, backend) -> bytes:
    return api.compress(sound, backend=backend, preset="300")


def test_a_stream_is_decoded_and_stands_beside_random_indices_and_ceilings(sound, stream, backend):
    found = verify(sound, stream, backend=backend, metrics=["mel_db_mae"])
    assert found.alignment.lag == 0
    assert list(found.ceilings) == ["autoencoder", "vocoder"]
    assert list(found.metrics[1].controls)[-1] == "random indices"
    decoded = api.decompress(stream, backend=backend)
    alone = verify(sound, decoded, lag=0, metrics=["mel_db_mae"])
    assert alone.metrics[1].value == found.metrics[1].value
    assert alone.ceilings == {}
    assert "random indices" not in alone.metrics[1].controls


def test_a_sound_stands_beside_random_indices_at_the_default_rate(sound, backend):
    found = verify(sound.samples, 0.5 * sound.samples, sample_rate=RATE, backend=backend, metrics=["mel_db_mae"])
    assert "random indices" in found.metrics[0].controls
    plain = verify(sound, sound, backend=backend, metrics=["mel_db_mae"], controls=False)
    assert (plain.ceilings, plain.metrics[0].controls) == ({}, {})
    without = verify(sound, sound, backend=backend, metrics=[], ceilings=False)
    assert without.ceilings == {}
    assert list(without.metrics[0].controls)[-1] == "silence"


def test_a_random_stream_is_a_whole_one_of_the_same_size(sound, stream, backend):
    header, _ = parse_header(stream)
    random = random_stream(header, backend.info)
    assert len(random) == len(stream)
    opened = Stream(random, backend.info)
    assert opened.header == header
    assert len(opened.contents().choices) == opened.timeline.segment_count
    assert random != random_stream(header, backend.info, seed=1)
    assert random == random_stream(header, backend.info)
    assert api.decompress(random, backend=backend).samples.shape == sound.samples.shape


def test_rates_may_differ(sound):
    double = Waveform.of(np.repeat(sound.samples, 2, axis=1), 2 * RATE)
    found = verify(
        sound.samples, double.samples, sample_rate=RATE, estimate_rate=2 * RATE, lag=0, metrics=["mel_db_mae"]
    )
    assert found.alignment.estimate.sample_rate == 2 * RATE
    assert found.alignment.seconds == pytest.approx(1, abs=1e-3)


def test_metrics_hear_the_highs_in_time(sound):
    """What is lost above 8 kHz of a sound of 48 kHz, at a lag that is told in samples at 16 kHz."""
    truth = Waveform(0.1 * np.random.default_rng(0).standard_normal((1, 48000)).astype("f4"), 48000)
    dull = low_pass(truth, 7000)
    late, late_dull = (Waveform(np.pad(one.samples, ((0, 0), (111, 0))), 48000) for one in (truth, dull))
    names = ["log_spectral_distance_top_db", "snr_db"]
    whole, without = (verify(truth, one, lag=37, metrics=names) for one in (late, late_dull))
    assert (whole.alignment.sample_rate, whole.alignment.metric_rate) == (16000, 48000)
    top, snr = (
        {row.name: row.value for row in found.metrics}[name]
        for found, name in zip((without, whole), names, strict=True)
    )
    assert top > 20
    assert snr > 60
    controls = next(row.controls for row in whole.metrics if row.name == "log_spectral_distance_top_db")
    assert controls["shuffled"] < 10 < controls["silence"]  # noise, in whatever order, has highs


def test_a_stream_needs_its_backend(sound, stream, backend):
    with pytest.raises(ConfigError, match="backend"):
        verify(sound, stream)
    with pytest.raises(StreamError):
        verify(sound, stream[:-3], backend=backend)
