"""The study of the rate limit, on a tiny model: equal bits, every part of the page, and its arithmetic."""

from __future__ import annotations

import pytest

from experiments import rate_limit
from experiments.rate_limit import FRAMES, bits_for, coder_of, systems
from noisebook.benchmark.baselines import Published


def test_rates_are_equal(backend):
    """What is compared spends the bits that it names, give or take 6 %."""
    for rate in rate_limit.RATES:
        for name, engine in systems(rate).items():
            coder = coder_of(engine, backend.info, 1, FRAMES)
            bits = coder.partition.parts * engine.choice_bits * len(coder.plan)
            assert bits / (FRAMES / 25) == pytest.approx(float(rate), rel=0.06), name


def test_every_part_of_the_page(measured, monkeypatch):
    chosen = ("partitioned, matched (preset)", "Turbo-DDCM as published")
    monkeypatch.setattr(rate_limit, "RATES", ("1500",))
    monkeypatch.setattr(rate_limit, "LADDER", ("300", "1500", "6000"))
    monkeypatch.setattr(rate_limit, "_FIRST", 0)
    monkeypatch.setattr(rate_limit, "_SOURCE_FRAMES", 64)
    monkeypatch.setattr(
        rate_limit, "systems", lambda rate: {name: systems(rate)[name] for name in chosen if name in systems(rate)}
    )
    monkeypatch.setattr(rate_limit, "_RIVALS", {"1500": (Published(8, 3, 8, 19), Published(10, 0, 16, 99))})
    parts = measured("rate_limit")
    assert "| Turbo-DDCM as published | 1485 | 19 |" in parts["rivals"]
    assert parts["rivals"].count("partitioned, matched (preset)") == 2
    assert "| white, preset | 1488 |" in parts["sources"]
    constant, variable = (float(line.split(" | ")[1]) for line in parts["pauses"].splitlines()[2:])
    assert variable < 0.8 * constant
    assert parts["equal"].count("\n") == 3


def test_bits_for_an_error_lie_between_the_rungs():
    ladder = [{"bit_per_second": 100.0, "nmse_db": -2.0}, {"bit_per_second": 400.0, "nmse_db": -6.0}]
    assert bits_for(ladder, "nmse_db", -4.0) == pytest.approx(200.0)
    assert bits_for(ladder, "nmse_db", -2.0) == pytest.approx(100.0)
    assert bits_for(ladder, "nmse_db", -7.0) is None
    assert bits_for(ladder, "nmse_db", -1.0) is None


def test_the_bound_is_reached_to_three_quarters_on_white_and_more_with_shaping_on_coloured(bench, monkeypatch):
    monkeypatch.setattr(rate_limit, "_SOURCE_FRAMES", 64)
    monkeypatch.setattr(rate_limit, "_RIVALS", {"3000": (Published(10, 5, 8, 20), None)})
    found = {
        (source, system): rate_limit.measure_source(bench, "3000", source, system)["efficiency"]
        for source in ("white", "coloured") for system in ("preset", "preset, shaped", "Turbo-DDCM as published")
    }  # fmt: skip
    assert found["white", "preset"] >= 0.75
    assert found["coloured", "preset, shaped"] > found["coloured", "preset"]
    assert found["coloured", "preset"] > found["coloured", "Turbo-DDCM as published"]
