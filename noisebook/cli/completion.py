"""`completion`: what the shell needs to complete noisebook's words."""

from __future__ import annotations

import os
from pathlib import Path

import click

from noisebook.errors import ConfigError

__all__ = ["completion"]

# What a shell runs when it starts, and what it has to run before the script; fish finds the script by itself.
_STARTS = {
    "bash": ("~/.bashrc", ""),
    "zsh": ("~/.zshrc", "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }; "),
    "fish": None,
}


@click.command()
@click.argument("shell", type=click.Choice([*_STARTS]), required=False)
@click.option("--install", is_flag=True, help="Set it up for every new shell, and not just show it.")
def completion(shell: str | None, install: bool) -> None:
    """Show the script that lets bash, zsh or fish complete commands, options and files; by default for your own shell.

    \b
    noisebook completion --install
    noisebook completion zsh > _noisebook
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell)
    if shell not in _STARTS or kind is None:
        raise ConfigError(f"the shell {shell!r} is not known: noisebook completion {'|'.join(_STARTS)}")
    script = kind(click.get_current_context().find_root().command, {}, "noisebook", "_NOISEBOOK_COMPLETE").source()
    if install:
        click.echo(f"noisebook: {_install(shell, script)}; new shells complete noisebook's words")
    else:
        click.echo(script)


def _install(shell: str, script: str) -> str:
    """Write the script, and have the shell run it at its start; says where it is.

    Raises:
        ConfigError: a file cannot be written.
    """
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    place = folder / "fish/completions/noisebook.fish" if shell == "fish" else folder / f"noisebook/completion.{shell}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(script, encoding="utf-8")
        start = _STARTS[shell]
        if start is None:
            return f"{place} is written"
        path, line = Path(start[0]).expanduser(), f'{start[1]}. "{place}"'
        text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
        if line not in text.splitlines():
            with path.open("a", encoding="utf-8") as file:
                file.write(("" if not text or text.endswith("\n") else "\n") + line + "\n")
        return f"{place} is written, and {path} runs it"
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from error
