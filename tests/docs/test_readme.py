"""The README tells the truth: its commands parse, its links lead somewhere, its numbers are those of the results."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from pkgutil import resolve_name

import click
import pytest

from noisebook.cli.main import cli

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
CODECS = (ROOT / "docs" / "codecs.md").read_text(encoding="utf-8")
SOUNDS = ROOT / "docs" / "sounds"
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


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_names_of_the_code_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\bnoisebook(?:\.[A-Za-z_]\w*)+", text):
        if name != "noisebook.models":  # the group of entry points
            resolve_name(name)
    for line in re.findall(r"^ *(from noisebook[\w.]* import [\w, ]+)$", text, re.MULTILINE):
        exec(line)
    for path in re.findall(r"`((?:noisebook|training|experiments|tests|fuzz|docs)/[\w/]+\.\w+)`", text):
        assert (ROOT / path).is_file(), path


def test_the_glossary_is_short_and_the_diagram_has_every_grain():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    words = [word for row in page.partition("## The words")[2].partition("##")[0].splitlines()[4:]
             for word in row.split("|")[1:2]]  # fmt: skip
    assert 20 <= sum(len(word.split(",")) for word in words) <= 30
    diagram = page.partition("## The grains of time")[2].partition("##")[0]
    for grain in ("sample", "hop", "latent frame", "cell", "unit", "part", "window", "segment", "block"):
        assert re.search(rf"^ +{grain} +", diagram, re.MULTILINE), grain


def test_numbers_are_those_of_the_results():
    rows = [line for line in README.splitlines() if re.match(r"\| (\d+ bit/s|ceiling)", line)]
    assert len(rows) >= 7
    for row in rows:
        assert row in RESULTS


def measured(method: str, column: str) -> str:
    """A mean of the first table of docs/codecs.md, without its interval."""
    head, _, *rows = re.findall(r"^\|.*(?=\n)", CODECS.partition("## In tune")[0], re.MULTILINE)
    (row,) = (row for row in rows if row.startswith(f"| {method} |"))
    return row.split(" | ")[head.split(" | ").index(column)].split()[0]


def test_what_it_says_of_other_codecs_is_measured():
    music, opus, codec2 = (
        measured(method, "music") for method in ("DDCM 3000 bit/s (gen)", "Opus 6 kbit/s", "Codec2 3200 bit/s (gen)")
    )
    best, speech = (measured(method, "PESQ-wb (speech)") for method in ("DDCM 6000 bit/s (gen)", "Opus 12 kbit/s"))
    text = " ".join(README.split())
    won = f"score {music} in ViSQOL (1 to 5), where Opus at 6 kbit/s scores {opus} and Codec2 at 3.2 kbit/s scores "
    won += codec2
    lost = f"Opus at 12 kbit/s scores {speech} in PESQ and noisebook's best preset, 6 kbit/s, {best}"
    assert won in text
    assert lost in text
    assert float(music) > max(float(opus), float(codec2))
    assert float(speech) > float(best)


def test_it_is_short():
    assert len(README.splitlines()) <= 100


def test_the_sounds_are_of_the_embedded_model_and_small():
    import noisebook
    from noisebook import api

    streams = sorted(SOUNDS.glob("*.ddcm"))
    assert len(streams) >= 6
    page = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for stream in streams:
        assert noisebook.find_model(stream.read_bytes()) == api.EMBEDDED, "make sounds"
        assert f"{stream.stat().st_size:,} bytes" in page, "make sounds"
        assert f"sounds/{stream.stem}.opus" in page
    sounds = list(SOUNDS.glob("*.opus"))
    assert all(f"sounds/{sound.name}" in page and f"docs/sounds/{sound.name}" in README for sound in sounds)
    assert sum(sound.stat().st_size for sound in sounds) < 1_200_000


def test_the_rules_of_recommend_are_those_of_the_page():
    from noisebook.verification.rules import RULES

    page = (ROOT / "docs" / "verification.md").read_text(encoding="utf-8")
    for rule in RULES:
        cells = (
            rule.aspect, ", ".join(rule.needs) or "any", ", ".join(rule.sounds) or "any", rule.condition,
            rule.advice or "-", rule.second or "-", rule.why,
        )  # fmt: skip
        assert f"| {' | '.join(cells)} |" in page


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
