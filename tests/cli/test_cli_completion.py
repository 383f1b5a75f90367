"""Shell completion: what the shells are given, and what bash makes of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(noisebook, monkeypatch, shell):
    ran = noisebook("completion", shell)
    assert (ran.status, ran.err) == (0, "")
    assert f"_NOISEBOOK_COMPLETE={shell}_complete" in ran.text
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert noisebook("completion").text == ran.text


def test_files_complete_wherever_one_is_named():
    """Arguments and options that help texts call by what a file is."""
    from noisebook.cli._options import FILE
    from noisebook.cli.main import cli

    names = ("IN", "OUT", "FILE", "DIR", "FOLDER", "REF", "EST", "SRC", "DST")
    groups = [group.commands.values() for group in cli.commands.values() if isinstance(group, click.Group)]
    commands = [*cli.commands.values(), *(command for group in groups for command in group)]
    other = [
        (command.name, parameter.name)
        for command in commands
        for parameter in command.params
        if re.search(rf"\b({'|'.join(names)})\b", parameter.metavar or "")
        if parameter.type is not FILE and not isinstance(parameter.type, click.Path)
    ]
    assert other == []


def test_installed_once(noisebook, home):
    """What the user's file has stays, and a second time adds nothing."""
    start = home / ".zshrc"
    start.write_text("alias ll='ls -l'")
    for _ in range(2):
        ran = noisebook("completion", "zsh", "--install")
        script = home / ".config/noisebook/completion.zsh"
        assert ran.text.startswith(f"noisebook: {script} is written, and {start} runs it")
    first, second = start.read_text().splitlines()
    assert first == "alias ll='ls -l'"
    assert second.endswith(f'. "{script}"')


def test_fish_has_a_folder_for_it(noisebook, home):
    assert noisebook("completion", "fish", "--install").status == 0
    assert [str(path.relative_to(home)) for path in home.rglob("*.fish")] == [".config/fish/completions/noisebook.fish"]


def test_failures(noisebook, home, fails, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/ash")
    assert fails("completion") == "the shell 'ash' is not known: noisebook completion bash|zsh|fish"
    (home / ".config").write_text("")
    told = noisebook("completion", "bash", "--install").told()
    assert told == f"cannot write {home}/.config/noisebook: Not a directory"


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_commands_options_and_files(noisebook, home):
    """In a shell that has run what `--install` wrote."""
    assert noisebook("completion", "bash", "--install").status == 0
    (home / "noisebook").write_text(f'#!/bin/sh\nexec {sys.executable} -m noisebook "$@"\n')
    (home / "noisebook").chmod(0o755)
    code = """
. ~/.bashrc
compopt() { printf 'compopt %s %s\\n' "$@"; }  # is for interactive shells
complete_words() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _noisebook_completion noisebook; echo "${COMPREPLY[@]}"
}
complete_words noisebook decod
complete_words noisebook decomp
complete_words noisebook info --js
complete_words noisebook info so
"""
    paths = {"PATH": f"{home}:{os.environ['PATH']}", "PYTHONPATH": str(Path(__file__).parents[2])}
    ran = subprocess.run(["bash", "-c", code], env={**os.environ, **paths}, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["", "decompress", "--json", "compopt -o default", ""]
