"""`studio`."""

from __future__ import annotations

import signal
import webbrowser
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli._options import stream_loading_options

__all__ = ["studio"]


@click.command()
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 takes any free one.")
@click.option(
    "--limit-seconds", type=click.FloatRange(min=0, min_open=True), default=60.0, show_default=True, metavar="S",
    help="Longest sound that is accepted.",
)  # fmt: skip
@click.option(
    "--max-mb", type=click.FloatRange(min=0, min_open=True), default=50.0, show_default=True, metavar="MB",
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
    from noisebook.studio.runner import JobRunner
    from noisebook.studio.server import application, listen, serve, url_of
    from noisebook.studio.uploads import Limits

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
