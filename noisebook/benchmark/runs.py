"""All measurements of one model on one sound."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook._version import __version__
from noisebook.audio.channels import downmix
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.benchmark.checks import checks
from noisebook.benchmark.timing import RoundTrip, Stages, published_trip, trip
from noisebook.codec import ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import DEFAULT, PRESETS, by_name, engine_bitrate
from noisebook.diffusion.backend import Backend
from noisebook.rivals import CLASSIC_BITS, PublishedCoder, rivals

__all__ = ["Options", "benchmark"]

LOW = "30"  # the preset of hours
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What is measured.

    Attributes:
        presets: each on `seconds` of sound.
        seconds: of the sound.
        durations: (preset, seconds) of sounds whose time and memory are compared; those of a minute or more run once.
        against: preset that is compared with the published engines of its bitrate; None for none.
        whole: run the published engines whole; else the time of the slow ones is extrapolated from some of their
            steps, and their error is not known.
        runs: of which the median is taken.
    """

    presets: tuple[str, ...] = tuple(preset.name for preset in PRESETS)
    seconds: float = 10.0
    durations: tuple[tuple[str, float], ...] = ((DEFAULT, 5.0), (DEFAULT, 10.0), (DEFAULT, 30.0))
    against: str | None = DEFAULT
    whole: bool = False
    runs: int = 3

    @classmethod
    def quick(cls) -> Options:
        """Less than a minute on a laptop."""
        return cls(presets=("300", DEFAULT), seconds=5.0, durations=((DEFAULT, 5.0), (DEFAULT, 10.0)), runs=1)

    @classmethod
    def full(cls) -> Options:
        """Half an hour or more: up to an hour of sound, and the published engines whole."""
        hours = tuple((LOW, seconds) for seconds in (30.0, 60.0, 600.0, 3600.0))
        return cls(durations=(*cls.durations, *hours), whole=True)


def benchmark(
    sound: Waveform, *, backend: Backend, options: Options = Options(), tell: Tell = lambda _: None
) -> dict[str, Any]:
    """Measure a model; the result is ready for JSON.

    Args:
        sound: repeated where more of it is needed; mixed down, and at the model's rate, so that only coding is timed.
        backend: the model.
        options: what is measured.
        tell: is told what is measured next.

    Raises:
        ConfigError: no such preset.
    """
    info = backend.info
    for name in options.presets:
        by_name(name)
    mono = resample(downmix(sound), info.sample_rate)
    mono = Waveform(np.repeat(mono.samples, info.audio_channels, axis=0), info.sample_rate)
    results: dict[str, Any] = {
        "noisebook": __version__,
        "model": {"name": info.name, "fingerprint": info.fingerprint.hex()},
        "machine": machine(backend),
        "runs": options.runs,
        "presets": list(_presets(mono, backend, options, tell)),
        "durations": list(_durations(mono, backend, options, tell)),
        "rivals": list(_rivals(mono, backend, options, tell)),
    }
    results["checks"] = [check.as_dict() for check in checks(results)]
    return results


def machine(backend: Backend) -> dict[str, Any]:
    """Where the times were taken."""
    device = backend.device
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _processor() -> str:
    """Its model, where the system has a file of it, else its architecture."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.processor() or platform.machine()


def _presets(sound: Waveform, backend: Backend, options: Options, tell: Tell) -> Iterator[dict[str, Any]]:
    piece = _of_length(sound, options.seconds)
    for name in options.presets:
        tell(f"preset {name}, {options.seconds:g} s of sound")
        row = trip(piece, EncodeOptions(preset=name), backend, runs=options.runs)
        yield {"preset": name, "allowance": row.allowance, **row.as_dict()}


def _durations(sound: Waveform, backend: Backend, options: Options, tell: Tell) -> Iterator[dict[str, Any]]:
    for name, seconds in options.durations:
        tell(f"preset {name}, {seconds:g} s of sound")
        long = seconds >= 60
        runs = 1 if long else options.runs
        row = trip(_of_length(sound, seconds), EncodeOptions(preset=name), backend, runs=runs, warm=not long)
        yield {"preset": name, "seconds": seconds, **row.as_dict()}


def _rivals(sound: Waveform, backend: Backend, options: Options, tell: Tell) -> Iterator[dict[str, Any]]:
    """The preset, then the published engines, on a sound as long as the bits of the classic one last at its bitrate."""
    if options.against is None:
        return
    info, preset = backend.info, by_name(options.against)
    rate = preset.bitrate
    frames = ceil(CLASSIC_BITS / rate * info.frames_per_second / info.frame_multiple) * info.frame_multiple
    piece = _of_length(sound, frames / info.frames_per_second)
    tell(f"preset {preset.name}, {piece.duration:.2f} s of sound")
    ours = trip(piece, EncodeOptions(preset=preset.name), backend, runs=options.runs)
    nominal = engine_bitrate(preset.engine, frame_values=info.frame_values, frames_per_second=info.frames_per_second)
    yield _rival_row(f"preset {preset.name}", nominal, ours)
    for rival in rivals(rate, steps=ours.calls, frames=frames, info=info):
        tell(f"{rival.title}, {piece.duration:.2f} s of sound")
        engine = rival.engine if options.whole else rival.sample
        theirs = published_trip(piece, engine, backend)
        steps, end = rival.engine.steps, PublishedCoder(rival.engine, info, 1, frames).plan[-1].s
        tail = len(ddcm.tail_after(end, info.schedule))
        yield _rival_row(rival.title, rival.engine.bitrate(info), theirs, ours, steps, tail)


def _rival_row(
    title: str, bit_per_second: float, row: RoundTrip, ours: RoundTrip | None = None, steps: int | None = None,
    tail: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The whole time of an engine with `steps` coded steps and a tail, of which maybe not all were run: both ways, by
    stage; of our own all were."""
    steps = row.calls if steps is None else steps
    encode = _scaled(row.encode, calls=steps / row.calls, choices=steps / row.calls)
    decode = _scaled(row.decode, calls=(steps + tail) / (row.calls + tail), choices=steps / row.calls)
    encode_seconds, decode_seconds = sum(encode.values()), sum(decode.values())
    return {
        "engine": title,
        "sound_seconds": row.sound_seconds,
        "steps": steps,
        "measured_steps": row.calls,
        "bit_per_second": bit_per_second,
        "encode": encode,
        "decode": decode,
        "encode_seconds": encode_seconds,
        "decode_seconds": decode_seconds,
        "encode_real_time": encode_seconds / row.sound_seconds,
        "decode_real_time": decode_seconds / row.sound_seconds,
        "faster": None if ours is None else encode_seconds / ours.encode_seconds,
        "nmse_db": row.nmse_db if steps == row.calls else None,
        "resident": row.resident,
        "reserved": row.reserved,
    }


def _scaled(stages: Stages, *, calls: float, choices: float) -> Stages:
    """Seconds by stage of so many times the calls of the denoiser, and the choices."""
    return {**stages, "denoiser": calls * stages["denoiser"], "choices": choices * stages["choices"]}


def _of_length(sound: Waveform, seconds: float) -> Waveform:
    """The sound cut, or repeated, to so many seconds."""
    count = round(seconds * sound.sample_rate)
    samples = np.empty((sound.channels, count), np.float32)
    for channel, line in zip(samples, sound.samples, strict=True):
        channel[:] = np.resize(line, count)
    return Waveform(samples, sound.sample_rate)
