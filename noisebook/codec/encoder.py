"""Sound to stream by choosing the noise of a diffusion; `codec.decoder` is the way back.

Waveform --levelled--> samples --analyse--> latent --reverse(noise chosen by target - x0_hat)--> payload of each segment

Two channels are one latent and an image, which is the first payload.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from noisebook.audio.image import StereoImage, measure_image
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Sound
from noisebook.codec import aiming, ordering
from noisebook.codec.allocation import BELOW_DB, DIGITAL_DB, Layout, pauses_of
from noisebook.codec.loudness import matched
from noisebook.codec.opening import FINGERPRINT_BYTES
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import (
    DEFAULT,
    HIGHEST,
    LOWEST,
    MOST_IMAGE,
    Preset,
    by_name,
    image_bitrate,
    params_for,
    rate_of_latent,
)
from noisebook.codec.rendering import rendered
from noisebook.codec.segment import SegmentCoder, Target, encode_segment, ended, tail_after
from noisebook.codec.signal import analyse, levelled, restored_blocks
from noisebook.codec.stereo import image_payload
from noisebook.codec.timeline import Timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams, Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.guidance import counted, over_timeline
from noisebook.errors import AudioError, ConfigError
from noisebook.options import OnStep

__all__ = [
    "Prepared",
    "channel_mode_of",
    "compress",
    "compress_towards",
    "header_of",
    "header_with",
    "matched_header",
    "prepare",
    "target_latent",
    "targets",
]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sound, ready to be coded.

    Attributes:
        sound: the original.
        header: of its stream, with the gain at which its samples were coded.
        latent: `[latents, C, L, F']`, which a decoder is to come near to.
        image: of a sound with the channel mode IMAGE.
    """

    sound: Sound
    header: Header
    latent: torch.Tensor
    image: StereoImage | None


def compress(
    sound: Sound, *, backend: Backend, options: EncodeOptions = EncodeOptions(), on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream of the sound.

    Raises:
        AudioError: more than two channels.
        ConfigError: options that the sound or the model cannot have.
    """
    prepared = prepare(sound, options, backend)
    target_of = targets(prepared.latent, prepared.header, options, backend)
    return compress_towards(
        target_of, prepared.header, backend=backend, image=prepared.image, sound=sound, on_step=on_step
    )


def prepare(sound: Sound, options: EncodeOptions, backend: Backend) -> Prepared:
    """Header, latent and image of a sound.

    Raises:
        AudioError, ConfigError: as `compress`.
    """
    header, samples = _heard(sound, options, backend.info)
    image = measure_image(samples, backend.info.sample_rate) if header.channel_mode is ChannelMode.IMAGE else None
    return Prepared(sound, header, analyse(samples, Timeline.of(header, backend.info), backend), image)


def header_of(sound: Sound, options: EncodeOptions, info: BackendInfo) -> Header:
    """The header of the stream of a sound, with the gain at which its samples are coded.

    Raises:
        AudioError, ConfigError: as `compress`.
    """
    return _heard(sound, options, info)[0]


def _heard(sound: Sound, options: EncodeOptions, info: BackendInfo) -> tuple[Header, np.ndarray]:
    """The header, and the samples `[channels, N']` at the model's rate and the header's gain."""
    mode = channel_mode_of(sound, options.channel_mode, info)
    if options.tag is not None and options.tag not in info.tags:
        raise ConfigError(f"tag {options.tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    preset = by_name(str(options.preset or DEFAULT))
    params = _params_of(options, preset, mode, info)
    header = header_with(
        sound.sample_rate,
        sound.sample_count,
        mode,
        info,
        gain_half_db=coding_gain_of(sound),
        preset=0 if params else preset.wire_id,
        seed=options.seed,
        tag=None if options.tag is None else 1 + info.tags.index(options.tag),
        params=params,
        progressive=options.progressive,
    )
    layout = Layout.of_header(header, info)
    samples = levelled(sound, header.gain_half_db, info.sample_rate)
    below = BELOW_DB if options.variable_rate else DIGITAL_DB
    return replace(header, pauses=pauses_of(samples, header, layout, below_db=below)), samples


def header_with(
    sample_rate: int, sample_count: int, mode: ChannelMode, info: BackendInfo, *, preset: int = 0, **coding: Any
) -> Header:
    """The header of a sound's stream for a model; `coding` are its fields on how the sound is coded."""
    return Header(
        info.fingerprint[:FINGERPRINT_BYTES],
        preset=preset,
        sample_rate=sample_rate,
        channel_mode=mode,
        sample_count=sample_count,
        **coding,
    )


def _params_of(options: EncodeOptions, preset: Preset, mode: ChannelMode, info: BackendInfo) -> CodingParams | None:
    """Explicit coding parameters, where a preset's do not serve: for any bitrate or quality; for two channels, each of
    which has half of the file's bitrate; and for a priority in time, which asks for long units."""
    explicit = options.params
    if explicit is None and (options.bitrate is not None or options.quality != "balanced"):
        rate = preset.bitrate if options.bitrate is None else options.bitrate
        explicit = _params_for(rate, mode, options.quality, info)
    elif explicit is None and mode is ChannelMode.DUAL:
        explicit = _params_for(float(preset.name), mode, options.quality, info)
    params = explicit or (preset.stereo_params if mode is ChannelMode.IMAGE else preset.params)
    if not any(priority.timed for priority in options.priorities):
        return explicit
    return replace(params, unit_frames=max(params.unit_frames, info.window_frames))


def _params_for(bitrate: float, mode: ChannelMode, quality: str, info: BackendInfo) -> CodingParams:
    """Coding parameters of each latent of a file of so many bit/s."""
    share = rate_of_latent(bitrate, mode)
    if mode is ChannelMode.IMAGE and share > HIGHEST:
        most = HIGHEST + MOST_IMAGE
        raise ConfigError(f"a bitrate of {bitrate:g} bit/s in stereo: {LOWEST} to {most:g} are possible")
    return params_for(share, quality=quality, frame_values=info.frame_values, frames_per_second=info.frames_per_second)


def channel_mode_of(sound: Sound, wanted: ChannelMode | None, info: BackendInfo) -> ChannelMode:
    """How the channels are coded: as wanted, else mono as mono, and stereo as one channel with an image, as one where
    both are equal, or jointly by a model of stereo sound.

    Raises:
        AudioError: more than two channels.
        ConfigError: a mode of another number of channels.
    """
    if sound.channels > 2:
        raise AudioError(f"{sound.channels} channels: mono and stereo can be coded; mix down first (--mono)")
    if wanted is not None:
        mode = wanted
    elif sound.channels == 1:
        mode = ChannelMode.MONO
    elif info.audio_channels > 1:
        mode = ChannelMode.JOINT
    else:
        equal = all(np.array_equal(left, right) for left, right in sound.blocks())
        mode = ChannelMode.EQUAL if equal else ChannelMode.IMAGE
    if mode.channels != sound.channels:
        raise ConfigError(
            f"channel mode {mode.name.lower()} codes {mode.channels} channels, the sound has {sound.channels}"
        )
    return mode


def target_latent(sound: Sound, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a sound and the header of its stream."""
    samples = levelled(sound, coding_gain_of(sound), backend.info.sample_rate)
    return analyse(samples, Timeline.of(header, backend.info), backend)


def targets(
    latent: torch.Tensor, header: Header, options: EncodeOptions, backend: Backend
) -> Callable[[int, int], Target]:
    """What `compress_towards` aims at, for a latent `[channels, C, L, F']` and the options' search and priorities.

    Raises:
        ConfigError: priorities that the model cannot have.
    """
    layout, denoise, weights = Layout.of_header(header, backend.info), over_timeline(backend, tag=header.tag or 0), None
    if options.priorities:
        weights = aiming.priority_weights(options.priorities, layout).to(latent.device)

    def target_of(start: int, end: int) -> Target:
        part = latent[:, :, start:end]
        if options.search == "none" and weights is None:
            return part
        if options.search == "none":
            aim = aiming.at(part)
        else:
            aim = aiming.shaped(part, denoise, backend.info.schedule, layout.plan[-1].s or 0)
        return aim if weights is None else aiming.weighted(aim, weights[start:end])

    return target_of


def compress_towards(
    target_of: Callable[[int, int], Target],
    header: Header,
    *,
    backend: Backend,
    image: StereoImage | None = None,
    sound: Sound | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream that leads the diffusion to any target: `compress` behind the autoencoder.

    Args:
        target_of: `(start, end)` of a segment in latent frames -> what `encode_segment` aims at there.
        header: as from `header_of`.
        backend: the model.
        image: of a sound with the channel mode IMAGE.
        sound: the original, as loud as which the decode shall be; None leaves the gain as it is.
        on_step: called with (steps done, steps in all).
    """
    info = backend.info
    layout = Layout.of_header(header, info)
    tail = tail_after(layout.plan[-1].s, info.schedule) if sound is not None else ()
    calls = layout.segment_count * (layout.steps + len(tail))
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, calls)
    payloads, latents = [], []
    for index, (start, end) in enumerate(layout.segments()):
        coder = SegmentCoder.of(layout, index, header.seed, backend)
        payload, x = encode_segment(target_of(start, end), coder, denoise, coder.start(backend.device))
        payloads.append(payload)
        if sound is not None:
            latents.append(ended(x, coder, denoise, tail))
    images = image_payload(image, header, image_bitrate(header, info))
    if sound is not None:
        header = matched_header(sound, header, torch.cat(latents, dim=2), images, backend)
    return container.pack(header, [*images, *ordering.of_stream(payloads, layout)])


def matched_header(
    sound: Sound, header: Header, latent: torch.Tensor, images: tuple[bytes, ...], backend: Backend
) -> Header:
    """The header with the gain that gives a decode the loudness of the original.

    Args:
        sound: the original.
        header: with the gain that was applied to it.
        latent: decoded, `[channels, C, L, F']`.
        images: the payload of the image, where there is one.
        backend: the model.
    """
    message = container.unsized(images[0]) if images else None
    unlevelled = replace(header, gain_half_db=0)
    return matched(
        header,
        sound,
        lambda: restored_blocks(
            rendered(latent, header, backend, message).blocks(), backend.info.sample_rate, unlevelled
        ),
    )
