"""`transform`."""

from __future__ import annotations

from typing import Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, given, in_out, loading_options, options_of, refuse, result_options
from noisebook.cli._shared import progress, report, sound_values, told_unknown
from noisebook.synthesis.options import TRANSFORM_METHODS, TransformOptions

__all__ = ["transform"]


@click.command()
@in_out("The sound to write; by default IN-METHOD.wav beside IN.")
@options_of(TransformOptions)
@bits_option
@result_options
@loading_options
def transform(source: str, target: str | None, output: str | None, force: bool, **options: Any) -> None:
    """Lead a sound towards a prompt.

    The strength says how much of IN is given up, evenly from the sound itself to a new one that keeps only its length
    and level. Rate and channels stay. The prompt's words are those that generate knows. The suffix of OUT names the
    format as in decompress; IN may be - for standard input, OUT may be - for a WAV file on standard output.

    \b
    noisebook transform talk.wav --prompt music               # talk-input-based.wav
    noisebook transform song.flac calm.flac -p "rain and wind" -s 0.3
    noisebook transform song.flac x.wav -p speech -m guided -s 0.4 --scales 4
    noisebook transform song.flac x.wav -m improved --codebook own --temperature 0.1
    noisebook transform birds.wav x.wav -p rain -m full-diffusion --steps 50
    """
    from noisebook import api

    special = given(*dict.fromkeys(name for names in TRANSFORM_METHODS.values() for name in names))
    for name in special:
        if name not in TRANSFORM_METHODS[options["method"]]:
            refuse(name, f"is no option of --method {options['method']}")
    chosen = TransformOptions.among(options)
    path = _files.sound_target(source, target, output, force=force, added=f"-{chosen.method}")
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    backend = ModelOptions.among(options).load()
    unknown = told_unknown(backend, chosen.prompt, chosen.negative)
    with progress("transforming") as work:
        changed = api.transform(sound, backend=backend, options=chosen, on_step=work.on_step)
    held = _files.write_sound(path, changed, force=force, bits=options["bits"])
    values = {name: getattr(chosen, name) for name in ("method", "strength", "prompt", "seed")}
    values |= sound_values(path, changed, work.seconds) | {"unknown_words": list(unknown), "held": held}
    text = f"{path}: {chosen.method}, strength {chosen.strength:g}, {changed.duration:.2f} s, {work.seconds:.1f} s"
    report(values, f"{text}; {_files.told_held(held)}" if held else text, err=path == _files.STANDARD)
