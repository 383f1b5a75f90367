"""The parts of the benchmark that need no model: baselines, checks, memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from noisebook.backends.mini_files import model_info
from noisebook.benchmark.baselines import CLASSIC_BITS, MAX_DENSE_VALUES, baselines
from noisebook.benchmark.runs import check, checks
from noisebook.benchmark.timing import PeakMemory

ROW = {"preset": "3000", "encode_seconds": 1.1, "allowance": 1.0}
LENGTHS = [
    {"preset": "3000", "seconds": s, "encode_real_time": r, "decode_real_time": 0.2, "resident": 2**29}
    for s, r in ((5, 0.5), (30, 0.1), (60, 0.105))
]
OURS = {"codec": "preset 3000", "faster": None, "nmse_db": -12.0}
TURBO = {"codec": "turbo", "faster": 20.0, "nmse_db": None}
UNITS = {"codec": "turbo, by units", "faster": 2.0, "nmse_db": -10.0}


@pytest.fixture(scope="module")
def info(tiny_model):
    return model_info(tiny_model)


@pytest.mark.parametrize("frames", [8, 82, 256])
@pytest.mark.parametrize("rate", [30, 3000])
def test_baselines_can_be_coded_and_keep_to_the_bitrate(info, rate, frames):
    found = {baseline.title: baseline.params for baseline in baselines(rate, steps=12, frames=frames, info=info)}
    assert len(found) == 3
    for engine in found.values():
        assert 2**engine.log2_K * engine.unit_frames * info.frame_values <= MAX_DENSE_VALUES
        assert engine.kappa_percent == 0
    turbo = found["turbo"]
    assert (turbo.steps, turbo.unit_frames) == (12, frames)
    assert turbo.M == 1 or turbo.bitrate(info) <= rate < replace(turbo, M=turbo.M + 1).bitrate(info)
    classic = found["classic"]
    assert classic.steps * classic.choice_bits == CLASSIC_BITS


def test_a_part_of_the_steps_stands_for_all(info):
    for baseline in baselines(3000, steps=12, frames=82, info=info):
        assert baseline.sample == replace(baseline.params, steps=baseline.sample.steps)
        assert baseline.sample.steps <= baseline.params.steps


def test_checks_find_what_is_wrong():
    results = {"presets": [ROW], "durations": LENGTHS, "rivals": [OURS, TURBO, UNITS]}
    found = checks(results)
    assert all(row["ok"] for row in found)
    assert len(found) == 8
    worse = {
        "presets": [{**ROW, "encode_seconds": 1.3}],
        "durations": [*LENGTHS, {**LENGTHS[-1], "encode_real_time": 0.6, "decode_real_time": 0.7, "resident": 2**32}],
        "rivals": [OURS, {**TURBO, "faster": 4.0}, {**UNITS, "nmse_db": -13.0}],
    }
    assert not any(row["ok"] for row in checks(worse))


def test_what_was_not_measured_is_not_checked():
    assert checks({"presets": [], "durations": [], "rivals": []}) == []
    assert [row["name"] for row in checks({"presets": [], "durations": [], "rivals": [OURS, UNITS]})] == [
        "latent error below turbo, by units, dB"
    ]


def test_a_limit_itself_is_kept():
    assert check("", 1.2, 1.2)["ok"]
    assert check("", 5, 5, at_most=False)["ok"]
    assert not check("", 4.9, 5, at_most=False)["ok"]


def test_the_peak_is_that_of_the_work_since():
    memory = PeakMemory(torch.device("cpu"))
    block = np.zeros(2**29, np.uint8)
    block[::4096] = 1  # 512 MiB, touched page by page
    del block
    high = memory.resident()
    again = PeakMemory(torch.device("cpu"))
    assert high is not None
    assert high > 2**29
    assert memory.reserved() is None
    low = again.resident()
    assert low is not None
    assert low < high - 2**28 or not Path("/proc/self/clear_refs").exists()
