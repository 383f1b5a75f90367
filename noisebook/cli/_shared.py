"""Options, progress and reports that the verbs share."""

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

__all__ = [
    "Outcome",
    "backend_from",
    "bits_option",
    "engine_options",
    "error_values",
    "json_option",
    "limit_options",
    "model_of",
    "model_option",
    "progress",
    "report",
    "result_options",
    "spoken_warnings",
    "stream_engine_options",
    "stream_model_option",
]

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


def _together(*options: Decorator) -> Decorator:
    """One decorator for several; their help is in the order given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_MODELS = (
    "mini, which is inside the package; the fingerprint of an installed one (noisebook models); audioldm2, -large or "
)
_MODELS += "-music; an id of the hub (owner/name); or a folder that holds a model."
model_option = click.option("--model", metavar="MODEL", default="mini", show_default=True, help=_MODELS)
stream_model_option = click.option(
    "--model", metavar="MODEL", show_default="the one that made the stream", help=_MODELS,
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
bits_option = click.option(
    "--bits", type=click.Choice(["16", "24", "float"]), metavar="BITS",
    help="Of a sample in .wav, .aiff, .caf, .w64 and .flac: 16 (default), 24, or float, which keeps what is beyond "
    "full scale; else a limiter turns it down.",
)  # fmt: skip
result_options = _together(
    click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists."),
    click.option("--quiet", is_flag=True, help="No progress, no report; errors are still told."),
    json_option,
)
limit_options = _together(
    click.option(
        "--max-seconds", type=click.FloatRange(0, min_open=True), default=86400, show_default=True, metavar="SECONDS",
        help="Refuse to make a longer sound; for streams of strangers.",
    ),
    click.option(
        "--max-work", type=click.FloatRange(0, min_open=True), default=10, show_default=True, metavar="TIMES",
        help="Refuse coding parameters that ask for more than so many times the work of the dearest preset.",
    ),
)  # fmt: skip
_MACHINE = (
    click.option(
        "--device", metavar="DEVICE", default="auto", show_default=True,
        help="auto (the fastest at hand), cpu, cuda, mps or xpu.",
    ),
    click.option(
        "--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="float32", show_default=True,
        help="Precision of the networks; float32 is the reference, auto is bfloat16 where DEVICE multiplies in it.",
    ),
    click.option("--offload", is_flag=True, help="Keep large models in main memory, one network at a time on DEVICE."),
    click.option("--offline", is_flag=True, help="Download nothing: the model is here or it is an error."),
    click.option("--threads", type=click.IntRange(1), help="CPU threads; by default all cores."),
)  # fmt: skip
engine_options = _together(model_option, *_MACHINE)
stream_engine_options = _together(stream_model_option, *_MACHINE)  # the model is None where it is not given


def backend_from(options: Mapping[str, Any], model: str | None = None) -> Backend:
    """The backend that the engine options ask for; `model` in place of theirs."""
    from noisebook.api import load_backend

    if options["threads"] is not None:
        import torch

        torch.set_num_threads(options["threads"])
    names = ("device", "dtype", "offload", "offline")
    return load_backend(model or options["model"], **{name: options[name] for name in names})


def model_of(options: Mapping[str, Any], data: bytes) -> str:
    """The model for a stream: the one that the options name, or the one that made it."""
    from noisebook.api import find_model

    return options["model"] or find_model(data)


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
