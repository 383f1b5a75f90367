"""The reference page of the command line, from the commands themselves.

python -m noisebook.cli.reference > docs/cli.md
"""

from __future__ import annotations

from collections.abc import Iterator

import click

from noisebook.cli.main import cli

_WIDTH = 100  # columns
_HEAD = """\
# The command line

This page is written by `python -m noisebook.cli.reference`; change the help texts in `noisebook/cli` instead of it.
"""


def reference() -> str:
    """The help of `noisebook`, of each of its commands and of theirs, as Markdown."""
    contexts = _contexts(cli, "noisebook", None)
    sections = [f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n" for context in contexts]
    return "\n".join([_HEAD, *sections])


def _contexts(command: click.Command, name: str, parent: click.Context | None) -> Iterator[click.Context]:
    context = command.context_class(
        command, info_name=name, parent=parent, terminal_width=_WIDTH, help_option_names=["-h", "--help"]
    )
    yield context
    for inner_name, inner in getattr(command, "commands", {}).items():
        yield from _contexts(inner, inner_name, context)


if __name__ == "__main__":
    click.echo(reference(), nl=False)
