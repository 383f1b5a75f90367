"""The command `noisebook` and how it ends. A command is imported when it is named, and nothing heavy before it runs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click

from noisebook._version import __version__
from noisebook.cli._shared import STREAM_SUFFIX, Outcome, error_values, spoken_warnings
from noisebook.errors import Error

_NO_COMMAND: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())  # before 8.2 click shows the help itself
# Where in `noisebook.cli` each command is, what it does (its help lists them without importing them), and what other
# programs call it.
_COMMANDS = {
    "batch": ("batch", "Do a whole tree of files.", ""),
    "bench": ("machine", "Time the codec on this machine, beside the published ones.", "benchmark time speed"),
    "calibrate": ("models", "Measure a model's error curve, and keep it with the model.", ""),
    "codebook": ("models", "Latent codebooks, which --codec vq writes a sound with.", "codebooks fit"),
    "compare": ("evaluation", "Compare methods and codecs on the same sounds, on one page.", ""),
    "completion": ("machine", "Complete commands, options and files in a shell.", ""),
    "compress": ("codec", "Compress a sound to a .ddcm stream.", "enc pack zip convert"),
    "decompress": ("codec", "Turn a .ddcm stream back into sound.", "dec unpack unzip extract"),
    "doctor": ("machine", "Check that noisebook works here.", "check selftest diagnose"),
    "generate": ("synthesis", "Make a new sound from a prompt.", ""),
    "info": ("codec", "Show what a stream says about itself, and if it is whole.", "show"),
    "models": ("models", "List the installed models.", "list"),
    "play": ("codec", "Hear a .ddcm stream.", "hear"),
    "recommend": ("evaluation", "Listen to a sound and name the method and preset that suit it.", "presets"),
    "reconstruct": ("synthesis", "Pass a sound through the model without any bits.", ""),
    "restore": ("synthesis", "Fill gaps of a sound, invent a lost band, or undo clipping.", "inpaint declip"),
    "studio": ("machine", "Open a page on which all of noisebook can be tried.", "gui web serve ui"),
    "tally": ("evaluation", "Sum up what the listeners of a blind test answered.", ""),
    "transform": ("synthesis", "Lead a sound towards a prompt.", ""),
    "verify": (
        "evaluation", "Say whether a sound is related to another, and how near it is.", "evaluate eval metrics score"
    ),
}  # fmt: skip
_ALIASES = {"encode": "compress", "decode": "decompress"}


class _Loaded(Mapping[str, click.Command]):
    """The commands by name, each imported when it is asked for: all together they take half a second."""

    def __getitem__(self, name: str) -> click.Command:
        name = _ALIASES.get(name, name)
        command: click.Command = getattr(import_module(f"noisebook.cli.{_COMMANDS[name][0]}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(_COMMANDS)

    def __len__(self) -> int:
        return len(_COMMANDS)


class _Commands(click.Group):
    """A group that leads from what somebody typed to the command that was meant."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help, _) in _COMMANDS.items()])

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = arguments[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            raise click.UsageError(f"there is no command {name}{_meant(name)}", context)
        return super().resolve_command(context, arguments)


def _meant(name: str) -> str:
    """What somebody who typed `name` in the place of a command may have wanted."""
    suffix = os.path.splitext(name)[1].lower()
    if os.path.isdir(name):
        return f"; {name} is a folder: noisebook batch compress {name} STREAMS"
    if suffix == STREAM_SUFFIX:
        return f"; to hear {name}: noisebook play {name}"
    if suffix or os.path.isfile(name):
        return f"; to compress {name}: noisebook compress {name}"
    near = [command for command, (_, _, others) in _COMMANDS.items() if name in others.split()]
    near = near or get_close_matches(name, _COMMANDS, 1)
    return f": noisebook {near[0]}" if near else f"; there are {', '.join(_COMMANDS)}"


@click.group(
    cls=_Commands,
    commands=_Loaded(),
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="noisebook", help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Generative audio compression with Denoising Diffusion Codebook Models.

    \b
    noisebook compress song.mp3 song.ddcm
    noisebook decompress song.ddcm back.wav

    encode and decode are other names of compress and decompress.

    Exit status: 0 for success, 1 for what could not be done, 2 for wrong usage, 3 where verify --require-related finds
    no relation, 130 when interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 for success, 1 for an `Error`, 2 for wrong usage, 130 for an interrupt.

    All but success say why, in one line on standard error; of a command with --json as JSON too, where its report would
    be. Anything else is a bug and shows its trace.
    """
    given = sys.argv[1:] if arguments is None else arguments
    outcome, code = Outcome(), 1
    try:
        with spoken_warnings():
            status: Any = cli.main(arguments, prog_name="noisebook", standalone_mode=False, obj=outcome)
        sys.exit(status if isinstance(status, int) else 0)
    except _NO_COMMAND as error:  # a group alone: its help, as of `noisebook` alone
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.UsageError as error:
        what, code = error.format_message().rstrip("."), 2
        if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.parent is None:
            what = f"options follow the command: noisebook COMMAND ... {error.option_name}"
        command = error.ctx.command_path if error.ctx else "noisebook"
        failure = {"kind": "UsageError", "message": f"{' '.join(what.split())}; see {command} --help"}
    except (click.Abort, KeyboardInterrupt):
        failure, code = {"kind": "Interrupted", "message": "interrupted"}, 130
    except Error as error:
        failure = error_values(error)
    except OSError as error:  # `audio.io` makes an Error of those of files, and click ends quietly on a closed pipe
        failure = {"kind": "AudioError", "message": f"cannot write to standard output: {error.strerror}"}
    click.echo(f"noisebook: {failure['message']}", err=True)
    options = given[: given.index("--")] if "--" in given else given
    if "--json" in options and not outcome.result_on_stdout:
        click.echo(json.dumps({"error": {**failure, "exit_status": code}}, indent=2))
    sys.exit(code)
