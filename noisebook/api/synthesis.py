"""Sound that is made: reconstructed, transformed, generated or restored; and streams of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import as_waveform, checked
from noisebook.api.codebooks import load_codebook
from noisebook.api.recommend import auto_preset
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import AUTO, EncodeOptions
from noisebook.options import OnStep
from noisebook.synthesis.options import (
    DamageOptions,
    GenerateOptions,
    GenerateStreamOptions,
    ReconstructOptions,
    RestoreOptions,
    TransformOptions,
)
from noisebook.synthesis.reconstruction_presets import PRESETS, Preset, by_name, same_by_default, with_axes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.diffusion.backend import Backend
    from noisebook.synthesis.damage import Damage
    from noisebook.synthesis.reconstruct import Reconstruction


@checked
def reconstruct(
    waveform: Waveform | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: ReconstructOptions = ReconstructOptions(),
    **keywords: Any,
) -> Reconstruction:
    """The sound that the autoencoder and a vocoder make of a sound, with the original's rate, channels and length: the
    ceiling of every codec over that latent; what ran at each axis; and measures, with those of silence in its place.

    Args:
        waveform, backend, sample_rate, options: as of `compress`.

    Raises:
        AudioError: more than two channels.
        ConfigError: a choice that there is not, or a model of waveforms.
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
    return PRESETS


def same_reconstructions() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Presets that write the same file by default: (when they do, their names)."""
    return same_by_default()


@checked
def reconstruction_preset(options: ReconstructOptions = ReconstructOptions(), **keywords: Any) -> Preset:
    """A row of the table with other choices at some axes.

    Raises:
        ConfigError: a preset or a choice that there is not.
    """
    axes = {name: getattr(options, name) for name in options.names() if name not in ("preset", "seed")}
    return with_axes(by_name(options.preset), **axes)


@checked
def transform(
    waveform: Waveform | ArrayLike,
    prompt: str | None = None,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: TransformOptions = TransformOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Waveform:
    """Lead a sound towards a prompt; rate, channels, level and exact length stay.

    Args:
        waveform, backend, sample_rate, on_step: as of `compress`.
        prompt: what it becomes; None is that of the options.
        options: what may be chosen; each can also be given as a keyword. `codebook` can be what `load_codebook` gives.

    Raises:
        ConfigError: an option outside its range, or of another method; a prompt of which no word is known.
        ModelError: a codebook that is not there, damaged, or of another model.
    """
    from noisebook.synthesis import transform as synthesis

    if isinstance(options.codebook, str | Path) and options.codebook not in ("own", "none"):
        options = options.replaced(codebook=load_codebook(options.codebook, info=backend.info))
    if prompt is not None:
        options = options.replaced(prompt=prompt)
    return synthesis.transform(as_waveform(waveform, sample_rate), backend=backend, options=options, on_step=on_step)


@dataclass(frozen=True)
class GeneratedSound:
    """A new sound."""

    sound: Waveform  # at the model's rate
    seed: int  # that makes the same sound again, with the same options and model
    unknown: tuple[str, ...]  # words of the prompts that the model does not know, and that had no effect
    # Of several candidates, in the order of their seeds, each one's cosine to the prompt.
    similarities: tuple[float, ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class GeneratedStream(GeneratedSound):
    """A new sound and the stream that holds it; without a seed given, only the stream makes it again."""

    data: bytes  # the .ddcm stream


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
        backend, options, on_step: as of `compress`.

    Raises:
        ConfigError: an option outside its range, a prompt of which no word is known, or several candidates of a model
            that cannot rank them.
    """
    from noisebook.synthesis import generate as synthesis

    seed = secrets.randbits(64) if options.seed is None else options.seed
    options = options.replaced(prompt=options.prompt if prompt is None else prompt, seed=seed)
    unknown, similarities = unknown_words(backend, options.prompt, options.negative), tuple[float, ...]()
    if options.num_candidates == 1:
        sound = synthesis.generate(options, backend=backend, on_step=on_step)
    else:
        sound, seed, similarities = synthesis.generate_best(options, backend=backend, on_step=on_step)
    return GeneratedSound(sound, seed, unknown, similarities=similarities)


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
    from noisebook.synthesis import generate as synthesis

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


@dataclass(frozen=True)
class RestoredSound:
    """A restored sound, as long as the damaged one, with its channels and level. Its rate is the damaged one's, or the
    model's where a lost band does not fit into that. What was clipped may exceed full scale."""

    sound: Waveform
    damage: Damage  # what was restored, as given or as found
    unknown: tuple[str, ...]  # words of the prompt that the model does not know, and that had no effect


@dataclass(frozen=True)
class RestoredStream:
    """A restored sound as a stream, for `decompress`."""

    data: bytes  # the .ddcm stream
    damage: Damage  # what was restored, as given or as found


@checked
def restore(
    waveform: Waveform | ArrayLike,
    task: str,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: RestoreOptions = RestoreOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> RestoredSound:
    """Invent what is lost of a sound, in agreement with what is not.

    Args:
        waveform, backend, sample_rate, options, on_step: as of `compress`.
        task: "inpaint" fills gaps, "bandwidth" invents what is above a cutoff, "declip" undoes clipping.

    Raises:
        AudioError: more than two channels.
        ConfigError: an option outside its range or of another task, nothing to restore, or a model of waveforms.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import restore as synthesis
    from noisebook.synthesis.damage import damage_of

    damaged = as_waveform(waveform, sample_rate)
    damage = damage_of(damaged, task, options, backend.info)
    unknown = backend.condition(options.prompt).unknown if options.prompt else ()
    sound = synthesis.restore(damaged, damage, backend=with_features(backend), options=options, on_step=on_step)
    return RestoredSound(sound, damage, unknown)


@checked
def restore_stream(
    waveform: Waveform | ArrayLike,
    task: str,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: DamageOptions = DamageOptions(),
    coding: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> RestoredStream:
    """Restore and compress at once: the choices of noise that `compress` makes, for what is not damaged alone.

    Args:
        waveform, task, backend, sample_rate, options, on_step: as of `restore`.
        coding: as of `compress`, of which preset, bitrate, quality, seed and tag count.

    Raises:
        AudioError, ConfigError: as `restore` and `compress`.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import restore as synthesis
    from noisebook.synthesis.damage import damage_of

    damaged = as_waveform(waveform, sample_rate)
    damage, model = damage_of(damaged, task, options, backend.info), with_features(backend)
    if coding.preset == AUTO:
        coding = coding.replaced(preset=auto_preset(damaged)[0])
    data = synthesis.restore_stream(damaged, damage, backend=model, options=options, coding=coding, on_step=on_step)
    return RestoredStream(data, damage)


@checked
def within_full_scale(sound: Waveform) -> tuple[Waveform, float]:
    """The sound, quieter by half decibels where it exceeds full scale, and the gain in dB, 0 or below."""
    from noisebook.synthesis import generate as synthesis

    quieter, half_db = synthesis.within_full_scale(sound)
    return quieter, 0.0 - half_db / 2
