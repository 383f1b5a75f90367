"""`bench`: options, tables, JSON and exit status, with the measurements themselves replaced."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from noisebook.batch import executors
from noisebook.cli.main import cli

STAGES = {"mel": 0.1, "denoiser": 1.0}
TRIP = {
    "encode_seconds": 1.1, "decode_seconds": 2.2, "encode_real_time": 0.11, "decode_real_time": 0.22, "resident": 2**29,
    "reserved": None, "encode": STAGES, "calls": 12, "decode": STAGES, "nmse_db": -11.5, "bit_per_second": 3009.6,
    "allowance": 1.0,
}  # fmt: skip
ENGINE = {
    "steps": 12, "bit_per_second": 3000, "encode_seconds": 1, "encode_real_time": 0.3, "decode_seconds": 2,
    "decode_real_time": 0.61, "encode": {"denoiser": 0.8, "choices": 0.1}, "decode": {"denoiser": 1.6, "choices": 0.13},
    "resident": None, "reserved": None,
}  # fmt: skip
RESULTS = {
    "model": {"name": "mini", "fingerprint": "0922aa"},
    "machine": {"device": "cpu", "threads": 1, "cores": 2, "processor": "Some Processor", "torch": "2.13"},
    "runs": 3,
    "presets": [{"preset": "3000", **TRIP}],
    "durations": [{"preset": "30", "seconds": 3600.0, **TRIP}],
    "rivals": [
        {"codec": "preset 3000", "measured_steps": 12, "faster": None, "nmse_db": -11.4, **ENGINE},
        {"codec": "turbo", "measured_steps": 2, "faster": 21.5, "nmse_db": None, **ENGINE},
    ],
    "checks": [{"name": "a check", "value": 1.07, "limit": 1.2, "at_most": True, "ok": True}],
}


@pytest.fixture
def seen(monkeypatch):
    """The options that reach the benchmark."""
    seen = []

    def benchmark(sound, *, backend, options, tell):
        seen.append(options)
        tell("something")
        return json.loads(json.dumps(RESULTS))

    monkeypatch.setattr("noisebook.benchmark.runs.benchmark", benchmark)
    return seen


def run(engine, *arguments):
    words = ["bench", *map(str, (*engine, *arguments))]
    return CliRunner().invoke(cli, words, standalone_mode=False)


def test_tables(engine, seen):
    result = run(engine)
    assert result.return_value == 0, result.output
    for shown in (
        "mini 0922 (float32) on cpu, 1 of 2 threads",
        "3600",
        "turbo",
        "21.5",
        "-11.5",
        "512",
        "0.61",
        "1.07",
        "ok",
    ):
        assert shown in result.stdout
    assert result.stderr == "timing something\n"


def test_json(engine, seen):
    result = run(engine, "--json")
    assert json.loads(result.stdout)["durations"][0]["seconds"] == 3600
    assert json.loads(result.stdout)["machine"]["dtype"] == "float32"


def test_a_missed_check_is_a_failure_only_where_that_was_asked_for(engine, seen, monkeypatch):
    monkeypatch.setitem(RESULTS["checks"][0], "ok", False)
    result = run(engine)
    assert result.return_value == 0
    assert "missed" in result.stdout.split("Checks (limits of an idle machine)")[1]
    assert run(engine, "--quick", "--json").return_value == 0
    assert run(engine, "--check").return_value == 1


def test_options_arrive(engine, seen):
    run(engine, "--presets", "300, 3000", "--seconds", 2, "--runs", 5)
    run(engine, "--quick")
    run(engine, "--full", "--runs", 1)
    given, quick, full = seen
    assert (given.presets, given.seconds, given.runs) == (("300", "3000"), 2, 5)
    assert (quick.runs, quick.whole) == (1, False)
    assert full.whole
    assert max(seconds for _, seconds in full.durations) == 3600


def test_quick_and_full_are_no_pair(engine, seen):
    result = run(engine, "--quick", "--full")
    assert "do not go together" in str(result.exception)
    assert not seen


def test_a_corpus_is_coded_by_workers_too(engine, seen, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)  # no Ray: its start takes longer than all else
    monkeypatch.setattr(executors, "Processes", executors.InProcess)  # as the start of processes does
    result = run(engine, "--corpus", "4", "--json")
    rows = json.loads(result.stdout)["corpus"]
    assert [(row["executor"], row["workers"], row["batch_size"]) for row in rows] == [
        ("local", 1, 1), ("local", 1, 4), ("local", 2, 1),
    ]  # fmt: skip
    assert all(row["files"] == 4 and row["audio_seconds"] == 8 and row["rate"] > 0 for row in rows)
