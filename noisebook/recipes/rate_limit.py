"""How near the codec comes to the fewest bits: against its rivals on the same model, and against theory.

    python -m noisebook.recipes.rate_limit CLIPS [--out docs/rate_limit.md] [--limit 2] [--long]

CLIPS is a folder of sounds named by kind, as of `recipes.results`. Of each sound 3.2 s are coded; every number is of a
payload that was written. Beside the page lies its `.json` with every measurement.

    rivals     partitioned with matched timesteps, Turbo-DDCM and classic DDCM as published, at equal bits
    encoder    what searches, weights and tags of the encoder gain, and what they cost
    bound      a synthetic Gaussian source with its exact denoiser, against the rate-distortion bound
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import aiming, ddcm
from noisebook.codec.ddcm import Settings
from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder, Target, encode_with_state
from noisebook.codec.signal import levelled
from noisebook.codec.steering import over_timeline
from noisebook.codec.tagging import best_tag
from noisebook.coding.container import Codebook, Engine, Rule
from noisebook.diffusion.backend import BackendInfo, MelBackend, with_mel
from noisebook.diffusion.plan import Denoise, Plan, coded_plan, reverse, tail_plan, uniform_timesteps
from noisebook.recipes._rate_limit_page import render
from noisebook.recipes._sources import GaussianSource, coloured, white
from noisebook.recipes.results import load_clips

FRAMES, FRAME_SAMPLES = 80, 640  # 3.2 s
RATES = ("300", "1500", "3000")
_LADDER = ("100", "300", "700", "1500", "3000", "6000")
_TAIL = ddcm.TAIL_STEPS
_DB_PER_NEPER = 8.685889638065037
_SOURCE_FRAMES = 256


Make = Callable[[SegmentCoder, Denoise], Target]  # what to aim at with a coder and its denoiser


def partitioned(log2_part: int, log2_K: int, unit: int, steps: int, kappa: int = 90) -> Engine:
    """One signed structured atom a part, matched steps."""
    return Engine(Rule.PARTITIONED, Codebook.STRUCTURED, log2_part, log2_K, 1, unit, steps, kappa)


def _top_m(log2_K: int, M: int, unit: int, steps: int) -> Engine:
    return Engine(Rule.TOP_M, Codebook.DENSE, 0, log2_K, M, unit, steps, 0)


def _classic(log2_K: int, unit: int) -> Engine:
    return Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, log2_K, 1, unit, 99, 0)


def _pursuit(log2_K: int, M: int, unit: int, steps: int) -> Engine:
    return Engine(Rule.PURSUIT, Codebook.DENSE, 0, log2_K, M, unit, steps, 0, level_bits=3)


@dataclass(frozen=True)
class System:
    """An engine under its name; `last` ends uniform steps there instead of at 20 (the rest is the tail)."""

    name: str
    engine: Engine
    last: int = 20


# Parts, atoms and steps of the rivals as published, fitted to the rate by the length of their unit and, of Turbo, by M.
# The timestep at which Turbo's uncoded tail begins is that of its heuristic at these rates.
_TURBO = {
    "300": (_top_m(11, 2, 40, 21), 370),
    "1500": (_top_m(12, 4, 16, 20), 180),
    "3000": (_top_m(12, 9, 16, 19), 100),
}
_HIGH = {"300": partitioned(11, 14, 16, 13), "1500": partitioned(9, 13, 80, 17), "3000": partitioned(9, 13, 80, 34)}
_CLASSIC = {"300": _classic(10, 80), "1500": _classic(10, 16), "3000": _classic(10, 8)}
_PURSUIT = {"3000": _pursuit(11, 2, 20, 99)}
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
        System("Turbo-DDCM as published, with its tail", turbo, last),
        System("Turbo-DDCM, matched", replace(turbo, kappa_percent=own.kappa_percent)),
        System("classic DDCM, T = 100", _CLASSIC[rate]),
    ]
    return found + ([System("classic DDCM, T = 100, pursuit of 2", _PURSUIT[rate])] if rate in _PURSUIT else [])


@dataclass(frozen=True)
class Coder(SegmentCoder):
    """A segment's coder whose uniform steps may end before 20."""

    last: int = 20

    @cached_property
    def plan(self) -> Plan:
        if self.engine.kappa_percent or self.last == 20:
            return super().plan
        schedule = self.info.schedule
        return coded_plan(schedule, uniform_timesteps(schedule, steps=self.engine.steps, last=self.last))


@dataclass(frozen=True)
class Coded:
    """What a system makes of the clips: payload rate, seconds of encoding a second of sound, decoded latents."""

    bit_per_second: float
    encode_ratio: float
    smooth: torch.Tensor  # one step after the last coded one: the mean of what the bits leave open
    lively: torch.Tensor  # the codec's tail

    @staticmethod
    def of(latents: torch.Tensor, coder: SegmentCoder, denoise: Denoise, target: Callable[[], Target]) -> Coded:
        """Encode, and go on from where a decoder of the payload would be; the channels of `latents` are the clips."""
        start, info = coder.start(latents.device), coder.info
        begun = time.perf_counter()
        payload, x = encode_with_state(target(), coder, denoise, start)
        seconds = latents.shape[0] * latents.shape[2] / info.frames_per_second
        spent = (time.perf_counter() - begun) / seconds
        last = coder.plan[-1].s or 0
        ends = [reverse(denoise, tail_plan(info.schedule, last, steps), x, _no_noise) for steps in (1, _TAIL)]
        return Coded(8 * len(payload) / seconds, spent, ends[0], ends[1])


def _no_noise(*_: Any) -> torch.Tensor:
    raise AssertionError("a tail has no noise")


class Bench:
    """The clips, and the judge of what is decoded of them."""

    def __init__(self, sounds: list[Waveform], backend: MelBackend) -> None:
        self.backend, self.info = backend, backend.info
        headers = [ddcm.header_of(sound, Settings(), self.info) for sound in sounds]
        pairs = list(zip(sounds, headers, strict=True))
        self.latents = torch.cat([ddcm.target_latent(sound, header, backend=backend) for sound, header in pairs])
        levels = [torch.from_numpy(levelled(sound, header, self.info)) for sound, header in pairs]
        self.mels = torch.cat([backend.mel(level) for level in levels])

    def measure(self, system: System, *, target: Make | None = None,
                latents: torch.Tensor | None = None, tag: int = 0) -> dict[str, Any]:  # fmt: skip
        """A row of the system; `target` makes another aim than the latents."""
        latents = self.latents if latents is None else latents
        coder = Coder(system.engine, self.info, len(latents), latents.shape[2], 0, 0, last=system.last)
        denoise = over_timeline(self.backend, tag=tag)
        aim = (lambda: latents) if target is None else (lambda: target(coder, denoise))
        coded = Coded.of(latents, coder, denoise, aim)
        return {"system": system.name, "bit_per_second": coded.bit_per_second, "encode_ratio": coded.encode_ratio,
                "engine": asdict(system.engine), "steps": len(coder.plan)} | self.errors(coded)  # fmt: skip

    def errors(self, coded: Coded) -> dict[str, Any]:
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
        mels = self.mels[: len(latents)]
        return _DB_PER_NEPER * float((self.backend.decode(latents)[:, :, : mels.shape[2]] - mels).abs().mean())


def nmse_db(estimate: torch.Tensor, latent: torch.Tensor) -> float:
    """Squared error over energy, dB."""
    return float(10 * torch.log10((estimate - latent).square().mean() / latent.square().mean()))


def measure_rivals(bench: Bench) -> list[dict[str, Any]]:
    """Rows of all systems at all rates, and of our best encoder."""
    rows = []
    for rate in RATES:
        for system in systems(rate):
            rows.append({"rate": rate} | bench.measure(system))
            _tell(rows[-1])
        shaped = bench.measure(
            System("partitioned, matched, more steps, shaped", _HIGH[rate]), target=shaped_aim(bench)
        )
        rows.append({"rate": rate} | shaped)
        _tell(rows[-1])
    return rows


def shaped_aim(bench: Bench) -> Make:
    """The clips' latents, seen by the encoder's search."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        return aiming.shaped(bench.latents, denoise, coder.info.schedule, coder.plan[-1].s or 0)

    return target


def measure_ladder(bench: Bench) -> list[dict[str, Any]]:
    """The presets, plain and with the encoder's search, for the bits that equal errors take."""
    rows = []
    for preset in _LADDER:
        engine = by_name(preset).engine
        rows.append(bench.measure(System("plain", engine)))
        rows.append(bench.measure(System("shaped", engine), target=shaped_aim(bench)))
        _tell(rows[-1])
    return rows


def measure_encoder(bench: Bench) -> list[dict[str, Any]]:
    """What each option of the encoder changes, at each rate."""
    rows = []
    for rate in RATES:
        for name, target in _options(bench).items():
            row = bench.measure(System(name, by_name(rate).engine), target=target)
            rows.append({"rate": rate} | row)
            _tell(row)
    return rows


def _options(bench: Bench) -> dict[str, Make | None]:
    def plain(coder: SegmentCoder, denoise: Denoise) -> Target:
        return bench.latents

    shaped = shaped_aim(bench)
    found: dict[str, Make | None] = {"none": None, "search shaped": shaped}
    for strength in (0.5, 1.0):
        found[f"perceptual {strength:g}"] = _heard(bench, plain, strength)
        found[f"search shaped, perceptual {strength:g}"] = _heard(bench, shaped, strength)
    return found


def _heard(bench: Bench, make: Make, strength: float) -> Make:
    """The same aim, weighted for each clip by what its mel shows."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        each = [aiming.perceptual_weights(latent[None], bench.backend, strength) for latent in bench.latents]
        return aiming.weighted(_as_aim(make(coder, denoise)), torch.stack(each))

    return target


def _as_aim(target: Target) -> aiming.Aim:
    return aiming.at(target) if isinstance(target, torch.Tensor) else target


def measure_tags(bench: Bench) -> list[dict[str, Any]]:
    """Without a tag, with the one that the encoder finds, and with the best of all, clip by clip."""
    rows = []
    for preset in ("8", "100", "300", "1500"):
        engine = by_name(preset).engine
        tags = range(len(bench.info.tags) + 1)
        errors = np.array([bench.measure(System("", engine), tag=tag)["clips_nmse_db"] for tag in tags])
        found = [best_tag(latent[None], engine, bench.backend) for latent in bench.latents]
        picked = errors[found, range(len(found))]
        rows.append({"rate": preset, "none": float(errors[0].mean()), "found": float(picked.mean()),
                     "best": float(errors.min(0).mean()), "tags": found})  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def measure_source(source: GaussianSource, info: BackendInfo) -> list[dict[str, Any]]:
    """Rate efficiency of engines on a source: bits by the rate-distortion bound over bits spent."""
    known = replace(info, schedule=source.schedule, curve=source.curve)
    rows = []
    for rate in RATES:
        for name, engine in {"preset": by_name(rate).engine, "more steps": _SOURCE_HIGH[rate],
                             "Turbo-DDCM as published": _TURBO[rate][0]}.items():  # fmt: skip
            rows.append(_source_row(source, System(name, engine), known, share=0.0) | {"rate": rate})
            if name == "more steps":
                rows.append(_source_row(source, System(f"{name}, shaped", engine), known, share=1.0) | {"rate": rate})
            print(rows[-1], flush=True)
    return rows


def _source_row(source: GaussianSource, system: System, info: BackendInfo, share: float) -> dict[str, Any]:
    latent = source.draw(0)
    coder = Coder(system.engine, info, 1, source.frames, 0, 0)

    def target() -> Target:
        if not share:
            return latent
        return aiming.shaped(latent, source.denoise, info.schedule, coder.plan[-1].s or 0, share=share)

    coded = Coded.of(latent, coder, source.denoise, target)
    error = float((coded.smooth - latent).square().mean())
    spent = coded.bit_per_second / (info.frame_values * info.frames_per_second)
    return {"source": source.name, "system": system.name, "bit_per_second": coded.bit_per_second,
            "nmse_db": 10 * float(np.log10(error)), "efficiency": source.fewest_bits(error) / spent}  # fmt: skip


def measure_long(bench: Bench) -> list[dict[str, Any]]:
    """Classic DDCM with all its steps, of one clip, against the highest preset."""
    one = bench.latents[:1]
    pair = [System("one clip: classic DDCM, T = 999, K = 256, pursuit of 2", _pursuit(8, 2, FRAMES, 979)),
            System("one clip: partitioned, matched (preset 6000)", by_name("6000").engine)]  # fmt: skip
    rows = [bench.measure(system, latents=one) for system in pair]
    for row in rows:
        _tell(row)
    return rows


def _tell(row: dict[str, Any]) -> None:
    print(f"{row['system']:44s} {row['bit_per_second']:7.1f} bit/s  NMSE {row['nmse_db']:6.2f} dB  "
          f"mel {row['mel_db']:5.2f} dB", flush=True)  # fmt: skip


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
    parser.add_argument("--limit", type=int, default=2, help="sounds of each kind")
    parser.add_argument("--long", action="store_true", help="classic DDCM with 979 steps, too (minutes)")
    args = parser.parse_args()

    backend = with_mel(api.load_backend(args.model, device="cpu"))
    names, sounds = excerpts(args.clips, args.limit)
    bench = Bench(sounds, backend)
    schedule = backend.info.schedule
    sources = [white(schedule, _SOURCE_FRAMES), coloured(schedule, _SOURCE_FRAMES)]
    results = {
        "model": backend.info.fingerprint.hex()[:4],
        "clips": names,
        "ceiling_mel_db": bench.mel_error(bench.latents),
        "sources": [row for source in sources for row in measure_source(source, backend.info)],
        "rivals": measure_rivals(bench),
        "ladder": measure_ladder(bench),
        "encoder": measure_encoder(bench),
        "tags": measure_tags(bench),
        "long": measure_long(bench) if args.long else [],
    }
    args.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    args.out.write_text(render(results), encoding="utf-8")
    print(f"wrote {args.out} and {args.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
