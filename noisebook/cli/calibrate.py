"""`calibrate`: measure a model's denoiser, so that the codec spends its bits where they count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, json_option, loading_options
from noisebook.cli._shared import progress, report, wrong_usage

if TYPE_CHECKING:
    from noisebook.diffusion.backend import BackendInfo
    from noisebook.diffusion.plan import Curve

__all__ = ["calibrate"]


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
    from noisebook import api
    from noisebook.audio.io import bundled_clips

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
    _show(curve, backend.info, info.fingerprint.hex(), kept)


def _show(curve: Curve, info: BackendInfo, fingerprint: str, kept: str | None) -> None:
    planned = [info.curve(t) for t in curve.timesteps]
    values = {
        "model": info.name,
        "fingerprint": fingerprint,
        "stored": kept,
        "timesteps": curve.timesteps,
        "errors": curve.errors,
        "errors_before": planned,
    }
    rows = zip(curve.timesteps, curve.errors, planned, strict=True)
    lines = [f"{'t':>5} {'SNR':>10} {'error':>9} {'before':>9}"]
    lines += [f"{t:>5} {info.schedule.snr(t):>10.4g} {error:>9.4g} {before:>9.4g}" for t, error, before in rows]
    lines.append(f"{'not kept' if kept is None else f'kept in {kept}'}; stream id {fingerprint[:4]}")
    report(values, "\n".join(lines))
