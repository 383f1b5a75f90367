"""A damaged sound to a restored one, or to a stream of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, as_waveform, checked
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import EncodeOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.diffusion.backend import Backend
    from noisebook.synthesis.damaged import Damage

__all__ = ["RestoredSound", "RestoredStream", "restore", "restore_stream", "within_full_scale"]


@dataclass(frozen=True)
class RestoredSound:
    """A restored sound.

    Attributes:
        sound: as long as the damaged one, with its channels and level. Its rate is the damaged one's, or the model's
            where a lost band does not fit into that. What was clipped may exceed full scale.
        damage: what was restored, as told or as found.
        unknown: words of the prompt that the model does not know, and that had no effect.
    """

    sound: Waveform
    damage: Damage
    unknown: tuple[str, ...]


@dataclass(frozen=True)
class RestoredStream:
    """A restored sound as a stream, for `decompress`.

    Attributes:
        data: the .ddcm stream.
        damage: what was restored, as told or as found.
    """

    data: bytes
    damage: Damage


@checked
def restore(
    waveform: Waveform | ArrayLike,
    task: str,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    gaps: Sequence[tuple[float, float]] = (),
    cutoff: float | None = None,
    threshold: float | None = None,
    strength: float | None = None,
    prompt: str | None = None,
    guidance: float = 1.0,
    steps: int = 10,
    seed: int = 0,
    keep: bool = True,
    on_step: OnStep | None = None,
) -> RestoredSound:
    """Invent what is lost of a sound, in agreement with what is not.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz; mono or stereo.
        task: "inpaint" fills gaps, "bandwidth" invents what is above a cutoff, "declip" undoes clipping.
        backend: from `load_backend`.
        gaps: for inpaint, start and end in seconds; by default the runs of digital silence that break the sound off.
        cutoff: for bandwidth, Hz; by default where the spectrum falls off a cliff.
        threshold: for declip, magnitude; by default the peak, if samples crowd there.
        strength: how much of what is lost is left to the model: 0 (a guess by interpolation) to 1 (all of it); by
            default 0.4 for inpaint and 0.2 for the others.
        prompt: what the sound is.
        guidance: how much the prompt is exaggerated; 1 is not at all.
        steps: of the diffusion.
        seed: 0..2^64 - 1, of the noise.
        keep: leave what is not damaged as it was; else all of the sound comes from the vocoder.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: more than two channels.
        ConfigError: an option outside its range or of another task, nothing to restore, or a model of waveforms.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import restore as codec
    from noisebook.synthesis.damaged import damage_of

    damaged = as_waveform(waveform, sample_rate)
    damage = damage_of(damaged, task, backend.info, gaps=gaps, cutoff=cutoff, threshold=threshold)
    unknown = backend.condition(prompt).unknown if prompt else ()
    settings = codec.Settings(strength, prompt, guidance, steps, seed, keep)
    sound = codec.restore(damaged, damage, backend=with_features(backend), settings=settings, on_step=on_step)
    return RestoredSound(sound, damage, unknown)


@checked
def restore_stream(
    waveform: Waveform | ArrayLike,
    task: str,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    gaps: Sequence[tuple[float, float]] = (),
    cutoff: float | None = None,
    threshold: float | None = None,
    strength: float | None = None,
    coding: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> RestoredStream:
    """Restore and compress at once: the choices of noise that `compress` makes, for what is not damaged alone.

    Args:
        waveform, task, backend, sample_rate, gaps, cutoff, threshold, strength, on_step: as of `restore`.
        coding: as of `compress`; each can also be given as a keyword.

    Raises:
        AudioError, ConfigError: as `restore` and `compress`.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import restore as codec
    from noisebook.synthesis.damaged import damage_of

    damaged = as_waveform(waveform, sample_rate)
    damage = damage_of(damaged, task, backend.info, gaps=gaps, cutoff=cutoff, threshold=threshold)
    data = codec.restore_stream(
        damaged,
        damage,
        backend=with_features(backend),
        settings=codec.Settings(strength),
        coding=coding,
        on_step=on_step,
    )
    return RestoredStream(data, damage)


@checked
def within_full_scale(sound: Waveform) -> tuple[Waveform, float]:
    """The sound, quieter by half decibels where it exceeds full scale, and the gain in dB, 0 or below."""
    from noisebook.audio.level import apply_gain
    from noisebook.synthesis.generate import clipping_gain

    half_db = clipping_gain(sound.samples)
    return (Waveform(apply_gain(sound.samples, -half_db), sound.sample_rate) if half_db else sound), 0.0 - half_db / 2
