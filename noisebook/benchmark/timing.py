"""Seconds of each stage of a round trip, and the memory it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import torch

from noisebook.audio.waveform import Waveform
from noisebook.benchmark.memory import PeakMemory
from noisebook.codec import ddcm
from noisebook.codec.layout import layout_of, timeline_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.segment import decode_segment, encode_with_state, ended
from noisebook.codec.steering import over_timeline
from noisebook.coding import container
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend
from noisebook.rivals import Published, PublishedCoder

__all__ = ["RoundTrip", "Stages", "call_seconds", "clock", "published_trip", "timed_stages", "trip"]

_AUTOENCODER = {"encode": "autoencoder", "decode": "autoencoder"}
_OF_FEATURES = {"features": "features", **_AUTOENCODER, "vocode": "vocoder", "denoise": "denoiser"}
_OF_WAVEFORMS = {"to_latent": "autoencoder", "to_waveform": "autoencoder", "denoise": "denoiser"}

Stages = dict[str, float]


@dataclass(frozen=True)
class RoundTrip:
    """A sound compressed and decompressed; times are medians over the runs.

    Attributes:
        sound_seconds: of the sound.
        bit_per_second: of the whole file.
        calls: of the denoiser over the whole timeline, compressing.
        call_seconds: of one such call by itself.
        encode, decode: seconds by stage: those of the model, "choices" (codebooks, selection, bits, container,
            windows) and "signal" (level, channels, rate, cutting).
        nmse_db: error of the decoded latent over its target.
        resident, reserved: the most bytes of main memory, and of a CUDA device.
    """

    sound_seconds: float
    bit_per_second: float
    calls: int
    call_seconds: float
    encode: Stages
    decode: Stages
    nmse_db: float
    resident: int | None
    reserved: int | None

    @property
    def encode_seconds(self) -> float:
        return sum(self.encode.values())

    @property
    def decode_seconds(self) -> float:
        return sum(self.decode.values())

    @property
    def allowance(self) -> float:
        """What encoding would take if it were nothing but its calls, the mel and the autoencoder; seconds."""
        model = sum(self.encode.get(stage, 0.0) for stage in ("features", "autoencoder"))
        return self.calls * self.call_seconds + model

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with times over those of the sound beside the seconds."""
        return {
            **vars(self),
            "encode_seconds": self.encode_seconds,
            "decode_seconds": self.decode_seconds,
            "encode_real_time": self.encode_seconds / self.sound_seconds,
            "decode_real_time": self.decode_seconds / self.sound_seconds,
        }


def trip(sound: Waveform, options: EncodeOptions, backend: Backend, *, runs: int, warm: bool = True) -> RoundTrip:
    """Compress and decompress `runs` times, after once to warm up.

    Raises:
        AudioError, ConfigError: as `ddcm.compress`.
    """
    if warm:
        _decode(_encode(sound, options, backend)[0], backend)
    memory = PeakMemory(backend.device)
    encodes, decodes = [], []
    for _ in range(runs):
        data, target, there = _encode(sound, options, backend)
        latent, back = _decode(data, backend)
        encodes.append(there)
        decodes.append(back)
    header = container.parse_header(data)[0]
    layout = layout_of(header, backend.info)
    return RoundTrip(
        sound.duration,
        8 * len(data) / sound.duration,
        layout.segment_count * layout.steps,
        call_seconds(header, backend, runs=runs),
        _medians(encodes),
        _medians(decodes),
        _nmse_db(latent, target),
        memory.resident(),
        memory.reserved(),
    )


def published_trip(sound: Waveform, engine: Published, backend: Backend) -> RoundTrip:
    """The same of a published engine, once and without warming up: what it chooses takes the place of a stream's
    choices, and all around it, level, mel, autoencoder and vocoder, is the codec's."""
    memory, info = PeakMemory(backend.device), backend.info
    header = ddcm.header_of(sound, EncodeOptions(), info)
    coder = PublishedCoder(engine, info, header.channel_mode.latents, timeline_of(header, info).frames)
    tail = ddcm.tail_after(coder.plan[-1].s, info.schedule)
    with timed_stages(backend) as stages:
        begun = clock(backend.device)
        target = ddcm.target_latent(sound, header, backend=backend)
        heard, hearing = clock(backend.device), dict(stages)
        start = coder.start(backend.device)
        denoise = over_timeline(backend)  # of the backend whose stages are timed
        payload, x = encode_with_state(target, coder, denoise, start)
        header = ddcm.as_loud_as(sound, header, ended(x, coder, denoise, tail), (), backend)
        done = clock(backend.device)
    encode = _with_rest(stages, choices=_rest(done - heard, stages, hearing), signal=_rest(heard - begun, hearing))
    with timed_stages(backend) as stages:
        begun = clock(backend.device)
        latent = decode_segment(payload, coder, over_timeline(backend), tail, start)
        denoised, denoising = clock(backend.device), dict(stages)
        ddcm.synthesise(latent, header, backend=backend)
        done = clock(backend.device)
    choices, signal = _rest(denoised - begun, denoising), _rest(done - denoised, stages, denoising)
    decode = _with_rest(stages, choices=choices, signal=signal)
    rate, calls = 8 * len(payload) / sound.duration, len(coder.plan)
    seconds = call_seconds(header, backend, runs=1)
    return RoundTrip(
        sound.duration, rate, calls, seconds, encode, decode, _nmse_db(latent, target), memory.resident(),
        memory.reserved(),
    )  # fmt: skip


def _nmse_db(latent: torch.Tensor, target: torch.Tensor) -> float:
    """Squared error over energy, dB."""
    return float(10 * torch.log10((latent - target).square().mean() / target.square().mean()))


def call_seconds(header: Header, backend: Backend, *, runs: int) -> float:
    """Seconds of one call of the denoiser on noise shaped as a segment: median, or mean over the segments of a long
    sound."""
    layout, info = layout_of(header, backend.info), backend.info
    denoise, middle = over_timeline(backend, tag=header.tag or 0), len(info.schedule) // 2
    times = []
    for _ in range(runs):
        for start, end in layout.segments():
            x = torch.randn(layout.channels, info.latent_channels, end - start, info.latent_bins, device=backend.device)
            times.append(_seconds(lambda x=x: denoise(x, middle), backend.device))  # type: ignore[misc]
    return sum(times) / len(times) if layout.segment_count > 1 else median(times)


@contextmanager
def timed_stages(backend: Backend) -> Iterator[Stages]:
    """Adds up the seconds of the backend's stages while the block runs."""
    methods = _OF_FEATURES if backend.info.features else _OF_WAVEFORMS
    seconds = dict.fromkeys(methods.values(), 0.0)
    for method, stage in methods.items():
        setattr(backend, method, _adding(getattr(backend, method), seconds, stage, backend.device))
    try:
        yield seconds
    finally:
        for method in methods:
            delattr(backend, method)  # what was set on the object hid the method of its class


def clock(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return perf_counter()


def _encode(sound: Waveform, options: EncodeOptions, backend: Backend) -> tuple[bytes, torch.Tensor, Stages]:
    with timed_stages(backend) as stages:
        start = clock(backend.device)
        header = ddcm.header_of(sound, options, backend.info)
        target = ddcm.target_latent(sound, header, backend=backend)
        image = ddcm.image_payload(sound, header, backend.info)
        heard, hearing = clock(backend.device), dict(stages)
        data = ddcm.compress_towards(
            lambda first, end: target[:, :, first:end], header, image=image, backend=backend, sound=sound
        )
        done = clock(backend.device)
    choices, signal = _rest(done - heard, stages, hearing), _rest(heard - start, hearing)
    return data, target, _with_rest(stages, choices=choices, signal=signal)


def _decode(data: bytes, backend: Backend) -> tuple[torch.Tensor, Stages]:
    with timed_stages(backend) as stages:
        start = clock(backend.device)
        header, latent = ddcm.decode_latent(data, backend=backend)
        denoised, denoising = clock(backend.device), dict(stages)
        image = ddcm.open_stream(data, backend.info).image
        ddcm.synthesise(latent, header, image=image, backend=backend)
        done = clock(backend.device)
    choices, signal = _rest(denoised - start, denoising), _rest(done - denoised, stages, denoising)
    return latent, _with_rest(stages, choices=choices, signal=signal)


def _rest(seconds: float, stages: Stages, before: Stages | None = None) -> float:
    """What of an interval the stages of the model did not take; `before` is of its begin."""
    return seconds - sum(stages.values()) + sum((before or {}).values())


def _with_rest(stages: Stages, *, choices: float, signal: float) -> Stages:
    """The stages of the model that ran, and what they did not take."""
    return {**{stage: seconds for stage, seconds in stages.items() if seconds}, "choices": choices, "signal": signal}


def _adding(method: Callable[..., Any], seconds: Stages, stage: str, device: torch.device) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = clock(device)
        result = method(*args, **kwargs)
        seconds[stage] += clock(device) - start
        return result

    return timed


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    start = clock(device)
    run()
    return clock(device) - start


def _medians(runs: Sequence[Stages]) -> Stages:
    return {stage: median(run[stage] for run in runs) for stage in runs[0]}
