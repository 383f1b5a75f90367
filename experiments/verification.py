"""The verdict of `noisebook verify` on held-out sound: how often it is wrong, in either direction.

The clips are those of `experiments.results`, and so are their streams.

    pairs       every clip as the estimate of every other one: a verdict of "related" is wrong
    streams     of every clip, decoded: a verdict of "not related" is wrong; beside another clip one of "related"
    composites  the predecessor's two scores of some of the unrelated pairs and of the streams, against the levels that
                its table calls related
    kinds       what whole clips are taken for
"""

from __future__ import annotations

from functools import cache

import numpy as np

from experiments.results import decodes
from experiments.study import Bench, Parts, Row, Study, clip_paths, table
from noisebook.audio.io import read
from noisebook.audio.resample import resample
from noisebook.metrics import align, summary_score, verify_score
from noisebook.verification.listening import listen
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features
from noisebook.verification.verdict import Verdict, judge, other_sounds
from training.clips import KINDS, kind_of

PRESETS = ("100", "300", "1500")
_LISTENED = 20  # clips of each kind
_LEVELS = {"improved DDCM": 0.2857, "basic DDCM": 0.3261, "hybrid": 0.4017, "VAE": 0.5066}  # the predecessor's table
_SCORES = {"summary": summary_score, "verify": verify_score}


def run(bench: Bench) -> Parts:
    """The tables of docs/verification.md."""
    count = len(clip_paths(bench.options.clips, bench.options.limit))
    clips = bench.rows(measure, ({"place": place} for place in range(count)))
    (kinds,) = bench.rows(measure_kinds, [{}])
    streams = {preset: [clip["streams"][preset] for clip in clips] for preset in PRESETS}
    composites = {f"{count} unrelated pairs": clips}
    composites |= {f"own stream, {preset} bit/s": rows for preset, rows in streams.items()}
    return {
        "about": f"The {count} clips of [results](results.md) and their streams",
        "pairs": _pairs_table(clips),
        "streams": table(
            ["stream", "related", "median score", "least score", "median threshold", "of another clip"],
            ([f"{preset} bit/s", f"{sum(row['related'] for row in rows)} of {len(rows)}",
              *(f"{reduce([row['score'] for row in rows]):.2f}" for reduce in (np.median, min)),
              f"{np.median([row['threshold'] for row in rows]):.2f}",
              f"{np.mean([row['wrong'] for row in rows]):.1%}"] for preset, rows in streams.items()),
        ),
        "composites": table(
            ["", "median", *(f"from {level} ({name})" for name, level in _LEVELS.items())],
            ([f"{title}, {name}", *_above([row[name] for row in rows])]
             for title, rows in composites.items() for name in _SCORES),
        ),
        "kinds": kinds_table(kinds["heard"]),
    }  # fmt: skip


@cache
def _sounds(bench: Bench) -> list[tuple[str, dict[str, np.ndarray]]]:
    """Of each clip its kind, its samples at 16 kHz (`""`) and those of its streams by preset."""
    found = []
    for place in range(len(clip_paths(bench.options.clips, bench.options.limit))):
        source, made = decodes(bench, place, tuple(f"ddcm-{preset}" for preset in PRESETS))
        sounds = {"": source.sound} | {preset: made[f"ddcm-{preset}"].sound for preset in PRESETS}
        found.append((source.kind or "", {name: resample(one, SAMPLE_RATE).samples[0] for name, one in sounds.items()}))
    return found


@cache
def _features(bench: Bench, preset: str) -> list[Features]:
    return [features(samples[preset]) for _, samples in _sounds(bench)]


def measure(bench: Bench, place: int) -> Row:
    """A clip beside all the others, and beside its own streams and theirs."""
    sounds, heard = _sounds(bench), _features(bench, "")
    kind, own = sounds[place]
    controls = other_sounds(heard[place])
    others = [other for other in range(len(sounds)) if other != place]
    following = (place + 1) % len(sounds)  # mostly of the same kind; judged by what takes long, too
    beside = sounds[following][1][""]
    related = [(sounds[i][0], judge(heard[place], heard[i], others=controls).related) for i in others]
    searched = [(sounds[following][0], _searched(own[""], beside).related)]
    row: Row = {"kind": kind, "streams": {}, "related": related, "searched": searched, **_scores(own[""], beside)}
    for preset in PRESETS:
        verdicts = [judge(heard[place], one, others=controls) for one in _features(bench, preset)]
        verdict = verdicts[place]
        row["streams"][preset] = {
            "related": verdict.related, "score": verdict.score, "threshold": verdict.threshold,
            "wrong": np.mean([verdicts[i].related for i in others]),
            **_scores(own[""], own[preset]),
        }  # fmt: skip
    return row


def _scores(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    return {name: score(reference, estimate, sample_rate=SAMPLE_RATE).score for name, score in _SCORES.items()}


def _pairs_table(rows: list[Row]) -> str:
    lines = []
    for kind in ("all", *KINDS):
        cells = []
        for key in ("related", "searched"):
            found = [
                related for row in rows if kind in ("all", row["kind"])
                for other, related in row[key] if kind in ("all", other)
            ]  # fmt: skip
            cells += [str(len(found)), f"{sum(found)} ({sum(found) / max(1, len(found)):.1%})"]
        lines.append([kind if kind == "all" else f"{kind} beside {kind}", *cells])
    return table(["pairs", "number", "wrongly related", "number, lag searched", "wrongly related"], lines)


def _searched(reference: np.ndarray, estimate: np.ndarray) -> Verdict:
    """The verdict after the choice between two alignments that `verify_sounds` makes."""
    found, unmoved = (align(reference, estimate, sample_rate=SAMPLE_RATE, lag=lag) for lag in (None, 0))
    frames = round(found.lag * FRAME_RATE / SAMPLE_RATE)
    both = [(features(pair.reference), features(pair.estimate)) for pair in (found, unmoved)]
    verdicts = [judge(*both[0], lag=frames), judge(*both[1], lag=-frames)]
    return max(verdicts, key=lambda verdict: verdict.score)


def _above(values: list[float]) -> list[str]:
    """The median, and the share from each level of the predecessor's table on."""
    found = np.array(values)
    return [f"{np.median(found):.2f}", *(f"{(found >= level).mean():.0%}" for level in _LEVELS.values())]


def measure_kinds(bench: Bench) -> Row:
    """How many clips of each kind, whole ones, are taken for which kind."""
    paths = clip_paths(bench.options.clips, _LISTENED)
    heard = [(kind_of(path), listen(read(path)).kind) for path in paths]
    return {"heard": [[heard.count((kind, other)) for other in KINDS] for kind in KINDS]}


def kinds_table(heard: list[list[int]]) -> str:
    """The confusion matrix, and how much of it is right."""
    right = sum(line[place] for place, line in enumerate(heard))
    lines = ([kind, *map(str, line)] for kind, line in zip(KINDS, heard, strict=True))
    return f"Classified rightly: {right} of {sum(map(sum, heard))}.\n\n" + table(["is, classified as", *KINDS], lines)


STUDY = Study("verification", "how often a verdict is wrong", run, ("docs/verification.md",), limit=16, minutes=2)
