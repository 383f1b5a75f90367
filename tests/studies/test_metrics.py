"""The study of what metrics say of controls."""

from __future__ import annotations

import numpy as np

from experiments import metrics as recipe

SLOW = ("visqol", "zimtohrli", "dnsmos")


def test_every_estimate_has_a_column_and_every_metric_a_row(backend, chirp, monkeypatch):
    sound = chirp[0, :16000]
    others = recipe.estimates(sound, sound[::-1].copy(), backend)
    assert all(estimate.shape == sound.shape and np.isfinite(estimate).all() for estimate in others.values())
    np.testing.assert_allclose(others["10 ms late"][160:], sound[:-160])
    monkeypatch.setattr(recipe, "SKIPPED", SLOW)
    chosen = {name: others[name] for name in ("half as loud", "another", "silence")}
    row = recipe.judge(sound, chosen, speech=False)
    lines = recipe.values([row, row]).splitlines()
    assert lines[0] == "|  | half as loud | another | silence |"
    assert "| energy_ratio_db | 6.02 | 0.00 | inf |" in lines
    assert lines[-1].startswith("| verify_score | ")
    assert len(lines) == 2 + len(row)
    assert not any("visqol" in line for line in lines)


def test_sets_are_compared_within_and_across_kinds():
    rng = np.random.default_rng(0)
    clips = [(kind, level * rng.normal(size=16000)) for kind, level in (("music", 1), ("speech", 1)) for _ in range(4)]
    lines = recipe.sets(clips).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| music, two halves",
        "| speech, two halves",
        "| music, speech",
    ]
    assert lines[2].split(" | ")[1] == "12, 12"


def test_signed_values_do_not_cancel(monkeypatch):
    monkeypatch.setattr(recipe, "SKIPPED", SLOW)
    quiet, loud = np.ones(16000) * 0.1, np.ones(16000) * 0.2
    rows = [recipe.judge(a, {"other": b}, speech=False) for a, b in ((quiet, loud), (loud, quiet))]
    assert "| energy_ratio_db | 6.02 |" in recipe.values(rows)


def test_the_tables(measured, monkeypatch):
    monkeypatch.setattr(recipe, "SKIPPED", SLOW)
    monkeypatch.setattr(recipe, "_SECONDS", 2.0)
    parts = measured("metrics")
    assert "| summary_score | " in parts["values"]
    assert "| music, sfx | " in parts["sets"]
