"""All measurements of one model on one sound, and the limits that they have to keep.

Every row, of a preset, a duration or a baseline, is a `timing.RoundTrip` and what it is a row of.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from os import cpu_count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook._version import __version__
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.benchmark.baselines import CLASSIC_BITS, PublishedCoder, baselines
from noisebook.benchmark.timing import RoundTrip, Stages, published_trip, trip
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import DEFAULT, PRESETS, by_name, params_bitrate
from noisebook.codec.segment import tail_after
from noisebook.diffusion.backend import Backend

LOW = "30"  # the preset of hours
_LONG = 30  # seconds from which a second of sound always costs the same
_MEBIBYTE = 2**20
Row = dict[str, Any]
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """What is measured."""

    presets: tuple[str, ...] = tuple(preset.name for preset in PRESETS)  # each on `seconds` of sound
    seconds: float = 10.0  # of the sound
    # (preset, seconds) of sounds whose time and memory are compared; those of a minute or more run once
    durations: tuple[tuple[str, float], ...] = ((DEFAULT, 5.0), (DEFAULT, 10.0), (DEFAULT, 30.0))
    against: str | None = DEFAULT  # preset that is compared with the published codecs at its bitrate; None for none
    # whether all steps of the published codecs are run; else the time of the slow ones is extrapolated from some of
    # them, and their error is not known
    whole: bool = False
    runs: int = 3  # of which the median is taken

    @classmethod
    def quick(cls) -> Options:
        """Less than a minute on a laptop."""
        return cls(presets=("300", DEFAULT), seconds=5.0, durations=((DEFAULT, 5.0), (DEFAULT, 10.0)), runs=1)

    @classmethod
    def full(cls) -> Options:
        """Half an hour or more: up to an hour of sound, and the published codecs whole."""
        hours = tuple((LOW, seconds) for seconds in (30.0, 60.0, 600.0, 3600.0))
        return cls(durations=(*cls.durations, *hours), whole=True)


def benchmark(
    sound: Waveform, *, backend: Backend, options: Options = Options(), tell: Tell = lambda _: None
) -> dict[str, Any]:
    """Measure a model; the result is ready for JSON. ConfigError for a preset that does not exist.

    The sound is repeated where more of it is needed, mixed down, and brought to the model's rate before; `tell` is
    called with what is measured next.
    """
    info = backend.info
    for name in options.presets:
        by_name(name)
    mono = resample(downmix(sound), info.sample_rate)
    mono = Waveform(np.repeat(mono.samples, info.audio_channels, axis=0), info.sample_rate)

    def timed(preset: str, seconds: float, *, warm: bool = True) -> RoundTrip:
        piece = _of_length(mono, seconds)
        tell(f"preset {preset}, {piece.duration:.4g} s of sound")
        return trip(piece, EncodeOptions(preset=preset), backend, runs=options.runs if warm else 1, warm=warm)

    presets = ((name, timed(name, options.seconds)) for name in options.presets)
    durations = ((name, seconds, timed(name, seconds, warm=seconds < 60)) for name, seconds in options.durations)
    results: dict[str, Any] = {
        "noisebook": __version__,
        "model": {"name": info.name, "fingerprint": info.fingerprint.hex()},
        "machine": _machine(backend),
        "runs": options.runs,
        "presets": [{"preset": name, **row.as_dict()} for name, row in presets],
        "durations": [{"preset": name, "seconds": seconds, **row.as_dict()} for name, seconds, row in durations],
        "rivals": list(_beside_baselines(mono, timed, backend, options, tell)),
    }
    results["checks"] = checks(results)
    return results


def _machine(backend: Backend) -> dict[str, Any]:
    device, cpus = backend.device, Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "system": platform.system(),
        "processor": f"{names[0]} ({platform.machine()})" if names else platform.processor() or platform.machine(),
        "cores": cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _beside_baselines(
    sound: Waveform, timed: Callable[[str, float], RoundTrip], backend: Backend, options: Options, tell: Tell
) -> Iterator[Row]:
    """The preset, then the published codecs, on a sound for which the bits of the classic one last at its bitrate."""
    if options.against is None:
        return
    info, preset = backend.info, by_name(options.against)
    frames = ceil(CLASSIC_BITS / preset.bitrate * info.frames_per_second / info.frame_multiple) * info.frame_multiple
    seconds = frames / info.frames_per_second
    ours, piece = timed(preset.name, seconds), _of_length(sound, seconds)
    yield whole_row(f"preset {preset.name}", params_bitrate(preset.params, info), ours)
    for baseline in baselines(preset.bitrate, steps=ours.calls, frames=frames, info=info):
        tell(f"{baseline.title}, {piece.duration:.4g} s of sound")
        theirs = published_trip(piece, baseline.params if options.whole else baseline.sample, backend)
        tail = tail_after(PublishedCoder(baseline.params, info, 1, frames).plan[-1].s, info.schedule)
        row = whole_row(baseline.title, baseline.params.bitrate(info), theirs, baseline.params.steps, len(tail))
        yield row | {"faster": row["encode_seconds"] / ours.encode_seconds}


def whole_row(title: str, bit_per_second: float, row: RoundTrip, steps: int | None = None, tail: int = 0) -> Row:
    """A row with the whole time of a codec of `steps` coded steps and a tail, scaled up where only some were run."""
    steps = row.calls if steps is None else steps

    def scaled(stages: Stages, tail: int) -> Stages:
        calls, choices = (steps + tail) / (row.calls + tail), steps / row.calls
        return {**stages, "denoiser": calls * stages["denoiser"], "choices": choices * stages["choices"]}

    whole = replace(
        row, encode=scaled(row.encode, 0), decode=scaled(row.decode, tail), bit_per_second=bit_per_second,
        nmse_db=row.nmse_db if steps == row.calls else None,
    )  # fmt: skip
    return {"codec": title, "steps": steps, "measured_steps": row.calls, "faster": None, **whole.as_dict()}


def _of_length(sound: Waveform, seconds: float) -> Waveform:
    """The sound cut, or repeated, to so many seconds."""
    count = round(seconds * sound.sample_rate)
    return Waveform(np.stack([np.resize(channel, count) for channel in sound.samples]), sound.sample_rate)


def check(name: str, value: float, limit: float, *, at_most: bool = True) -> Row:
    """A measured value and its limit; `at_most` says on which side of it the value has to be."""
    ok = value <= limit if at_most else value >= limit
    return {"name": name, "value": value, "limit": limit, "at_most": at_most, "ok": ok}


def checks(results: dict[str, Any]) -> list[Row]:
    """What a codec without waste keeps, as far as the measurements say."""
    rivals, durations, found = results["rivals"], results["durations"], []
    if results["presets"]:
        worst = max(row["encode_seconds"] / row["allowance"] for row in results["presets"])
        found.append(check("encoding / (its calls of the denoiser + features + autoencoder)", worst, 1.2))
    faster = {row["codec"]: row["faster"] for row in rivals}
    for title, least in (("classic", 30), ("turbo", 5)):
        if title in faster:
            found.append(check(f"encodes faster than {title}, times", faster[title], least, at_most=False))
    for row in rivals:
        if row["faster"] is not None and row["nmse_db"] is not None:
            better = row["nmse_db"] - rivals[0]["nmse_db"]
            found.append(check(f"latent error below {row['codec']}, dB", better, 0, at_most=False))
    long = [row for row in durations if row["seconds"] >= _LONG]
    for way, preset in product(("encode", "decode"), dict.fromkeys(row["preset"] for row in long)):
        same = [row[f"{way}_real_time"] for row in long if row["preset"] == preset]
        if preset == DEFAULT:
            found.append(check(f"{way} at preset {DEFAULT}, of real time", max(same), 0.5))
        if len(same) > 1:
            title = f"{way} at preset {preset}, {_LONG} s and longer: dearest / cheapest second"
            found.append(check(title, max(same) / min(same), 1.1))
    if peaks := [row["resident"] for row in durations if row["resident"] is not None]:
        found.append(check("most memory, MiB", max(peaks) / _MEBIBYTE, 2048))
    return found
