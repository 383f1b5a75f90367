"""`restore`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, engine_options, given, options_of, refuse, result_options
from noisebook.cli._shared import number, progress, report
from noisebook.codec.options import EncodeOptions
from noisebook.errors import ConfigError
from noisebook.synthesis.options import DamageOptions, RestoreOptions

if TYPE_CHECKING:
    from noisebook.api.restore import RestoredSound, RestoredStream
    from noisebook.audio.waveform import Waveform
    from noisebook.synthesis.damaged import Damage

__all__ = ["restore"]

_SOUND_ONLY = ("prompt", "guidance", "steps", "keep")
_STREAM_ONLY = ("preset", "bitrate", "quality", "tag")


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="[OUT]", required=False)
@click.option("-o", "--output", metavar="OUT", help="What to write; by default IN-restored.wav, or .ddcm, beside IN.")
@click.option(
    "--task", type=click.Choice(["inpaint", "bandwidth", "declip"]), required=True,
    help="Fill gaps, invent what is above a cutoff, or undo clipping.",
)  # fmt: skip
@options_of(RestoreOptions)
@click.option("--ddcm", is_flag=True, help="Compress at the same time: OUT is a .ddcm stream.")
@options_of(EncodeOptions, *_STREAM_ONLY, prefix="With --ddcm: ")
@bits_option
@result_options
@engine_options
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
    if target is None and output is None and source != _files.STANDARD:
        _files.check_source(source)
        target = str(Path(source).with_name(f"{Path(source).stem}-restored{_files.STREAM_SUFFIX if ddcm else '.wav'}"))
    (_to_stream if ddcm else _to_sound)(source, target, output, options)


def _to_sound(source: str, target: str | None, output: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _sound_path(source, target, output, options)
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    backend = ModelOptions.among(options).load()
    started = time.perf_counter()
    with progress("restoring", quiet=options["quiet"]) as on_step:
        made = api.restore(
            sound, options["task"], backend=backend, options=RestoreOptions.among(options), on_step=on_step
        )
    seconds = time.perf_counter() - started
    if made.unknown:
        click.echo(f"noisebook: words without effect: {', '.join(made.unknown)}", err=True)
    as_it_is = options["bits"] == "float"
    fitting, gain_db = (made.sound, 0.0) if as_it_is else api.within_full_scale(made.sound)
    _files.write_sound(path, fitting, force=options["force"], bits=options["bits"])
    _report_sound(path, made, gain_db, seconds, options)


def _to_stream(source: str, target: str | None, output: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    path = _files.stream_target(source, target, output, force=options["force"])
    coding = EncodeOptions.among(options)
    sound = _files.read_sound(source)
    backend = ModelOptions.among(options).load()
    started = time.perf_counter()
    with progress("restoring", quiet=options["quiet"]) as on_step:
        made = api.restore_stream(
            sound, options["task"], backend=backend, options=DamageOptions.among(options), coding=coding,
            on_step=on_step,
        )  # fmt: skip
    _report_stream(path, made, sound, time.perf_counter() - started, options)


def _report_sound(path: str, made: RestoredSound, gain_db: float, seconds: float, options: Mapping[str, Any]) -> None:
    sound = made.sound
    values = {
        "output": path,
        "sample_rate": sound.sample_rate,
        "channels": sound.channels,
        "duration": round(sound.duration, 3),
        **_found(made.damage, sound.sample_rate),
        "gain_db": gain_db,
        "unknown_words": list(made.unknown),
        "seconds": round(seconds, 3),
    }
    text = f"{path}: {_told(values)}, {sound.duration:.2f} s, {seconds:.1f} s"
    if gain_db:
        text += f"; made quieter by {-gain_db:g} dB to fit full scale"
    report(values, text, as_json=options["as_json"], quiet=options["quiet"], err=path == _files.STANDARD)


def _report_stream(
    path: str, made: RestoredStream, sound: Waveform, seconds: float, options: Mapping[str, Any]
) -> None:
    _files.write_bytes(path, made.data, force=options["force"])
    size, bitrate = len(made.data), 8 * len(made.data) / sound.duration
    values = {
        "output": path,
        "bytes": size,
        "bitrate": round(bitrate, 3),
        "duration": round(sound.duration, 3),
        **_found(made.damage, sound.sample_rate),
        "seconds": round(seconds, 3),
    }
    text = f"{path}: {_told(values)}, {size} bytes, {number(bitrate, 5)} bit/s, {seconds:.1f} s"
    report(values, text, as_json=options["as_json"], quiet=options["quiet"], err=path == _files.STANDARD)


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


def _sound_path(source: str, target: str | None, output: str | None, options: Mapping[str, Any]) -> str:
    named = target or output
    if named is not None and Path(named).suffix.lower() == _files.STREAM_SUFFIX:
        raise ConfigError(
            f"{named} is named like a stream; --ddcm makes one, {Path(named).with_suffix('.wav')} a sound"
        )
    return _files.sound_target(source, target, output, force=options["force"])
