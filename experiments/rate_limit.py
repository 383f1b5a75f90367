"""How near the codec comes to the fewest bits: against its rivals on the same model, and against theory.

Of each clip 3.2 s are coded; every number is of a payload that was written.

    rivals     partitioned with matched timesteps, Turbo-DDCM and classic DDCM as published, at equal bits; what the
               search of the encoder gains
    equal      the bits that the presets need for the error of Turbo-DDCM
    pauses     speech with as much faint noise as sound, with and without a variable rate
    sources    a synthetic Gaussian source with its exact denoiser, against the rate-distortion bound
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise
from math import exp, log

import numpy as np
import torch

from experiments.sources import GaussianSource, coloured, white
from experiments.study import Bench, Parts, Row, Study, columns, nmse_db, table
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Waveform
from noisebook.benchmark.baselines import Published, PublishedCoder
from noisebook.codec import encoder, segment
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import header_of, target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder, encode_segment, tail_after
from noisebook.codec.signal import levelled
from noisebook.codec.timeline import plan_of
from noisebook.coding.container import CodingParams
from noisebook.diffusion.backend import BackendInfo, FeatureBackend
from noisebook.diffusion.denoisers import over_timeline
from noisebook.diffusion.plan import Denoise, reverse, tail_plan

FRAMES, FRAME_SAMPLES = 80, 640  # 3.2 s at 16 kHz
RATES = ("300", "3000")
LADDER = ("100", "300", "700", "1500", "3000")
SEARCHES = {"none": False, "shaped": True}
SOURCES = {"white": white, "coloured": coloured}
PAUSED = "1500"
_PRESET, _TURBO = "partitioned, matched (preset)", "Turbo-DDCM as published"
_DB_PER_NEPER = 8.685889638065037
_SOURCE_FRAMES = 128
_FIRST = 32000  # sample at which the excerpts begin
_RIVAL_COLUMNS = {
    "": "{system}{how}", "bit/s": "{bit_per_second:.0f}", "steps": "{steps}", "NMSE smooth": "{nmse_db:.2f}",
    "log-mel smooth": "{mel_db:.2f}", "NMSE tail": "{tail_nmse_db:.2f}", "log-mel tail": "{tail_mel_db:.2f}",
}  # fmt: skip
_PAUSE_COLUMNS = {
    "": "{rate} bit/s, {how}", "bytes": "{bytes:.0f}", "bit/s of the file": "{file_rate:.0f}",
    "log-mel, sound": "{mel_db:.2f}", "log-mel, silence": "{silent_mel_db:.2f}",
}  # fmt: skip
_SOURCE_COLUMNS = {
    "": "{source}, {system}", "bit/s": "{bit_per_second:.0f}", "NMSE dB": "{nmse_db:.2f}",
    "efficiency": "{efficiency:.2f}",
}  # fmt: skip

# Parts, atoms and steps of the rivals as published, fitted to the rate by the length of their unit and, of Turbo, by M.
_RIVALS = {
    "300": (Published(11, 2, 40, 21), Published(10, 0, 80, 99)),
    "3000": (Published(12, 9, 16, 19), Published(10, 0, 8, 99)),
}


def run(bench: Bench) -> Parts:
    """The tables of docs/studies.md."""
    presets = [{"rate": rate, "system": _PRESET, "shaped": shaped} for rate in LADDER for shaped in SEARCHES.values()]
    ladder = bench.rows(measure, presets)
    others = [{"rate": rate, "system": name, "shaped": False} for rate in RATES for name in systems(rate)]
    rivals = bench.rows(measure, [one for one in others if one["system"] != _PRESET])
    plans = [row for row in ladder if row["rate"] in RATES]
    sources = [{"rate": rate, "source": name, "system": system} for name in SOURCES for rate in RATES
               for system in ("preset", "preset, shaped", _TURBO)]  # fmt: skip
    pauses = bench.rows(measure_pauses, ({"rate": PAUSED, "variable": variable} for variable in (False, True)))
    count = len(bench.clips())
    return {
        "about": f"{count} held-out clips of 3.2 s, CPU, float32",
        "rivals": columns([row for rate in RATES for row in (*plans, *rivals) if row["rate"] == rate], _RIVAL_COLUMNS),
        "equal": _equal_table(rivals, ladder),
        "pauses": columns(pauses, _PAUSE_COLUMNS),
        "sources": columns(bench.rows(measure_source, sources), _SOURCE_COLUMNS),
    }


# ---------------------------------------------------------------- systems on held-out clips


def systems(rate: str) -> dict[str, CodingParams | Published]:
    """What is compared at a rate, by name."""
    own = by_name(rate).params
    if rate not in _RIVALS:
        return {_PRESET: own}
    turbo, classic = _RIVALS[rate]
    return {
        _PRESET: own,
        "partitioned, uniform steps": replace(own, kappa_percent=0),
        _TURBO: turbo,
        "classic DDCM, T = 100": classic,
    }


def coder_of(
    system: CodingParams | Published, info: BackendInfo, channels: int, frames: int
) -> SegmentCoder | PublishedCoder:
    """Of a latent of so many channels and frames."""
    if isinstance(system, Published):
        return PublishedCoder(system, info, channels, frames)
    return SegmentCoder(system, plan_of(system, info), info, channels, frames, 0)


def coded(
    latents: torch.Tensor, coder: SegmentCoder | PublishedCoder, denoise: Denoise, shaped: bool, **share: float
) -> tuple[Row, torch.Tensor, torch.Tensor]:
    """Payload rate, and decoded latents: one step after the last coded one, which is the mean of what the bits leave
    open, and after the codec's tail. The channels of `latents` are the clips; `shaped` is the search of the encoder,
    `share` how much of the residual it shapes, if not the default."""
    start, info = coder.start_noise(latents.device), coder.info
    last = coder.plan[-1].s or 0
    target = segment.shaped(latents, denoise, info.schedule, last, **share) if shaped else latents
    payload, x = encode_segment(target, coder, denoise, (), start)
    seconds = latents.shape[0] * latents.shape[2] / info.frames_per_second
    tails = (tail_plan(info.schedule, last, 1), tail_after(last, info.schedule))
    smooth, lively = (reverse(denoise, tail, x, lambda step, x0_hat: x0_hat) for tail in tails)  # none has noise
    return {"bit_per_second": 8 * len(payload) / seconds}, smooth, lively


def excerpts(bench: Bench) -> list[tuple[str, Waveform]]:
    """3.2 s of each clip, from its second 2 on, with its kind."""
    part = slice(_FIRST, _FIRST + FRAMES * FRAME_SAMPLES)
    return [(clip.kind, Waveform(clip.sound.samples[:, part], clip.sound.sample_rate)) for clip in bench.clips()]


@cache
def _targets(bench: Bench) -> tuple[torch.Tensor, torch.Tensor]:
    """Latents and features of the excerpts."""
    backend, latents, features = bench.features, [], []
    for _, sound in excerpts(bench):
        header = header_of(sound, EncodeOptions(), backend.info)
        latents.append(target_latent(sound, header, backend=backend))
        features.append(
            backend.features(torch.from_numpy(levelled(sound, header.gain_half_db, backend.info.sample_rate)))
        )
    return torch.cat(latents), torch.cat(features)


def measure(bench: Bench, rate: str, system: str, shaped: bool) -> Row:
    """Means over the clips, of both ends, with the search of the encoder or without."""
    backend, (latents, mels) = bench.features, _targets(bench)
    denoise = over_timeline(backend)
    coder = coder_of(systems(rate)[system], backend.info, len(latents), latents.shape[2])

    row, smooth, lively = coded(latents, coder, denoise, shaped)
    row |= {"steps": len(coder.plan), "how": ", shaped" if shaped else ""}
    for prefix, found in (("", smooth), ("tail_", lively)):
        errors = [nmse_db(a[None], b[None]) for a, b in zip(found, latents, strict=True)]
        row |= {f"{prefix}nmse_db": float(np.mean(errors)),
                f"{prefix}mel_db": float(_mel_errors(backend, found, mels).mean())}  # fmt: skip
    return row


def _mel_errors(backend: FeatureBackend, latents: torch.Tensor, mels: torch.Tensor) -> torch.Tensor:
    """`[clips, 1, T, F]`: absolute errors of the log-mel, dB."""
    return _DB_PER_NEPER * (backend.decode(latents)[:, :, : mels.shape[2]] - mels).abs()


# ---------------------------------------------------------------- pauses


def measure_pauses(bench: Bench, rate: str, variable: bool) -> Row:
    """Bytes, and the error of the log-mel where there is sound and where there is silence; means over clips."""
    backend, options = bench.features, EncodeOptions(preset=rate, variable_rate=variable)
    sizes, spoken, silent = [], [], []
    for sound in (sound for kind, sound in excerpts(bench) if kind == "speech"):
        broken, is_spoken = interrupted(sound)
        stream = encoder.compress(broken, backend=backend, options=options)
        latent = decode_latent(stream, backend=backend)[1]
        mel = backend.features(torch.from_numpy(levelled(broken, coding_gain_of(broken), backend.info.sample_rate)))
        errors = _mel_errors(backend, latent, mel).mean((0, 1, 3)).numpy()
        is_spoken = is_spoken[np.arange(len(errors)) * len(is_spoken) // len(errors)]
        sizes.append(len(stream))
        spoken.append(errors[is_spoken].mean())
        silent.append(errors[~is_spoken].mean())
    means = {"bytes": sizes, "mel_db": spoken, "silent_mel_db": silent}
    row: Row = {name: float(np.mean(values)) for name, values in means.items()}
    return row | {"how": "variable" if variable else "constant", "file_rate": 8 * row["bytes"] / broken.duration}


_FAINT_DB = 70  # below the peak; digital silence takes no bits at any rate


def interrupted(sound: Waveform) -> tuple[Waveform, np.ndarray]:
    """The sound in two halves, each followed by as much noise 70 dB below its peak; and which mel frames are sound."""
    first, second = np.split(sound.samples, 2, axis=1)
    faint = 10 ** (-_FAINT_DB / 20) * np.abs(sound.samples).max()
    silence = np.random.default_rng(0).uniform(-faint, faint, first.shape).astype(np.float32)
    hops = first.shape[1] // (sound.sample_rate // 100)
    return (Waveform(np.concatenate([first, silence, second, silence], axis=1), sound.sample_rate),
            np.repeat([True, False, True, False], hops))  # fmt: skip


# ---------------------------------------------------------------- theory


@cache
def _source(name: str, bench: Bench) -> GaussianSource:
    return SOURCES[name](bench.backend.info.schedule, _SOURCE_FRAMES)


def measure_source(bench: Bench, rate: str, source: str, system: str) -> Row:
    """Rate efficiency on a source: bits by the rate-distortion bound over bits spent."""
    known = _source(source, bench)
    info = replace(bench.backend.info, schedule=known.schedule, curve=known.curve)
    latent = known.draw(0)
    coder = coder_of(_RIVALS[rate][0] if system == _TURBO else by_name(rate).params, info, 1, known.frames)

    row, smooth, _ = coded(latent, coder, known.denoise, system.endswith("shaped"), share=1.0)
    error = float((smooth - latent).square().mean())
    spent = row["bit_per_second"] / (info.frame_values * info.frames_per_second)
    return row | {"nmse_db": 10 * float(np.log10(error)), "efficiency": known.fewest_bits(error) / spent}


# ---------------------------------------------------------------- equal errors


def _equal_table(rivals: list[Row], ladder: list[Row]) -> str:
    lines = []
    for rival in (row for row in rivals if row["system"] == _TURBO):
        for key, name in (("nmse_db", "latent NMSE"), ("mel_db", "log-mel")):
            shares = []
            for shaped in SEARCHES.values():
                bits = bits_for([row for row in ladder if row["shaped"] == shaped], key, rival[key])
                shares.append("" if bits is None else f"{bits:.0f} ({bits / rival['bit_per_second']:.0%})")
            lines.append([f"{name} {rival[key]:.2f} dB", f"{rival['bit_per_second']:.0f}", *shares])
    return table(["", "Turbo-DDCM", *(f"presets, search {search}" for search in SEARCHES)], lines)


def bits_for(ladder: list[Row], key: str, error: float) -> float | None:
    """bit/s at which a ladder of rising bits reaches an error, geometric between its rungs; None beyond its ends."""
    for low, high in pairwise(ladder):
        if high[key] <= error <= low[key]:
            share = (error - low[key]) / (high[key] - low[key])
            return exp(log(low["bit_per_second"]) + share * log(high["bit_per_second"] / low["bit_per_second"]))
    return None


STUDY = Study("rate_limit", "bits against rivals and theory", run, ("docs/studies.md",), limit=1, minutes=3)
