"""A prompt to a sound, or to a stream."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisebook.api.arguments import OnStep, checked
from noisebook.audio.waveform import Waveform

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["GeneratedSound", "GeneratedStream", "generate", "generate_stream", "unknown_words"]


@dataclass(frozen=True)
class GeneratedSound:
    """A new sound.

    Attributes:
        sound: mono, at the model's rate.
        seed: that makes the same sound again, with the same options and model.
        unknown: words of the prompts that the model does not know, and that had no effect.
    """

    sound: Waveform
    seed: int
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class GeneratedStream(GeneratedSound):
    """A new sound and the stream that holds it; without a seed given, only the stream makes it again.

    Attributes:
        data: the .ddcm stream.
    """

    data: bytes


@checked
def generate(
    prompt: str = "",
    *,
    backend: Backend,
    seconds: float = 10.0,
    preset: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    rescale: float | None = None,
    negative: str = "",
    scheduler: str = "ddim",
    spacing: str = "quadratic",
    seed: int | None = None,
    on_step: OnStep | None = None,
) -> GeneratedSound:
    """Make a sound from a prompt.

    Args:
        prompt: what to hear; "" is any sound.
        backend: from `load_backend`.
        seconds: of the sound, met to the sample.
        preset: "quick", "balanced" (default) or "detailed": steps and guidance, where those are not given.
        steps: calls of the denoiser.
        guidance: how much the prompt is exaggerated; 1 is not at all.
        rescale: 0 to 1, how much of the loudness that guidance adds is taken back.
        negative: what to stay away from.
        scheduler: "ddim", "ddpm", "dpm++" or "unipc".
        spacing: of the steps: "uniform", "quadratic", "karras" or "kl".
        seed: 0..2^64 - 1; a random one if None.
        on_step: called with (steps done, steps in all).

    Raises:
        ConfigError: an option outside its range, or a prompt of which no word is known.
    """
    from noisebook.synthesis import generate as codec

    chosen = codec.by_name(codec.DEFAULT if preset is None else preset)
    settings = codec.Settings(
        prompt,
        negative,
        chosen.steps if steps is None else steps,
        chosen.guidance if guidance is None else guidance,
        codec.RESCALE if rescale is None else rescale,
        scheduler,
        spacing,
    )
    number = secrets.randbits(64) if seed is None else seed
    sound = codec.generate(settings, seconds=seconds, seed=number, backend=backend, on_step=on_step)
    return GeneratedSound(sound, number, unknown_words(backend, prompt, negative))


@checked
def generate_stream(
    prompt: str = "",
    *,
    backend: Backend,
    seconds: float = 10.0,
    K: int = 64,
    steps: int | None = None,
    candidates: int | None = None,
    negative: str = "",
    seed: int | None = None,
    on_step: OnStep | None = None,
) -> GeneratedStream:
    """Make a sound from a prompt with noise from codebooks, so that it is a .ddcm stream; `decompress` plays it.

    Args:
        prompt, backend, seconds, negative, on_step: as in `generate`.
        K: atoms in the codebook of a step, a power of two from 4.
        steps: coded steps; each costs log2 K bits for each 10.24 s.
        candidates: how many random atoms a step chooses from; None is as few as the prompt needs, more exaggerate it.
        seed: 0..255; random if None, and then of as many sounds as the stream has bits.

    Raises:
        ConfigError: as `generate`, and for a sound of more than 64 s.
    """
    from noisebook.synthesis import generate_stream as codec

    default = codec.StreamSettings()
    settings = codec.StreamSettings(
        prompt,
        negative,
        K,
        default.steps if steps is None else steps,
        candidates,
        secrets.randbits(8) if seed is None else seed,
        secrets.randbits(64) if seed is None else seed,
    )
    data, sound = codec.generate_stream(settings, seconds=seconds, backend=backend, on_step=on_step)
    return GeneratedStream(sound, settings.seed, unknown_words(backend, prompt, negative), data)


@checked
def unknown_words(backend: Backend, *texts: str) -> tuple[str, ...]:
    """The words of prompts that the model does not know, and that have no effect.

    Raises:
        ConfigError: no word of a text is known.
    """
    return tuple(dict.fromkeys(word for text in texts for word in backend.condition(text).unknown))
