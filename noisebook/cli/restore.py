"""`restore`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, given, in_out, loading_options, options_of, refuse, result_options
from noisebook.cli._shared import number, progress, report, sound_values, stream_values
from noisebook.codec.options import EncodeOptions
from noisebook.synthesis.options import DamageOptions, RestoreOptions

if TYPE_CHECKING:
    from noisebook.synthesis.damage import Damage

__all__ = ["restore"]

_SOUND_ONLY = ("prompt", "guidance", "steps", "keep")
_STREAM_ONLY = ("preset", "bitrate", "quality", "tag")


@click.command()
@in_out("What to write; by default IN-restored.wav, or .ddcm, beside IN.")
@click.option(
    "--task", type=click.Choice(["inpaint", "bandwidth", "declip"]), required=True,
    help="Fill gaps, invent what is above a cutoff, or undo clipping.",
)  # fmt: skip
@options_of(RestoreOptions)
@click.option("--ddcm", is_flag=True, help="Compress at the same time: OUT is a .ddcm stream.")
@options_of(EncodeOptions, *_STREAM_ONLY, prefix="With --ddcm: ")
@bits_option
@result_options
@loading_options
def restore(source: str, target: str | None, output: str | None, ddcm: bool, **options: Any) -> None:
    """Restore a damaged sound: the model invents what is lost, in agreement with what is not.

    A restored band ends where what the model hears does; a sound of a lower sample rate gets the model's. Declipped
    sound that would exceed full scale is made quieter, and the report says by how much.

    \b
    noisebook restore talk.wav --task inpaint --gap 2.5:2.9    # talk-restored.wav
    noisebook restore phone.wav wide.wav --task bandwidth --cutoff 3400 --prompt speech
    noisebook restore loud.flac --task declip
    noisebook restore talk.wav talk.ddcm --task bandwidth --ddcm --preset 1500
    """
    for name in given(*(_SOUND_ONLY if ddcm else _STREAM_ONLY)):
        refuse(name, "does not go with --ddcm" if ddcm else "goes with --ddcm only")
    (_to_stream if ddcm else _to_sound)(source, target, output, options)


def _to_sound(source: str, target: str | None, output: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _files.sound_target(source, target, output, force=options["force"], added="-restored", stream_by="--ddcm")
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    backend, chosen = ModelOptions.among(options).load(), RestoreOptions.among(options)
    with progress("restoring") as work:
        made = api.restore(sound, options["task"], backend=backend, options=chosen, on_step=work.on_step)
    if made.unknown:
        click.echo(f"noisebook: words without effect: {', '.join(made.unknown)}", err=True)
    as_it_is = options["bits"] == "float"
    fitting, gain_db = (made.sound, 0.0) if as_it_is else api.within_full_scale(made.sound)
    _files.write_sound(path, fitting, force=options["force"], bits=options["bits"])
    found = _found(made.damage, made.sound.sample_rate)
    values = sound_values(path, made.sound, work.seconds) | found
    values |= {"gain_db": gain_db, "unknown_words": list(made.unknown)}
    text = f"{path}: {_told(found)}, {made.sound.duration:.2f} s, {work.seconds:.1f} s"
    quieter = f"; made quieter by {-gain_db:g} dB to fit full scale" if gain_db else ""
    report(values, text + quieter, err=path == _files.STANDARD)


def _to_stream(source: str, target: str | None, output: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _files.stream_target(source, target, output, force=options["force"], added="-restored")
    chosen, coding = DamageOptions.among(options), EncodeOptions.among(options)
    sound, backend = _files.read_sound(source), ModelOptions.among(options).load()
    with progress("restoring") as work:
        made = api.restore_stream(
            sound, options["task"], backend=backend, options=chosen, coding=coding, on_step=work.on_step
        )
    _files.write_bytes(path, made.data, force=options["force"])
    size, found = len(made.data), _found(made.damage, sound.sample_rate)
    rate = f"{size} bytes, {number(8 * size / sound.duration, 5)} bit/s"
    values = stream_values(path, size, sound.duration, work.seconds) | found
    report(values, f"{path}: {_told(found)}, {rate}, {work.seconds:.1f} s", err=path == _files.STANDARD)


def _found(damage: Damage, sample_rate: int) -> dict[str, Any]:
    """The damage, as it was told or found."""
    values: dict[str, Any] = {"task": damage.task}
    if damage.task == "inpaint":
        values["gaps"] = [[round(edge / sample_rate, 4) for edge in gap] for gap in damage.gaps]
    elif damage.task == "bandwidth":
        values["cutoff"] = round(damage.cutoff, 1)
    else:
        values["threshold"] = round(damage.threshold, 5)
    return values


def _told(values: Mapping[str, Any]) -> str:
    if values["task"] == "inpaint":
        return "inpainted " + ", ".join(f"{start:g}-{end:g} s" for start, end in values["gaps"])
    if values["task"] == "bandwidth":
        return f"restored above {values['cutoff']:g} Hz"
    return f"declipped at {values['threshold']:g}"
