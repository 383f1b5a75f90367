"""The reference page of the command line, from the commands themselves.

python -m noisebook.cli.reference > docs/cli.md
"""

from __future__ import annotations

import click

from noisebook.cli.main import cli

__all__ = ["reference"]

_WIDTH = 100  # columns
_HEAD = """\
# The command line

This page is written by `python -m noisebook.cli.reference`; change the help texts in `noisebook/cli` instead of it.
"""


def reference() -> str:
    """The help of `noisebook` and of each of its commands, as Markdown."""
    root = _context(cli, "noisebook", None)
    contexts = [root, *(_context(command, name, root) for name, command in cli.commands.items())]
    sections = [f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in contexts]
    return "\n".join([_HEAD, *sections])


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return command.context_class(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        help_option_names=["-h", "--help"],
    )


if __name__ == "__main__":
    click.echo(reference(), nl=False)
