"""`models`, `calibrate` and `codebook`: the installed models, and what is measured and fitted for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from noisebook import api
from noisebook.api import FitOptions, ModelOptions, Waveform
from noisebook.audio.io import bundled_clips
from noisebook.benchmark.doctor import list_models
from noisebook.cli import _files
from noisebook.cli._options import (
    FILE,
    POSITIVE,
    json_option,
    loading_options,
    model_option,
    options_of,
    result_options,
)
from noisebook.cli._shared import STANDARD, progress, report, table, wrong_usage
from noisebook.comparison.inputs import sound_files
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Curve
from noisebook.errors import ConfigError
from noisebook.options import OnStep

_SUFFIX = ".safetensors"


@click.command()
@click.option(
    "--install", metavar="FOLDER", type=FILE, help="Copy a model of noisebook's own into your folder of models first."
)
@json_option
def models(install: str | None, **_: Any) -> None:
    """List the installed models, where they are, and their fingerprints and training.

    They are inside the package, in your folder of models (NOISEBOOK_MODELS, or noisebook/models in the folder of the
    user's data), or in installed packages. A stream finds the one that made it among them.

    \b
    noisebook models
    noisebook models --install downloads/model
    """
    if install is not None:
        found = api.install_model(install)
        click.echo(f"noisebook: {found.name} is in {found.folder} ({found.source})", err=True)
    rows = list_models()
    report({"models": rows}, "\n".join(line for row in rows for line in _model_lines(row)))


def _model_lines(model: dict[str, Any]) -> list[str]:
    """A model's own line, and one for each of its files."""
    ids = f"stream id {model['fingerprint'][:4]}, {model['fingerprint'][:16]}"
    size = f"{model['parameters'] / 1e6:.1f} M parameters"
    lines = [f"{model['name']}: {ids}, {size}, {model['source']}, {model['folder']}"]
    units = {"minutes": "{:.0f} minutes", "steps": "{} steps", "data_hours": "{:.1f} h of audio"}
    for file, record in model["training"].items():  # what `training.train` notes, of which each part may be absent
        training = ", ".join(text.format(record[key]) for key, text in units.items() if key in record)
        lines.append(f"  {file}: {training or 'no training record'}")
    return lines


@click.command()
@click.argument("sources", metavar="[IN]...", nargs=-1, type=FILE)
@click.option("--dry-run", is_flag=True, help="Measure and show; keep nothing.")
@click.option("--reset", is_flag=True, help="Forget the curve that was measured before.")
@json_option
@loading_options
def calibrate(sources: tuple[str, ...], dry_run: bool, reset: bool, **options: Any) -> None:
    """Measure the error curve of a model's denoiser on sounds, and keep it with the model.

    The steps of every stream follow from the curve, so streams made before are refused afterwards. A model that was
    never calibrated codes with a typical curve: correctly, and a little less well. Without IN, the clips inside the
    package are used; a few minutes of the sound that will be coded are better.

    \b
    noisebook calibrate recordings/*.wav --model cvssp/audioldm2-music --device cuda
    noisebook calibrate --model FOLDER --reset
    """
    if reset:
        if sources or dry_run:
            raise wrong_usage("--reset takes neither IN nor --dry-run")
        path = api.store_calibration(options["model"], None)
        info = api.model_info(options["model"], offline=True)
        report({"forgotten": str(path), "fingerprint": info.fingerprint.hex()},
               f"{path} is gone; stream id {info.fingerprint.hex()[:4]}")  # fmt: skip
        return
    if not dry_run and options["model"] == api.EMBEDDED:
        raise wrong_usage(f"{api.EMBEDDED} was calibrated in training; --dry-run shows what it would be")
    sounds = [_files.read_sound(path) for path in sources or map(str, bundled_clips().values())]
    backend = ModelOptions.among(options).load()
    with progress("calibrate") as work:
        curve = api.calibrate(sounds, backend=backend, on_step=work.on_step)
    kept = None if dry_run else str(api.store_calibration(options["model"], curve))
    info = api.model_info(options["model"], offline=True)
    _report_curve(curve, backend.info, info.fingerprint.hex(), kept)


def _report_curve(curve: Curve, info: BackendInfo, fingerprint: str, kept: str | None) -> None:
    planned = [info.curve(t) for t in curve.timesteps]
    values = {
        "model": info.name,
        "fingerprint": fingerprint,
        "stored": kept,
        "timesteps": curve.timesteps,
        "errors": curve.errors,
        "errors_before": planned,
    }
    rows = [["t", "SNR", "error", "before"]]
    for t, error, before in zip(curve.timesteps, curve.errors, planned, strict=True):
        rows.append([str(t), f"{info.schedule.snr(t):.4g}", f"{error:.4g}", f"{before:.4g}"])
    where = "not kept" if kept is None else f"kept in {kept}"
    report(values, f"{table(rows, right_from=0)}\n{where}; stream id {fingerprint[:4]}")


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
@click.option("--limit-minutes", type=POSITIVE, help="Stop reading after so much sound.")
@result_options
@loading_options
def fit(sources: tuple[str, ...], output: str, force: bool, limit_minutes: float | None, **options: Any) -> None:
    """Fit a codebook to the sounds of files and folders.

    It serves the model it was fitted for, and no other. Stereo teaches the one latent that carries both channels.

    \b
    noisebook codebook fit recordings/ -o mine.safetensors
    noisebook codebook fit a.wav b.flac -o tiny.safetensors --unit position --method kmeans --size 256
    """
    _files.check_target(output, STANDARD, force=force)
    if Path(output).suffix != _SUFFIX:
        raise ConfigError(f"a codebook is a safetensors file; name it {Path(output).with_suffix(_SUFFIX)}")
    paths = list(map(str, sound_files(map(Path, sources))))
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
    report(values, f"{output}: {size} bytes, {seconds} s\n{_codebook_text(shown)}")


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
    rate = api.model_info(model, offline=True).frames_per_second
    shown = api.codebook_info(api.load_codebook(name), frames_per_second=rate)
    report({"name": name, **shown}, _codebook_text(shown))


@codebook.command(name="list")
@model_option
@json_option
def list_codebooks(model: str, **_: Any) -> None:
    """List the codebooks inside the package.

    \b
    noisebook codebook list
    """
    rate = api.model_info(model, offline=True).frames_per_second
    rows = [
        {"name": name, **api.codebook_info(api.codebook_record(name), frames_per_second=rate)}
        for name in api.codebook_names()
    ]
    report({"codebooks": rows}, "\n".join(map(_codebook_line, rows)))


def _read(paths: Sequence[str], limit_minutes: float | None, on_step: OnStep | None) -> Iterator[Waveform]:
    """The sounds, one at a time, until there are enough minutes of them."""
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


def _codebook_line(shown: dict[str, Any]) -> str:
    size = f"{len(shown['stages'])} x {shown['size']:5}"
    return f"{shown['name']:20} {size}  {shown['bitrate']:7.1f} bit/s, error {shown['nmse_db']:6.2f} dB"


def _codebook_text(shown: dict[str, Any]) -> str:
    used = [f"{one['name']} {one['used']}/{one['size']} ({one['perplexity']:.0f})" for one in shown["stages"]]
    rows = {
        "unit, method": f"{shown['unit']}, {shown['method']}",
        "fitted to": f"{shown['fitted_seconds'] / 60:.1f} minutes of autoencoder {shown['model'][:4] or '-'}",
        "error, energy": f"{shown['nmse_db']:.2f} dB, {shown['energy_db']:.2f} dB of the latent's energy",
        "bit/s": f"{shown['bitrate']:.1f} entropy coded, {shown['fixed_bitrate']:.1f} fixed",
        "used (perplexity)": ", ".join(used),
        "fingerprint": shown["fingerprint"],
    }
    return "\n".join(f"{name:19}{value}" for name, value in rows.items())
