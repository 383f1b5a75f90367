"""Options of commands: those made from `noisebook.options`, and those that several commands have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import Field, fields
from functools import wraps
from typing import Any

import click
from click.core import ParameterSource

from noisebook.api import ModelOptions
from noisebook.audio.formats import BITS
from noisebook.cli._shared import wrong_usage
from noisebook.options import Option, Options

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


class Parsed(click.ParamType):
    """A value that a function makes of a word; `wanted` says what that has to be, or else the function's ValueError."""

    def __init__(self, parse: Callable[[str], Any], name: str, wanted: str | None = None) -> None:
        self.name, self._parse, self._wanted = name, parse, wanted

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value, or BadParameter."""
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except ValueError as error:
            wrong = str(error) if self._wanted is None else f"{value!r} is not {self._wanted}"
            self.fail(f"{wrong.rstrip('.')}.", param, ctx)


FILE = click.Path(readable=False)  # a name of a file or folder, which shells complete; it is checked where it is opened
POSITIVE = click.FloatRange(0, min_open=True)


def together(*options: Decorator) -> Decorator:
    """One decorator for several, whose help is in the order given."""

    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def options_of(cls: type[Options], *names: str, without: Sequence[str] = (), prefix: str = "") -> Decorator:
    """The options of a class, or some of them, as options of a command; `cls.among(options)` makes one of them again.

    A `prefix` of their help texts says to which way of the command they belong.
    """
    entries = [entry for entry in fields(cls) if Option.of(entry).command_line and entry.name not in without]  # type: ignore[arg-type]
    return together(*(_option(entry, prefix) for entry in entries if not names or entry.name in names))


def _option(entry: Field[Any], prefix: str) -> Decorator:
    known, kind = Option.of(entry), str(entry.type)
    flags = list(known.flags or (f"--{entry.name.replace('_', '-')}",))
    default = entry.default
    if isinstance(default, float) and default.is_integer():
        default = int(default)  # help shows 10 and not 10.0
    settings: dict[str, Any] = {"default": default, "help": known.help}
    if prefix:
        settings["help"] = prefix + known.help[0].lower() + known.help[1:]
    if "bool" in kind:
        if entry.default:
            flags[-1] += f"/{flags[-1].replace('--', '--no-', 1)}"
            settings["show_default"] = True
        else:
            settings["is_flag"] = True
    else:
        settings |= {"type": _type(known, kind), "metavar": known.metavar, "multiple": kind.startswith("tuple")}
        settings["show_default"] = entry.default not in (None, "", ())
    return click.option(*flags, entry.name, **settings)


def _type(known: Option, kind: str) -> Any:
    if known.choices is not None:
        return click.Choice(known.choices)
    if known.parse is not None:
        return Parsed(known.parse, known.metavar or "text")
    if known.above is not None:
        return click.FloatRange(known.above, min_open=True)
    if "float" in kind:
        return click.FLOAT if known.low is None is known.high else click.FloatRange(known.low, known.high)
    if "int" in kind and "str" not in kind:
        return click.INT if known.low is None is known.high else click.IntRange(known.low, known.high)  # type: ignore[arg-type]
    return FILE if "FILE" in (known.metavar or "") else click.STRING


def words(text: str) -> tuple[str, ...]:
    """Words with commas between."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def output_option(help: str, *arguments: Decorator) -> Decorator:
    """OUT, after other arguments, as an argument and as an option: the parameter output."""

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_output(target: str | None, output: str | None, **options: Any) -> Any:
            if target is not None and output is not None:
                raise wrong_usage("give the output once: as the second argument or with -o")
            return command(output=output if target is None else target, **options)

        return together(
            *arguments,
            click.argument("target", metavar="[OUT]", required=False, type=FILE),
            click.option("-o", "--output", metavar="OUT", type=FILE, help=help),
        )(with_output)

    return decorate


def in_out(help: str, *, required: bool = True) -> Decorator:
    """`IN [OUT]`: the parameters source and output."""
    return output_option(help, click.argument("source", metavar="IN", required=required, type=FILE))


def refuse(names: Collection[str], why: str) -> None:
    """Wrong usage, where the user of the running command gave one of these options: it, and why it cannot be there."""
    context = click.get_current_context()
    for param in context.command.params:
        source = context.get_parameter_source(param.name or "")
        if param.name in names and source not in (None, ParameterSource.DEFAULT):
            raise click.UsageError(f"{param.opts[-1]} {why}", context)


model_option = options_of(ModelOptions, "model")
loading_options = options_of(ModelOptions)
stream_model_option = click.option(
    "--model", metavar="MODEL", show_default="the one that made the stream",
    help=Option.of(fields(ModelOptions)[0]).help,
)  # fmt: skip
stream_loading_options = together(stream_model_option, options_of(ModelOptions, without=("model",)))
WORDS = Parsed(words, "words")
metrics_option = click.option(
    "--metrics", type=WORDS, metavar="NAMES",
    help="Some metrics only, with commas between; by default all that can run.",
)  # fmt: skip
bits_option = click.option(
    "--bits", type=click.Choice([*BITS]), metavar="BITS",
    help="Of a sample in .wav, .aiff, .caf, .w64 and .flac: 16 (default), 24, or float, which keeps what is beyond "
    "full scale; else a limiter turns it down.",
)  # fmt: skip
codebook_option = click.option(
    "--codebook", metavar="NAME|FILE", type=FILE,
    help="Codebook of a vq stream; those in the package are found without it.",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Report as JSON.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress, no report; errors are still shown.")
force_option = click.option("-f", "--force", is_flag=True, help="Overwrite OUT if it exists.")
result_options = together(force_option, quiet_option, json_option)
sound_options = together(bits_option, result_options, loading_options)
