"""The help texts: complete, true, and the same as docs/cli.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from noisebook.api.models import DEVICES
from noisebook.audio.formats import WRITABLE
from noisebook.cli.main import cli
from noisebook.cli.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = [pytest.param(command, id=name) for name, command in cli.commands.items()]


def examples(command: click.Command) -> list[list[str]]:
    """The words after `noisebook` in each example of a help text, up to a comment, redirection or pipe."""
    lines = [line.strip() for line in (command.help or "").splitlines() if line.strip().startswith("noisebook ")]
    return [shlex.split(re.split(r"\s[#<>|]", line)[0])[1:] for line in lines]


def options(command: click.Command) -> dict[str, click.Option]:
    context = click.Context(command)
    return {str(p.name): p for p in command.get_params(context) if isinstance(p, click.Option)}


def help_of(command: str, option: str) -> str:
    return options(cli.commands[command])[option].help or ""


def test_the_page_is_current():
    assert PAGE.read_text("utf-8") == reference(), "run: python -m noisebook.cli.reference > docs/cli.md"


def test_the_page_fits_its_width():
    assert max(len(line) for line in reference().split("```text")[1].splitlines()) <= 100
    assert all(f"## noisebook {name}\n" in reference() for name in cli.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_examples_that_parse(command):
    assert examples(command)
    for name, *arguments in examples(command):
        assert cli.commands[name] is command
        command.make_context(name, arguments)  # raises UsageError for an option that does not exist


def test_the_examples_of_the_group_parse():
    assert len(examples(cli)) >= 2
    for name, *arguments in examples(cli):
        cli.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("command", [pytest.param(cli, id="noisebook"), *COMMANDS])
def test_everything_has_help(command):
    assert command.help
    for option in options(command).values():
        assert option.help, option.name
        assert option.help.endswith("."), option.help


def test_help_texts_tell_the_truth():
    from noisebook.codec.presets import DEFAULT, PRESETS, QUALITIES
    from noisebook.codec.segment import SHORT_TAIL_STEPS, TAIL_STEPS
    from noisebook.networks.denoiser import DenoiserConfig

    names = re.findall(r"\d+(?: \(default\))?", help_of("compress", "preset"))
    assert names == [p.name + (" (default)" if p.name == DEFAULT else "") for p in PRESETS]
    assert f"by default {SHORT_TAIL_STEPS} from some 300 bit/s on, else {TAIL_STEPS}." in help_of(
        "decompress", "tail_steps"
    )
    compress = options(cli.commands["compress"])
    assert set(compress["quality"].type.choices) == set(QUALITIES)  # type: ignore[attr-defined]
    assert set(compress["channels"].type.choices) == {"auto", "dual", "mono"}  # type: ignore[attr-defined]
    assert all(re.search(rf"\b{tag}\b", help_of("compress", "tag")) for tag in DenoiserConfig().tags)
    assert all(re.search(rf"\b{device}\b", help_of("compress", "device")) for device in DEVICES)


def test_the_formats_named_can_be_written():
    text = cli.commands["decompress"].help or ""
    named = set(re.findall(r"(\.[a-z0-9]+)\b", text.split("names the format:")[1].split("IN may")[0]))
    assert named == set(WRITABLE) - {".aif"}  # another spelling of .aiff
