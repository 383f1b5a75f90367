"""Progress, reports and errors, as all commands show them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["Outcome", "error_values", "number", "progress", "report", "spoken_warnings", "told_unknown"]


def number(value: float, digits: int = 4) -> str:
    """With that many significant digits, and all of those before the point: never with an exponent for large ones."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """What the package has to tell the user beside its results, a licence or a file that is cut short, goes to standard
    error."""
    import logging

    class Echo(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            click.echo(f"noisebook: {record.getMessage()}", err=True)

    logger, handler = logging.getLogger("noisebook"), Echo(logging.WARNING)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@contextmanager
def progress(label: str, *, quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """An `on_step` callback that draws a bar on the terminal; None where standard error is not one."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def told_unknown(backend: Backend, *prompts: str | None) -> tuple[str, ...]:
    """The words of prompts that have no effect, after they have been told."""
    from noisebook import api

    unknown = api.unknown_words(backend, *(prompt for prompt in prompts if prompt))
    if unknown:
        click.echo(f"noisebook: words without effect: {', '.join(unknown)}", err=True)
    return unknown


@dataclass
class Outcome:
    """What `main` has to know of a command that fails: whether standard output carries its result, and no report."""

    result_on_stdout: bool = False


def error_values(error: Exception) -> dict[str, str]:
    """An error as the reports for programs have it."""
    return {"kind": type(error).__name__, "message": " ".join(str(error).split())}


def report(values: Mapping[str, Any], text: str, *, as_json: bool, quiet: bool = False, err: bool = False) -> None:
    """Show `values` as JSON where that was asked for, else `text`, unless quiet; on standard error if `err`."""
    if as_json:
        click.echo(json.dumps(values, indent=2), err=err)
    elif not quiet:
        # A file's name may hold bytes that are no text.
        click.echo(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), err=err)
