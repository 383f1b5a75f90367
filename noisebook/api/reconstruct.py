"""A sound through the autoencoder and back, without bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import as_waveform, checked

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
    preset: str = "matched",
    front_end: str = "matched",
    posterior: str | None = None,
    latent_limit: str | None = None,
    vocoder: str | None = None,
    post: str | None = None,
    seed: int = 0,
) -> Reconstruction:
    """The sound that the autoencoder and a vocoder make of a sound: the ceiling of every codec over that latent.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        preset: a row of `reconstruction_presets`; what follows replaces one of its choices.
        front_end: "matched", "historical" (the preset's own), or a study front end: "db-minmax", "db20", "clap",
            "clap-wide", "mel-db" or "mel-db-wide".
        posterior: "mode", "sample" or "blend" (0.7 of the mode, 0.3 of a sample).
        latent_limit: "none", "strict", "balanced" or "loose".
        vocoder: "model", "griffin-lim", "model+griffin-lim" (the second where the first gives nothing), or "chain".
        post: post-processing such as "smooth=3,high-pass=50,loudness=0.2:5", or "none".
        seed: of the samples of the posterior, 0 to 2**64 - 1.

    Returns:
        The waveform, with the original's rate, channels and length; what ran at each axis; and measures against the
        original, with those of silence in its place.

    Raises:
        AudioError: more than two channels.
        ConfigError: a choice that there is not, or a model that hears waveforms.
        ModelError: no vocoder gave sound.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import reconstruct as codec

    row = reconstruction_preset(
        preset, front_end=front_end, posterior=posterior, latent_limit=latent_limit, vocoder=vocoder, post=post
    )
    return codec.reconstruct(as_waveform(waveform, sample_rate), backend=with_features(backend), preset=row, seed=seed)


def reconstruction_presets() -> tuple[Preset, ...]:
    """The table of presets."""
    from noisebook.synthesis.reconstruction_presets import PRESETS

    return PRESETS


@checked
def reconstruction_preset(name: str, **axes: Any) -> Preset:
    """A row of the table with other choices at some axes, as `reconstruct` takes them.

    Raises:
        ConfigError: a preset or a choice that there is not.
    """
    from noisebook.synthesis.reconstruction_presets import by_name, with_axes

    return with_axes(by_name(name), **axes)
