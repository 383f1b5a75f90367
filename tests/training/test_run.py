"""What the training recipe is made of: budget, average, log, checkpoint."""

from __future__ import annotations

import json
import math

import pytest
import torch

from training.run import Budget, Ema, Log, load_checkpoint, save_checkpoint

# --- budget ------------------------------------------------------------------------------------------------------


def test_budget_counts_time_and_steps(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(Budget, "_now", lambda self: now[0])
    budget = Budget(3.0, "cpu")
    for minutes in (1.0, 0.5, 1.0):
        now[0] += minutes
        budget.tick()
        assert not budget.done
    assert (budget.step, budget.elapsed) == (3, 2.5)
    now[0] += 0.5
    budget.tick()
    assert budget.done


def test_budget_goes_on_where_an_earlier_run_stopped(monkeypatch):
    monkeypatch.setattr(Budget, "_now", lambda self: 77.0)  # time before this run does not count
    budget = Budget(3.0, "cpu", elapsed=2.9, steps=40)
    budget.tick()
    assert (budget.step, budget.elapsed) == (41, 2.9)
    assert Budget(3.0, "cpu", elapsed=3.0).done


def test_on_a_cpu_waiting_is_free():
    budget = Budget(1.0, "cpu")
    import time

    time.sleep(0.2)
    budget.tick()
    assert budget.elapsed < 0.1 / 60


def test_learning_rate_is_a_cosine_after_a_warm_up():
    def rate(share: float, step: int = 10_000) -> float:
        return Budget(10.0, "cpu", elapsed=10 * share, steps=step).learning_rate(1.0)

    assert rate(0.0) == pytest.approx(1.0)
    assert rate(0.5) == pytest.approx(0.51)
    assert rate(0.25) == pytest.approx(0.02 + 0.98 * 0.5 * (1 + math.sqrt(0.5)))
    assert rate(1.0) == rate(5.0) == pytest.approx(0.02)
    assert rate(0.0, step=0) == pytest.approx(1 / 200)
    assert rate(0.0, step=99) == pytest.approx(0.5)


# --- averaging ---------------------------------------------------------------------------------------------------


def test_ema_is_the_average_that_it_says():
    network = torch.nn.Linear(2, 1)
    ema = Ema(network, decay=0.9)
    expected = network.weight.detach().clone()
    for step in range(200):
        with torch.no_grad():
            network.weight.copy_(torch.tensor([[float(step), -float(step)]]))
        ema.update(network, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
    torch.testing.assert_close(ema.weights["weight"], expected)
    assert float(expected[0, 0]) == pytest.approx(199 - 9, abs=0.1)  # it lags by decay / (1 - decay) steps


def test_ema_is_applied_for_a_block_even_if_that_fails():
    network = torch.nn.Linear(2, 1)
    ema = Ema(network)
    own = network.weight.detach().clone()
    ema.weights["weight"] = torch.full((1, 2), 7.0)

    def fail_within() -> None:
        with ema.applied(network):
            assert network.weight.tolist() == [[7.0, 7.0]]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_within()
    assert torch.equal(network.weight, own)


# --- log and checkpoint ------------------------------------------------------------------------------------------


def test_log_takes_numbers_and_tensors(tmp_path, capsys):
    log = Log(tmp_path / "log.jsonl")
    log(Budget(1.0, "cpu", elapsed=0.123456, steps=3), loss=torch.tensor(0.123456789, requires_grad=True), rate=2)
    log(Budget(1.0, "cpu", steps=4), loss=1.0)
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert capsys.readouterr().out.splitlines() == lines
    assert json.loads(lines[0]) == {"step": 3, "minutes": 0.12, "loss": 0.12346, "rate": 2.0}
    assert json.loads(lines[1])["step"] == 4


def test_checkpoint_round_trip(tmp_path):
    path = tmp_path / "checkpoint.pt"
    assert load_checkpoint(path, "cpu") is None
    save_checkpoint(path, Budget(1.0, "cpu", elapsed=0.5, steps=9), network={"w": torch.ones(2)}, log_kl_weight=-3.0)
    state = load_checkpoint(path, "cpu")
    assert state["elapsed"] == 0.5
    assert state["steps"] == 9
    assert state["log_kl_weight"] == -3.0
    assert torch.equal(state["network"]["w"], torch.ones(2))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]
