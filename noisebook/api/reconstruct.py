"""A sound through the autoencoder and back, without bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import as_waveform, checked
from noisebook.synthesis.options import ReconstructOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend
    from noisebook.synthesis.reconstruct import Reconstruction
    from noisebook.synthesis.reconstruction_presets import Preset

__all__ = ["reconstruct", "reconstruction_preset", "reconstruction_presets"]


@checked
def reconstruct(
    waveform: Waveform | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: ReconstructOptions = ReconstructOptions(),
    **keywords: Any,
) -> Reconstruction:
    """The sound that the autoencoder and a vocoder make of a sound: the ceiling of every codec over that latent.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword: `preset="simple"`.

    Returns:
        The waveform, with the original's rate, channels and length; what ran at each axis; and measures against the
        original, with those of silence in its place.

    Raises:
        AudioError: more than two channels.
        ConfigError: a choice that there is not, or a model that hears waveforms.
        ModelError: no vocoder gave sound.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import reconstruct as synthesis

    return synthesis.reconstruct(
        as_waveform(waveform, sample_rate), backend=with_features(backend), preset=reconstruction_preset(options),
        seed=options.seed,
    )  # fmt: skip


def reconstruction_presets() -> tuple[Preset, ...]:
    """The table of presets."""
    from noisebook.synthesis.reconstruction_presets import PRESETS

    return PRESETS


@checked
def reconstruction_preset(options: ReconstructOptions = ReconstructOptions(), **keywords: Any) -> Preset:
    """A row of the table with other choices at some axes.

    Raises:
        ConfigError: a preset or a choice that there is not.
    """
    from noisebook.synthesis.reconstruction_presets import by_name, with_axes

    axes = {name: getattr(options, name) for name in options.names() if name not in ("preset", "seed")}
    return with_axes(by_name(options.preset), **axes)
