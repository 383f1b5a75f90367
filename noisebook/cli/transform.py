"""`transform`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, engine_options, given, options_of, refuse, result_options
from noisebook.cli._shared import progress, report, told_unknown
from noisebook.synthesis.options import TRANSFORM_METHODS, TransformOptions

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform

__all__ = ["transform"]


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("-o", "--output", metavar="OUT", help="The sound to write; by default IN-METHOD.wav beside IN.")
@options_of(TransformOptions)
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

    special = given(*dict.fromkeys(name for names in TRANSFORM_METHODS.values() for name in names))
    for name in special:
        if name not in TRANSFORM_METHODS[options["method"]]:
            refuse(name, f"is no option of --method {options['method']}")
    chosen = TransformOptions.among(options)
    if target is None and output is None and source != _files.STANDARD:
        _files.check_source(source)
        target = str(Path(source).with_name(f"{Path(source).stem}-{options['method']}.wav"))
    path = _files.sound_target(source, target, output, force=force)
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    backend = ModelOptions.among(options).load()
    unknown = told_unknown(backend, chosen.prompt, chosen.negative)
    started = time.perf_counter()
    with progress("transforming", quiet=options["quiet"]) as on_step:
        changed = api.transform(sound, backend=backend, options=chosen, on_step=on_step)
    seconds = time.perf_counter() - started
    held = _files.write_sound(path, changed, force=force, bits=options["bits"])
    _report(path, changed, {"unknown_words": list(unknown), "held": held, "seconds": round(seconds, 3)}, options)


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
