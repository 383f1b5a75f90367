"""`compress`, `decompress` and `info`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli import _files, _many
from noisebook.cli._numbers import RATE, number
from noisebook.cli._rates import rate_values
from noisebook.cli._shared import (
    backend_from,
    bits_option,
    engine_options,
    error_values,
    json_option,
    limit_options,
    model_of,
    progress,
    report,
    result_options,
    stream_engine_options,
    stream_model_option,
)
from noisebook.errors import CorruptStream, WrongModel

if TYPE_CHECKING:
    from noisebook.api import Decoding, StreamInfo
    from noisebook.audio.recording import Recording
    from noisebook.diffusion.backend import Backend

__all__ = ["coding", "compress", "decompress", "info"]

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_PRIORITY = re.compile(
    rf"(?P<weight>{_NUMBER})(?:@(?P<start>{_NUMBER})-(?P<end>{_NUMBER}))?(?:/(?P<low>{_NUMBER})-(?P<high>{_NUMBER}))?"
)
_DECODING = ("codebook", "tail_steps", "start", "end", "damaged", "max_seconds", "max_work")
_DAMAGED = "damaged or cut short: its size or a checksum is wrong; decompress --damaged plays what is there"
_ONLY = {
    "ddcm": ("quality", "seed", "tag", "preset", "target_mel_db", "target_nmse", "search", "priorities", "progressive",
             "variable_rate"),
    "vq": ("codebook", "rule"),
}  # fmt: skip


class Priorities(click.ParamType):
    """A weight, with a stretch of seconds, a band of Hz, or both."""

    name = "priority"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        found = _PRIORITY.fullmatch(value)
        if found is None:
            self.fail(f"{value!r} is not WEIGHT[@START-END][/LOW-HIGH], such as 3@1.5-4 or 2/300-3400.", param, ctx)
        from noisebook.codec.options import Priority

        return Priority(**{name: float(number) for name, number in found.groupdict().items() if number is not None})


def _listed(context: click.Context, parameter: click.Parameter, values: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """None where the option was not given, as of the other options."""
    return values or None


@click.command()
@click.argument("paths", metavar="IN... [OUT]", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="OUT|DIR",
    help="The stream to write, or the folder for those of several sounds; by default IN with the suffix .ddcm.",
)  # fmt: skip
@click.option(
    "-p",
    "--preset",
    metavar="NAME",
    help="8, 30, 100, 300, 700, 1500, 3000 (default) or 6000: bit/s of the file, mono or stereo; or auto, by what the "
    "sound is like.",
)
@click.option(
    "-b",
    "--bitrate",
    type=RATE,
    metavar="RATE",
    help="Any other: bit/s of the file, mono or stereo; of vq, only with an adaptive codebook.",
)
@click.option(
    "--target-mel-db",
    type=float,
    metavar="DB",
    help="In place of a bitrate: the fewest bits for this error.",
)
@click.option("--target-nmse", type=float, metavar="DB", help="The same for the error of the latent over its energy.")
@click.option(
    "-q", "--quality", type=click.Choice(["fast", "balanced", "high"]),
    help="Over how many steps the bits are spread, by default balanced: fast has few, high wastes fewer bits.",
)  # fmt: skip
@click.option(
    "--channels", type=click.Choice(["auto", "dual", "mono"]), default="auto", show_default=True,
    help="auto codes stereo as one channel and where of left and right what is; dual codes left and right apart, each "
    "with half of the bits, for two microphones.",
)  # fmt: skip
@click.option("--mono", is_flag=True, help="Mix down to one channel: short for --channels mono.")
@click.option("--tag", metavar="TAG", help="What the sound is, for the model: music, speech or effects.")
@click.option("--seed", type=click.IntRange(0, 255), help="Of all random numbers; by default 0.")
@click.option(
    "--search", type=click.Choice(["none", "shaped"]),
    help="How the encoder looks for what to write, at the same bits: none is the fastest, shaped (default) comes "
    "nearer in twice the time.",
)  # fmt: skip
@click.option(
    "--priority", "priorities", type=Priorities(), multiple=True, callback=_listed,
    metavar="WEIGHT[@START-END][/LOW-HIGH]",
    help="Errors there count so much more: seconds, Hz; 3@1.5-4, 2/300-3400. May be given again.",
)  # fmt: skip
@click.option(
    "--progressive", is_flag=True, default=None,
    help="Order the stream by steps: what begins it is the whole sound, less exactly (decompress --damaged).",
)  # fmt: skip
@click.option(
    "--variable-rate", is_flag=True, default=None,
    help="What lies 60 dB below the peak takes no bits and is decoded as silence, as digital silence always is.",
)  # fmt: skip
@click.option(
    "--codec", type=click.Choice(["ddcm", "vq"]), default="ddcm", show_default=True,
    help="ddcm chooses the noise of a diffusion; vq writes the latent in the words of a codebook.",
)  # fmt: skip
@click.option("--codebook", metavar="NAME|FILE", help="vq: a codebook of the package, or a file of one.")
@click.option("--rule", type=click.Choice(["hard", "soft"]), help="vq: nearest atom (default), or mean of the nearest.")
@result_options
@engine_options
def compress(paths: tuple[str, ...], output: str | None, force: bool, **options: Any) -> int:
    """Compress a sound to a .ddcm stream.

    IN is any sound file, or - for standard input. OUT may be - for standard output, and is that by default for
    standard input; the report then goes to standard error.

    \b
    noisebook compress song.mp3                          # song.ddcm, 3000 bit/s
    noisebook compress song.mp3 -p 300 -o tiny.ddcm
    noisebook compress a.wav b.flac c.mp3 -o streams     # a folder; whole trees: noisebook batch compress
    noisebook compress talk.wav talk.ddcm --bitrate 500 --tag speech
    noisebook compress - --mono < song.flac > song.ddcm
    noisebook compress song.wav --codec vq --codebook mine.safetensors
    """
    chosen = coding(options)
    files = _many.pairs(paths, output, _files.stream_target, _files.STREAM_SUFFIX, force=force)
    backend = cache(lambda: backend_from(options))  # for all of them, and not before the first is known to be sound
    return _many.each(files, lambda source, path: _compress(source, path, chosen, backend, force, options), options)


def _compress(
    source: str,
    path: str,
    chosen: Mapping[str, Any],
    backend: Callable[[], Backend],
    force: bool,
    options: Mapping[str, Any],
) -> tuple[Mapping[str, Any], str]:
    """One sound to a stream; what to report of it."""
    from noisebook import api

    compressed = api.compress if options["codec"] == "ddcm" else api.compress_with_codebook
    with _files.open_sound(source) as sound:
        if chosen.get("preset") == "auto":
            preset, reasons = api.auto_preset(sound)
            chosen = {**chosen, "preset": preset}
            click.echo(f"noisebook: {'; '.join(reasons)}", err=True)
        model, started = backend(), time.perf_counter()
        with progress("compressing", quiet=options["quiet"]) as on_step:
            stream = compressed(sound, backend=model, on_step=on_step, **chosen)
        seconds = time.perf_counter() - started
    _files.write_bytes(path, stream, force=force)
    shown = api.read_info(stream, info=model.info)
    return _compressed(path, sound, rate_values(shown, _asked(chosen, options), model.info), shown, seconds)


def _asked(chosen: Mapping[str, Any], options: Mapping[str, Any]) -> float | None:
    """bit/s that the options ask for; None where they ask for a quality, or for a codebook, which has its own."""
    from noisebook.codec.presets import DEFAULT, by_name

    if options["codec"] == "vq" or any(options[name] is not None for name in ("target_mel_db", "target_nmse")):
        return chosen.get("bitrate")
    return chosen.get("bitrate") or float(by_name(chosen.get("preset") or DEFAULT).name)


@click.command()
@click.argument("paths", metavar="IN... [OUT]", nargs=-1, required=True)
@click.option(
    "-o", "--output", metavar="OUT|DIR",
    help="The sound to write, or the folder for those of several streams; by default IN with the suffix .wav.",
)  # fmt: skip
@click.option("--start", type=click.FloatRange(0), metavar="SECONDS", help="Decode only from here; fast at any place.")
@click.option("--end", type=click.FloatRange(0), metavar="SECONDS", help="Decode only up to here.")
@click.option("--damaged", is_flag=True, help="Play what is there of a stream that is cut short or damaged.")
@limit_options
@click.option(
    "--tail-steps",
    type=click.IntRange(1, 100),
    help="Denoising steps after the coded ones; by default 3 from some 300 bit/s on, else 6.",
)
@click.option("--codebook", metavar="NAME|FILE", help="Of a vq stream; one of the package is found without.")
@bits_option
@result_options
@stream_engine_options
def decompress(paths: tuple[str, ...], output: str | None, force: bool, **options: Any) -> int:
    """Turn a .ddcm stream back into sound.

    The suffix of OUT names the format: .wav, .flac, .ogg, .opus, .mp3, .aiff, .caf or .w64. IN may be - for standard
    input; OUT may be -, which is a WAV file on standard output, and is that by default for standard input. The model is
    the one that made the stream, among those that noisebook models lists.

    \b
    noisebook decompress song.ddcm                       # song.wav
    noisebook decompress song.ddcm back.flac --start 60 --end 90
    noisebook decompress a.ddcm b.ddcm -o sounds
    noisebook decompress - < song.ddcm | aplay
    """
    files = _many.pairs(paths, output, _sound_target, ".wav", force=force)
    backend_of = cache(lambda model: backend_from(options, model))
    return _many.each(files, lambda source, path: _decompress(source, path, backend_of, force, options), options)


def _sound_target(source: str, argument: str | None, option: str | None, *, force: bool) -> str:
    """Where the sound of a stream goes, which has to be one: that is told before what is wrong with its output."""
    from noisebook import api

    if source != _files.STANDARD:
        with _files.naming(source):
            api.read_info(_files.read_bytes(source))
    return _files.sound_target(source, argument, option, force=force)


def _decompress(
    source: str, path: str, backend_of: Callable[[str], Backend], force: bool, options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """One stream to a sound; what to report of it."""
    from noisebook import api

    with _files.naming(source):
        data = _files.read_bytes(source)
        shown = api.read_info(data)  # is it a stream at all? Asked before the model is loaded.
        _files.check_format(path, shown.sample_rate, shown.channels, options["bits"])
        model, decoding = backend_of(model_of(options, data)), {name: options[name] for name in _DECODING}
        decoding["peak_guard"] = options["bits"] != "float"
        started = time.perf_counter()
        with progress("decompressing", quiet=options["quiet"]) as on_step:
            sound = api.decompress_to_blocks(data, backend=model, on_step=on_step, **decoding)
            held = _files.write_decoding(path, sound, force=force, bits=options["bits"])
        seconds = time.perf_counter() - started
    return _decompressed(path, sound, held, seconds)


@click.command()
@click.argument("source", metavar="IN")
@stream_model_option
@json_option
def info(source: str, model: str | None, as_json: bool) -> int:
    """Show what a .ddcm stream says about itself, and whether it is whole.

    Exit status 1 if it is damaged. A stream of a model that is not here, or of another than MODEL, shows only its
    header.

    \b
    noisebook info song.ddcm
    noisebook info song.ddcm --json
    """
    from noisebook import api

    with _files.naming(source):
        data = _files.read_bytes(source)
        shown = api.read_info(data)
        try:
            shown = api.read_info(data, info=api.model_info(model or api.find_model(data), offline=True))
        except WrongModel as error:
            click.echo(f"noisebook: only the header can be read: {error}", err=True)
    values, damage = vars(shown), CorruptStream(f"{source}: {_DAMAGED}")
    if shown.intact is not False:
        report(values, _table(shown), as_json=as_json)
        return 0
    report({**values, "error": error_values(damage)}, _table(shown), as_json=as_json)
    click.echo(f"noisebook: {damage}", err=True)
    return 1


def coding(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that are for `api.compress`, or `api.compress_with_codebook`."""
    if options["mono"] and options["channels"] not in ("auto", "mono"):
        raise click.UsageError(
            f"--mono and --channels {options['channels']} exclude each other", click.get_current_context()
        )
    codec = options["codec"]
    for name in _ONLY["vq" if codec == "ddcm" else "ddcm"]:
        if options.get(name) is not None:
            message = f"--{name.replace('_', '-')} is not an option of --codec {codec}"
            raise click.UsageError(message, click.get_current_context())
    if codec == "vq" and options["codebook"] is None:
        raise click.UsageError("--codec vq needs a --codebook", click.get_current_context())
    names = ("bitrate", "channels", *_ONLY[codec])
    chosen = {name: options[name] for name in names if options.get(name) is not None}
    if "preset" in chosen and re.fullmatch(r"\d+(\.\d+)?[kK]", chosen["preset"]):  # as of --bitrate
        chosen["preset"] = number(1000 * float(chosen["preset"][:-1]), 6)
    return {**chosen, "channels": "mono"} if options["mono"] else chosen


def _compressed(
    path: str, sound: Recording, rate: dict[str, Any], shown: StreamInfo, seconds: float
) -> tuple[dict[str, Any], str]:
    ratio = 2 * sound.channels * sound.sample_count / shown.file_bytes
    values = {
        "output": path,
        "bytes": shown.file_bytes,
        "bitrate": round(shown.bitrate, 3),
        "ratio_to_pcm16": round(ratio, 2),
        "duration": round(sound.duration, 3),
        "seconds": round(seconds, 3),
        **rate,
    }
    rates = f"{number(shown.bitrate, 5)} bit/s, 1:{number(ratio)} of 16-bit PCM"
    text = f"{path}: {shown.file_bytes} bytes, {rates}, {seconds:.1f} s"
    if rate["why_more"]:
        text += f"; more than {number(rate['asked_bitrate'])} bit/s, for {rate['why_more']}"
    return values, text


def _decompressed(path: str, sound: Decoding, held: int, seconds: float) -> tuple[dict[str, Any], str]:
    values = {
        "output": path,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "duration": round(sound.duration, 3),
        "seconds": round(seconds, 3),
        "held": held,
    }
    kind = {1: "mono", 2: "stereo"}[sound.channels]
    text = f"{path}: {sound.duration:.2f} s, {kind} at {sound.sample_rate} Hz, {seconds:.1f} s"
    if held:
        text += f"; {_files.told_held(held)}"
    return values, text


def _table(shown: StreamInfo) -> str:
    return "\n".join(f"{key.replace('_', ' '):15}{_cell(value)}" for key, value in vars(shown).items())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return str(value)
