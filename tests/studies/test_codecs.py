"""The page of codecs, from the results of a comparison that is made up here."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.results_tables import parts

KINDS = {"a": "music", "b": "speech", "c": "speech"}


def row(source: str, method: str, rate: float | None, **metrics: float | None) -> dict[str, Any]:
    return {"input": source, "method": method, "bit_per_second": rate, "metrics": metrics}


def results(rival: dict[str, float], ours: dict[str, float]) -> dict[str, Any]:
    """Values of PESQ by clip for a rival at 2000 bit/s, and for noisebook at 300 and 1500."""
    methods = [("rival", "codec", "Rival", False), ("ddcm-300", "ddcm", "DDCM 300", True),
               ("ddcm-1500", "ddcm", "DDCM 1500", True), ("silence", "control", "Control: silence", False)]  # fmt: skip
    rows = [row(one, "rival", 2000, pesq_wb=value) for one, value in rival.items()]
    rows += [row(one, "ddcm-1500", 1540, pesq_wb=value) for one, value in ours.items()]
    rows += [row(one, "ddcm-300", 340, pesq_wb=1.0) for one in KINDS]
    rows += [row(one, "silence", None, pesq_wb=1.0) for one in KINDS]
    return {
        "inputs": [{"id": name, "kind": kind} for name, kind in KINDS.items()],
        "model": "abcd",
        "methods": [
            {"id": name, "family": family, "label": label, "generative": gen} for name, family, label, gen in methods
        ],
        "rows": [one | {"predicted_bytes": 9, "bytes": 9} if one["method"].startswith("ddcm") else one for one in rows],
        "seconds": 6.0, "machine": "a machine", "steady": [], "controls": [], "time": [],
        "drift": [{"preset": "300", "bfloat16": -40.0}],
        "manifest": {"programs": {"rival": "rival 1.0"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rival", "said"),
    [({"b": 1.0, "c": 1.5}, "ahead"), ({"b": 3.0, "c": 2.5}, "behind"), ({"b": 1.0, "c": 3.0}, "even")],
)
def test_a_duel_is_of_the_same_clips_at_the_nearest_rate_below(rival, said):
    text = parts(results(rival, {"b": 2.0, "c": 2.0}))["duels"]
    duels = [line for line in text.splitlines() if line.startswith("| Rival | 2000 |")]
    (duel,) = (line for line in duels if "pesq_wb" in line)
    assert "| DDCM 1500 |" in duel
    assert duel.endswith(f"| {said} |")
    assert f"{2.0 - sum(rival.values()) / 2:+.2f}" in duel


def test_methods_stand_by_their_rate_and_controls_last():
    made = parts(results({"b": 1.0, "c": 1.5}, {"b": 2.0, "c": 2.0}))
    starts = [line.split(" | ")[0] for line in made["codecs"].splitlines()][2:]
    assert starts == ["| DDCM 300 (gen)", "| DDCM 1500 (gen)", "| Rival", "| control: silence"]
    assert "rival 1.0" in made["programs"]
    assert made["about"].startswith("3 clips of 6 s")


def test_tuning_is_of_music_and_speech_apart():
    made = results({"b": 1.0, "c": 1.5}, {"b": 2.0, "c": 2.0})
    for one in made["rows"]:
        one["metrics"] |= {"tuning_25": {"a": 0.75, "b": 0.25, "c": 0.25}[one["input"]]}
    made["rows"].append(row("a", "rival", 2000, tuning_25=0.5))
    music, speech = parts(made)["tuning"].split("Speech:")
    assert "| Rival | 2000 |  | 0.50 (0.00) |" in music
    assert "| Rival | 2000 |  | 0.25 (0.00) |" in speech


def test_a_rival_without_values_has_no_duel():
    assert "| Rival |" not in parts(results({"b": None, "c": None}, {"b": 2.0, "c": 2.0}))["duels"]
