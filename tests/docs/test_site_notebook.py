"""The notebook of the documentation: its cells run, and it holds what they gave."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import noisebook

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebooks" / "tour.ipynb"
CELLS = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, list[str]]) -> str:
    return "".join(cell["source"])


def test_it_holds_the_outputs_of_one_run_in_order() -> None:
    assert [cell["execution_count"] for cell in CELLS] == list(range(1, len(CELLS) + 1))
    shown = "".join(
        "".join(output.get("data", {}).get("text/html", "")) for cell in CELLS for output in cell["outputs"]
    )
    assert shown.count("<audio controls src=") == shown.count('<img alt="Spectrogram" ') == 3
    assert "<table>" in shown
    assert not [output for cell in CELLS for output in cell["outputs"] if output["output_type"] == "error"]
    assert NOTEBOOK.stat().st_size < 250_000


def test_it_knows_nothing_of_the_machine_it_ran_on() -> None:
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert not [word for word in ("/home/", "/root/", "/tmp/", "site-packages", "Warning") if word in text]


def test_its_cells_run(backend, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In one namespace and on the small model, without a kernel."""
    pytest.importorskip("IPython", reason="the notebook needs the extra docs")
    monkeypatch.setattr(noisebook, "load_backend", lambda **_: backend)
    monkeypatch.setattr(sys, "argv", ["notebook"])
    names: dict[str, object] = {}
    for cell in CELLS:
        exec(source(cell), names)
    assert "TruncatedStream: segment 0 ends at" in capsys.readouterr().out
