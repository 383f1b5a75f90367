"""What every metric says of sounds whose worth is known: the caveats of docs/metrics.md in numbers.

Each clip is compared with

    vocoded        itself through autoencoder and vocoder: sounds alike, new phases
    noisy          itself and white noise 20 dB below
    half as loud, 10 ms late
    another        the next clip of its kind, as loud
    shuffled       itself in pieces of a quarter of a second, in another order
    pink noise     as loud
    faint noise    white, at -80 dB of full scale
    silence

A row is the mean over some of the clips, of a metric for speech over those of speech, of a signed metric that of its
magnitude. Infinite values are left out of the means. A second table compares sets of all clips, without any pairs: a
kind with itself (every other clip against the rest) and with the other kinds, by their mel patches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from math import ceil

import numpy as np

from experiments.study import KINDS, Bench, Parts, Row, Study, table
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

SKIPPED = ("visqol",)  # slow, and not meant for such sounds
_RATE, _SECONDS = 16000, 4.0
_PAIRED = 2  # clips of each kind that are compared with others
_SCORES: dict[str, Callable[..., Composite]] = {"summary_score": summary_score, "verify_score": verify_score}
_DISTANCES = (frechet_distance, frechet_distance_extrapolated, kernel_distance)
_SIGNED = {metric.name for metric in METRICS if metric.direction == "zero"}


def run(bench: Bench) -> Parts:
    """The tables of docs/metrics.md."""
    clips = bench.clips(seconds=_SECONDS)
    step = len(KINDS) * ceil(len(clips) / len(KINDS) / _PAIRED)
    rows = bench.rows(measure, ({"place": first + kind} for first in range(0, len(clips), step)
                                for kind in range(min(len(KINDS), len(clips) - first))))  # fmt: skip
    return {
        "about": f"{len(clips)} held-out clips of {_SECONDS:g} s, of which {len(rows)} are compared in pairs",
        "values": values(rows),
        "sets": sets([(clip.kind, clip.sound.samples[0]) for clip in clips]),
    }


def measure(bench: Bench, place: int) -> Row:
    """What the metrics say of each estimate of a clip."""
    clips = bench.clips(seconds=_SECONDS)
    clip = clips[place]
    alike = [other for other in clips[place + 1 :] + clips[:place] if other.kind == clip.kind] or [clip]
    made = estimates(clip.sound.samples[0], alike[0].sound.samples[0], bench.backend)
    return judge(clip.sound.samples[0], made, speech=clip.kind == "speech")


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


def judge(sound: np.ndarray, others: dict[str, np.ndarray], *, speech: bool) -> Row:
    """What the metrics and the composite scores say of each estimate: `{metric: {estimate: value}}`."""
    names = [name for name in available(speech=speech) if name not in SKIPPED]
    found: Row = {}
    for title, estimate in others.items():
        said = evaluate(sound, estimate, sample_rate=_RATE, names=names)
        said |= {name: score(sound, estimate, sample_rate=_RATE).score for name, score in _SCORES.items()}
        for name, value in said.items():
            found.setdefault(name, {})[title] = abs(value) if name in _SIGNED else value
    return found


def values(rows: Sequence[Row]) -> str:
    """A Markdown table: metrics in the order of their table, then the composite scores."""
    order = {name: [row[name] for row in rows if name in row] for name in (*(m.name for m in METRICS), *_SCORES)}
    titles = list(rows[0]["summary_score"])
    lines = ([name, *(_mean([one[title] for one in of]) for title in titles)] for name, of in order.items() if of)
    return table(["", *titles], lines)


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


STUDY = Study("metrics", "what metrics say of sounds of known worth", run, ("docs/metrics.md",), limit=16, minutes=3)
