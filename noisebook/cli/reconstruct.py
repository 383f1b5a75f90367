"""`reconstruct`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import bits_option, given, in_out, loading_options, options_of, result_options
from noisebook.cli._shared import aligned, finite, progress, report, sound_values, wrong_usage
from noisebook.errors import ConfigError
from noisebook.synthesis.options import ReconstructOptions

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend

__all__ = ["reconstruct"]

_AXES = ("front_end", "posterior", "latent_limit", "vocoder", "post")


@click.command()
@in_out("The sound to write; by default IN-PRESET.wav beside IN.", required=False)
@options_of(ReconstructOptions)
@click.option("--all", "every", is_flag=True, help="Every preset, as IN-PRESET.wav in the folder OUT.")
@click.option("--list", "listing", is_flag=True, help="Show the table of presets, and do nothing else.")
@bits_option
@result_options
@loading_options
def reconstruct(
    source: str | None, target: str | None, output: str | None, every: bool, listing: bool, **options: Any
) -> None:
    """Pass a sound through the autoencoder and a vocoder, without bits.

    The result is the best that a codec over this latent could do. A preset is one choice at each of five axes:
    front end, posterior, latent limit, vocoder and post-processing; options override single axes.
    The report says what ran at each axis, and how near the result is, with silence for comparison.

    \b
    noisebook reconstruct song.flac                      # song-matched.wav
    noisebook reconstruct song.flac bright.wav -p v4-high-freq
    noisebook reconstruct song.flac -p simple --front-end historical
    noisebook reconstruct song.flac folder --all
    """
    if listing:
        _list_presets()
    elif source is None:
        raise wrong_usage("Missing argument 'IN'")
    elif every:
        _every_preset(source, _one_of(target, output), options)
    else:
        _one_preset(source, _one_of(target, output), options)


def _one_of(argument: str | None, option: str | None) -> str | None:
    if argument is not None and option is not None:
        raise wrong_usage("give the output once: as the second argument or with -o")
    return argument if argument is not None else option


def _one_preset(source: str, target: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    chosen = ReconstructOptions.among(options)
    api.reconstruction_preset(chosen)  # wrong names are told before any work
    path = _files.sound_target(source, target, None, force=options["force"], added=f"-{chosen.preset}")
    sound = _files.read_sound(source)
    _files.check_format(path, sound.sample_rate, sound.channels, options["bits"])
    values = _reconstructed(path, sound, chosen, ModelOptions.among(options).load(), options)
    report(values, _text(values), err=path == _files.STANDARD)


def _every_preset(source: str, target: str | None, options: Mapping[str, Any]) -> None:
    from noisebook import api

    if given("preset"):
        raise wrong_usage("--all and --preset exclude each other")
    if source == _files.STANDARD or target == _files.STANDARD:
        raise ConfigError("--all names its files after IN, in a folder; neither can be -")
    names = [preset.name for preset in api.reconstruction_presets()]
    chosen = ReconstructOptions.among(options)
    api.reconstruction_preset(chosen)
    folder = _folder(target, source)
    paths = [
        _files.sound_target(source, str(folder / f"{Path(source).stem}-{name}.wav"), None, force=options["force"])
        for name in names
    ]
    sound, backend = _files.read_sound(source), ModelOptions.among(options).load()
    _files.check_format(paths[0], sound.sample_rate, sound.channels, options["bits"])
    results = []
    with progress("reconstructing") as work:
        for done, (name, path) in enumerate(zip(names, paths, strict=True), 1):
            results.append(_reconstructed(path, sound, chosen.replaced(preset=name), backend, options))
            if work.on_step is not None:
                work.on_step(done, len(names))
    text = "\n".join(_text(values) for values in results)
    report({"outputs": results}, text)


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

    with progress("reconstructing", quiet=True) as work:
        result = api.reconstruct(sound, backend=backend, options=chosen)
    held = _files.write_sound(path, result.waveform, force=options["force"], bits=options["bits"])
    return {
        "preset": chosen.preset,
        **sound_values(path, result.waveform, work.seconds),
        "held": held,
        "ran": vars(result.ran),
        "measures": _rounded(result.measures),
        "silence": _rounded(result.silence),
    }


def _rounded(measures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: finite(round(value, 3)) for name, value in measures.items()}


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


def _list_presets() -> None:
    from noisebook import api

    rows = [
        {"preset": preset.name, **{axis: str(getattr(preset, axis)) for axis in _AXES}}
        for preset in api.reconstruction_presets()
    ]
    lines = aligned([[key.replace("_", " ") for key in rows[0]], *([*row.values()] for row in rows)])
    alike = [{"when": when, "presets": names} for when, names in api.same_reconstructions()]
    told = [f"  {', '.join(one['presets'])}: {one['when']}" for one in alike]
    text = "\n".join([*lines, "", "By default, with the front end matched, these write the same file:", *told])
    report({"presets": rows, "same": alike}, text)
