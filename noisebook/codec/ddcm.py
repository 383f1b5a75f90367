"""The codec: sound to stream to sound by choosing the noise of a diffusion.

compress:   Waveform -> level, channels -> mel -> latent --reverse(noise chosen by latent - x0_hat)--> payload
decompress: payload --reverse(noise read) + tail without noise--> latent -> mel -> Waveform
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from noisebook.audio.level import coding_gain
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import Layout, check_engine, layout_of, plan_of, timeline_of
from noisebook.codec.presets import DEFAULT, by_name, engine_of
from noisebook.codec.segment import SegmentCoder, Target, decode_segment, encode_segment
from noisebook.codec.signal import analyse, levelled, restored
from noisebook.codec.signal import synthesise as synthesise_samples
from noisebook.codec.steering import OnStep, counted, over_timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Engine, Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import Denoise, tail_plan
from noisebook.errors import AudioError, ConfigError, CorruptStream, UnsupportedStream, WrongModel

__all__ = [
    "FINGERPRINT_BYTES",
    "TAIL_STEPS",
    "Settings",
    "channel_mode_of",
    "check_header",
    "checked_layout",
    "compress",
    "compress_towards",
    "decode_latent",
    "decompress",
    "header_of",
    "open_stream",
    "segment_decoder",
    "synthesise",
    "target_latent",
]

FINGERPRINT_BYTES = 2
TAIL_STEPS = 6


@dataclass(frozen=True)
class Settings:
    """What an encoder may choose.

    Attributes:
        preset: name of a row of the preset table; ignored where `engine` is given.
        engine: explicit coding parameters, as from `presets.engine_for`.
        seed: 0..255, of all random choices of the stream.
        tag: conditioning tag of the denoiser, 0 for none.
        channel_mode: None codes mono as mono and stereo as mid and side.
    """

    preset: str = DEFAULT
    engine: Engine | None = None
    seed: int = 0
    tag: int = 0
    channel_mode: ChannelMode | None = None


def compress(
    waveform: Waveform, *, backend: Backend, settings: Settings = Settings(), on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream of the waveform.

    Raises:
        AudioError: more than two channels.
        ConfigError: settings outside their range.
    """
    header = header_of(waveform, settings, backend.info)
    latent = target_latent(waveform, header, backend=backend)
    return compress_towards(lambda start, end: latent[:, :, start:end], header, backend=backend, on_step=on_step)


def compress_towards(
    target_of: Callable[[int, int], Target], header: Header, *, backend: Backend, on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream that leads the diffusion to any target: `compress` behind the autoencoder.

    Args:
        target_of: `(start, end)` of a segment in latent frames -> what `encode_segment` aims at there.
        header: as from `header_of`.
        backend: the model.
        on_step: called with (steps done, steps in all).
    """
    layout = layout_of(header, backend.info)
    denoise = _denoiser(backend, header, on_step, layout.segment_count * layout.steps)
    payloads = []
    for index, (start, end) in enumerate(layout.segments()):
        coder = _coder(header, layout, end - start, index)
        payloads.append(encode_segment(target_of(start, end), coder, denoise, coder.start(backend.device)))
    return container.pack(header, payloads)


def decompress(
    data: bytes, *, backend: Backend, tail_steps: int = TAIL_STEPS, on_step: OnStep | None = None
) -> Waveform:
    """The sound of a .ddcm stream, with the sample rate, channels and length of the original.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        tail_steps: denoising steps after the last coded one; 1 gives the smoothest sound, more a livelier one.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header, latent = decode_latent(data, backend=backend, tail_steps=tail_steps, on_step=on_step)
    return synthesise(latent, header, backend=backend)


def decode_latent(
    data: bytes, *, backend: Backend, tail_steps: int = TAIL_STEPS, on_step: OnStep | None = None
) -> tuple[Header, torch.Tensor]:
    """The header of a stream and its decoded latent `[channels, C, L, F']`: `decompress` up to the autoencoder.

    Raises:
        StreamError: as `decompress`.
    """
    header, layout, payloads = open_stream(data, backend.info)
    decode = segment_decoder(header, layout, backend, tail_steps, on_step)
    return header, torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)


def segment_decoder(
    header: Header, layout: Layout, backend: Backend, tail_steps: int, on_step: OnStep | None = None
) -> Callable[[bytes, int], torch.Tensor]:
    """From the payload and index of a segment to its latent `[channels, C, frames, F']`.

    Payloads are ordered by step: one that is cut short, or whose end is damaged, still holds its first steps. Of such a
    one the whole steps are taken and the tail begins where they end: the same sound, less exactly.
    """
    info, plan = backend.info, plan_of(layout.engine, backend.info)
    calls = layout.segment_count * (layout.steps + len(tail_plan(info.schedule, plan[-1].s or 0, tail_steps)))
    denoise = _denoiser(backend, header, on_step, calls)
    segments = list(layout.segments())

    def decode(payload: bytes, index: int) -> torch.Tensor:
        first, end = segments[index]
        coder = _coder(header, layout, end - first, index)
        steps = layout.whole_steps(end - first, len(payload))
        last = plan[steps - 1].s if steps else plan[0].t
        tail = tail_plan(info.schedule, last or 0, tail_steps)
        coded = None if steps == layout.steps else steps
        return decode_segment(payload, coder, denoise, tail, coder.start(backend.device), coded_steps=coded)

    return decode


def open_stream(data: bytes, info: BackendInfo) -> tuple[Header, Layout, tuple[bytes, ...]]:
    """Header, layout and payloads of a stream of the model with that info, everything checked that can be.

    Raises:
        StreamError: as `decompress`.
    """
    header, header_size = container.parse_header(data)
    layout = checked_layout(header, info)
    return header, layout, container.split(data, header_size, layout.payload_sizes())


def checked_layout(header: Header, info: BackendInfo) -> Layout:
    """The layout of a stream with that header, for the model with that info.

    Raises:
        StreamError: another model's, or coding parameters that no codebook can serve.
    """
    check_header(header, info)
    try:
        check_engine(engine_of(header), info)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error
    return layout_of(header, info)


def check_header(header: Header, info: BackendInfo) -> None:
    """Refuse a stream of another model, one with a tag that the model does not have, and one without samples.

    Raises:
        WrongModel, UnsupportedStream, CorruptStream.
    """
    own = info.fingerprint[:FINGERPRINT_BYTES]
    if header.fingerprint != own:
        raise WrongModel(
            f"the stream was made with model {header.fingerprint.hex()}, and {info.name} is {own.hex()}; "
            "pass the model it was made with"
        )
    if (header.tag or 0) > len(info.tags):
        raise UnsupportedStream(f"tag {header.tag}: {info.name} has tags 0 (none) to {len(info.tags)}")
    if header.channel_mode == ChannelMode.JOINT and info.audio_channels == 1:
        raise UnsupportedStream(f"left and right are coded jointly, and {info.name} is a model of mono sound")
    if header.sample_count == 0:
        raise CorruptStream("the stream has no samples")


def target_latent(waveform: Waveform, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a waveform and the header of its stream."""
    timeline = timeline_of(header, backend.info)
    return analyse(levelled(waveform, header, backend.info), timeline, backend)


def synthesise(latent: torch.Tensor, header: Header, *, backend: Backend) -> Waveform:
    """The sound of a latent `[channels, C, L, F']` at the rate, level and length of the header: ends `decompress`."""
    timeline = timeline_of(header, backend.info)
    return restored(synthesise_samples(latent, timeline, backend), header, backend.info)


def header_of(waveform: Waveform, settings: Settings, info: BackendInfo) -> Header:
    """The header of the stream of a waveform.

    Raises:
        AudioError, ConfigError: as `compress`.
    """
    header = Header(
        fingerprint=info.fingerprint[:FINGERPRINT_BYTES],
        preset=0 if settings.engine else by_name(settings.preset).wire_id,
        sample_rate=waveform.sample_rate,
        channel_mode=channel_mode_of(waveform, settings.channel_mode, info),
        sample_count=waveform.sample_count,
        gain_half_db=coding_gain(waveform.samples),
        seed=settings.seed,
        tag=settings.tag or None,
        engine=settings.engine,
    )
    check_engine(engine_of(header), info)
    return header


def channel_mode_of(waveform: Waveform, wanted: ChannelMode | None, info: BackendInfo) -> ChannelMode:
    """How the channels are coded: as wanted, else mono as mono, and stereo as mid and side, or jointly by a model of
    stereo sound.

    Raises:
        AudioError: more than two channels.
        ConfigError: a mode of another number of channels.
    """
    if waveform.channels > 2:
        raise AudioError(f"{waveform.channels} channels: mono and stereo can be coded; mix down first (--mono)")
    stereo = ChannelMode.MID_SIDE if info.audio_channels == 1 else ChannelMode.JOINT
    mode = wanted if wanted is not None else (ChannelMode.MONO if waveform.channels == 1 else stereo)
    if mode.channels != waveform.channels:
        raise ConfigError(
            f"channel mode {mode.name.lower()} codes {mode.channels} channels, the sound has {waveform.channels}"
        )
    return mode


def _coder(header: Header, layout: Layout, frames: int, segment: int) -> SegmentCoder:
    return SegmentCoder(layout.engine, layout.info, layout.channels, frames, header.seed, segment)


def _denoiser(backend: Backend, header: Header, on_step: OnStep | None, total: int) -> Denoise:
    """The backend's denoiser over the whole timeline, conditioned on the header's tag; calls are told to `on_step`."""
    return counted(over_timeline(backend, tag=header.tag or 0), on_step, total)
