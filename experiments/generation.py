"""Is what is generated like real sound? Statistics of generated sounds against held-out ones and controls.

likeness   Frechet distance of log-mel patches to the held-out sounds of the same kind: generated sounds, and as
           controls white noise, silence and held-out sounds whose pieces of 10 ms are shuffled in time
kinds      what the sounds are taken for (`noisebook.verification.listening`: a logistic regression, no network)
guidance   standard deviation of latents against the scale of guidance, with and without rescaling
streams    generated streams, two of each kind, by coded steps: size, deviation, likeness, identity
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from experiments.study import Bench, Parts, Row, Study, table
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.signal import sound_of
from noisebook.diffusion.backend import FeatureBackend
from noisebook.metrics import frechet_distance, mel_patches
from noisebook.synthesis.generate import generate_latents, generate_stream
from noisebook.synthesis.options import GenerateOptions, GenerateStreamOptions
from noisebook.verification.listening import listen
from training.clips import KINDS, PREFIX_OF_KIND

_RATE = 16_000  # Hz, of what is judged
_COUNT = 16  # sounds of each kind
_FRAMES = 128  # latent frames of a generated sound, 5.12 s
_BATCH = 8
_SCALES = (1.0, 3.0, 5.0, 7.5, 10.0)
_RESCALES = (0.0, 1.0)
_STREAMS = (50, 100)  # coded steps
_STREAM_SECONDS = 2.56

Sounds = Mapping[str, list[np.ndarray]]


def run(bench: Bench) -> Parts:
    """The tables of part D of docs/systems.md."""
    (sounds,) = bench.rows(measure_sounds, [{}])
    scales = bench.rows(measure_guidance, ({"scale": scale} for scale in _SCALES))
    streams = bench.rows(measure_streams, ({"steps": steps} for steps in _STREAMS))
    guidance = ([f"{row['scale']:g}", *(f"{row[f'{share:g}']:.2f}" for share in _RESCALES)] for row in scales)
    return {
        "about": f"{len(KINDS) * _COUNT} sounds of 5.12 s beside {len(bench.clips())} held-out clips",
        **{name: shown(sounds[name]) for name in ("likeness", "kinds")},
        "guidance": table(["scale", *(f"rescale {share:g}" for share in _RESCALES)], guidance),
        "streams": shown(streams),
    }


def measure_sounds(bench: Bench) -> Row:
    """Everything about sounds of each kind, of the default settings."""
    backend, held_out = bench.features, held_out_sounds(bench)
    chosen = {kind: GenerateOptions(prompt=kind) for kind in KINDS} | {"": GenerateOptions(prompt="", guidance=1.0)}
    sounds = {name: heard(generated(one, _COUNT, _FRAMES, backend), backend) for name, one in chosen.items()}
    free = sounds.pop("")
    return {
        "likeness": likeness(sounds, held_out, free=free),
        "kinds": heard_as({"generated": sounds, "held out": held_out}),
    }


def held_out_sounds(bench: Bench) -> dict[str, list[np.ndarray]]:
    """Held-out sounds `[N]` of each kind, 10 s at 16 kHz."""
    return {
        kind: [clip.sound.samples[0] for clip in bench.clips(sample_rate=_RATE) if clip.kind == prefix]
        for kind, prefix in PREFIX_OF_KIND.items()
    }


def generated(options: GenerateOptions, count: int, frames: int, backend: FeatureBackend) -> torch.Tensor:
    """`count` latents `[count, C, frames, F']`, seeds from 0."""
    batches = (range(i, min(i + _BATCH, count)) for i in range(0, count, _BATCH))
    return torch.cat([generate_latents(options, seeds=seeds, frames=frames, backend=backend) for seeds in batches])


def heard(latents: torch.Tensor, backend: FeatureBackend) -> list[np.ndarray]:
    """The sounds `[N]` of latents, at 16 kHz."""
    sounds = (backend.vocode(backend.decode(latent[None])).cpu().numpy() for latent in latents)
    return [resample(Waveform(sound, backend.info.sample_rate), _RATE).samples[0] for sound in sounds]


def likeness(sounds: Sounds, held_out: Sounds, *, free: list[np.ndarray]) -> list[dict[str, Any]]:
    """Frechet distances to the held-out sounds of each kind, and to all together; `free` ones have no prompt."""
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, 0.1, 160000).astype(np.float32) for _ in range(9)]
    candidates: dict[str, tuple[Sounds, Sounds]] = {
        "generated": (sounds, held_out),
        "control: white noise": (dict.fromkeys(KINDS, noise), held_out),
        "control: silence": ({kind: [np.zeros(160000, np.float32)] for kind in KINDS}, held_out),
        "control: held out, shuffled in time": (
            {kind: [shuffled(sound, rng) for sound in of] for kind, of in held_out.items()}, held_out
        ),
    }  # fmt: skip
    if min(map(len, held_out.values())) > 1:
        halves = tuple({kind: of[first::2] for kind, of in held_out.items()} for first in (0, 1))
        candidates["ceiling: half of the held-out against the other"] = (halves[0], halves[1])
    rows: list[dict[str, Any]] = []
    for name, both in candidates.items():
        ours, theirs = map(_features, both)
        rows.append({"": name} | {kind: round(frechet_distance(ours[kind], theirs[kind]), 1) for kind in ours})
    distance = round(frechet_distance(patch_features(free), _features(held_out)["all"]), 1)
    return [*rows, {"": "generated without a prompt"} | dict.fromkeys(KINDS) | {"all": distance}]


def shuffled(sound: np.ndarray, rng: np.random.Generator, piece: int = 160) -> np.ndarray:
    """The same sound with its pieces of `piece` samples in random order: the same spectrum, no sense."""
    pieces = sound[: len(sound) // piece * piece].reshape(-1, piece)
    return rng.permutation(pieces).ravel()


def heard_as(sets: Mapping[str, Sounds]) -> list[dict[str, Any]]:
    """Shares of the sounds that are taken for each kind."""
    rows = []
    for title, sounds in sets.items():
        for kind in KINDS:
            votes = [listen(Waveform.of(sound, _RATE)).kind for sound in sounds[kind]]
            shares = {f"taken for {name}": f"{votes.count(name) / len(votes):.0%}" for name in KINDS}
            rows.append({"": f"{title}: {kind}"} | shares)
    return rows


def measure_guidance(bench: Bench, scale: float) -> Row:
    """Standard deviation of latents by share of rescaling; real ones have 0.9 to 1.0."""

    def deviation(rescale: float) -> float:
        chosen = (GenerateOptions(prompt=kind, guidance=scale, rescale=rescale) for kind in KINDS)
        return float(torch.cat([generated(one, 2, _FRAMES // 2, bench.features) for one in chosen]).std())

    return {f"{share:g}": deviation(share) for share in _RESCALES}


def measure_streams(bench: Bench, steps: int) -> Row:
    """Size, latent deviation, likeness to all held-out sounds, and whether the decoder gives the same."""
    backend = bench.backend
    chosen = [
        GenerateStreamOptions(prompt=kind, seconds=_STREAM_SECONDS, steps=steps, seed=seed, choice_seed=0)
        for kind in KINDS for seed in (0, 1)
    ]  # fmt: skip
    made = [generate_stream(options, backend=backend) for options in chosen]
    decoded = [decode_latent(data, backend=backend) for data, _ in made]
    same = [
        np.array_equal(sound_of(latent, header, backend).samples, sound.samples)
        for (header, latent), (_, sound) in zip(decoded, made, strict=True)
    ]
    sounds = (resample(sound, _RATE).samples[0] for _, sound in made)
    reference = _features(held_out_sounds(bench))["all"]
    return {
        "bytes": len(made[0][0]),
        "std of latents": round(float(torch.cat([latent for _, latent in decoded]).std()), 2),
        "distance": round(frechet_distance(patch_features(sounds), reference), 1),
        "decodes to the same bits": f"{sum(same)} of {len(same)}",
    }


def shown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of rows with the same keys."""
    return table(list(rows[0]), (["" if value is None else str(value) for value in row.values()] for row in rows))


def patch_features(sounds: Iterable[np.ndarray]) -> np.ndarray:
    """`[patches, 48]`, the patches of all sounds `[N]` at 16 kHz."""
    return np.concatenate([mel_patches(sound, _RATE) for sound in sounds])


def _features(sounds: Sounds) -> dict[str, np.ndarray]:
    """Of each kind, and of all together."""
    features = {kind: patch_features(sounds[kind]) for kind in KINDS}
    return features | {"all": np.concatenate(list(features.values()))}


STUDY = Study("generation", "generated sounds beside real ones", run, ("docs/systems.md",), limit=16, minutes=7)
