"""The command `noisebook` and how it ends. Nothing heavy is imported before a verb runs."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click

from noisebook._version import __version__
from noisebook.cli.batch import batch
from noisebook.cli.bench import bench
from noisebook.cli.calibrate import calibrate
from noisebook.cli.codebook import codebook
from noisebook.cli.codec import compress, decompress, info
from noisebook.cli.compare import compare, tally
from noisebook.cli.generate import generate
from noisebook.cli.machine import doctor, models
from noisebook.cli.recommend import recommend
from noisebook.cli.reconstruct import reconstruct
from noisebook.cli.restore import restore
from noisebook.cli.studio import studio
from noisebook.cli.transform import transform
from noisebook.cli.verify import verify
from noisebook.errors import Error

__all__ = ["cli", "main"]

_HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"]}


@click.group(
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
    context_settings={**_HELP, "max_content_width": 100},
)
@click.version_option(__version__, "-V", "--version", prog_name="noisebook", help="Show the version and exit.")
@click.pass_context
def cli(context: click.Context) -> None:
    """Generative audio compression with Denoising Diffusion Codebook Models.

    \b
    noisebook compress song.mp3 song.ddcm
    noisebook decompress song.ddcm back.wav

    Exit status: 0 for success, 1 for what could not be done, 2 for wrong usage, 3 where verify --require-related finds
    no relation, 130 when interrupted.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


for command in (
    batch, bench, calibrate, codebook, compare, compress, decompress, doctor, generate, info, models, recommend,
    reconstruct, restore, studio, tally, transform, verify,
):  # fmt: skip
    cli.add_command(command)
    for one in (command, *getattr(command, "commands", {}).values()):
        one.context_settings = {**_HELP, **one.context_settings}  # also where a command is used without this group


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and exit: 0 for success, 1 for an `Error`, 2 for wrong usage, 130 for an interrupt.

    All but success say why, in one line on standard error. Anything else is a bug and shows its trace.
    """
    try:
        status: Any = cli.main(arguments, prog_name="noisebook", standalone_mode=False)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "noisebook"
        _fail(f"{error.format_message().rstrip('.')}; see {command} --help", 2)
    except (click.Abort, KeyboardInterrupt):
        _fail("interrupted", 130)
    except Error as error:
        _fail(str(error), 1)
    except OSError as error:  # `audio.io` makes an Error of those of files, and click ends quietly on a closed pipe
        _fail(f"cannot write to standard output: {error.strerror}", 1)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(f"noisebook: {' '.join(message.split())}", err=True)
    sys.exit(status)
