"""A sound and a prompt to another sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, as_waveform, checked
from noisebook.api.codebooks import load_codebook
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook
    from noisebook.synthesis.pull import Pull
    from noisebook.synthesis.transform import Quantised

__all__ = ["TRANSFORM_OPTIONS", "transform"]

# The methods, and the options that only they have.
TRANSFORM_OPTIONS: dict[str, tuple[str, ...]] = {
    "input-based": ("codebook",),
    "improved": ("codebook", "temperature", "top_k", "mix"),
    "guided": ("pull", "pull_strength", "scales"),
}


@checked
def transform(
    waveform: Waveform | ArrayLike,
    prompt: str | None = None,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    method: str = "input-based",
    strength: float = 0.5,
    negative: str | None = None,
    steps: int = 20,
    guidance: float = 3.0,
    rescale: float = 0.7,
    scheduler: str | None = None,
    spacing: str = "quadratic",
    seed: int = 0,
    codebook: LatentCodebook | str | Path | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    mix: float | None = None,
    pull: str | None = None,
    pull_strength: float | None = None,
    scales: int | None = None,
    on_step: OnStep | None = None,
) -> Waveform:
    """Lead a sound towards a prompt; rate, channels, level and exact length stay.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        prompt, negative: what it becomes, and stays away from; None is any sound, and nothing.
        backend: from `load_backend`.
        method: "input-based" (from the noised, quantised latent), "improved" (quantised softly, mixed with the latent)
            or "guided" (from noise, pulled towards the latent). Options of another method are refused.
        strength: 0 (the quantised sound as it is) to 1 (nothing of it): the share of the sound that the model is left
            to decide, on the scale of its own error.
        steps: calls of the denoiser, twice as many where guidance is on.
        guidance, rescale: how much the prompt is exaggerated, and how much of its loudness is taken back.
        scheduler, spacing: as in `generate`; by default "ddim", and "ddpm" with the pull "ddcm".
        seed: 0..2^64 - 1.
        codebook: "own" (default), fitted to the sound itself; "none", input-based only; or the name of a codebook
            inside the package, a file, or a codebook.
        temperature, top_k, mix: of improved: softness and number of the nearest atoms, and share of their mean.
        pull: of guided: "adaptive" (default), "constant", "linear", "cosine" or "ddcm".
        pull_strength: of guided: its maximum, 0 to 1 (default).
        scales: of guided: 1 (default) pulls at full resolution, up to 6 begin with coarse structure.
        on_step: called with (steps done, steps in all).

    Raises:
        ConfigError: an option outside its range, or of another method; a prompt of which no word is known.
        ModelError: a codebook that is not there, damaged, or of another model.
    """
    from noisebook.synthesis import transform as codec

    own = {"codebook": codebook, "temperature": temperature, "top_k": top_k, "mix": mix,
           "pull": pull, "pull_strength": pull_strength, "scales": scales}  # fmt: skip
    quantised, drawn = _target(method, _given(method, own), backend.info)
    scheduler = scheduler or ("ddpm" if drawn and drawn.chooses else "ddim")
    settings = codec.Settings(
        strength, prompt, negative, guidance, rescale, steps, scheduler, spacing, seed, quantised, drawn
    )
    return codec.transform(as_waveform(waveform, sample_rate), backend=backend, settings=settings, on_step=on_step)


def _given(method: str, own: dict[str, Any]) -> dict[str, Any]:
    """The options of the method that were given."""
    if method not in TRANSFORM_OPTIONS:
        raise ConfigError(f"method {method!r}: {', '.join(TRANSFORM_OPTIONS)} are possible")
    given = {name: value for name, value in own.items() if value is not None}
    for name in given:
        if name not in TRANSFORM_OPTIONS[method]:
            others = [other for other, names in TRANSFORM_OPTIONS.items() if name in names]
            raise ConfigError(f"{name} is an option of {' and '.join(others)}, not of {method}")
    return given


def _target(method: str, given: dict[str, Any], info: BackendInfo) -> tuple[Quantised | None, Pull | None]:
    """What becomes of the latent before the diffusion, and what pulls towards it."""
    from noisebook.synthesis.pull import Pull

    if method != "guided":
        return _quantised(method, given, info), None
    names = {"pull": "name", "pull_strength": "strength", "scales": "scales"}
    return None, Pull(**{names[option]: value for option, value in given.items()})


def _quantised(method: str, given: dict[str, Any], info: BackendInfo) -> Quantised | None:
    from noisebook.synthesis.transform import Quantised

    choices = dict(given)
    codebook = choices.pop("codebook", "own")
    if codebook == "none":
        if method == "improved":
            raise ConfigError("improved needs a codebook; without one, input-based is what you want")
        return None
    if codebook == "own":
        codebook = None
    elif isinstance(codebook, str | Path):
        codebook = load_codebook(codebook, info=info)
    return Quantised(codebook, soft=method == "improved", **choices)
