"""Is what is generated like real sound? Statistics of generated sounds against held-out ones and controls.

    python -m experiments.generation CLIPS [--data PACKED] [--limit 64] [--json PATH] [--sounds FOLDER]

CLIPS is a folder of held-out sounds named by kind, as `experiments.results` takes it. All numbers are plain statistics:

    likeness   Frechet distance of log-mel patches to the held-out sounds of the same kind: generated sounds, and as
               controls white noise, silence and held-out sounds whose pieces of 10 ms are shuffled in time; with --data
               the distance of training sound too, and how many times as far the generated ones are
    kinds      with --data, whom a judge trained on PACKED (linear discriminants, no network) takes the sounds for
    seeds      the largest correlation between the latents of two seeds
    guidance   standard deviation of latents against the scale of guidance, with and without rescaling
    streams    generated streams, two of each kind, by coded steps and candidates: size, deviation, likeness, identity
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from math import log, log10
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.diffusion.backend import FeatureBackend, with_features
from noisebook.metrics import frechet_distance, mel_bands, mel_patches
from noisebook.synthesis.generate import clipping_gain, generate_latents
from noisebook.synthesis.generate_stream import generate_stream
from noisebook.synthesis.options import GENERATE_PRESETS, GenerateOptions, GenerateStreamOptions
from training.clips import KINDS, PREFIX_OF_KIND, PackedAudio
from training.kinds import KindJudge, train_judge

_RATE = 16_000  # Hz, of what is judged
_SHOWN = 3  # sounds of a kind that are written
_FRAMES = 128  # latent frames of a generated sound, 5.12 s
_BATCH = 8
_SCALES = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0)
_STREAMS = ((50, None), (100, None), (200, None), (100, 2), (100, 4))  # coded steps, candidates
_STREAM_SECONDS = 2.56

Sounds = Mapping[str, list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--data", type=Path, help="packed training audio, for the judge of kinds")
    parser.add_argument("--limit", type=int, default=64, help="generated sounds in all")
    parser.add_argument(
        "--guidance", type=float, default=GENERATE_PRESETS["balanced"].guidance, help="of the sounds that are judged"
    )
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--json", type=Path, help="write every number here too")
    parser.add_argument("--sounds", type=Path, help="write the first sounds of each kind, and their picture, here")
    args = parser.parse_args()

    backend = with_features(api.load_backend(args.model, device="cpu"))
    held_out = held_out_sounds(args.clips)
    count, settings = -(-args.limit // len(KINDS)), GenerateOptions(guidance=args.guidance)
    latents = {kind: generated(kind, count, backend, settings) for kind in KINDS}
    sounds = {kind: heard(latents[kind], backend) for kind in KINDS}
    data = PackedAudio(args.data) if args.data else None
    free = heard(generated("", args.limit, backend, GenerateOptions(guidance=1.0)), backend)
    judge = train_judge(data, samples=round(_FRAMES / backend.info.frames_per_second * _RATE)) if data else None
    if args.sounds:
        rate = backend.info.sample_rate
        first = {kind: heard(latents[kind][:_SHOWN], backend, rate) for kind in KINDS}
        write_sounds(args.sounds, first, rate)
    sections: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "likeness": lambda: likeness(sounds, held_out, free=free, training=training_sounds(data) if data else None),
        "levels": lambda: levels(sounds, held_out),
        "kinds": lambda: judged(sounds, held_out, judge) if judge else [],
        "seeds": lambda: seeds(latents),
        "streams": lambda: streams(held_out, backend),
        "guidance": lambda: guidance(backend),
    }
    results = {}
    for name, measure in sections.items():
        results[name] = measure()
        print(f"\n## {name}\n\n{shown(results[name])}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def held_out_sounds(folder: Path) -> dict[str, list[np.ndarray]]:
    """Held-out sounds `[N]` of each kind, 10 s at 16 kHz."""
    names = {prefix: kind for kind, prefix in PREFIX_OF_KIND.items()}
    sounds: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for clip in load_clips(folder, limit=1000):
        sounds[names[clip.kind]].append(clip.sound.samples[0])
    return sounds


def generated(
    prompt: str, count: int, backend: FeatureBackend, settings: GenerateOptions, frames: int = _FRAMES
) -> torch.Tensor:
    """`count` latents `[count, C, frames, F']` of a prompt, seeds from 0."""
    chosen = replace(settings, prompt=prompt)
    batches = [range(i, min(i + _BATCH, count)) for i in range(0, count, _BATCH)]
    return torch.cat([generate_latents(chosen, seeds=seeds, frames=frames, backend=backend) for seeds in batches])


def heard(latents: torch.Tensor, backend: FeatureBackend, sample_rate: int = _RATE) -> list[np.ndarray]:
    """The sounds `[N]` of latents."""
    sounds = (backend.vocode(backend.decode(latent[None])).cpu().numpy() for latent in latents)
    return [resample(Waveform(sound, backend.info.sample_rate), sample_rate).samples[0] for sound in sounds]


def training_sounds(data: PackedAudio, count: int = 96) -> dict[str, list[np.ndarray]]:
    """Crops of 10 s `[N]` of the training audio, by kind."""
    waveform, kinds = data.sample(count, 160000, np.random.default_rng(1))
    return {kind: list(waveform[kinds == index]) for index, kind in enumerate(KINDS)}


def likeness(
    sounds: Sounds, held_out: Sounds, *, free: list[np.ndarray] | None = None, training: Sounds | None = None
) -> list[dict[str, Any]]:
    """Frechet distances to the held-out sounds of each kind, and to all together; `free` ones have no prompt."""
    rng = np.random.default_rng(0)
    noise = patch_features([rng.normal(0, 0.1, 160000).astype(np.float32) for _ in range(9)])
    broken = {kind: [shuffled(sound, rng) for sound in held_out[kind]] for kind in KINDS}
    candidates = {
        "generated": _features(sounds),
        "control: white noise": dict.fromkeys(KINDS, noise),
        "control: silence": dict.fromkeys(KINDS, patch_features([np.zeros(160000, np.float32)])),
        "control: held out, shuffled in time": _features(broken),
        "ceiling: half of the held-out against the other": _features({k: held_out[k][::2] for k in KINDS}),
    }
    if training is not None:
        candidates["ceiling: training sound"] = _features(training)
    whole, half = _features(held_out), _features({k: held_out[k][1::2] for k in KINDS})
    rows: list[dict[str, Any]] = []
    for name, features in candidates.items():
        reference = half if name.startswith("ceiling: half") else whole
        distances = {kind: frechet_distance(features[kind], reference[kind]) for kind in KINDS}
        distances["all"] = frechet_distance(_together(features), _together(reference))
        rows.append({"": name} | {kind: round(distance, 1) for kind, distance in distances.items()})
    if free is not None:
        distance = frechet_distance(patch_features(free), _together(whole))
        rows.append({"": "generated without a prompt"} | dict.fromkeys(KINDS) | {"all": round(distance, 1)})
    if training is not None:
        rows += _times_training(rows)
    return rows


def _times_training(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How many times as far from the held-out sounds as training sound the generated ones are."""
    real = next(row for row in rows if row[""] == "ceiling: training sound")
    return [
        {"": f"{row['']}, times training"} | {key: row[key] and round(row[key] / real[key], 1) for key in real if key}
        for row in rows
        if row[""].startswith("generated")
    ]


def shuffled(sound: np.ndarray, rng: np.random.Generator, piece: int = 160) -> np.ndarray:
    """The same sound with its pieces of `piece` samples in random order: the same spectrum, no sense."""
    pieces = sound[: len(sound) // piece * piece].reshape(-1, piece)
    return rng.permutation(pieces).ravel()


def levels(sounds: Sounds, held_out: Sounds) -> list[dict[str, Any]]:
    """Loudness, and how far the average spectrum is from that of the held-out sounds."""
    rows = []
    for kind in KINDS:
        made, real = sounds[kind], held_out[kind]
        apart = np.abs(band_levels_db(made) - band_levels_db(real)).mean()
        rms = [_decibel(np.sqrt(np.mean(np.square(s)))) for s in made]
        rows.append({
            "": kind,
            "RMS dB, 10 % to 90 %": f"{np.quantile(rms, 0.1):.0f} to {np.quantile(rms, 0.9):.0f}",
            "beyond full scale": f"{sum(clipping_gain(s) > 0 for s in made)} of {len(made)}",
            "spectrum apart, dB": round(float(apart), 1),
        })  # fmt: skip
    return rows


def judged(sounds: Sounds, held_out: Sounds, judge: KindJudge) -> list[dict[str, Any]]:
    """Shares of the sounds that the judge takes for each kind."""
    length = len(sounds[KINDS[0]][0])
    rows = []
    for title, by_kind in (("generated", sounds), ("held out", {k: [s[:length] for s in held_out[k]] for k in KINDS})):
        for kind in KINDS:
            votes = [int(judge(sound).argmax()) for sound in by_kind[kind]]
            shares = {f"taken for {name}": f"{votes.count(i) / len(votes):.0%}" for i, name in enumerate(KINDS)}
            rows.append({"": f"{title}: {kind}"} | shares)
    return rows


def seeds(latents: Mapping[str, torch.Tensor]) -> list[dict[str, Any]]:
    """How alike the sounds of two seeds of one prompt are: correlation of their latents."""
    rows = []
    for kind, batch in latents.items():
        flat = batch.flatten(1)
        flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True)
        correlations = [float((flat[a] * flat[b]).mean()) for a, b in combinations(range(len(flat)), 2)]
        rows.append({"": kind, "pairs": len(correlations), "mean": round(float(np.mean(correlations)), 3),
                     "largest": round(max(correlations), 3)})  # fmt: skip
    return rows


def guidance(backend: FeatureBackend) -> list[dict[str, Any]]:
    """Standard deviation of latents by scale; real ones have 0.9 to 1.0."""
    rows: list[dict[str, Any]] = []
    for scale in _SCALES:
        deviations = {
            share: torch.cat([
                generated(kind, 2, backend, GenerateOptions(guidance=scale, rescale=share), _FRAMES // 2)
                for kind in KINDS
            ]).std()
            for share in ((0.0, 0.7, 1.0) if scale != 1 else (0.0,))
        }  # fmt: skip
        texts = {share: f"{deviations[share]:.2f}" if share in deviations else "" for share in (0.0, 0.7, 1.0)}
        rows.append({"scale": f"{scale:g}"} | {f"rescale {share:g}": text for share, text in texts.items()})
    return rows


def streams(held_out: Sounds, backend: FeatureBackend) -> list[dict[str, Any]]:
    """Size, latent deviation, likeness to all held-out sounds, and whether the decoder hears the same."""
    reference = _together(_features(held_out))
    rows = []
    for steps, candidates in _STREAMS:
        made = [
            generate_stream(
                GenerateStreamOptions(
                    prompt=kind, seconds=_STREAM_SECONDS, steps=steps, candidates=candidates, seed=seed, choice_seed=0
                ),
                backend=backend,
            )
            for kind in KINDS for seed in (0, 1)
        ]  # fmt: skip
        decoded = [ddcm.decode_latent(data, backend=backend) for data, _ in made]
        same = [
            np.array_equal(ddcm.synthesise(latent, header, backend=backend).samples, sound.samples)
            for (header, latent), (_, sound) in zip(decoded, made, strict=True)
        ]
        sounds = (resample(sound, _RATE).samples[0] for _, sound in made)
        distance = frechet_distance(patch_features(sounds), reference)
        rows.append({
            "steps": steps,
            "candidates": candidates or "default (1)",
            "bytes": len(made[0][0]),
            "std of latents": round(float(torch.cat([latent for _, latent in decoded]).std()), 2),
            "distance": round(distance, 1),
            "decodes to the same bits": f"{sum(same)} of {len(same)}",
        })  # fmt: skip
    return rows


def write_sounds(folder: Path, sounds: Sounds, sample_rate: int) -> None:
    """WAV files of sounds of each kind, and one picture of their spectrograms."""
    from noisebook.report.figures import spectrogram_grid

    folder.mkdir(parents=True, exist_ok=True)
    shown = {f"{kind}, seed {i}": s for kind in KINDS for i, s in enumerate(sounds[kind])}
    waveforms = {title: Waveform(s[None], sample_rate) for title, s in shown.items()}
    for title, waveform in waveforms.items():
        io.write(folder / f"{title.replace(', seed ', '-')}.wav", waveform, overwrite=True)
    spectrogram_grid(waveforms, folder / "spectrograms.png", columns=_SHOWN)


def shown(rows: list[dict[str, Any]]) -> str:
    """A Markdown table of rows with the same keys."""
    if not rows:
        return "(not measured)"
    return table(list(rows[0]), (["" if value is None else str(value) for value in row.values()] for row in rows))


def patch_features(sounds: Iterable[np.ndarray]) -> np.ndarray:
    """`[patches, 48]`, the patches of all sounds `[N]` at 16 kHz."""
    return np.concatenate([mel_patches(sound, _RATE) for sound in sounds])


def band_levels_db(sounds: Iterable[np.ndarray]) -> np.ndarray:
    """`[16]`, mean level of each band in dB, at the same peak."""
    return 20 / log(10) * np.concatenate([mel_bands(sound, _RATE) for sound in sounds]).mean(0)


def _features(sounds: Sounds) -> dict[str, np.ndarray]:
    return {kind: patch_features(sounds[kind]) for kind in KINDS}


def _together(features: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.concatenate([features[kind] for kind in KINDS])


def _decibel(amplitude: float) -> float:
    return 20 * log10(max(amplitude, 1e-9))


if __name__ == "__main__":
    main()
