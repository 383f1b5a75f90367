"""A prompt to a sound, or to a stream."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, checked
from noisebook.audio.waveform import Waveform
from noisebook.synthesis.options import GenerateOptions, GenerateStreamOptions

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
    prompt: str | None = None,
    *,
    backend: Backend,
    options: GenerateOptions = GenerateOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> GeneratedSound:
    """Make a sound from a prompt.

    Args:
        prompt: what to hear; "" is any sound, None is that of the options.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword: `seconds=5`.
        on_step: called with (steps done, steps in all).

    Raises:
        ConfigError: an option outside its range, or a prompt of which no word is known.
    """
    from noisebook.synthesis import generate as synthesis

    seed = secrets.randbits(64) if options.seed is None else options.seed
    options = options.replaced(prompt=options.prompt if prompt is None else prompt, seed=seed)
    sound = synthesis.generate(options, backend=backend, on_step=on_step)
    return GeneratedSound(sound, seed, unknown_words(backend, options.prompt, options.negative))


@checked
def generate_stream(
    prompt: str | None = None,
    *,
    backend: Backend,
    options: GenerateStreamOptions = GenerateStreamOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> GeneratedStream:
    """Make a sound from a prompt with noise from codebooks, so that it is a .ddcm stream; `decompress` plays it.

    Without a seed there are as many sounds as the stream has bits.

    Args:
        prompt, backend, options, on_step: as in `generate`.

    Raises:
        ConfigError: as `generate`, and for a sound of more than 64 s.
    """
    from noisebook.synthesis import generate_stream as synthesis

    options = options.replaced(prompt=options.prompt if prompt is None else prompt)
    if options.seed is None:
        options = options.replaced(seed=secrets.randbits(8), choice_seed=secrets.randbits(64))
    data, sound = synthesis.generate_stream(options, backend=backend, on_step=on_step)
    return GeneratedStream(sound, options.seed or 0, unknown_words(backend, options.prompt, options.negative), data)


@checked
def unknown_words(backend: Backend, *texts: str) -> tuple[str, ...]:
    """The words of prompts that the model does not know, and that have no effect.

    Raises:
        ConfigError: no word of a text is known.
    """
    return tuple(dict.fromkeys(word for text in texts for word in backend.condition(text).unknown))
