"""The README tells the truth: its commands parse, its links lead somewhere, its numbers are those of the results."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from noisebook.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in README.splitlines() if line.startswith("    noisebook ")]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_parse(command):
    _, name, *arguments = shlex.split(re.split(r"\s#", command)[0])
    parent = click.Context(cli, **cli.context_settings)
    cli.commands[name].make_context(name, arguments, parent=parent)  # raises UsageError for what does not exist


def test_there_are_commands():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("page", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")), ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_numbers_are_those_of_the_results():
    rows = [line for line in README.splitlines() if re.match(r"\| (\d+ bit/s|ceiling)", line)]
    assert len(rows) >= 7
    for row in rows:
        assert row in RESULTS


def test_python_example_runs(tmp_path, monkeypatch, tiny_model):
    """The code block of the README, on a short sound and a small model."""
    import numpy as np
    import soundfile

    import noisebook
    from noisebook import api

    backend = api.load_backend(str(tiny_model), device="cpu")
    monkeypatch.chdir(tmp_path)
    soundfile.write("back.wav", 0.1 * np.random.default_rng(0).normal(size=(4000, 2)).clip(-3, 3), 8000)
    monkeypatch.setattr(noisebook, "load_backend", lambda: backend)
    code = re.search(r"```python\n(.*?)```", README, re.S)
    assert code is not None
    names: dict[str, object] = {}
    exec(code[1], names)
    assert names["sound"].samples.shape == (2, 4000)  # type: ignore[attr-defined]
