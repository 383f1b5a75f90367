"""`doctor`, `completion` and `studio`: noisebook on this machine."""

from __future__ import annotations

import os
import signal
import webbrowser
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli._options import POSITIVE, json_option, stream_loading_options
from noisebook.cli._shared import report
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.benchmark.doctor import Check

__all__ = ["completion", "doctor", "studio"]

_COLOURS = {"ok": "green", "missing": "yellow", "failed": "red"}
# What a shell runs when it starts, and what it has to run before the script; fish finds the script by itself.
_STARTS = {
    "bash": ("~/.bashrc", ""),
    "zsh": ("~/.zshrc", "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }; "),
    "fish": None,
}


@click.command()
@click.option("--model", metavar="MODEL", help="Check this model: a name, an id of the hub, or a folder.")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="Whose memory to compare with.")
@json_option
def doctor(model: str | None, device: str, **_: Any) -> int:
    """Check that noisebook works here; exit status 1 if it does not.

    With --model: what of it is here, what is missing and how to get it, and in what precision it fits into memory.

    \b
    noisebook doctor
    noisebook doctor --model audioldm2-music --device cuda
    noisebook doctor --json
    """
    from noisebook.benchmark.doctor import diagnose, diagnose_model

    checks = diagnose() if model is None else diagnose_model(model, device)
    report({"checks": [vars(check) for check in checks]}, "\n".join(map(_line, checks)))
    return int(any(check.state == "failed" for check in checks))


def _line(check: Check) -> str:
    state = click.style(f"{check.state:8}", fg=_COLOURS[check.state])  # click takes the colour out for files and pipes
    return f"{state}{check.name:18}{check.detail}"


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


@click.command()
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 takes any free one.")
@click.option(
    "--limit-seconds", type=POSITIVE, default=60.0, show_default=True, metavar="S",
    help="Longest sound that is accepted.",
)  # fmt: skip
@click.option(
    "--max-mb", type=POSITIVE, default=50.0, show_default=True, metavar="MB",
    help="Largest file that is accepted.",
)  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Jobs at once; others wait.")
@click.option("--no-open", is_flag=True, help="Open no browser.")
@stream_loading_options
def studio(host: str, port: int, limit_seconds: float, max_mb: float, jobs: int, no_open: bool, **options: Any) -> None:
    """Open a page on which all of noisebook can be tried: drop a sound, choose a method, hear the difference.

    The page is for this machine alone unless --host says otherwise; it has no password. It loads nothing from anywhere
    and keeps nothing: all files are in one temporary folder, which goes when the command ends (Ctrl-C).

    \b
    noisebook studio
    noisebook studio --port 8000 --no-open
    noisebook studio --model audioldm2 --device cuda --limit-seconds 20
    """
    from noisebook.api import EMBEDDED
    from noisebook.studio.files import Limits
    from noisebook.studio.runner import JobRunner
    from noisebook.studio.server import application, listen, serve, url_of

    limits = Limits(limit_seconds, max_mb)
    with listen(host, port) as listener, TemporaryDirectory(prefix="noisebook-studio-") as folder:
        results, uploads = Path(folder, "results"), Path(folder, "uploads")
        results.mkdir()
        uploads.mkdir()
        backend_of = cache(lambda model: ModelOptions.among(options).load(model))
        runner = JobRunner(
            backend_of(options["model"] or EMBEDDED), results, limits=limits, jobs=jobs,
            backend_for=lambda data: backend_of(ModelOptions.among(options).model_of(data)),
        )  # fmt: skip
        app = application(runner, uploads, host=host)
        click.echo(f"noisebook studio: {url_of(listener)} (Ctrl-C ends it)")
        if not no_open:
            webbrowser.open(url_of(listener))
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, with the folder removed
        with suppress(KeyboardInterrupt):
            serve(app, listener, runner.end)
        click.echo("noisebook studio: ended")
