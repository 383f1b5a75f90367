"""`generate`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, bits_option, given, loading_options, options_of, refuse, result_options
from noisebook.cli._shared import number, progress, report, sound_values, stream_values, told_unknown
from noisebook.errors import ConfigError
from noisebook.synthesis.options import GenerateOptions, GenerateStreamOptions

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["generate"]

_SOUND_ONLY = ("preset", "guidance", "rescale", "scheduler", "spacing", "num_candidates")
_STREAM_ONLY = ("candidates", "wav")


@click.command()
@click.argument("prompt", metavar="PROMPT")
@click.argument("target", metavar="[OUT]", required=False, type=FILE)
@click.option(
    "-o", "--output", metavar="OUT", type=FILE, help="The sound or stream to write; by default generated.wav or .ddcm."
)
@options_of(GenerateOptions)
@click.option(
    "--ddcm", "K", type=int, metavar="K", help="Noise from codebooks of K atoms (4, 8, ...): OUT is a stream."
)
@options_of(GenerateStreamOptions, "candidates", prefix="With --ddcm: ")
@click.option("--wav", metavar="FILE", type=FILE, help="With --ddcm: write the sound too.")
@bits_option
@result_options
@loading_options
def generate(prompt: str, target: str | None, output: str | None, **options: Any) -> None:
    """Make a new sound from a prompt.

    The model inside the package was trained with three kinds of sound, music, speech and effects, and knows some
    hundred words for them; a warning names those that it does not know. The empty PROMPT is any sound. The suffix of
    OUT names the format as in decompress; OUT may be - for a WAV file on standard output.

    \b
    noisebook generate music                                  # generated.wav, 10 s
    noisebook generate "man speaking in the rain" talk.flac --seconds 25 --seed 7
    noisebook generate effects wind.wav --preset detailed --negative speech
    noisebook generate music tune.ddcm --ddcm 64 --wav tune.wav
    """
    options |= {"prompt": prompt, "target": target, "output": output}
    stream = options["K"] is not None
    for name in given(*(_SOUND_ONLY if stream else _STREAM_ONLY)):
        refuse(name, "does not go with --ddcm" if stream else "goes with --ddcm only")
    (_generate_stream if stream else _generate_sound)(options)


def _generate_sound(options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _files.sound_target(
        _files.STANDARD, *_named(options, "generated.wav"), force=options["force"], stream_by="--ddcm 64"
    )
    chosen, backend = GenerateOptions.among(options), _backend_for(options)
    with progress("generating") as work:
        made = api.generate(options["prompt"], backend=backend, options=chosen, on_step=work.on_step)
    _files.write_sound(path, made.sound, force=options["force"], bits=options["bits"])
    values = sound_values(path, made.sound, work.seconds) | {"seed": made.seed, "unknown_words": list(made.unknown)}
    sound, seconds = made.sound, work.seconds
    text = f"{path}: {sound.duration:.2f} s at {sound.sample_rate} Hz, seed {made.seed}, {seconds:.1f} s"
    if made.similarities:
        values["similarities"] = list(made.similarities)
        text += f", the best of {len(made.similarities)}: {max(made.similarities):.3f} of CLAP"
    report(values, text, err=path == _files.STANDARD)


def _generate_stream(options: Mapping[str, Any]) -> None:
    from noisebook import api

    path, wav = _stream_paths(options)
    wanted = options if options["steps"] is not None else {**options, "steps": GenerateStreamOptions().steps}
    chosen, backend = GenerateStreamOptions.among(wanted), _backend_for(options)
    with progress("generating") as work:
        made = api.generate_stream(options["prompt"], backend=backend, options=chosen, on_step=work.on_step)
    _files.write_bytes(path, made.data, force=options["force"])
    if wav is not None:
        _files.write_sound(wav, made.sound, force=options["force"], bits=options["bits"])
    sound, size = made.sound, len(made.data)
    values = sound_values(path, sound, work.seconds) | stream_values(path, size, sound.duration, work.seconds)
    values |= {"seed": made.seed, "unknown_words": list(made.unknown), "wav": wav}
    rate = f"{size} bytes, {number(8 * size / sound.duration)} bit/s"
    text = f"{path}: {rate}, {sound.duration:.2f} s of sound, {work.seconds:.1f} s"
    report(values, text, err=path == _files.STANDARD)


def _backend_for(options: Mapping[str, Any]) -> Backend:
    """The backend; what it does not know of the prompts is told, before the work begins."""
    backend = ModelOptions.among(options).load()
    told_unknown(backend, options["prompt"], options["negative"])
    return backend


def _stream_paths(options: Mapping[str, Any]) -> tuple[str, str | None]:
    """Where the stream goes, and the sound where that was asked for."""
    force, wav = options["force"], options["wav"]
    path = _files.stream_target(_files.STANDARD, *_named(options, "generated.ddcm"), force=force)
    if wav == path:
        raise ConfigError(f"{wav} cannot be the stream and the sound; name another --wav")
    return path, wav if wav is None else _files.sound_target(_files.STANDARD, wav, None, force=force)


def _named(options: Mapping[str, Any], default: str) -> tuple[str | None, str | None]:
    """OUT as an argument and as an option, or the default as an argument."""
    target, output = options["target"], options["output"]
    return (default if target is None and output is None else target), output
