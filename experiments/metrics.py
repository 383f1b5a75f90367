"""What every metric says of sounds whose worth is known: the caveats of docs/metrics.md in numbers.

    python -m experiments.metrics CLIPS [--limit 3] [--seconds 4] [--skip visqol]

CLIPS is a folder of held-out sounds named by kind, as `experiments.results` takes it. Each clip is compared with

    vocoded        itself through autoencoder and vocoder: sounds alike, new phases
    noisy          itself and white noise 20 dB below
    half as loud, 10 ms late
    another        the next clip of its kind, as loud
    shuffled       itself in pieces of a quarter of a second, in another order
    pink noise     as loud
    faint noise    white, at -80 dB of full scale
    silence

A row is the mean over clips, of a metric for speech over those of speech, of a signed metric that of its magnitude.
Infinite values are left out of the means. A second table compares sets of clips, without any pairs: a kind with
itself (every other clip against the rest) and with the other kinds, by their mel patches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.diffusion.backend import Backend
from noisebook.metrics import (
    METRICS,
    Composite,
    available,
    evaluate,
    frechet_distance,
    frechet_distance_extrapolated,
    kernel_distance,
    mel_patches,
    summary_score,
    verify_score,
)
from noisebook.verification.controls import levelled, pink_noise, shuffled

__all__ = ["estimates", "judge", "rows", "sets"]

_RATE = 16000
_SCORES: dict[str, Callable[..., Composite]] = {"summary_score": summary_score, "verify_score": verify_score}

_DISTANCES = (frechet_distance, frechet_distance_extrapolated, kernel_distance)
_SIGNED = {metric.name for metric in METRICS if metric.direction == "zero"}

Means = dict[str, dict[str, list[float]]]  # metric -> estimate -> values of clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--limit", type=int, default=3, help="clips of each kind")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--skip", nargs="*", default=[], metavar="METRIC", help="slow ones")
    parser.add_argument("--model", default=api.EMBEDDED)
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu")
    clips = [(c.kind, c.sound.samples[0, : round(args.seconds * _RATE)]) for c in load_clips(args.clips, args.limit)]
    values: Means = {}
    for index, (kind, sound) in enumerate(clips):
        others = [other for k, other in clips[index + 1 :] + clips[:index] if k == kind]
        judge(sound, estimates(sound, others[0], backend), values, speech=kind == "speech", skip=args.skip)
    print(rows(values), sets(clips), sep="\n\n")


def estimates(sound: np.ndarray, other: np.ndarray, backend: Backend) -> dict[str, np.ndarray]:
    """Sounds `[N]` to compare with a sound `[N]` at 16 kHz, by their names above."""
    rng = np.random.default_rng(0)
    white, late = rng.normal(size=sound.size), np.zeros_like(sound)
    late[160:] = sound[:-160]
    return {
        "vocoded": api.reconstruct(sound, backend=backend, sample_rate=_RATE).waveform.samples[0],
        "noisy": sound + levelled(white, 0.1 * sound),
        "half as loud": 0.5 * sound,
        "10 ms late": late,
        "another": levelled(other, sound),
        "shuffled": shuffled(sound),
        "pink noise": levelled(pink_noise(sound.size), sound),
        "faint noise": 1e-4 * white,
        "silence": np.zeros_like(sound),
    }


def judge(
    sound: np.ndarray, others: dict[str, np.ndarray], values: Means, *, speech: bool, skip: Sequence[str] = ()
) -> None:
    """Add what the metrics and the composite scores say of each estimate to `values`."""
    names = [name for name in available(speech=speech) if name not in skip]
    for title, estimate in others.items():
        said = evaluate(sound, estimate, sample_rate=_RATE, names=names)
        said |= {name: score(sound, estimate, sample_rate=_RATE).score for name, score in _SCORES.items()}
        for name, value in said.items():
            values.setdefault(name, {}).setdefault(title, []).append(abs(value) if name in _SIGNED else value)


def rows(values: Means) -> str:
    """A Markdown table: metrics in the order of their table, then the composite scores."""
    order = [name for name in (*(metric.name for metric in METRICS), *_SCORES) if name in values]
    titles = list(values[order[0]])
    return table(["", *titles], ([name, *(_mean(values[name][title]) for title in titles)] for name in order))


def sets(clips: Sequence[tuple[str, np.ndarray]]) -> str:
    """A Markdown table of distances between sets of clips `(kind, [N])`."""
    patches: dict[str, list[np.ndarray]] = {}
    for kind, sound in clips:
        patches.setdefault(kind, []).append(mel_patches(sound, _RATE))
    pairs = {f"{kind}, two halves": (of[::2], of[1::2]) for kind, of in patches.items() if len(of) > 1}
    pairs |= {f"{a}, {b}": (patches[a], patches[b]) for a, b in combinations(patches, 2)}
    joined = {title: (np.concatenate(a), np.concatenate(b)) for title, (a, b) in pairs.items()}
    return table(
        ["", "patches", *(distance.__name__ for distance in _DISTANCES)],
        (
            [title, f"{len(a)}, {len(b)}", *(f"{distance(a, b):.2f}" for distance in _DISTANCES)]
            for title, (a, b) in joined.items()
        ),
    )


def _mean(column: list[float]) -> str:
    finite = [value for value in column if np.isfinite(value)]
    return f"{np.mean(finite):.2f}" if finite else f"{column[0]}"


if __name__ == "__main__":
    main()
