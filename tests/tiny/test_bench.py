"""The benchmark on a tiny real model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.benchmark import baselines, runs, timing
from noisebook.benchmark.runs import Options, benchmark
from noisebook.codec.options import EncodeOptions
from noisebook.errors import ConfigError

SOUND = Waveform((0.2 * np.random.default_rng(0).standard_normal((1, 20000))).astype(np.float32), 16000)


def test_stages_add_up_and_the_backend_is_left_as_it_was(backend):
    before = dict(vars(backend))
    row = timing.trip(SOUND, EncodeOptions(preset="300"), backend, runs=2)
    assert vars(backend) == before
    assert set(row.encode) == {"features", "autoencoder", "denoiser", "choices", "vocoder", "signal"}  # it hears itself
    assert set(row.decode) == {"autoencoder", "denoiser", "choices", "vocoder", "signal"}
    assert min(*row.encode.values(), *row.decode.values()) > 0
    assert row.calls == 12
    assert row.allowance < row.encode_seconds * 3
    data = api.compress(SOUND, backend=backend, preset="300")
    assert row.bit_per_second == pytest.approx(8 * len(data) / SOUND.duration)


def test_the_backend_is_left_as_it_was_after_a_failure(backend):
    before = dict(vars(backend))
    with pytest.raises(ConfigError), timing.stopwatch(backend):
        backend.denoise(SOUND, 0, tag=99)
    assert vars(backend) == before


def test_stages_nest_in_what_calls_them(backend):
    """`to_latent` goes by way of mel and encode, and both are seen."""
    import torch

    with timing.stopwatch(backend) as watch:
        backend.to_latent(torch.zeros(1, 1, 6400))
    assert watch.model["features"] > 0
    assert watch.model["autoencoder"] > 0
    assert watch.model["denoiser"] == watch.model["vocoder"] == 0


def test_the_whole_benchmark(backend, monkeypatch):
    monkeypatch.setattr(baselines, "_TURBO_ATOMS", 6)
    monkeypatch.setattr(baselines, "_UNIT_ATOMS", 6)
    monkeypatch.setattr(baselines, "_CLASSIC_ATOMS", 4)
    told: list[str] = []
    options = Options(("300",), 0.5, (("300", 0.3), ("30", 0.6)), against="6000", runs=1)
    results = benchmark(SOUND, backend=backend, options=options, tell=told.append)
    assert json.loads(json.dumps(results))
    assert len(told) == 1 + 2 + 4
    assert [row["preset"] for row in results["presets"]] == ["300"]
    assert [row["sound_seconds"] for row in results["durations"]] == pytest.approx([0.3, 0.6])
    engines = {row["codec"]: row for row in results["rivals"]}
    assert len(engines) == 4
    classic = engines["classic"]
    assert (classic["steps"], classic["measured_steps"], classic["nmse_db"]) == (979, 20, None)
    assert classic["faster"] > 1
    for row in engines.values():
        for way in ("encode", "decode"):
            assert row[f"{way}_seconds"] == pytest.approx(sum(row[way].values()))
            assert row[f"{way}_real_time"] == pytest.approx(row[f"{way}_seconds"] / row["sound_seconds"])
    assert engines["turbo, by units"]["nmse_db"] is not None
    assert results["machine"]["device"] == "cpu"
    assert all(isinstance(check["ok"], bool) for check in results["checks"])


def test_the_time_of_all_steps_is_told_from_some(backend):
    """20 of 979 calls and 3 of the tail: the choices of 979, and 979 + 3 calls at the decoder."""
    stages = {"features": 1.0, "denoiser": 23.0, "choices": 20.0}
    row = timing.RoundTrip(10.0, 100.0, 20, 1.0, {**stages, "denoiser": 20.0}, stages, -3.0, None, None)
    found = runs.whole_row("classic", 3000.0, row, steps=979, tail=3)
    assert found["encode"] == {"features": 1.0, "denoiser": 979.0, "choices": 979.0}
    assert found["decode"] == {"features": 1.0, "denoiser": pytest.approx(982.0), "choices": 979.0}
    assert found["encode_seconds"] == pytest.approx(1 + 979 + 979)
    assert found["nmse_db"] is None


def test_a_preset_that_there_is_not(backend):
    with pytest.raises(ConfigError, match="4000"):
        benchmark(SOUND, backend=backend, options=Options(presets=("4000",)))
