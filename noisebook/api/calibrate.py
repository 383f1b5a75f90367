"""Measure how well a model's denoiser estimates clean sound, from which the codec's plans follow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.api.arguments import OnStep, checked
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend
    from noisebook.diffusion.plan import Curve

__all__ = ["calibrate", "store_calibration"]


@checked
def calibrate(
    sounds: Iterable[Waveform],
    *,
    backend: Backend,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Curve:
    """The error curve of a backend's denoiser on sounds: mean squared error of x0_hat at twenty timesteps.

    Args:
        sounds: of the kind that will be coded, a minute or more in all; mono or stereo, any rate.
        backend: from `load_backend`.
        seed: of the noise.
        on_step: called with (sounds done, sounds in all).

    Raises:
        AudioError: more than two channels.
        ConfigError: no sound.
    """
    from noisebook.diffusion.calibration import measure_curve
    from noisebook.synthesis.sound import to_latent

    listed = list(sounds)

    def latents() -> Iterator[torch.Tensor]:
        for index, sound in enumerate(listed):
            yield from to_latent(sound, backend=backend)[0].split(backend.info.window_frames, dim=2)
            if on_step is not None:
                on_step(index + 1, len(listed))

    return measure_curve(backend.denoise, backend.info.schedule, latents(), seed=seed)


@checked
def store_calibration(model: str, curve: Curve | None) -> Path:
    """Keep a measured curve with a model, or forget the one that is kept; gives the file that holds it.

    The curve is part of what a stream means: streams made before are refused by the model after, and the other way
    round.

    Raises:
        ConfigError: the embedded model, or a mini model without its curve: it comes with one.
        ModelError: no such model, or its folder cannot be written.
    """
    from noisebook.api.models import EMBEDDED, diffusers_checkpoint, mini_folder
    from noisebook.backends import curves, mini

    if model == EMBEDDED:
        raise ConfigError(f"{EMBEDDED} was calibrated when it was trained, and its streams depend on it")
    folder = mini_folder(model)
    if folder is not None:
        if curve is None:
            raise ConfigError("a mini model has no typical curve to go back to; calibrate it anew")
        return mini.store_curve(folder, curve)
    checkpoint, family = diffusers_checkpoint(model, offline=True)
    return curves.store_curve(curves.curve_folder(checkpoint, family.weights_digest(checkpoint)), curve)
