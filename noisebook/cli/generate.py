"""`generate`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, engine_options, result_options
from noisebook.cli._shared import number, progress, report
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.api.generate import GeneratedSound, GeneratedStream
    from noisebook.diffusion.backend import Backend

__all__ = ["generate"]

_SOUND_ONLY = ("preset", "guidance", "rescale", "scheduler", "spacing")
_STREAM_ONLY = ("candidates", "wav")


@click.command()
@click.argument("prompt", metavar="PROMPT")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("-o", "--output", metavar="OUT", help="The sound or stream to write; by default generated.wav or .ddcm.")
@click.option("-t", "--seconds", type=float, default=10.0, show_default=True, help="Length of the sound.")
@click.option(
    "-p", "--preset", type=click.Choice(["quick", "balanced", "detailed"]),
    help="Steps and guidance: quick 10 and 5, balanced (default) 20 and 7.5, detailed 30 and 10.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 1000), help="Denoising steps; with --ddcm 100 by default.")
@click.option("--guidance", type=float, metavar="SCALE", help="How much the prompt is exaggerated; 1 is not at all.")
@click.option(
    "--rescale", type=click.FloatRange(0, 1), help="How much of guidance's loudness is taken back; by default 1."
)
@click.option("--negative", metavar="PROMPT", default="", help="What to stay away from.")
@click.option(
    "--scheduler", type=click.Choice(["ddim", "ddpm", "dpm++", "unipc"]), help="Sampler; by default ddim."
)  # fmt: skip
@click.option(
    "--spacing", type=click.Choice(["uniform", "quadratic", "karras", "kl"]), help="Of the steps; by default quadratic."
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), help="Random by default; with --ddcm 0 to 255.")
@click.option(
    "--ddcm", "K", type=int, metavar="K", help="Noise from codebooks of K atoms (4, 8, ...): OUT is a stream."
)
@click.option(
    "--candidates", type=click.IntRange(1), metavar="N",
    help="With --ddcm: random atoms that a step chooses from; by default 1 or 2, as the prompt needs.",
)  # fmt: skip
@click.option("--wav", metavar="FILE", help="With --ddcm: write the sound too.")
@bits_option
@result_options
@engine_options
def generate(prompt: str, target: str | None, output: str | None, **options: Any) -> None:
    """Make a new sound from a prompt.

    The model inside the package was trained with three kinds of sound, music, speech and effects, and knows some
    hundred words for them; those it does not know are told. The empty PROMPT is any sound. The suffix of OUT names
    the format as in decompress; OUT may be - for a WAV file on standard output.

    \b
    noisebook generate music                                  # generated.wav, 10 s
    noisebook generate "man speaking in the rain" talk.flac --seconds 25 --seed 7
    noisebook generate effects wind.wav --preset detailed --negative speech
    noisebook generate music tune.ddcm --ddcm 64 --wav tune.wav
    """
    options["target"] = target
    options["output"] = output
    _check_together(options)
    if options["K"] is None:
        _generate_sound(prompt, options)
    else:
        _generate_stream(prompt, options)


def _generate_sound(prompt: str, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _sound_path(options)
    backend = _backend_for(prompt, options)
    chosen = _given(options, (*_SOUND_ONLY, "steps", "seed", "seconds", "negative"))
    started = time.perf_counter()
    with progress("generating", quiet=options["quiet"]) as on_step:
        made = api.generate(prompt, backend=backend, on_step=on_step, **chosen)
    seconds = time.perf_counter() - started
    _files.write_sound(path, made.sound, force=options["force"], bits=options["bits"])
    values = _values(path, made, seconds)
    text = f"{path}: {made.sound.duration:.2f} s at {made.sound.sample_rate} Hz, seed {made.seed}, {seconds:.1f} s"
    report(values, text, as_json=options["as_json"], quiet=options["quiet"], err=path == _files.STANDARD)


def _generate_stream(prompt: str, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path, wav = _stream_paths(options)
    backend = _backend_for(prompt, options)
    chosen = _given(options, ("K", "candidates", "steps", "seed", "seconds", "negative"))
    started = time.perf_counter()
    with progress("generating", quiet=options["quiet"]) as on_step:
        made = api.generate_stream(prompt, backend=backend, on_step=on_step, **chosen)
    seconds = time.perf_counter() - started
    _files.write_bytes(path, made.data, force=options["force"])
    if wav is not None:
        _files.write_sound(wav, made.sound, force=options["force"], bits=options["bits"])
    _report_stream(path, wav, made, seconds, options)


def _report_stream(
    path: str, wav: str | None, made: GeneratedStream, seconds: float, options: Mapping[str, Any]
) -> None:
    size = len(made.data)
    bitrate = 8 * size / made.sound.duration
    values = _values(path, made, seconds) | {"bytes": size, "bitrate": round(bitrate, 3), "wav": wav}
    text = f"{path}: {size} bytes, {number(bitrate)} bit/s, {made.sound.duration:.2f} s of sound, {seconds:.1f} s"
    report(values, text, as_json=options["as_json"], quiet=options["quiet"], err=path == _files.STANDARD)


def _values(path: str, made: GeneratedSound, seconds: float) -> dict[str, Any]:
    return {
        "output": path,
        "sample_rate": made.sound.sample_rate,
        "duration": round(made.sound.duration, 3),
        "seed": made.seed,
        "unknown_words": list(made.unknown),
        "seconds": round(seconds, 3),
    }


def _backend_for(prompt: str, options: Mapping[str, Any]) -> Backend:
    """The backend; what it does not know of the prompts is told, before the work begins."""
    from noisebook import api

    backend = ModelOptions.among(options).load()
    unknown = api.unknown_words(backend, prompt, options["negative"])
    if unknown:
        click.echo(f"noisebook: words without effect: {', '.join(unknown)}", err=True)
    return backend


def _sound_path(options: Mapping[str, Any]) -> str:
    named = options["target"] or options["output"]
    if named is not None and Path(named).suffix.lower() == _files.STREAM_SUFFIX:
        raise ConfigError(
            f"{named} is named like a stream; --ddcm 64 makes one, {Path(named).with_suffix('.wav')} a sound"
        )
    return _files.sound_target(_files.STANDARD, *_named(options, "generated.wav"), force=options["force"])


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


def _given(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """The named options, without those that were not given."""
    return {name: options[name] for name in names if options[name] is not None}


def _check_together(options: Mapping[str, Any]) -> None:
    misplaced = [name for name in (_STREAM_ONLY if options["K"] is None else _SOUND_ONLY) if options[name] is not None]
    if misplaced:
        rule = "goes with --ddcm only" if options["K"] is None else "does not go with --ddcm"
        raise click.UsageError(f"--{misplaced[0]} {rule}", click.get_current_context())
