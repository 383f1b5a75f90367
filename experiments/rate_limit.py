"""How near the codec comes to the fewest bits: against its rivals on the same model, and against theory.

    python -m experiments.rate_limit CLIPS [--out docs/rate_limit.md] [--limit 3]

CLIPS is a folder of sounds named by kind, as of `experiments.results`. Of each sound 3.2 s are coded; every number is
of a payload that was written. Beside the page lies its `.json` with every measurement, written row by row: what
is there of the same model and clips is not measured again. Some 20 minutes of a core.

    rivals     partitioned with matched timesteps, Turbo-DDCM and classic DDCM as published, at equal bits
    encoder    what the search of the encoder gains, and what it costs
    pauses     speech with as much digital silence as sound, with and without a variable rate
    bound      a synthetic Gaussian source with its exact denoiser, against the rate-distortion bound
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.rate_limit_page import render
from experiments.results import load_clips
from experiments.sources import GaussianSource, coloured, white
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.benchmark.baselines import Published, PublishedCoder
from noisebook.codec import aiming, ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import FRAME_VALUES, by_name
from noisebook.codec.segment import SegmentCoder, Target, encode_with_state
from noisebook.codec.signal import levelled
from noisebook.codec.steering import over_timeline
from noisebook.coding.container import Engine
from noisebook.diffusion.backend import BackendInfo, FeatureBackend, with_features
from noisebook.diffusion.plan import Denoise, no_noise, reverse, tail_plan

FRAMES, FRAME_SAMPLES = 80, 640  # 3.2 s
RATES = ("300", "1500", "3000")
_LADDER = ("100", "300", "700", "1500", "3000", "6000")
_DB_PER_NEPER = 8.685889638065037
_SOURCE_FRAMES = 256
_UNITS = (8, FRAMES)  # beside the 16 frames of the presets


Row = dict[str, Any]
Job = tuple[Row, Callable[[], Row]]  # what names a row, and what measures the rest of it


def partitioned(log2_part: int, log2_K: int, unit: int, steps: int, kappa: int = 90) -> Engine:
    """Matched steps."""
    return Engine(log2_part, log2_K, unit, steps, kappa)


@dataclass(frozen=True)
class System:
    """An engine under its name."""

    name: str
    engine: Engine | Published

    def coder(self, info: BackendInfo, channels: int, frames: int) -> SegmentCoder | PublishedCoder:
        """Of a latent of so many channels and frames."""
        if isinstance(self.engine, Published):
            return PublishedCoder(self.engine, info, channels, frames)
        return SegmentCoder(self.engine, info, channels, frames, 0, 0)


# Parts, atoms and steps of the rivals as published, fitted to the rate by the length of their unit and, of Turbo, by M.
# The timestep at which Turbo's uncoded tail begins is that of its heuristic at these rates.
_TURBO = {
    "300": (Published(11, 2, 40, 21), 370),
    "1500": (Published(12, 4, 16, 20), 180),
    "3000": (Published(12, 9, 16, 19), 100),
}
_HIGH = {"300": partitioned(12, 15, 80, 20), "1500": partitioned(10, 14, 80, 32), "3000": partitioned(9, 14, 80, 32)}
_CLASSIC = {rate: Published(10, 0, unit, 99) for rate, unit in (("300", 80), ("1500", 16), ("3000", 8))}
_SOURCE_HIGH = {
    "300": partitioned(12, 15, 32, 24, 100),
    "1500": partitioned(10, 14, 8, 32),
    "3000": partitioned(9, 13, 8, 34),
}


def systems(rate: str) -> list[System]:
    """What is compared at a rate."""
    own, (turbo, last) = by_name(rate).engine, _TURBO[rate]
    found = [
        System("partitioned, matched (preset)", own),
        System("partitioned, matched, more steps", _HIGH[rate]),
        System("partitioned, uniform steps", replace(own, kappa_percent=0)),
        System("Turbo-DDCM as published", turbo),
        System("Turbo-DDCM as published, with its tail", replace(turbo, last=last)),
        System("Turbo-DDCM, matched", replace(turbo, kappa_percent=own.kappa_percent)),
        System("classic DDCM, T = 100", _CLASSIC[rate]),
    ]
    lengths = [unit for unit in _UNITS if 2**own.log2_part <= unit * FRAME_VALUES]
    return found + [System(f"preset in units of {unit / 25:g} s", replace(own, unit_frames=unit)) for unit in lengths]


@dataclass(frozen=True)
class Coded:
    """What a system makes of the clips: payload rate, seconds of encoding a second of sound, decoded latents."""

    bit_per_second: float
    encode_ratio: float
    smooth: torch.Tensor  # one step after the last coded one: the mean of what the bits leave open
    lively: torch.Tensor  # the codec's tail

    @staticmethod
    def of(
        latents: torch.Tensor, coder: SegmentCoder | PublishedCoder, denoise: Denoise, target: Callable[[], Target]
    ) -> Coded:
        """Encode, and go on from where a decoder of the payload would be; the channels of `latents` are the clips."""
        start, info = coder.start(latents.device), coder.info
        begun = time.perf_counter()
        payload, x = encode_with_state(target(), coder, denoise, start)
        seconds = latents.shape[0] * latents.shape[2] / info.frames_per_second
        spent = (time.perf_counter() - begun) / seconds
        last = coder.plan[-1].s or 0
        tails = (tail_plan(info.schedule, last, 1), ddcm.tail_after(last, info.schedule))
        ends = [reverse(denoise, tail, x, no_noise) for tail in tails]
        return Coded(8 * len(payload) / seconds, spent, ends[0], ends[1])


class Bench:
    """The clips, and the judge of what is decoded of them."""

    def __init__(self, sounds: list[Waveform], backend: FeatureBackend) -> None:
        self.backend, self.info = backend, backend.info
        headers = [ddcm.header_of(sound, EncodeOptions(), self.info) for sound in sounds]
        pairs = list(zip(sounds, headers, strict=True))
        self.latents = torch.cat([ddcm.target_latent(sound, header, backend=backend) for sound, header in pairs])
        levels = [torch.from_numpy(levelled(sound, header, self.info)) for sound, header in pairs]
        self.mels = torch.cat([backend.features(level) for level in levels])

    def measure(self, system: System, *, shaped: bool = False) -> Row:
        """A row of the system, with the search of the encoder or without."""
        latents, denoise = self.latents, over_timeline(self.backend)
        coder = system.coder(self.info, len(latents), latents.shape[2])

        def target() -> Target:
            return aiming.shaped(latents, denoise, self.info.schedule, coder.plan[-1].s or 0) if shaped else latents

        coded = Coded.of(latents, coder, denoise, target)
        return {"bit_per_second": coded.bit_per_second, "encode_ratio": coded.encode_ratio,
                "engine": asdict(system.engine), "steps": len(coder.plan)} | self.errors(coded)  # fmt: skip

    def errors(self, coded: Coded) -> Row:
        """Means over the clips, of both ends, and of each clip."""
        clips = [nmse_db(a, b) for a, b in zip(coded.smooth, self.latents, strict=False)]
        return {
            "nmse_db": float(np.mean(clips)),
            "mel_db": self.mel_error(coded.smooth),
            "tail_nmse_db": float(np.mean([nmse_db(a, b) for a, b in zip(coded.lively, self.latents, strict=False)])),
            "tail_mel_db": self.mel_error(coded.lively),
            "clips_nmse_db": clips,
        }

    def mel_error(self, latents: torch.Tensor) -> float:
        return float(self.clip_mel_errors(latents).mean())

    def clip_mel_errors(self, latents: torch.Tensor) -> torch.Tensor:
        """`[clips]`: mean absolute error of the log-mel, dB."""
        mels = self.mels[: len(latents)]
        return _DB_PER_NEPER * (self.backend.decode(latents)[:, :, : mels.shape[2]] - mels).abs().mean((1, 2, 3))


def nmse_db(estimate: torch.Tensor, latent: torch.Tensor) -> float:
    """Squared error over energy, dB."""
    return float(10 * torch.log10((estimate - latent).square().mean() / latent.square().mean()))


def rivals(bench: Bench) -> Iterator[Job]:
    """All systems at all rates, the preset and more steps with the search of the codec's default."""
    for rate in RATES:
        for system in systems(rate):
            yield _job(bench, system, rate=rate)
        yield _job(bench, System("partitioned, matched (preset), shaped", by_name(rate).engine), True, rate=rate)
        yield _job(bench, System("partitioned, matched, more steps, shaped", _HIGH[rate]), True, rate=rate)


def ladder(bench: Bench) -> Iterator[Job]:
    """The presets, plain and with the search of the encoder, for the bits that equal errors take."""
    for preset in _LADDER:
        for name in ("none", "shaped"):
            yield _job(bench, System(name, by_name(preset).engine), name == "shaped", preset=preset)


def encoders(bench: Bench) -> Iterator[Job]:
    """What the search of the encoder changes, at each rate."""
    for rate in RATES:
        for name in ("none", "shaped"):
            yield _job(bench, System(name, by_name(rate).engine), name == "shaped", rate=rate)


def _job(bench: Bench, system: System, shaped: bool = False, **key: str) -> Job:
    return key | {"system": system.name}, partial(bench.measure, system, shaped=shaped)


def sources(source: GaussianSource, info: BackendInfo) -> Iterator[Job]:
    """Rate efficiency of engines on a source: bits by the rate-distortion bound over bits spent."""
    known = replace(info, schedule=source.schedule, curve=source.curve)
    for rate in RATES:
        own, more = System("preset", by_name(rate).engine), System("more steps", _SOURCE_HIGH[rate])
        shaped = [replace(system, name=f"{system.name}, shaped") for system in (own, more)]
        turbo = System("Turbo-DDCM as published", _TURBO[rate][0])
        for system in (own, shaped[0], more, shaped[1], turbo):
            share = 1.0 if system in shaped else 0.0
            key = {"source": source.name, "rate": rate, "system": system.name}
            yield key, partial(_source_row, source, system, known, share)


def _source_row(source: GaussianSource, system: System, info: BackendInfo, share: float) -> Row:
    latent = source.draw(0)
    coder = system.coder(info, 1, source.frames)

    def target() -> Target:
        if not share:
            return latent
        return aiming.shaped(latent, source.denoise, info.schedule, coder.plan[-1].s or 0, share=share)

    coded = Coded.of(latent, coder, source.denoise, target)
    error = float((coded.smooth - latent).square().mean())
    spent = coded.bit_per_second / (info.frame_values * info.frames_per_second)
    return {"bit_per_second": coded.bit_per_second,
            "nmse_db": 10 * float(np.log10(error)), "efficiency": source.fewest_bits(error) / spent}  # fmt: skip


def pauses(sounds: list[Waveform], backend: FeatureBackend) -> Iterator[Job]:
    """Streams of sounds with all but silence put in between, at a constant and at a variable rate."""
    for rate in RATES:
        for variable in (False, True):
            yield {"rate": rate, "variable": variable}, partial(_paused_row, sounds, backend, rate, variable)


def _paused_row(sounds: list[Waveform], backend: FeatureBackend, rate: str, variable: bool) -> Row:
    """Bytes, and the error of the log-mel where there is sound and where there is silence; means."""
    options = EncodeOptions(preset=rate, variable_rate=variable)
    sizes, spoken, silent = [], [], []
    for sound in sounds:
        broken, is_spoken = interrupted(sound)
        stream = ddcm.compress(broken, backend=backend, options=options)
        header, latent = ddcm.decode_latent(stream, backend=backend)
        heard = ddcm.analysed(header, broken)  # the gain of a stream makes up for what its decode lacks
        mel = backend.features(torch.from_numpy(levelled(broken, heard, backend.info)))
        errors = _DB_PER_NEPER * (backend.decode(latent)[:, :, : mel.shape[2]] - mel).abs().mean((0, 1, 3)).numpy()
        sizes.append(len(stream))
        spoken.append(errors[is_spoken].mean())
        silent.append(errors[~is_spoken].mean())
    return {"bytes": float(np.mean(sizes)), "mel_db": float(np.mean(spoken)), "silent_mel_db": float(np.mean(silent)),
            "clips": len(sounds), "seconds": 2 * sounds[0].duration}  # fmt: skip


_FAINT_DB = 70  # below the peak; digital silence takes no bits at any rate


def interrupted(sound: Waveform) -> tuple[Waveform, np.ndarray]:
    """The sound in two halves, each followed by as much noise 70 dB below its peak; and which mel frames are sound."""
    first, second = np.split(sound.samples, 2, axis=1)
    faint = 10 ** (-_FAINT_DB / 20) * np.abs(sound.samples).max()
    silence = np.random.default_rng(0).uniform(-faint, faint, first.shape).astype(np.float32)
    hops = first.shape[1] // (sound.sample_rate // 100)
    return (Waveform(np.concatenate([first, silence, second, silence], axis=1), sound.sample_rate),
            np.repeat([True, False, True, False], hops))  # fmt: skip


def measured(jobs: Iterable[Job], rows: list[Row], keep: Callable[[], object] = lambda: None) -> list[Row]:
    """Rows of all jobs, in their order: those that are in `rows`, and the others, each kept when it is measured."""
    for place, (key, measure) in enumerate(jobs):
        if not any(key.items() <= row.items() for row in rows):
            rows.insert(place, key | measure())
            keep()
            _tell(rows[place])
    return rows


def _tell(row: Row) -> None:
    shown = {key: round(value, 3) if isinstance(value, float) else value for key, value in row.items()}
    print(
        *(f"{key} {value}" for key, value in shown.items() if not isinstance(value, dict | list)), sep=", ", flush=True
    )


def excerpts(folder: Path, limit: int) -> tuple[list[str], list[Waveform]]:
    """3.2 s of each of `limit` sounds of each kind, from their second 2 on."""
    first, count = 32000, FRAMES * FRAME_SAMPLES
    clips = load_clips(folder, limit)
    return [clip.name for clip in clips], [
        Waveform(clip.sound.samples[:, first : first + count], clip.sound.sample_rate) for clip in clips
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--out", type=Path, default=Path("docs/rate_limit.md"))
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=3, help="sounds of each kind")
    args = parser.parse_args()

    backend = with_features(api.load_backend(args.model, device="cpu"))
    names, sounds = excerpts(args.clips, args.limit)
    bench = Bench(sounds, backend)
    path = args.out.with_suffix(".json")
    results = started(path, {"model": backend.info.fingerprint.hex()[:4], "clips": names})
    results["ceiling_mel_db"] = bench.mel_error(bench.latents)
    speech = [sound for name, sound in zip(names, sounds, strict=True) if name.startswith("speech")]
    jobs_of = sections(bench) | {"pauses": pauses(speech, backend)}
    for section, jobs in jobs_of.items():
        keep = partial(write_json, path, results)
        measured(jobs, results.setdefault(section, []), keep)
    write_json(path, results)
    args.out.write_text(render(results), encoding="utf-8")
    print(f"wrote {args.out} and {path}")


def sections(bench: Bench) -> dict[str, Iterator[Job]]:
    """The parts of the page."""
    schedule = bench.info.schedule
    both = (white(schedule, _SOURCE_FRAMES), coloured(schedule, _SOURCE_FRAMES))
    return {
        "sources": chain.from_iterable(sources(source, bench.info) for source in both),
        "rivals": rivals(bench),
        "ladder": ladder(bench),
        "encoder": encoders(bench),
    }


def started(path: Path, of: Row) -> Row:
    """The results at `path`, where they are `of` the same model and clips; else none yet."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found if of.items() <= found.items() else dict(of)


def write_json(path: Path, results: Row) -> None:
    """Results as a file to be read by people too."""
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
