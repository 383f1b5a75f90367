"""The verdict of `noisebook verify` on held-out sound: how often it is wrong, in either direction.

pairs       every clip as the estimate of every other one, which no stream of it is: a verdict of "related" is wrong
streams     of every clip at some presets, decoded: a verdict of "not related" is wrong
composite   the predecessor's two scores of some of the same unrelated pairs, and of the streams, against the levels
            that its table calls related
"""

from __future__ import annotations

from functools import cache
from itertools import permutations

import numpy as np

from experiments.study import Bench, Parts, Row, Study, clip_paths, table
from noisebook import api
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.metrics.alignment import align
from noisebook.metrics.composite import summary_score, verify_score
from noisebook.verification.listening import listen
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features
from noisebook.verification.verdict import Verdict, judge, other_sounds
from training.clips import KINDS, PREFIX_OF_KIND, kind_of

PRESETS = ("100", "300", "1500")
SECONDS = (1.0, 5.0)
_LISTENED = 20  # clips of each kind whose kind is told
_LEVELS = {"improved DDCM": 0.2857, "basic DDCM": 0.3261, "hybrid": 0.4017, "VAE": 0.5066}  # the predecessor's table
_SCORES = {"summary": summary_score, "verify": verify_score}
Controls = list[dict[str, np.ndarray]]
_KIND = {prefix: kind for kind, prefix in PREFIX_OF_KIND.items()}


def run(bench: Bench) -> Parts:
    """The tables of docs/verification.md."""
    count = len(bench.clips(seconds=SECONDS[-1]))
    pairs = bench.rows(measure_pairs, ({"seconds": s, "place": place} for s in SECONDS for place in range(count)))
    (kinds,) = bench.rows(measure_kinds, [{}])
    streams = bench.rows(measure_streams, ({"preset": preset} for preset in PRESETS))
    unrelated = [row for row in pairs if row["seconds"] == SECONDS[-1]]
    composites = {f"{sum(len(row['summary']) for row in unrelated)} unrelated pairs": unrelated}
    composites |= {f"own stream, {row['preset']} bit/s": [row] for row in streams}
    return {
        "about": f"{count} held-out clips of {SECONDS[-1]:g} s",
        "pairs": _pairs_table(pairs),
        "streams": table(
            ["stream", "related", "median score", "least score", "median threshold", "of another clip"],
            ([f"{row['preset']} bit/s", f"{sum(row['related'])} of {len(row['related'])}",
              f"{np.median(row['scores']):.2f}", f"{min(row['scores']):.2f}", f"{np.median(row['thresholds']):.2f}",
              f"{np.mean(row['wrong']):.1%}"] for row in streams),
        ),
        "composites": table(
            ["", "median", *(f"from {level} ({name})" for name, level in _LEVELS.items())],
            ([f"{name}, {score}", *_above([value for row in rows for value in row[score]])]
             for name, rows in composites.items() for score in _SCORES),
        ),
        "kinds": kinds_table(kinds["heard"]),
    }  # fmt: skip


@cache
def _heard(bench: Bench, seconds: float) -> tuple[list[str], list[np.ndarray], list[Features], Controls]:
    """Kinds, samples, features and controls of the clips."""
    clips = bench.clips(seconds=seconds, sample_rate=SAMPLE_RATE)
    sounds = [clip.sound.samples[0] for clip in clips]
    heard = [features(sound) for sound in sounds]
    return [_KIND[clip.kind] for clip in clips], sounds, heard, [other_sounds(one) for one in heard]


def measure_pairs(bench: Bench, seconds: float, place: int) -> Row:
    """A clip beside every other one: kinds, whether related, for some also after a search for the lag, and scores."""
    kinds, sounds, heard, others = _heard(bench, seconds)
    row: Row = {"kind": kinds[place], "related": [], "searched": [], **{name: [] for name in _SCORES}}
    for other in range(len(sounds)):
        if other == place:
            continue
        row["related"].append((kinds[other], judge(heard[place], heard[other], others=others[place]).related))
        if (place + other) % 3 == 0:
            row["searched"].append((kinds[other], _searched(sounds[place], sounds[other]).related))
            for name, score in _SCORES.items():
                row[name].append(score(sounds[place], sounds[other], sample_rate=SAMPLE_RATE).score)
    return row


def _pairs_table(rows: list[Row]) -> str:
    lines = []
    for seconds in SECONDS:
        for name in ("all", *KINDS):
            cells = []
            for key in ("related", "searched"):
                found = [
                    related
                    for row in rows if row["seconds"] == seconds and name in ("all", row["kind"])
                    for kind, related in row[key] if name in ("all", kind)
                ]  # fmt: skip
                cells += [str(len(found)), f"{sum(found)} ({sum(found) / max(1, len(found)):.1%})"]
            lines.append([f"{seconds:g} s, {name if name == 'all' else f'{name} beside {name}'}", *cells])
    return table(["pairs", "number", "wrongly related", "number, lag searched", "wrongly related"], lines)


def _searched(reference: np.ndarray, estimate: np.ndarray) -> Verdict:
    """The verdict after the choice between two alignments that `verify_sounds` makes."""
    found, unmoved = (align(reference, estimate, sample_rate=SAMPLE_RATE, lag=lag) for lag in (None, 0))
    frames = round(found.lag * FRAME_RATE / SAMPLE_RATE)
    both = [(features(pair.reference), features(pair.estimate)) for pair in (found, unmoved)]
    verdicts = [judge(*both[0], lag=frames), judge(*both[1], lag=-frames)]
    return max(verdicts, key=lambda verdict: verdict.score)


def measure_streams(bench: Bench, preset: str) -> Row:
    """Streams of all clips beside what was coded, and, wrongly, beside everything else."""
    _, sounds, heard, others = _heard(bench, SECONDS[-1])
    decoded = []
    for samples in sounds:
        data = api.compress(Waveform.of(samples, SAMPLE_RATE), backend=bench.backend, preset=preset)
        decoded.append(api.decompress(data, backend=bench.backend).samples[0])
    estimates = [features(sound) for sound in decoded]
    verdicts = [judge(a, b, others=c) for a, b, c in zip(heard, estimates, others, strict=True)]
    wrong = [judge(heard[i], estimates[j], others=others[i]).related for i, j in permutations(range(len(heard)), 2)]
    scores = {
        name: [score(a, b, sample_rate=SAMPLE_RATE).score for a, b in zip(sounds, decoded, strict=True)]
        for name, score in _SCORES.items()
    }
    return {"related": [one.related for one in verdicts], "scores": [one.score for one in verdicts],
            "thresholds": [one.threshold for one in verdicts], "wrong": wrong, **scores}  # fmt: skip


def _above(values: list[float]) -> list[str]:
    """The median, and the share from each level of the predecessor's table on."""
    found = np.array(values)
    return [f"{np.median(found):.2f}", *(f"{(found >= level).mean():.0%}" for level in _LEVELS.values())]


def measure_kinds(bench: Bench) -> Row:
    """How many clips of each kind, whole ones, are heard as which kind."""
    paths = clip_paths(bench.options.clips, _LISTENED)
    heard = [(kind_of(path), listen(read(path)).kind) for path in paths]
    return {"heard": [[heard.count((kind, other)) for other in KINDS] for kind in KINDS]}


def kinds_table(heard: list[list[int]]) -> str:
    """The confusion matrix, and how much of it is right."""
    right = sum(line[place] for place, line in enumerate(heard))
    lines = ([kind, *map(str, line)] for kind, line in zip(KINDS, heard, strict=True))
    return (
        f"Heard as the kind that they are: {right} of {sum(map(sum, heard))}.\n\n"
        + table(["is, heard as", *KINDS], lines)
    )  # fmt: skip


STUDY = Study("verification", "how often a verdict is wrong", run, ("docs/verification.md",), limit=6, minutes=12)
