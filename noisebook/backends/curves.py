"""Error curves of denoisers that came without one: measured here by `calibrate`, else that of a typical denoiser.

The curve decides where a stream's steps lie, so it is part of the model's fingerprint: a stream made before a
calibration is refused after it, and the other way round.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from noisebook.backends.cache import write_text
from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.config import from_dict, to_dict
from noisebook.diffusion.calibration import TIMESTEPS
from noisebook.diffusion.plan import Curve
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import ConfigError, ModelError

__all__ = ["curve_file", "load_curve", "store_curve", "typical_curve"]

_FILE = "noisebook-curve.json"
# Error of x0_hat at signal-to-noise ratios, by a transformer of 15.8 M parameters on mel latents of unit variance.
_TYPICAL = (
    (1.4e-4, 0.98), (0.0025, 0.82), (0.0139, 0.69), (0.0528, 0.53), (0.157, 0.44), (0.405, 0.36), (0.972, 0.28),
    (1.94, 0.22), (3.45, 0.19), (6.22, 0.15), (10.0, 0.12), (17.0, 0.097), (27.8, 0.077), (53.0, 0.057),
    (96.0, 0.042), (230.0, 0.025), (430.0, 0.012),
)  # fmt: skip


def curve_file(checkpoint: Checkpoint, digest: bytes) -> Path:
    """Where the measured curve of a checkpoint is: in its folder, or in the cache if it is from the hub."""
    return (checkpoint.folder if checkpoint.hub_id is None else checkpoint.store(digest)) / _FILE


def typical_curve(schedule: Schedule) -> Curve:
    """The curve to plan with until a denoiser was measured, for any schedule."""
    timesteps = tuple(sorted({t * (len(schedule) - 1) // TIMESTEPS[-1] for t in TIMESTEPS}))
    ratios, known = zip(*_TYPICAL, strict=True)
    errors = np.interp([schedule.snr(t) for t in timesteps], ratios, known)
    return Curve(timesteps, tuple(float(f"{error:.6g}") for error in errors))


def load_curve(path: Path) -> Curve | None:
    """The curve that was measured for a model and stored in a file; None where there is none.

    Raises:
        ModelError: a damaged file.
    """
    if not path.is_file():
        return None
    try:
        return from_dict(Curve, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise ModelError(f"{path} holds no error curve ({error}); remove it or calibrate again") from error


def store_curve(path: Path, curve: Curve | None) -> None:
    """Keep a measured curve in a file, or forget it.

    Raises:
        ModelError: its folder cannot be written.
    """
    if curve is None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ModelError(f"{path} cannot be removed: {error.strerror}; make its folder writable") from error
    elif not write_text(path, json.dumps(to_dict(curve), indent=1) + "\n"):
        raise ModelError(f"{path} cannot be written; make its folder writable")
