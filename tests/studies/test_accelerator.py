"""The table of an accelerator, with the CPU in its place."""

from __future__ import annotations

import pytest

from experiments import accelerator


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "_SECONDS", 1.28)


def test_every_model_precision_and_preset_has_a_row(tiny_model, capsys) -> None:
    accelerator.main(["--models", str(tiny_model), "--device", "cpu", "--presets", "300,1500", "--runs", "1"])
    lines = capsys.readouterr().out.strip().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert [row[1:3] for row in rows] == [
        ["float32", "300"],
        ["float32", "1500"],
        ["bfloat16", "300"],
        ["bfloat16", "1500"],
    ]
    assert [row[3] for row in rows[:2]] == ["none", "none"]  # the reference itself
    assert all(-80 < float(row[3]) < 0 for row in rows[2:])
    assert all(float(cell) > 0 for row in rows for cell in row[4:])


def test_a_precision_that_the_device_has_not_is_told(tiny_model, capsys) -> None:
    accelerator.main(["--models", str(tiny_model), "--device", "cpu", "--dtypes", "float8", "--presets", "300"])
    told = capsys.readouterr()
    assert "float8" in told.err
    assert len(told.out.strip().splitlines()) == 2


def test_a_model_that_is_not_there_is_an_error(tmp_path) -> None:
    from noisebook.errors import ModelError

    with pytest.raises(ModelError):
        accelerator.main(["--models", str(tmp_path / "none"), "--device", "cpu"])
