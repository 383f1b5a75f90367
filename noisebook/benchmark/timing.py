"""Seconds of each stage of a round trip, and the memory it takes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import torch

from noisebook.audio.waveform import Waveform
from noisebook.benchmark.baselines import Published, PublishedCoder
from noisebook.codec.decoder import Decoder
from noisebook.codec.encoder import compress_towards, header_of, matched_header, prepare, target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.segment import decode_segment, encode_segment, tail_after
from noisebook.codec.signal import sound_of
from noisebook.codec.timeline import Layout, Timeline
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend
from noisebook.diffusion.denoisers import over_timeline

_AUTOENCODER = {"encode": "autoencoder", "decode": "autoencoder"}
_OF_FEATURES = {"features": "features", **_AUTOENCODER, "vocode": "vocoder", "denoise": "denoiser"}
_OF_WAVEFORMS = {"to_latent": "autoencoder", "to_waveform": "autoencoder", "denoise": "denoiser"}
_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")

Stages = dict[str, float]


@dataclass(frozen=True)
class RoundTrip:
    """A sound compressed and decompressed; times are medians over the runs."""

    sound_seconds: float  # of the sound
    bit_per_second: float  # of the whole file
    calls: int  # of the denoiser over the whole timeline, compressing
    call_seconds: float  # of one such call by itself
    encode: Stages  # seconds by stage: those of the model, and what lies between them (`Stopwatch.lap`)
    decode: Stages
    nmse_db: float | None  # error of the decoded latent over its target; None where not all of its steps were run
    resident: int | None  # the most bytes of main memory
    reserved: int | None  # the most bytes of a CUDA device

    @property
    def encode_seconds(self) -> float:
        return sum(self.encode.values())

    @property
    def allowance(self) -> float:
        """What encoding would take if it were nothing but its calls, the features and the autoencoder; seconds."""
        model = sum(self.encode.get(stage, 0.0) for stage in ("features", "autoencoder"))
        return self.calls * self.call_seconds + model

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with sums, and times over those of the sound."""
        seconds = {"encode": self.encode_seconds, "decode": sum(self.decode.values())}
        return {
            **vars(self),
            "allowance": self.allowance,
            **{f"{way}_seconds": value for way, value in seconds.items()},
            **{f"{way}_real_time": value / self.sound_seconds for way, value in seconds.items()},
        }


class _Pass(NamedTuple):
    """A sound there and back, once."""

    byte_count: int
    calls: int
    header: Header
    target: torch.Tensor
    latent: torch.Tensor
    encode: Stages
    decode: Stages


def trip(sound: Waveform, options: EncodeOptions, backend: Backend, *, runs: int, warm: bool = True) -> RoundTrip:
    """Compress and decompress `runs` times, after once to warm up; errors as of `compress`."""
    if warm:
        _coded(sound, options, backend)
    return _round_trip(sound, backend, partial(_coded, sound, options, backend), runs)


def published_trip(sound: Waveform, params: Published, backend: Backend) -> RoundTrip:
    """The same of a published codec, once and not warmed up: all but the choices is that of the codec."""
    return _round_trip(sound, backend, partial(_published, sound, params, backend), 1)


def _round_trip(sound: Waveform, backend: Backend, once: Callable[[], _Pass], runs: int) -> RoundTrip:
    memory, passes = PeakMemory(backend.device), [once() for _ in range(runs)]
    last = passes[-1]
    error = (last.latent - last.target).square().mean() / last.target.square().mean()
    encode, decode = (
        {stage: median(run[stage] for run in runs) for stage in runs[0]}
        for runs in ([one.encode for one in passes], [one.decode for one in passes])
    )
    return RoundTrip(
        sound.duration, 8 * last.byte_count / sound.duration, last.calls, _call_seconds(last.header, backend, runs),
        encode, decode, float(10 * torch.log10(error)), memory.resident(), memory.reserved(),
    )  # fmt: skip


def _coded(sound: Waveform, options: EncodeOptions, backend: Backend) -> _Pass:
    with stopwatch(backend) as there:
        prepared = prepare(sound, options, backend)
        target = prepared.latent
        there.lap("signal")
        data = compress_towards(lambda first, end: target[:, :, first:end], prepared, backend=backend)
        there.lap("choices")
    with stopwatch(backend) as back:
        decoder = Decoder(data, backend=backend)
        latent = decoder.latent()
        back.lap("choices")
        sound_of(latent, decoder.header, backend, decoder.image)
        back.lap("signal")
    layout = Layout.of_header(decoder.header, backend.info)
    calls = layout.segment_count * layout.steps
    return _Pass(len(data), calls, decoder.header, target, latent, there.stages, back.stages)


def _published(sound: Waveform, params: Published, backend: Backend) -> _Pass:
    info = backend.info
    header = header_of(sound, EncodeOptions(), info)
    coder = PublishedCoder(params, info, header.channel_mode.latents, Timeline.of(header, info).frames)
    tail = tail_after(coder.plan[-1].s, info.schedule)
    with stopwatch(backend) as there:
        target = target_latent(sound, header, backend=backend)
        there.lap("signal")
        start = coder.start_noise(backend.device)
        denoise = over_timeline(backend)  # of the backend whose stages are timed
        payload, latent = encode_segment(target, coder, denoise, tail, start)
        header = matched_header(sound, header, latent, (), backend)
        there.lap("choices")
    with stopwatch(backend) as back:
        latent = decode_segment(payload, coder, over_timeline(backend), tail, start)
        back.lap("choices")
        sound_of(latent, header, backend)
        back.lap("signal")
    return _Pass(len(payload), len(coder.plan), header, target, latent, there.stages, back.stages)


def _call_seconds(header: Header, backend: Backend, runs: int) -> float:
    """Seconds of one call of the denoiser on noise shaped as a segment: mean of the segments, median of the runs."""
    layout, info = Layout.of_header(header, backend.info), backend.info
    denoise, middle = over_timeline(backend, tag=header.tag or 0), len(info.schedule) // 2
    sounds = [
        torch.randn(layout.channels, info.latent_channels, end - start, info.latent_bins, device=backend.device)
        for start, end in layout.segments()
    ]
    times = []
    for _ in range(runs):
        begun = _clock(backend.device)
        for x in sounds:
            denoise(x, middle)
        times.append((_clock(backend.device) - begun) / len(sounds))
    return median(times)


class Stopwatch:
    """Runs from when it is made.

    Attributes:
        model: seconds by stage of the model.
    """

    def __init__(self, stages: Sequence[str], device: torch.device) -> None:
        self.model = dict.fromkeys(stages, 0.0)
        self._between = {"choices": 0.0, "signal": 0.0}
        self._device, self._seen, self._since = device, 0.0, _clock(device)

    def lap(self, name: str) -> None:
        """Count what of the time since the last lap the model did not take.

        Args:
            name: "choices" (codebooks, selection, bits, container, windows) or "signal" (level, channels, rate).
        """
        now, model = _clock(self._device), sum(self.model.values())
        self._between[name] += now - self._since - (model - self._seen)
        self._since, self._seen = now, model

    @property
    def stages(self) -> Stages:
        return {stage: seconds for stage, seconds in self.model.items() if seconds} | self._between

    def timed(self, method: Callable[..., Any], stage: str) -> Callable[..., Any]:

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = _clock(self._device)
            result = method(*args, **kwargs)
            self.model[stage] += _clock(self._device) - start
            return result

        return timed


@contextmanager
def stopwatch(backend: Backend) -> Iterator[Stopwatch]:
    """A stopwatch that adds up the seconds of the backend's stages while the block runs."""
    methods = _OF_FEATURES if backend.info.features else _OF_WAVEFORMS
    watch = Stopwatch(list(methods.values()), backend.device)
    for method, stage in methods.items():
        setattr(backend, method, watch.timed(getattr(backend, method), stage))
    try:
        yield watch
    finally:
        for method in methods:
            delattr(backend, method)  # what was set on the object hid the method of its class


def _clock(device: torch.device) -> float:
    """Seconds, when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return perf_counter()


class PeakMemory:
    """The most memory that work took since this was made; outside Linux since the process began."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        if _CLEAR.exists():
            _CLEAR.write_text("5")  # proc(5): resets the peak of the resident set

    def resident(self) -> int | None:
        """Bytes of main memory; None where the system does not say."""
        if _STATUS.exists() and (peak := re.search(r"VmHWM:\s*(\d+) kB", _STATUS.read_text())):
            return 1024 * int(peak[1])
        try:
            import resource
        except ImportError:  # Windows
            return None
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def reserved(self) -> int | None:
        """Bytes that torch reserved on a CUDA device; None for other devices."""
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None
