"""`transform`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, engine_options, result_options
from noisebook.cli._shared import progress, report

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend

__all__ = ["transform"]

_COMMON = ("prompt", "negative", "method", "strength", "steps", "guidance", "rescale", "scheduler", "spacing", "seed")


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("-o", "--output", metavar="OUT", help="The sound to write; by default IN-METHOD.wav beside IN.")
@click.option("-p", "--prompt", metavar="PROMPT", help="What the sound becomes; by default any sound.")
@click.option("--negative", metavar="PROMPT", help="What to stay away from.")
@click.option(
    "-m", "--method", type=click.Choice(["input-based", "improved", "guided"]), default="input-based",
    show_default=True, help="From the noised quantised latent, hard or soft; or from noise, pulled towards the latent.",
)  # fmt: skip
@click.option(
    "-s", "--strength", type=click.FloatRange(0, 1), default=0.5, show_default=True,
    help="0 leaves the sound as it is, 1 keeps nothing of it.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1, 1000), default=20, show_default=True, help="Denoising steps.")
@click.option(
    "--guidance", type=float, metavar="SCALE", default=3.0, show_default=True,
    help="How much the prompt is exaggerated; 1 is not at all.",
)  # fmt: skip
@click.option(
    "--rescale", type=click.FloatRange(0, 1), default=0.7, show_default=True,
    help="How much of guidance's loudness is taken back.",
)  # fmt: skip
@click.option(
    "--scheduler", type=click.Choice(["ddim", "ddpm", "dpm++", "unipc"]),
    help="Sampler; by default ddim, and ddpm with --pull ddcm.",
)  # fmt: skip
@click.option(
    "--spacing", type=click.Choice(["uniform", "quadratic", "karras", "kl"]), default="quadratic", show_default=True,
    help="Of the steps.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True, help="Of the noise.")
@click.option(
    "--codebook", metavar="NAME|FILE",
    help="own (default): fitted to IN; none (input-based); one inside the package; or a file.",
)  # fmt: skip
@click.option("--temperature", type=float, metavar="T", help="improved: softness of the choice of atoms.")
@click.option("--top-k", type=click.IntRange(1), metavar="K", help="improved: how many nearest atoms are averaged.")
@click.option("--mix", type=click.FloatRange(0, 1), help="improved: share of the quantised latent; by default 0.7.")
@click.option(
    "--pull", type=click.Choice(["adaptive", "constant", "linear", "cosine", "ddcm"]),
    help="guided: how its weight follows the strength (adaptive by default), or noise chosen from codebooks.",
)  # fmt: skip
@click.option("--pull-strength", type=click.FloatRange(0, 1), help="guided: the largest weight; by default 1.")
@click.option("--scales", type=click.IntRange(1, 6), help="guided: more than 1 begin with the coarse structure.")
@bits_option
@result_options
@engine_options
def transform(source: str, target: str | None, output: str | None, force: bool, **options: Any) -> None:
    """Lead a sound towards a prompt.

    What is kept of IN falls evenly with the strength, from the sound itself to a new one that has only its length and
    level. Rate and channels stay. The prompt's words are those that generate knows. The suffix of OUT names the format
    as in decompress; IN may be - for standard input, OUT may be - for a WAV file on standard output.

    \b
    noisebook transform talk.wav --prompt music               # talk-input-based.wav
    noisebook transform song.flac calm.flac -p "rain and wind" -s 0.3
    noisebook transform song.flac x.wav -p speech -m guided -s 0.4 --scales 4
    noisebook transform song.flac x.wav -m improved --codebook own --temperature 0.1
    """
    from noisebook import api

    special = _special(options)
    if target is None and output is None and source != _files.STANDARD:
        _files.check_source(source)
        target = str(Path(source).with_name(f"{Path(source).stem}-{options['method']}.wav"))
    path = _files.sound_target(source, target, output, force=force)
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    backend = ModelOptions.among(options).load()
    unknown = _told_unknown(backend, options)
    started = time.perf_counter()
    with progress("transforming", quiet=options["quiet"]) as on_step:
        changed = api.transform(
            sound, backend=backend, on_step=on_step, **{name: options[name] for name in _COMMON}, **special
        )
    seconds = time.perf_counter() - started
    held = _files.write_sound(path, changed, force=force, bits=options["bits"])
    _report(path, changed, {"unknown_words": list(unknown), "held": held, "seconds": round(seconds, 3)}, options)


def _special(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of single methods that were given; those of another method are wrong usage."""
    from noisebook.api.transform import TRANSFORM_OPTIONS

    method = options["method"]
    names = dict.fromkeys(name for names in TRANSFORM_OPTIONS.values() for name in names)
    given = {name: options[name] for name in names if options[name] is not None}
    for name in given:
        if name not in TRANSFORM_OPTIONS[method]:
            message = f"--{name.replace('_', '-')} is no option of --method {method}"
            raise click.UsageError(message, click.get_current_context())
    return given


def _told_unknown(backend: Backend, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The words that have no effect, after they have been told."""
    from noisebook import api

    unknown = api.unknown_words(backend, *(options[name] for name in ("prompt", "negative") if options[name]))
    if unknown:
        click.echo(f"noisebook: words without effect: {', '.join(unknown)}", err=True)
    return unknown


def _report(path: str, sound: Waveform, more: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    chosen = {name: options[name] for name in ("method", "strength", "prompt", "seed")}
    shape = {"sample_rate": sound.sample_rate, "channels": sound.channels, "duration": round(sound.duration, 3)}
    text = (
        f"{path}: {chosen['method']}, strength {chosen['strength']:g}, {sound.duration:.2f} s, {more['seconds']:.1f} s"
    )
    if more["held"]:
        text += f"; {_files.told_held(more['held'])}"
    to_stderr = path == _files.STANDARD
    report({"output": path, **chosen, **shape, **more}, text, as_json=options["as_json"], quiet=options["quiet"],
           err=to_stderr)  # fmt: skip
