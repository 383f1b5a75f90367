"""Progress, reports and errors, as all commands show them."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from typing import Any

import click

from noisebook.options import OnStep

STANDARD = "-"  # standard input or output
STREAM_SUFFIX = ".ddcm"
_LONG = 120.0  # seconds; work that takes longer is announced


@contextmanager
def spoken_warnings() -> Iterator[None]:
    """The package's warnings, such as a licence or a file that is cut short, go to standard error."""
    logger, handler = logging.getLogger("noisebook"), logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("noisebook: %(message)s"))
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


@dataclass
class Work:
    """Something that takes long: the callback for its steps, if any, and how many seconds it took."""

    on_step: OnStep | None = None
    seconds: float = 0.0


@contextmanager
def progress(label: str, *, quiet: bool | None = None) -> Iterator[Work]:
    """Time what is done within, draw a bar of its steps where standard error is a terminal, and announce what is long;
    where `quiet`, as by default the running command was asked to be, only time it."""
    work, started, first = Work(), time.perf_counter(), 0.0

    def announce(done: int, total: int) -> None:
        """After two steps: the first may have loaded networks."""
        nonlocal first
        now = time.perf_counter()
        if done == 1:
            first = now
        elif done == 2 and (rest := (now - first) * (total - done)) > _LONG:
            click.echo(f"noisebook: {label}: about {round(rest / 60)} minutes for {total} steps", err=True)

    try:
        if asked("quiet", "as_json") if quiet is None else quiet:
            yield work
        elif not sys.stderr.isatty():
            work.on_step = announce
            yield work
        else:
            from rich.console import Console
            from rich.progress import Progress

            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task(label, total=None)

                def on_step(done: int, total: int) -> None:
                    bar.update(task, completed=done, total=total)
                    announce(done, total)

                work.on_step = on_step
                yield work
    finally:
        work.seconds = time.perf_counter() - started


def asked(*names: str) -> bool:
    """Whether the first of these options that the running command has was given."""
    context = click.get_current_context(silent=True)
    return next((bool(context.params[name]) for name in names if name in context.params), False) if context else False


def wrong_usage(message: str) -> click.UsageError:
    """The error for wrong usage of the running command."""
    return click.UsageError(message, click.get_current_context())


def number(value: float, digits: int = 4) -> str:
    """With that many significant digits, and all of those before the point: never with an exponent for large ones."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def finite(value: Any) -> Any:
    """The value, or None for a number that JSON cannot hold."""
    return None if isinstance(value, float) and not isfinite(value) else value


def table(rows: Sequence[Sequence[str]], *, right_from: int | None = None) -> str:
    """A table whose first row is its head, within the width of a terminal; in a file, each row is one line. Columns
    from `right_from` on are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    head, *body = rows
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for index, name in enumerate(head):
        grid.add_column(name, justify="left" if right_from is None or index < right_from else "right")
    for row in body:
        grid.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 10_000, markup=False, emoji=False, highlight=False)
    with console.capture() as captured:
        console.print(grid)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


@dataclass
class Outcome:
    """What `main` has to know of a command that fails: whether standard output carries its result, and no report."""

    result_on_stdout: bool = False


def error_values(error: Exception) -> dict[str, str]:
    """An error as the reports for programs have it."""
    return {"kind": type(error).__name__, "message": " ".join(str(error).split())}


def report(values: Mapping[str, Any], text: str) -> None:
    """Show `values` as JSON where the running command was asked for that, else `text`, unless it shall be quiet.

    On standard error where standard output carries the result.
    """
    outcome = click.get_current_context().find_object(Outcome)
    err = outcome is not None and outcome.result_on_stdout
    if asked("as_json"):
        click.echo(json.dumps(values, indent=2), err=err)
    elif not asked("quiet"):
        # A file's name may hold bytes that are no text.
        click.echo(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), err=err)
