"""`reconstruct`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, engine_options, given, options_of, result_options
from noisebook.cli._shared import progress, report
from noisebook.errors import ConfigError
from noisebook.synthesis.options import ReconstructOptions

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend
    from noisebook.synthesis.reconstruct import Reconstruction

__all__ = ["reconstruct"]

_AXES = ("front_end", "posterior", "latent_limit", "vocoder", "post")


@click.command()
@click.argument("source", metavar="IN", required=False)
@click.argument("target", metavar="[OUT]", required=False)
@click.option("-o", "--output", metavar="OUT", help="The sound to write; by default IN-PRESET.wav beside IN.")
@options_of(ReconstructOptions)
@click.option("--all", "every", is_flag=True, help="Every preset, as IN-PRESET.wav in the folder OUT.")
@click.option("--list", "listing", is_flag=True, help="Show the table of presets, and do nothing else.")
@bits_option
@result_options
@engine_options
def reconstruct(
    source: str | None, target: str | None, output: str | None, every: bool, listing: bool, **options: Any
) -> None:
    """Pass a sound through the autoencoder and a vocoder, without bits.

    What comes back is the best that a codec over this latent could do. A preset is one choice at each of five axes:
    front end, posterior, latent limit, vocoder and post-processing; each can be chosen by itself on top of a preset.
    The report says what ran at each axis, and how near the result is, with silence for comparison.

    \b
    noisebook reconstruct song.flac                      # song-matched.wav
    noisebook reconstruct song.flac bright.wav -p v4-high-freq
    noisebook reconstruct song.flac -p simple --front-end historical
    noisebook reconstruct song.flac folder --all
    """
    if listing:
        _list_presets(as_json=options["as_json"])
    elif source is None:
        raise click.UsageError("Missing argument 'IN'", click.get_current_context())
    elif every:
        _every_preset(source, _one_of(target, output), options)
    else:
        _one_preset(source, _one_of(target, output), options)


def _one_of(argument: str | None, option: str | None) -> str | None:
    if argument is not None and option is not None:
        message = "give the output once: as the second argument or with -o"
        raise click.UsageError(message, click.get_current_context())
    return argument if argument is not None else option


def _one_preset(source: str, target: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    chosen = ReconstructOptions.among(options)
    api.reconstruction_preset(chosen)  # wrong names are told before any work
    if target is None and source != _files.STANDARD:
        target = str(_beside(source, chosen.preset))
    path = _files.sound_target(source, target, None, force=options["force"])
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    values = _reconstructed(path, sound, chosen, ModelOptions.among(options).load(), options)
    to_stderr = path == _files.STANDARD
    report(values, _text(values), as_json=options["as_json"], quiet=options["quiet"], err=to_stderr)


def _every_preset(source: str, target: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    if given("preset"):
        raise click.UsageError("--all and --preset exclude each other", click.get_current_context())
    if source == _files.STANDARD or target == _files.STANDARD:
        raise ConfigError("--all names its files after IN, in a folder; neither can be -")
    names = [preset.name for preset in api.reconstruction_presets()]
    chosen = ReconstructOptions.among(options)
    api.reconstruction_preset(chosen)
    folder = _folder(target, source)
    paths = [
        _files.sound_target(source, str(_beside(source, name, folder)), None, force=options["force"]) for name in names
    ]
    sound, backend = _files.read_sound(source), ModelOptions.among(options).load()
    _files.check_format(paths[0], sound.sample_rate, sound.channels, options["bits"])
    results = []
    with progress("reconstructing", quiet=options["quiet"]) as on_step:
        for done, (name, path) in enumerate(zip(names, paths, strict=True), 1):
            results.append(_reconstructed(path, sound, chosen.replaced(preset=name), backend, options))
            if on_step is not None:
                on_step(done, len(names))
    text = "\n".join(_text(values) for values in results)
    report({"outputs": results}, text, as_json=options["as_json"], quiet=options["quiet"])


def _beside(source: str, preset: str, folder: Path | None = None) -> Path:
    return (Path(source).parent if folder is None else folder) / f"{Path(source).stem}-{preset}.wav"


def _folder(target: str | None, source: str) -> Path:
    """The folder OUT, made where only its last part is missing."""
    if target is None:
        return Path(source).parent
    folder = Path(target)
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{target} is a file; --all writes into a folder")
    if not folder.parent.is_dir():
        raise ConfigError(f"there is no folder {folder.parent}; make it first")
    if Path(source).is_file():  # a folder for nothing helps nobody
        folder.mkdir(exist_ok=True)
    return folder


def _reconstructed(
    path: str, sound: Waveform, chosen: ReconstructOptions, backend: Backend, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Reconstruct and write; what the report says of it."""
    from noisebook import api

    started = time.perf_counter()
    result = api.reconstruct(sound, backend=backend, options=chosen)
    seconds = time.perf_counter() - started
    held = _files.write_sound(path, result.waveform, force=options["force"], bits=options["bits"])
    return {"output": path, "preset": chosen.preset, **_values(result), "seconds": round(seconds, 3), "held": held}


def _values(result: Reconstruction) -> dict[str, Any]:
    return {
        "sample_rate": result.waveform.sample_rate,
        "channels": result.waveform.channels,
        "duration": round(result.waveform.duration, 3),
        "ran": vars(result.ran),
        "measures": _rounded(result.measures),
        "silence": _rounded(result.silence),
    }


def _rounded(measures: Mapping[str, float]) -> dict[str, float | None]:
    """With None for what JSON cannot say."""
    return {name: round(value, 3) if isfinite(value) else None for name, value in measures.items()}


def _text(values: Mapping[str, Any]) -> str:
    lines = [f"{values['output']}: {values['preset']}, {values['duration']:.2f} s, {values['seconds']:.1f} s"]
    lines += [f"  {axis.replace('_', ' '):14}{told}" for axis, told in values["ran"].items()]
    for name, value in values["measures"].items():
        pair = (_cell(value), _cell(values["silence"][name]))
        lines.append(f"  {name.removesuffix('_db').replace('_', ' '):23}{pair[0]:>8} dB   silence {pair[1]:>8} dB")
    if values["held"]:
        lines.append(f"  {_files.told_held(values['held'])}")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _list_presets(*, as_json: bool) -> None:
    from noisebook import api

    rows = [
        {"preset": preset.name, **{axis: str(getattr(preset, axis)) for axis in _AXES}}
        for preset in api.reconstruction_presets()
    ]
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    lines = [{key: key.replace("_", " ") for key in rows[0]}, *rows]
    text = "\n".join("  ".join(f"{line[key]:{widths[key]}}" for key in line).rstrip() for line in lines)
    report({"presets": rows}, text, as_json=as_json)
