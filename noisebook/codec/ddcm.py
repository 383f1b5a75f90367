"""The codec: sound to stream to sound by choosing the noise of a diffusion.

compress:   Waveform -> level, channels -> mel -> latent --reverse(noise chosen by latent - x0_hat)--> payload
decompress: payload --reverse(noise read) + tail without noise--> latent -> mel -> Waveform
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from noisebook.audio.level import coding_gain
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import Layout, check_engine, layout_of, plan_of
from noisebook.codec.presets import DEFAULT, by_name, engine_of
from noisebook.codec.segment import SegmentCoder, decode_segment, encode_segment
from noisebook.codec.signal import analyse, levelled, restored
from noisebook.codec.signal import synthesise as synthesise_samples
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Engine, Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import Denoise, tail_plan
from noisebook.diffusion.windows import windowed
from noisebook.errors import AudioError, ConfigError, CorruptStream, UnsupportedStream, WrongModel

__all__ = [
    "FINGERPRINT_BYTES",
    "TAIL_STEPS",
    "Settings",
    "compress",
    "decode_latent",
    "decompress",
    "open_stream",
    "synthesise",
    "target_latent",
]

FINGERPRINT_BYTES = 2
TAIL_STEPS = 6
_OVERLAP = 64  # latent frames that neighbouring windows share
OnStep = Callable[[int, int], None]  # (steps done, steps in all)


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
    header = _header(waveform, settings, backend.info)
    check_engine(engine_of(header), backend.info)
    layout = layout_of(header, backend.info)
    latent = target_latent(waveform, header, backend=backend)
    denoise = _denoiser(backend, header, on_step, layout.segment_count * layout.steps)
    payloads = [
        encode_segment(latent[:, :, start:end], _coder(header, layout, end - start, index), denoise)
        for index, (start, end) in enumerate(layout.segments())
    ]
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
    info = backend.info
    header, layout, payloads = open_stream(data, info)
    tail = tail_plan(info.schedule, plan_of(layout.engine, info)[-1].s or 0, tail_steps)
    denoise = _denoiser(backend, header, on_step, layout.segment_count * (layout.steps + len(tail)))
    latents = [
        decode_segment(payload, _coder(header, layout, end - start, index), denoise, tail, backend.device)
        for index, (payload, (start, end)) in enumerate(zip(payloads, layout.segments(), strict=True))
    ]
    return header, torch.cat(latents, dim=2)


def open_stream(data: bytes, info: BackendInfo) -> tuple[Header, Layout, tuple[bytes, ...]]:
    """Header, layout and payloads of a stream of the model with that info, everything checked that can be.

    Raises:
        StreamError: as `decompress`.
    """
    header, header_size = container.parse_header(data)
    own = info.fingerprint[:FINGERPRINT_BYTES]
    if header.fingerprint != own:
        raise WrongModel(
            f"the stream was made with model {header.fingerprint.hex()}, and {info.name} is {own.hex()}; "
            "pass the model it was made with"
        )
    if header.sample_count == 0:
        raise CorruptStream("the stream has no samples")
    try:
        check_engine(engine_of(header), info)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error
    layout = layout_of(header, info)
    return header, layout, container.split(data, header_size, layout.payload_sizes())


def target_latent(waveform: Waveform, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a waveform and the header of its stream."""
    layout = layout_of(header, backend.info)
    return analyse(levelled(waveform, header, backend.info), layout, backend)


def synthesise(latent: torch.Tensor, header: Header, *, backend: Backend) -> Waveform:
    """The sound of a latent `[channels, C, L, F']` at the rate, level and length of the header: ends `decompress`."""
    layout = layout_of(header, backend.info)
    return restored(synthesise_samples(latent, layout, backend), header, backend.info)


def _header(waveform: Waveform, settings: Settings, info: BackendInfo) -> Header:
    return Header(
        fingerprint=info.fingerprint[:FINGERPRINT_BYTES],
        preset=0 if settings.engine else by_name(settings.preset).wire_id,
        sample_rate=waveform.sample_rate,
        channel_mode=_channel_mode(waveform, settings.channel_mode),
        sample_count=waveform.sample_count,
        gain_half_db=coding_gain(waveform.samples),
        seed=settings.seed,
        tag=settings.tag or None,
        engine=settings.engine,
    )


def _channel_mode(waveform: Waveform, wanted: ChannelMode | None) -> ChannelMode:
    if waveform.channels > 2:
        raise AudioError(f"{waveform.channels} channels: mono and stereo can be coded; mix down first (--mono)")
    mode = wanted if wanted is not None else (ChannelMode.MONO if waveform.channels == 1 else ChannelMode.MID_SIDE)
    if mode.channels != waveform.channels:
        raise ConfigError(
            f"channel mode {mode.name.lower()} codes {mode.channels} channels, the sound has {waveform.channels}"
        )
    return mode


def _coder(header: Header, layout: Layout, frames: int, segment: int) -> SegmentCoder:
    return SegmentCoder(layout.engine, layout.info, layout.channels, frames, header.seed, segment)


def _denoiser(backend: Backend, header: Header, on_step: OnStep | None, total: int) -> Denoise:
    """The backend's denoiser over the whole timeline, conditioned on the header's tag; calls are told to `on_step`."""
    window = backend.info.window_frames
    over_timeline = windowed(partial(backend.denoise, tag=header.tag or 0), window=window, overlap=_OVERLAP)
    done = 0

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        nonlocal done
        x0_hat = over_timeline(x, t)
        done += 1
        if on_step is not None:
            on_step(done, total)
        return x0_hat

    return denoise
