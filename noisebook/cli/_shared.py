"""Progress, reports and errors, as all commands show them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

import click

from noisebook.options import OnStep

if TYPE_CHECKING:
    from noisebook.api import Decoding
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend

__all__ = [
    "Outcome", "Work", "aligned", "asked", "error_values", "finite", "number", "progress", "report", "sound_values",
    "spoken_warnings", "stream_values", "told_unknown", "wrong_usage",
]  # fmt: skip

_LONG = 120.0  # seconds, from which it is told how long something takes


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


@dataclass
class Work:
    """Something that takes long: where its steps are told, and how long it took."""

    on_step: OnStep | None = None
    started: float = 0.0
    seconds: float = 0.0


@contextmanager
def progress(label: str, *, quiet: bool | None = None) -> Iterator[Work]:
    """Time what is done within, draw a bar of its steps where standard error is a terminal, and tell what takes long.

    Args:
        quiet: tell nothing; by default as the running command was asked.
    """
    work = Work(started=time.perf_counter())
    try:
        if asked("quiet", "as_json") if quiet is None else quiet:
            yield work
            return
        work.on_step = _telling(label)
        if not sys.stderr.isatty():
            yield work
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=None)
            tell = work.on_step

            def show(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)
                tell(done, total)

            work.on_step = show
            yield work
    finally:
        work.seconds = time.perf_counter() - work.started


def _telling(label: str) -> OnStep:
    """Says how long it will take, where that is long, once two steps are done: the first may have loaded networks."""
    first = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal first
        now = time.perf_counter()
        if done == 1:
            first = now
        elif done == 2 and (rest := (now - first) * (total - done)) > _LONG:
            click.echo(f"noisebook: {label}: about {round(rest / 60)} minutes for {total} steps", err=True)

    return tell


def asked(*names: str) -> bool:
    """Whether the first of these options that the running command has was given."""
    context = click.get_current_context(silent=True)
    return next((bool(context.params[name]) for name in names if name in context.params), False) if context else False


def wrong_usage(message: str) -> click.UsageError:
    """The error for it, of the running command."""
    return click.UsageError(message, click.get_current_context())


def finite(value: Any) -> Any:
    """The value, or None for a number that JSON cannot hold."""
    return None if isinstance(value, float) and not isfinite(value) else value


def aligned(rows: Sequence[Sequence[str]], *, right_from: int | None = None) -> list[str]:
    """Lines of a table, the columns from `right_from` on to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = [str.ljust if right_from is None or i < right_from else str.rjust for i in range(len(widths))]
    return [
        "  ".join(side(cell, width) for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    ]


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


def report(values: Mapping[str, Any], text: str, *, err: bool = False) -> None:
    """Show `values` as JSON where the running command was asked for that, else `text`, unless it shall be quiet.

    Args:
        err: on standard error, since the result is on standard output.
    """
    if asked("as_json"):
        click.echo(json.dumps(values, indent=2), err=err)
    elif not asked("quiet"):
        # A file's name may hold bytes that are no text.
        click.echo(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), err=err)


def sound_values(path: str, sound: Waveform | Decoding, seconds: float) -> dict[str, Any]:
    """What a report says of a sound that was written, and of the time it took to make."""
    return {
        "output": path,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "duration": round(sound.duration, 3),
        "seconds": round(seconds, 3),
    }


def stream_values(path: str, size: int, duration: float, seconds: float) -> dict[str, Any]:
    """The same of a stream of so many bytes."""
    return {
        "output": path,
        "bytes": size,
        "bitrate": round(8 * size / duration, 3),
        "duration": round(duration, 3),
        "seconds": round(seconds, 3),
    }
