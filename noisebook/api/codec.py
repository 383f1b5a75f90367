"""Sound to stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.api.arguments import OnStep, as_sound, checked, codebook_of
from noisebook.audio.waveform import Sound, Waveform
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.codec.aiming import Priority
    from noisebook.codec.ddcm import Settings
    from noisebook.coding.container import ChannelMode, Engine
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook

__all__ = [
    "CHANNEL_MODES",
    "OnStep",
    "coding_settings",
    "compress",
    "compress_with_codebook",
]

CHANNEL_MODES = ("auto", "dual", "mono")


@checked
def compress(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    preset: str | int | None = None,
    bitrate: float | None = None,
    quality: str = "balanced",
    channels: str = "auto",
    seed: int = 0,
    tag: str | None = None,
    target_mel_db: float | None = None,
    target_nmse: float | None = None,
    search: str = "shaped",
    priorities: Sequence[Priority] = (),
    progressive: bool = False,
    variable_rate: bool = False,
    on_step: OnStep | None = None,
) -> bytes:
    """Compress a sound into the bytes of a .ddcm stream.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        preset: "300" or 300, the bitrate of the file, mono or stereo; or "auto", by what the sound is like.
        bitrate: bit/s of the file, in place of a preset.
        quality: "fast", "balanced" or "high": over how many steps bits are spread; all but balanced add six bytes.
        channels: "auto" (stereo as one channel and an image, which says what of it is where; jointly by a model of
            stereo sound), "dual" (two microphones: left and right apart, each with half of the bits), or "mono".
        seed: 0..255, of the codebooks.
        tag: a conditioning tag of the model ("music", ...), one byte more in the stream.
        target_mel_db, target_nmse: in place of preset and bitrate, the fewest bits with at most this error of the
            log-mel, or of the latent over its energy; dB, before the vocoder. Takes some six encodings.
        search: how the encoder looks for what to write, at the same bits: "none" is fast, "shaped" nearer in twice the
            time.
        priorities: of `noisebook.codec.aiming`: stretches of time and band in which errors count more.
        progressive: order by step and not by segment of 64 s: what begins the stream is the whole sound, less exactly.
        variable_rate: units 60 dB below the peak carry no bits and are decoded as silence; digital silence always is.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
    """
    sound = _sound(waveform, sample_rate, channels)
    target = _target(target_mel_db, target_nmse, preset, bitrate)
    spread = "balanced" if target else quality
    settings = coding_settings(sound, backend.info, preset, bitrate, spread, channels, seed, tag)
    settings = replace(
        settings, search=search, priorities=tuple(priorities), progressive=progressive,
        variable_rate=variable_rate,
    )  # fmt: skip
    return _compressed(sound, settings, target, quality, backend, on_step)


def _compressed(
    sound: Sound,
    settings: Settings,
    target: tuple[str, float] | None,
    quality: str,
    backend: Backend,
    on_step: OnStep | None,
) -> bytes:
    """The stream of the settings, or the smallest that reaches a target."""
    from noisebook.codec import ddcm, targeting

    if target is None:
        return ddcm.compress(sound, backend=backend, settings=settings, on_step=on_step)
    found = targeting.compress_to(sound, *target, backend=backend, settings=settings, quality=quality, on_step=on_step)
    return found.data


def _target(
    mel_db: float | None, nmse: float | None, preset: str | int | None, bitrate: float | None
) -> tuple[str, float] | None:
    """The measure and value of a quality that is asked for in place of a preset or bitrate."""
    wanted = [(name, value) for name, value in (("mel-db", mel_db), ("nmse", nmse)) if value is not None]
    if wanted and len(wanted) + (preset is not None) + (bitrate is not None) > 1:
        raise ConfigError("give one of preset, bitrate, target_mel_db and target_nmse")
    return wanted[0] if wanted else None


@checked
def compress_with_codebook(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str,
    sample_rate: int | None = None,
    rule: str = "hard",
    bitrate: float | None = None,
    channels: str = "auto",
    on_step: OnStep | None = None,
) -> bytes:
    """Compress a sound into a .ddcm stream that holds its latent in the words of a codebook.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        codebook: fitted for that model: the name of one inside the package, a file, or from `load_codebook`. The
            decoder needs it too.
        rule: "hard", the nearest atom, or "soft", a mean of the nearest ones.
        bitrate: budget of an adaptive codebook, bit/s of the file.
        channels: as of `compress`.
        on_step: called with (segments done, segments in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or one that the codebook does not have.
        ModelError: no such codebook, or one of another model.
    """
    from noisebook.codec import latent_vq
    from noisebook.codec.stereo import rate_of_latent

    sound = _sound(waveform, sample_rate, channels)
    book = codebook_of(codebook)
    if bitrate is not None and book.method != "adaptive":
        raise ConfigError(f"a bitrate needs a codebook of method adaptive; this one, of {book.method}, has its own")
    info, mode = backend.info, _mode_of(sound, channels, backend.info)
    settings = latent_vq.Settings(
        rule=rule,
        bits_per_frame=None if bitrate is None else rate_of_latent(bitrate, mode) / info.frames_per_second,
        channel_mode=_channel_mode(channels),
    )
    return latent_vq.compress(sound, backend=backend, codebook=book, settings=settings, on_step=on_step)


def coding_settings(
    sound: Sound,
    info: BackendInfo,
    preset: str | int | None,
    bitrate: float | None,
    quality: str,
    channels: str,
    seed: int,
    tag: str | None,
) -> Settings:
    """What the options of `compress` are to the codec.

    Raises:
        ConfigError: as `compress`.
    """
    from noisebook.codec.ddcm import Settings
    from noisebook.codec.presets import DEFAULT, PRESETS, by_name

    if preset is not None and bitrate is not None:
        raise ConfigError("give a preset or a bitrate, not both")
    if preset == "auto":
        from noisebook.api.recommend import auto_preset

        preset, _ = auto_preset(sound)
    name = DEFAULT if preset is None else str(preset)
    if name not in (names := [row.name for row in PRESETS]):
        raise ConfigError(f"preset {name!r}: there are {', '.join(names)} and auto; for others give a bitrate")
    rate, mode = by_name(name).bitrate if bitrate is None else bitrate, _mode_of(sound, channels, info)
    return Settings(
        preset=name,
        engine=None if bitrate is None and quality == "balanced" else _engine(rate, mode, quality, info),
        seed=seed,
        tag=_tag_id(tag, info),
        channel_mode=_channel_mode(channels),
    )


def _sound(waveform: Sound | ArrayLike, sample_rate: int | None, channels: str) -> Sound:
    """The sound to be coded, mixed down where that is asked for."""
    sound = as_sound(waveform, sample_rate)
    if channels not in CHANNEL_MODES:
        raise ConfigError(f"channels {channels!r}: {', '.join(CHANNEL_MODES)} are possible")
    if channels != "mono":
        return sound
    from noisebook.audio.channels import Downmix, downmix

    return downmix(sound) if isinstance(sound, Waveform) else Downmix(sound)


def _engine(bitrate: float, mode: ChannelMode, quality: str, info: BackendInfo) -> Engine:
    """Coding parameters of each latent of a file of so many bit/s."""
    from noisebook.codec.presets import HIGHEST, LOWEST, MOST_IMAGE, engine_for
    from noisebook.codec.stereo import rate_of_latent
    from noisebook.coding.container import ChannelMode

    values, rate = info.frame_values, info.frames_per_second
    share = rate_of_latent(bitrate, mode)
    if mode is ChannelMode.IMAGE and share > HIGHEST:
        most = HIGHEST + MOST_IMAGE
        raise ConfigError(f"a bitrate of {bitrate:g} bit/s in stereo: {LOWEST} to {most:g} are possible")
    return engine_for(share, quality=quality, frame_values=values, frames_per_second=rate)


def _mode_of(sound: Sound, channels: str, info: BackendInfo) -> ChannelMode:
    """Among whose latents a bitrate is shared."""
    from noisebook.codec.ddcm import channel_mode_of

    return channel_mode_of(sound, _channel_mode(channels), info)


def _channel_mode(channels: str) -> ChannelMode | None:
    from noisebook.coding.container import ChannelMode

    return ChannelMode.DUAL if channels == "dual" else None


def _tag_id(tag: str | None, info: BackendInfo) -> int:
    if tag is not None and tag not in info.tags:
        raise ConfigError(f"tag {tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    return 0 if tag is None else 1 + info.tags.index(tag)
