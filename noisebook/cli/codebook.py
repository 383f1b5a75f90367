"""`codebook`: fit a codebook of latents to sound, look into one, list those inside the package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.codebooks import FitOptions
from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, json_option, loading_options, model_option, options_of, result_options
from noisebook.cli._shared import progress, report
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.options import OnStep

__all__ = ["codebook"]

_SUFFIX = ".safetensors"


@click.group()
def codebook() -> None:
    """Latent codebooks, which --codec vq writes a sound with.

    \b
    noisebook codebook list
    noisebook codebook info frame-residual
    noisebook codebook fit recordings/ -o mine.safetensors --unit frame --method residual
    """


@codebook.command()
@click.argument("sources", metavar="DIR|FILE...", nargs=-1, required=True, type=FILE)
@click.option(
    "-o", "--output", metavar="OUT", required=True, type=FILE, help="The codebook to write, a .safetensors file."
)
@options_of(FitOptions)
@click.option("--limit-minutes", type=click.FloatRange(0, min_open=True), help="Stop reading after so much sound.")
@result_options
@loading_options
def fit(sources: tuple[str, ...], output: str, force: bool, limit_minutes: float | None, **options: Any) -> None:
    """Fit a codebook to the sounds of files and folders.

    It serves the model it was fitted for, and no other. Stereo teaches the one latent that carries both channels.

    \b
    noisebook codebook fit recordings/ -o mine.safetensors
    noisebook codebook fit a.wav b.flac -o tiny.safetensors --unit position --method kmeans --size 256
    """
    from noisebook import api

    _check_target(output, force=force)
    paths = list(_files.sounds_in(sources))
    backend = ModelOptions.among(options).load()
    chosen = FitOptions.among(options)
    with progress("fitting") as work:  # first over the files, then over the tables
        sounds = _read(paths, limit_minutes, work.on_step)
        book = api.fit_codebook(sounds, backend=backend, options=chosen, on_step=work.on_step)
    doubt = api.fit_doubt(book)
    if doubt is not None and not options["quiet"]:  # before it is written: it may take the place of a better one
        click.echo(f"noisebook: {doubt}", err=True)
    book.save(output, overwrite=force)
    shown = api.codebook_info(book, frames_per_second=backend.info.frames_per_second)
    size, seconds = Path(output).stat().st_size, round(work.seconds, 1)
    values = {"output": output, "bytes": size, "seconds": seconds, "warning": doubt, **shown}
    text = f"{output}: {values['bytes']} bytes, {values['seconds']} s\n{_text(shown)}"
    report(values, text)


@codebook.command()
@click.argument("name", metavar="NAME|FILE", type=FILE)
@model_option
@json_option
def info(name: str, model: str, **_: Any) -> None:
    """Show what a codebook is, and how it did on the sound it was fitted to.

    Rates are for one channel at the model's frames a second: entropy coded, and with whole bits for each code.

    \b
    noisebook codebook info frame-residual
    noisebook codebook info mine.safetensors --json
    """
    from noisebook import api

    rate = api.model_info(model, offline=True).frames_per_second
    shown = api.codebook_info(api.load_codebook(name), frames_per_second=rate)
    report({"name": name, **shown}, _text(shown))


@codebook.command(name="list")
@model_option
@json_option
def list_codebooks(model: str, **_: Any) -> None:
    """List the codebooks inside the package.

    \b
    noisebook codebook list
    """
    from noisebook import api

    rate = api.model_info(model, offline=True).frames_per_second
    books = {
        name: api.codebook_info(api.codebook_record(name), frames_per_second=rate) for name in api.codebook_names()
    }
    rows = [{"name": name, **shown} for name, shown in books.items()]
    report({"codebooks": rows}, "\n".join(map(_line, rows)))


def _check_target(target: str, *, force: bool) -> None:
    """Now, and not after minutes of fitting."""
    path = Path(target)
    if path.suffix != _SUFFIX and not path.is_dir():
        raise ConfigError(f"a codebook is a safetensors file; name it {path.with_suffix(_SUFFIX)}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"cannot write {target}: it is a folder, or its folder is not there")
    if path.exists() and not force:
        raise ConfigError(f"{target} exists; -f overwrites it")


def _read(paths: Sequence[str], limit_minutes: float | None, on_step: OnStep | None) -> Iterator[Waveform]:
    """The sounds, one at a time, until there are enough minutes of them."""
    from noisebook.audio.waveform import Waveform

    left = 60 * limit_minutes if limit_minutes is not None else float("inf")
    for done, path in enumerate(paths, 1):
        sound = _files.read_sound(path)
        if sound.duration > left:
            sound = Waveform(sound.samples[:, : max(1, int(left * sound.sample_rate))], sound.sample_rate)
        yield sound
        left -= sound.duration
        if on_step is not None:
            on_step(done, len(paths))
        if left <= 0:
            return


def _line(shown: dict[str, Any]) -> str:
    return (
        f"{shown['name']:20} {len(shown['stages'])} x {shown['size']:5}  {shown['bitrate']:7.1f} bit/s, "
        f"error {shown['nmse_db']:6.2f} dB"
    )


def _text(shown: dict[str, Any]) -> str:
    parts = ", ".join(
        f"{stage['name']} {stage['used']}/{stage['size']} ({stage['perplexity']:.0f})" for stage in shown["stages"]
    )
    rows = {
        "unit, method": f"{shown['unit']}, {shown['method']}",
        "fitted to": f"{shown['fitted_seconds'] / 60:.1f} minutes of autoencoder {shown['model'][:4] or '-'}",
        "error, energy": f"{shown['nmse_db']:.2f} dB, {shown['energy_db']:.2f} dB of the latent's energy",
        "bit/s": f"{shown['bitrate']:.1f} entropy coded, {shown['fixed_bitrate']:.1f} fixed",
        "used (perplexity)": parts,
        "fingerprint": shown["fingerprint"],
    }
    return "\n".join(f"{name:19}{value}" for name, value in rows.items())
