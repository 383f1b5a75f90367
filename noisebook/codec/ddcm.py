"""The codec: sound to stream to sound by choosing the noise of a diffusion.

compress:   Waveform -> level -> mel -> latent --reverse(noise chosen by latent - x0_hat)--> payload
decompress: payload --reverse(noise read) + tail without noise--> latent -> mel -> Waveform

Two channels are one latent and an image, which is the first payload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec import aiming, ordering
from noisebook.codec.layout import Layout, layout_of, plan_of, timeline_of
from noisebook.codec.loudness import matched
from noisebook.codec.opening import FINGERPRINT_BYTES, Opened, check_header, checked_layout, open_stream
from noisebook.codec.options import EncodeOptions
from noisebook.codec.pausing import BELOW_DB, DIGITAL_DB, silence_of, worthwhile
from noisebook.codec.presets import DEFAULT, HIGHEST, LOWEST, MOST_IMAGE, Preset, by_name, engine_for, engine_of
from noisebook.codec.segment import SegmentCoder, Target, decode_segment, encode_with_state, ended
from noisebook.codec.signal import analyse, levelled, restored_blocks, restored_sound, synthesised
from noisebook.codec.signal import synthesise as synthesise_samples
from noisebook.codec.steering import OnStep, counted, over_timeline
from noisebook.codec.stereo import (
    Heard,
    coded_image,
    equal_channels,
    image_bitrate,
    opened_image,
    rate_of_latent,
    read_image,
)
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Engine, Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import Denoise, Plan, tail_plan
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import AudioError, ConfigError

__all__ = [
    "FINGERPRINT_BYTES",
    "SHORT_TAIL_STEPS",
    "TAIL_STEPS",
    "Opened",
    "aims_of",
    "analysed",
    "as_loud_as",
    "channel_mode_of",
    "check_header",
    "checked_layout",
    "compress",
    "compress_towards",
    "decode_latent",
    "decoded_latent",
    "decompress",
    "header_of",
    "image_payload",
    "open_stream",
    "segment_decoder",
    "synthesise",
    "tail_after",
    "target_latent",
]

TAIL_STEPS = 6
SHORT_TAIL_STEPS = 3  # where the bits end near the sound: there more steps are heard as worse (ViSQOL, Zimtohrli)
_NEAR_SNR = 0.2


def compress(
    sound: Sound, *, backend: Backend, options: EncodeOptions = EncodeOptions(), on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream of the sound.

    Raises:
        AudioError: more than two channels.
        ConfigError: options that the sound or the model cannot have.
    """
    header = header_of(sound, options, backend.info)
    latent = target_latent(sound, header, backend=backend)
    aims = aims_of(latent, header, options, backend)
    image = image_payload(sound, header, backend.info)
    return compress_towards(aims, header, image=image, backend=backend, sound=sound, on_step=on_step)


def aims_of(
    latent: torch.Tensor, header: Header, options: EncodeOptions, backend: Backend
) -> Callable[[int, int], Target]:
    """What `compress_towards` aims at, for a latent `[channels, C, L, F']` and the options' search and priorities.

    Raises:
        ConfigError: priorities that the model cannot have.
    """
    weights = None
    if options.priorities:
        timeline = timeline_of(header, backend.info)
        weights = aiming.priority_weights(options.priorities, timeline).to(latent.device)
    info, denoise = backend.info, over_timeline(backend, tag=header.tag or 0)
    end_of_bits = plan_of(engine_of(header), info)[-1].s or 0

    def target_of(start: int, end: int) -> Target:
        part = latent[:, :, start:end]
        searching = options.search != "none"
        if not searching and weights is None:
            return part
        aim = aiming.shaped(part, denoise, info.schedule, end_of_bits) if searching else aiming.at(part)
        return aim if weights is None else aiming.weighted(aim, weights[start:end])

    return target_of


def compress_towards(
    target_of: Callable[[int, int], Target],
    header: Header,
    *,
    backend: Backend,
    image: tuple[bytes, ...] = (),
    sound: Sound | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream that leads the diffusion to any target: `compress` behind the autoencoder.

    Args:
        target_of: `(start, end)` of a segment in latent frames -> what `encode_segment` aims at there.
        header: as from `header_of`.
        backend: the model.
        image: as from `image_payload`.
        sound: the original, as loud as which the decode shall be; None leaves the gain as it is.
        on_step: called with (steps done, steps in all).
    """
    layout, info = layout_of(header, backend.info), backend.info
    tail = tail_after(plan_of(layout.engine, info)[-1].s, info.schedule) if sound is not None else ()
    denoise = _denoiser(backend, header, on_step, layout.segment_count * (layout.steps + len(tail)))
    payloads, latents = [], []
    for index, (start, end) in enumerate(layout.segments()):
        coder = _coder(header, layout, end - start, index, backend)
        payload, x = encode_with_state(target_of(start, end), coder, denoise, coder.start(backend.device))
        payloads.append(payload)
        if sound is not None:
            latents.append(ended(x, coder, denoise, tail))
    if sound is not None:
        header = as_loud_as(sound, header, torch.cat(latents, dim=2), image, backend)
    return container.pack(header, [*image, *ordering.of_stream(payloads, layout)])


def as_loud_as(
    sound: Sound, header: Header, latent: torch.Tensor, image: tuple[bytes, ...], backend: Backend
) -> Header:
    """The header with the gain that gives a decode the loudness of the original.

    Args:
        sound: the original.
        header: with the gain that was applied to it.
        latent: decoded, `[channels, C, L, F']`.
        image: as from `image_payload`.
        backend: the model.
    """
    info, timeline = backend.info, timeline_of(header, backend.info)
    stereo = read_image(opened_image(header, image)[0], timeline)

    def decoded() -> Iterator[np.ndarray]:
        heard = Heard(synthesised(latent, timeline, backend), header, stereo, info, timeline.sample_count)
        return restored_blocks(heard.blocks(), replace(header, gain_half_db=0), info)

    return matched(header, sound, decoded)


def decompress(
    data: bytes, *, backend: Backend, tail_steps: int | None = None, on_step: OnStep | None = None
) -> Waveform:
    """The sound of a .ddcm stream, with the sample rate, channels and length of the original.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        tail_steps: denoising steps after the last coded one; 1 gives the smoothest sound, more a livelier one. None
            is what `tail_after` takes.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    stream = open_stream(data, backend.info)
    latent = decoded_latent(stream, backend, tail_steps, on_step)
    return synthesise(latent, stream.header, image=stream.image, backend=backend)


def decode_latent(
    data: bytes, *, backend: Backend, tail_steps: int | None = None, on_step: OnStep | None = None
) -> tuple[Header, torch.Tensor]:
    """The header of a stream and its decoded latent `[channels, C, L, F']`: `decompress` up to the autoencoder.

    Raises:
        StreamError: as `decompress`.
    """
    stream = open_stream(data, backend.info)
    return stream.header, decoded_latent(stream, backend, tail_steps, on_step)


def decoded_latent(
    stream: Opened, backend: Backend, tail_steps: int | None = None, on_step: OnStep | None = None
) -> torch.Tensor:
    """The decoded latent `[channels, C, L, F']` of an opened stream."""
    layout = layout_of(stream.header, backend.info)
    decode = segment_decoder(stream.header, layout, backend, tail_steps, on_step)
    return torch.cat([decode(payload, index) for index, payload in enumerate(stream.choices)], dim=2)


def segment_decoder(
    header: Header,
    layout: Layout,
    backend: Backend,
    tail_steps: int | None,
    on_step: OnStep | None = None,
    coded_steps: Sequence[int] | None = None,
) -> Callable[[bytes, int], torch.Tensor]:
    """From the choices and index of a segment to its latent `[channels, C, frames, F']`.

    Choices are ordered by step: those of a stream that is cut short may be the first steps alone, as many for each
    segment as `coded_steps` says. The tail begins where they end: the same sound, less exactly.
    """
    info, plan = backend.info, plan_of(layout.engine, backend.info)
    calls = layout.segment_count * (layout.steps + len(tail_after(plan[-1].s, info.schedule, tail_steps)))
    denoise = _denoiser(backend, header, on_step, calls)

    def decode(payload: bytes, index: int) -> torch.Tensor:
        first, end = layout.segment(index)
        coder = _coder(header, layout, end - first, index, backend)
        steps = layout.steps if coded_steps is None else coded_steps[index]
        last = plan[steps - 1].s if steps else plan[0].t
        tail = tail_after(last, info.schedule, tail_steps)
        coded = None if steps == layout.steps else steps
        return decode_segment(payload, coder, denoise, tail, coder.start(backend.device), coded_steps=coded)

    return decode


def tail_after(last: int | None, schedule: Schedule, steps: int | None = None) -> Plan:
    """The steps without bits from timestep `last` (None: clean data) on: `steps`, or 3 from where the bits end near the
    sound, as they do from some 300 bit/s on, and 6 from where they end in noise, which the model has to fill."""
    start = last or 0
    return tail_plan(schedule, start, steps or (SHORT_TAIL_STEPS if schedule.snr(start) >= _NEAR_SNR else TAIL_STEPS))


def target_latent(sound: Sound, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a sound and the header of its stream."""
    timeline = timeline_of(header, backend.info)
    return analyse(levelled(sound, analysed(header, sound), backend.info), timeline, backend)


def analysed(header: Header, sound: Sound) -> Header:
    """The header with the gain at which an encoder listens to the sound; that of a stream makes up for what its decode
    lacks."""
    return replace(header, gain_half_db=coding_gain_of(sound))


def image_payload(sound: Sound, header: Header, info: BackendInfo) -> tuple[bytes, ...]:
    """What goes before the choices of a sound: its image, where the channel mode has one."""
    return coded_image(sound, header, info, image_bitrate(header, info))


def synthesise(latent: torch.Tensor, header: Header, *, image: bytes | None = None, backend: Backend) -> Waveform:
    """The sound of a latent `[channels, C, L, F']` at the rate, level and length of the header: ends `decompress`.

    Args:
        latent: decoded.
        header: of its stream.
        image: of its stream, as `Opened` has it.
        backend: the model.

    Raises:
        CorruptStream: an image that no encoder writes.
    """
    timeline = timeline_of(header, backend.info)
    samples = synthesise_samples(latent, timeline, backend)
    frame, last = backend.info.frame_samples, timeline.sample_count
    pieces = [samples[:, start * frame : min(end * frame, last)] for start, end in timeline.segments()]
    return restored_sound(Heard(pieces, header, read_image(image, timeline), backend.info, last), header)


def header_of(sound: Sound, options: EncodeOptions, info: BackendInfo) -> Header:
    """The header of the stream of a sound.

    Raises:
        AudioError, ConfigError: as `compress`.
    """
    mode = channel_mode_of(sound, options.channel_mode, info)
    if options.tag is not None and options.tag not in info.tags:
        raise ConfigError(f"tag {options.tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    preset = by_name(str(options.preset or DEFAULT))
    engine = _engine_of(options, preset, mode, info)
    header = Header(
        fingerprint=info.fingerprint[:FINGERPRINT_BYTES],
        preset=0 if engine else preset.wire_id,
        sample_rate=sound.sample_rate,
        channel_mode=mode,
        sample_count=sound.sample_count,
        gain_half_db=coding_gain_of(sound),
        seed=options.seed,
        tag=None if options.tag is None else 1 + info.tags.index(options.tag),
        engine=engine,
        progressive=options.progressive,
    )
    plan_of(engine_of(header), info)  # the errors
    below = BELOW_DB if options.variable_rate else DIGITAL_DB
    return replace(header, pauses=worthwhile(sound, header, info, below_db=below))


def _engine_of(options: EncodeOptions, preset: Preset, mode: ChannelMode, info: BackendInfo) -> Engine | None:
    """Explicit coding parameters, where a preset's do not serve: for any bitrate or quality; for two channels, each of
    which has half of the file's bitrate; and for a priority in time, which asks for long units."""
    explicit = options.engine
    if explicit is None and (options.bitrate is not None or options.quality != "balanced"):
        rate = preset.bitrate if options.bitrate is None else options.bitrate
        explicit = _engine_for(rate, mode, options.quality, info)
    elif explicit is None and mode is ChannelMode.DUAL:
        explicit = _engine_for(float(preset.name), mode, options.quality, info)
    engine = explicit or (preset.stereo_engine if mode is ChannelMode.IMAGE else preset.engine)
    if not any(priority.timed for priority in options.priorities):
        return explicit
    return replace(engine, unit_frames=max(engine.unit_frames, info.window_frames))


def _engine_for(bitrate: float, mode: ChannelMode, quality: str, info: BackendInfo) -> Engine:
    """Coding parameters of each latent of a file of so many bit/s."""
    share = rate_of_latent(bitrate, mode)
    if mode is ChannelMode.IMAGE and share > HIGHEST:
        most = HIGHEST + MOST_IMAGE
        raise ConfigError(f"a bitrate of {bitrate:g} bit/s in stereo: {LOWEST} to {most:g} are possible")
    return engine_for(share, quality=quality, frame_values=info.frame_values, frames_per_second=info.frames_per_second)


def channel_mode_of(sound: Sound, wanted: ChannelMode | None, info: BackendInfo) -> ChannelMode:
    """How the channels are coded: as wanted, else mono as mono, and stereo as one channel with an image, as one where
    both are equal, or jointly by a model of stereo sound.

    Raises:
        AudioError: more than two channels.
        ConfigError: a mode of another number of channels.
    """
    if sound.channels > 2:
        raise AudioError(f"{sound.channels} channels: mono and stereo can be coded; mix down first (--mono)")
    mode = _mode_that_suits(sound, info) if wanted is None else wanted
    if mode.channels != sound.channels:
        raise ConfigError(
            f"channel mode {mode.name.lower()} codes {mode.channels} channels, the sound has {sound.channels}"
        )
    return mode


def _mode_that_suits(sound: Sound, info: BackendInfo) -> ChannelMode:
    if sound.channels == 1:
        return ChannelMode.MONO
    if info.audio_channels > 1:
        return ChannelMode.JOINT
    return ChannelMode.EQUAL if equal_channels(sound) else ChannelMode.IMAGE


def _coder(header: Header, layout: Layout, frames: int, segment: int, backend: Backend | None = None) -> SegmentCoder:
    """Of a segment of that many frames; the backend is needed where there are pauses."""
    paused = layout.paused(segment)
    coder = SegmentCoder(layout.engine, layout.info, layout.channels, frames, header.seed, segment)
    if paused is None or backend is None:
        return coder
    return replace(coder, paused=paused, silence=silence_of(backend))


def _denoiser(backend: Backend, header: Header, on_step: OnStep | None, total: int) -> Denoise:
    """The backend's denoiser over the whole timeline, conditioned on the header's tag; calls are told to `on_step`."""
    return counted(over_timeline(backend, tag=header.tag or 0), on_step, total)
