"""`compress`, `decompress`, `play` and `info`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import click

from noisebook import api
from noisebook.api import CodebookOptions, DecodeOptions, EncodeOptions, ModelOptions, StreamInfo
from noisebook.cli import _files, _options
from noisebook.cli._options import FILE, options_of
from noisebook.cli._shared import (
    STANDARD,
    STREAM_SUFFIX,
    error_values,
    number,
    progress,
    report,
    wrong_usage,
)
from noisebook.codec.options import AUTO
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.errors import CorruptStream, WrongModel

_DAMAGED = "damaged or cut short: its size or a checksum is wrong; decompress --damaged plays what is there"
_ONLY = {
    "ddcm": tuple(name for name in EncodeOptions.names() if name not in CodebookOptions.names()),
    "vq": ("codebook", "rule"),
}
_HEARD = 8.0  # seconds that `play` decodes before they sound
_NOTICED = 1.02  # times the bitrate that was asked for
# Of compress and of batch compress.
codec_options = _options.together(
    options_of(EncodeOptions),
    click.option(
        "--codec", type=click.Choice(["ddcm", "vq"]), default="ddcm", show_default=True,
        help="ddcm chooses the noise of a diffusion; vq writes the latent in the words of a codebook.",
    ),
    click.option("--codebook", metavar="NAME|FILE", type=FILE, help="vq: a codebook of the package, or a file of one."),
    options_of(CodebookOptions, "rule"),
)  # fmt: skip


def _paths(help: str) -> _options.Decorator:
    """`IN... [OUT]`, and OUT as an option: the parameters paths and output."""
    return _options.together(
        click.argument("paths", metavar="IN... [OUT]", nargs=-1, required=True, type=FILE),
        click.option("-o", "--output", metavar="OUT|DIR", type=FILE, help=help),
    )


@click.command()
@_paths("The stream to write, or the folder for those of several sounds; by default IN with the suffix .ddcm.")
@codec_options
@click.option("--mono", is_flag=True, help="Mix down to one channel: short for --channels mono.")
@_options.result_options
@_options.loading_options
def compress(paths: tuple[str, ...], **options: Any) -> int:
    """Compress a sound to a .ddcm stream.

    IN is any sound file, or - for standard input. OUT may be - for standard output, which is the default for standard
    input; the report then goes to standard error.

    \b
    noisebook compress song.mp3                          # song.ddcm, 3000 bit/s
    noisebook compress song.mp3 -p 300 -o tiny.ddcm
    noisebook compress a.wav b.flac c.mp3 -o streams     # a folder; whole trees: noisebook batch compress
    noisebook compress talk.wav talk.ddcm --bitrate 500 --tag speech
    noisebook compress - --mono < song.flac > song.ddcm
    noisebook compress song.wav --codec vq --codebook mine.safetensors
    """
    if options["mono"]:
        if options["channels"] == "dual":
            raise wrong_usage("--mono and --channels dual exclude each other")
        options["channels"] = "mono"
    chosen = coding(options)
    load = cache(ModelOptions.among(options).load)  # for all of them, and not before the first is known to be sound
    return _files.each(
        paths, options, _files.stream_output, STREAM_SUFFIX,
        lambda source, out: _compress(source, out, chosen, load, options["codebook"]),
    )  # fmt: skip


def coding(options: Mapping[str, Any]) -> EncodeOptions | CodebookOptions:
    """What `codec_options` ask for, of which those of another codec are wrong usage."""
    codec = options["codec"]
    _options.refuse(_ONLY["vq" if codec == "ddcm" else "ddcm"], f"is not an option of --codec {codec}")
    if codec == "ddcm":
        return EncodeOptions.among(options)
    if options["codebook"] is None:
        raise wrong_usage("--codec vq needs a --codebook")
    return CodebookOptions.among(options)


def _compress(
    source: str,
    out: _files.Output,
    chosen: EncodeOptions | CodebookOptions,
    load: Callable[[], Backend],
    codebook: str,
) -> tuple[Mapping[str, Any], str]:
    """One sound to a stream; what to report of it."""
    with _files.open_sound(source) as sound:
        if isinstance(chosen, EncodeOptions) and chosen.preset == AUTO:
            preset, reasons = api.auto_preset(sound)
            chosen = chosen.replaced(preset=preset)
            click.echo(f"noisebook: {'; '.join(reasons)}", err=True)
        model = load()
        with progress("compressing") as work:
            if isinstance(chosen, EncodeOptions):
                stream = api.compress(sound, backend=model, options=chosen, on_step=work.on_step)
            else:
                stream = api.compress_with_codebook(
                    sound, backend=model, codebook=codebook, options=chosen, on_step=work.on_step
                )
    out.write(stream)
    shown, asked = api.read_info(stream, info=model.info), chosen.asked_bitrate
    ratio = 2 * sound.channels * sound.sample_count / shown.file_bytes
    why_more = None if asked is None or shown.bitrate <= _NOTICED * asked else _why_more(shown, asked, model.info)
    values = _files.stream_values(out.path, shown.file_bytes, sound.duration, work.seconds) | {
        "ratio_to_pcm16": round(ratio, 2), "asked_bitrate": asked, "payload_bytes": shown.payload_bytes,
        "other_bytes": shown.file_bytes - (shown.payload_bytes or 0), "why_more": why_more,
    }  # fmt: skip
    rates = f"{number(shown.bitrate, 5)} bit/s, 1:{number(ratio)} of 16-bit PCM"
    text = f"{out.path}: {shown.file_bytes} bytes, {rates}, {work.seconds:.1f} s"
    return values, text if why_more is None else f"{text}; more than {number(asked or 0)} bit/s, for {why_more}"


def _why_more(shown: StreamInfo, asked: float, info: BackendInfo) -> str:
    """Why a stream has more than the bit/s that were asked for."""
    payload, per_byte = shown.payload_bytes or 0, 8 / shown.duration
    beside = shown.file_bytes - payload
    reason = f"{beside} bytes are not payload ({number(beside * per_byte, 3)} bit/s)"
    more = payload * per_byte - asked
    if more <= (_NOTICED - 1) * asked:
        return reason
    why = "the codebook has a bitrate of its own"
    if shown.params is not None:  # choices come in parts, and the last ones reach beyond the sound's end
        part = 2 ** int(shown.params["log2_part"]) / info.frame_values / info.frames_per_second
        why = f"choices come {number(part)} s of sound at a time"
    return f"{reason} and {why} ({number(more, 3)} bit/s)"


@click.command()
@_paths("The sound to write, or the folder for those of several streams; by default IN with the suffix .wav.")
@options_of(DecodeOptions)
@_options.codebook_option
@_options.bits_option
@_options.result_options
@_options.stream_loading_options
def decompress(paths: tuple[str, ...], **options: Any) -> int:
    """Turn a .ddcm stream back into sound.

    The suffix of OUT names the format: .wav, .flac, .ogg, .opus, .mp3, .aiff, .caf or .w64. IN may be - for standard
    input; OUT may be -, for a WAV file on standard output, which is the default for standard input. The model is
    the one that made the stream, among those that noisebook models lists.

    \b
    noisebook decompress song.ddcm                       # song.wav
    noisebook decompress song.ddcm back.flac --start 60 --end 90
    noisebook decompress a.ddcm b.ddcm -o sounds
    noisebook decompress - < song.ddcm | aplay
    """
    load = cache(ModelOptions.among(options).load)
    return _files.each(
        paths, options, _sound_output, ".wav", lambda source, out: _decompress(source, out, load, options)
    )


def _sound_output(source: str, target: str | None, options: Mapping[str, Any]) -> _files.Output:
    """Where the sound of a stream goes, once the source is known to be a stream."""
    if source != STANDARD:
        with _files.naming(source):
            api.read_info(_files.read_bytes(source))
    return _files.sound_output(source, target, options)


def _decompress(
    source: str, out: _files.Output, load: Callable[[str], Backend], options: Mapping[str, Any]
) -> tuple[Mapping[str, Any], str]:
    """One stream to a sound; what to report of it."""
    with _files.naming(source):
        data = _files.read_bytes(source)
        shown = api.read_info(data)  # is it a stream at all? Asked before the model is loaded.
        out.check_format(shown.sample_rate, shown.channels)
        model = load(ModelOptions.among(options).model_of(data))
        chosen = DecodeOptions.among(options).replaced(peak_guard=out.bits != "float")
        with progress("decompressing") as work:
            sound = api.decompress_to_blocks(
                data, backend=model, codebook=options["codebook"], options=chosen, on_step=work.on_step
            )
            held = out.write_sound(sound)
    values = _files.sound_values(out.path, sound, work.seconds) | {"held": held}
    kind = {1: "mono", 2: "stereo"}[sound.channels]
    text = f"{out.path}: {sound.duration:.2f} s, {kind} at {sound.sample_rate} Hz, {work.seconds:.1f} s"
    return values, text + _files.held_text(held)


@click.command()
@click.argument("source", metavar="IN", type=FILE)
@click.option(
    "-o", "--output", metavar="OUT", type=FILE,
    help="Write the sound there instead, as decompress does; - is a WAV file on standard output.",
)  # fmt: skip
@options_of(DecodeOptions)
@_options.codebook_option
@_options.quiet_option
@_options.json_option
@_options.stream_loading_options
def play(source: str, output: str | None, **options: Any) -> int:
    """Hear a .ddcm stream: the sound begins when its first seconds are decoded.

    It goes to the default output of sounddevice where that is installed (pip install sounddevice), else to ffplay, mpv,
    aplay, SoX's play or afplay, whichever is here. IN may be - for standard input.

    \b
    noisebook play song.ddcm
    noisebook play song.ddcm --start 60
    noisebook play song.ddcm -o - | ffplay -
    """
    if output is not None:
        status: int = click.get_current_context().invoke(decompress, paths=(source,), output=output, **options)
        return status
    from noisebook.audio.speakers import speakers

    to_speakers = speakers()
    with _files.naming(source):
        data = _files.read_bytes(source)
        model = ModelOptions.among(options).load(ModelOptions.among(options).model_of(data))
        sound = api.decompress_to_blocks(
            data, backend=model, codebook=options["codebook"], options=DecodeOptions.among(options), seconds=_HEARD
        )
        blocks, shape = (block.samples for block in sound.blocks), (sound.channels, sound.sample_count)
        with progress("playing", quiet=True) as work:
            to_speakers(blocks, shape, sound.sample_rate)
    report(_files.sound_values(source, sound, work.seconds), f"{source}: {sound.duration:.2f} s played")
    return 0


@click.command()
@click.argument("source", metavar="IN", type=FILE)
@_options.stream_model_option
@_options.json_option
def info(source: str, model: str | None, **_: Any) -> int:
    """Show what a .ddcm stream says about itself, and whether it is whole.

    Exit status 1 if it is damaged. A stream of a model that is not here, or of another than MODEL, shows only its
    header.

    \b
    noisebook info song.ddcm
    noisebook info song.ddcm --json
    """
    with _files.naming(source):
        data = _files.read_bytes(source)
        shown = api.read_info(data)
        try:
            shown = api.read_info(data, info=api.model_info(model or api.find_model(data), offline=True))
        except WrongModel as error:
            click.echo(f"noisebook: only the header can be read: {error}", err=True)
    values, damage = vars(shown), CorruptStream(f"{source}: {_DAMAGED}")
    text = "\n".join(f"{name:15}{value}" for name, value in shown.in_words().items())
    if shown.intact is not False:
        report(values, text)
        return 0
    report({**values, "error": error_values(damage)}, text)
    click.echo(f"noisebook: {damage}", err=True)
    return 1
