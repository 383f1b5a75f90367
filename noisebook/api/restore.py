"""A damaged sound to a restored one, or to a stream of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, as_waveform, checked
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import AUTO, EncodeOptions
from noisebook.synthesis.options import DamageOptions, RestoreOptions

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
    options: RestoreOptions = RestoreOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> RestoredSound:
    """Invent what is lost of a sound, in agreement with what is not.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz; mono or stereo.
        task: "inpaint" fills gaps, "bandwidth" invents what is above a cutoff, "declip" undoes clipping.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword: `gaps=[(2.5, 2.9)]`.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: more than two channels.
        ConfigError: an option outside its range or of another task, nothing to restore, or a model of waveforms.
    """
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis import restore as synthesis

    damaged = as_waveform(waveform, sample_rate)
    damage = _damage(damaged, task, options, backend)
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

    damaged = as_waveform(waveform, sample_rate)
    damage, model = _damage(damaged, task, options, backend), with_features(backend)
    if coding.preset == AUTO:
        from noisebook.api.recommend import auto_preset

        coding = coding.replaced(preset=auto_preset(damaged)[0])
    data = synthesis.restore_stream(damaged, damage, backend=model, options=options, coding=coding, on_step=on_step)
    return RestoredStream(data, damage)


def _damage(damaged: Waveform, task: str, options: DamageOptions, backend: Backend) -> Damage:
    from noisebook.synthesis.damaged import damage_of

    told = {"gaps": options.gaps, "cutoff": options.cutoff, "threshold": options.threshold}
    return damage_of(damaged, task, backend.info, **told)  # type: ignore[arg-type]


@checked
def within_full_scale(sound: Waveform) -> tuple[Waveform, float]:
    """The sound, quieter by half decibels where it exceeds full scale, and the gain in dB, 0 or below."""
    from noisebook.audio.level import apply_gain
    from noisebook.synthesis.generate import clipping_gain

    half_db = clipping_gain(sound.samples)
    return (Waveform(apply_gain(sound.samples, -half_db), sound.sample_rate) if half_db else sound), 0.0 - half_db / 2
