"""The recipe of the rate limit, on a tiny model: equal bits, every part of the page, and its arithmetic."""

from __future__ import annotations

import re

import pytest

from experiments import rate_limit
from experiments.rate_limit import FRAME_SAMPLES, FRAMES, Bench, measured, started, systems, write_json
from experiments.rate_limit_page import bits_for, render
from experiments.sources import coloured, white
from noisebook.audio.waveform import Waveform
from noisebook.benchmark.baselines import Published


@pytest.fixture
def bench(backend, chirp):
    sound = chirp.repeat(3, 1)[:, : FRAMES * FRAME_SAMPLES]
    return Bench([Waveform(sound, 16000), Waveform(0.3 * sound[:, ::-1].copy(), 16000)], backend)


def test_rates_are_equal(backend):
    """What is compared spends the bits that it names, give or take 6 %."""
    for rate in rate_limit.RATES:
        for system in systems(rate):
            coder = system.coder(backend.info, 1, FRAMES)
            last = getattr(system.engine, "last", 20)
            bits = coder.partition.parts * system.engine.choice_bits * len(coder.plan)
            assert bits / (FRAMES / 25) == pytest.approx(float(rate), rel=0.06), system
            assert coder.plan[-1].s == last or last == 20


def test_every_part_of_the_page(bench, backend, chirp, monkeypatch):
    monkeypatch.setattr(rate_limit, "RATES", ("1500",))
    monkeypatch.setattr(rate_limit, "_LADDER", ("300", "6000"))
    monkeypatch.setattr(rate_limit, "systems", lambda rate: systems(rate)[:1] + systems(rate)[3:5])
    monkeypatch.setattr(rate_limit, "_TURBO", {"1500": (Published(8, 3, 8, 19), 180)})
    schedule, spoken = bench.info.schedule, Waveform(0.3 * chirp.repeat(2, 1)[:, :48000], 16000)
    results = {"model": "ab", "clips": ["a", "b"], "ceiling_mel_db": bench.mel_error(bench.latents),
               "rivals": measured(rate_limit.rivals(bench), []),
               "ladder": measured(rate_limit.ladder(bench), []),
               "encoder": measured(rate_limit.encoders(bench), []),
               "pauses": measured(rate_limit.pauses([spoken], backend), []),
               "sources": measured(rate_limit.sources(white(schedule, 64), bench.info), [])}  # fmt: skip
    page = render(results)
    assert not re.search(r"<[A-Z_]+>", page)
    assert "| Turbo-DDCM as published | 1485 | 19 |" in page
    assert "| white, preset | 1488 |" in page
    assert page.count("| 1500 bit/s, none") == page.count("| 1500 bit/s, shaped") == 1
    constant, variable = results["pauses"]
    assert variable["bytes"] < 0.8 * constant["bytes"]
    assert f"| 1500 bit/s, variable | {variable['bytes']:.0f} |" in page
    for row in results["rivals"]:
        assert row["bit_per_second"] == pytest.approx(1500, rel=0.06)
        assert len(row["clips_nmse_db"]) == 2


def test_what_was_measured_is_not_measured_again(tmp_path):
    calls, path, of = [], tmp_path / "x.json", {"model": "ab", "clips": ["a"]}
    jobs = [({"rate": rate}, lambda rate=rate: {"error": calls.append(rate) or 1.5}) for rate in ("300", "1500")]
    results = started(path, of)
    measured(jobs[:1], results.setdefault("rivals", []), lambda: write_json(path, results))
    again = started(path, of)
    assert again == of | {"rivals": [{"rate": "300", "error": 1.5}]}
    assert measured(jobs, again["rivals"]) == [{"rate": rate, "error": 1.5} for rate in ("300", "1500")]
    assert calls == ["300", "1500"]
    assert started(path, of | {"model": "cd"}) == of | {"model": "cd"}


def test_bits_for_an_error_lie_between_the_rungs():
    ladder = [{"bit_per_second": 100.0, "nmse_db": -2.0}, {"bit_per_second": 400.0, "nmse_db": -6.0}]
    assert bits_for(ladder, "nmse_db", -4.0) == pytest.approx(200.0)
    assert bits_for(ladder, "nmse_db", -2.0) == pytest.approx(100.0)
    assert bits_for(ladder, "nmse_db", -7.0) is None
    assert bits_for(ladder, "nmse_db", -1.0) is None


def test_the_bound_is_reached_to_three_quarters_on_white_and_more_with_shaping_on_coloured(backend, monkeypatch):
    monkeypatch.setattr(rate_limit, "RATES", ("3000",))
    monkeypatch.setattr(rate_limit, "_TURBO", {"3000": (Published(10, 5, 8, 20), 100)})
    schedule = backend.info.schedule
    rows = [row for make in (white, coloured)
            for row in measured(rate_limit.sources(make(schedule, 64), backend.info), [])]  # fmt: skip
    found = {(row["source"], row["system"]): row["efficiency"] for row in rows}
    assert found["white", "preset"] >= 0.75
    assert found["coloured", "more steps, shaped"] > found["coloured", "more steps"] > found["coloured", "preset"]
    assert found["coloured", "preset"] > found["coloured", "Turbo-DDCM as published"]
