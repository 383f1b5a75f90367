"""Measure the verdict of `noisebook verify` on held-out sound: how often it is wrong, in either direction.

    python -m experiments.verification HELDOUT
    python -m experiments.verification --fit TRAINING    # refits the kinds of `noisebook.verification.listening`

unrelated   every clip as the estimate of every other one, which no stream of it is: a verdict of "related" is wrong
own         the stream of every clip at every preset, decoded: a verdict of "not related" is wrong
loops       twelve drum loops, made here, of one tempo and in phase: the hardest unrelated pairs that there are
composite   the predecessor's two scores of some of the same unrelated pairs, and of the own streams, against the
            levels that its table calls related
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from experiments.tables import table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.metrics.alignment import align
from noisebook.metrics.composite import summary_score, verify_score
from noisebook.verification.listening import KINDS_FILE, kind_statistics, listen
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features
from noisebook.verification.verdict import Verdict, judge, other_sounds
from training.clips import AUDIO_SUFFIXES, KINDS, kind_of, read_mono
from training.kinds import fit_judge

_LEVELS = {"improved DDCM": 0.2857, "basic DDCM": 0.3261, "hybrid": 0.4017, "VAE": 0.5066}  # the predecessor's table
_CROPS = (1.0, 2.5, 5.0, 10.0)  # seconds to which the kinds are fitted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds (with --fit: of training sounds)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each clip")
    parser.add_argument("--presets", default="100,300,1500", help="whose streams are judged, with commas between")
    parser.add_argument("--streams", type=int, default=6, help="clips of each kind that are coded")
    parser.add_argument("--composites", type=int, default=210, help="unrelated pairs whose composite scores are taken")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--fit", action="store_true", help=f"fit the kinds and write {KINDS_FILE.name}; nothing else")
    args = parser.parse_args()
    if args.fit:
        fit_kinds(args.clips)
        return

    count = round(args.seconds * SAMPLE_RATE)
    clips = [(kind_of(path), read_mono(path)[:count]) for path in _paths(args.clips)]
    heard = [features(samples) for _, samples in clips]
    print(f"{len(clips)} clips of {args.seconds:g} s.\n\n## Unrelated pairs\n")
    print(unrelated(clips, heard), flush=True)
    print("\n## Drum loops of one tempo, in phase\n", loops(), sep="\n", flush=True)
    coded = [i for kind in KINDS for i in [i for i, clip in enumerate(clips) if clip[0] == kind][: args.streams]]
    sounds = [clips[i][1] for i in coded]
    streams = decoded(sounds, args.presets.split(","), args.model)
    print("\n## Own streams\n", own([heard[i] for i in coded], streams), sep="\n", flush=True)
    print("\n## Kinds\n", kinds(clips), sep="\n", flush=True)
    pairs = list(permutations(range(len(clips)), 2))
    some = [(clips[i][1], clips[j][1]) for i, j in pairs[:: max(1, len(pairs) // args.composites)]]
    print("\n## Composite scores\n", composites(sounds, streams, some), sep="\n")


def unrelated(clips: Sequence[tuple[str, np.ndarray]], heard: Sequence[Features]) -> str:
    """Share of pairs that are wrongly called related, all and within a kind, without and with a search for the lag."""
    pairs = list(permutations(range(len(clips)), 2))
    others = [other_sounds(reference) for reference in heard]
    unmoved = {(i, j): judge(heard[i], heard[j], others=others[i]) for i, j in pairs}
    some = pairs[:: max(1, len(pairs) // 300)]
    searched = {(i, j): _searched(clips[i][1], clips[j][1]) for i, j in some}
    rows = []
    for name in ("all", *KINDS):
        chosen = [p for p in pairs if name == "all" or clips[p[0]][0] == clips[p[1]][0] == name]
        rows.append([name if name == "all" else f"{name} beside {name}", *_wrong(unmoved, chosen),
                     *_wrong(searched, [p for p in chosen if p in searched])])  # fmt: skip
    return table(["pairs", "number", "wrongly related", "number, lag searched", "wrongly related"], rows)


def _wrong(verdicts: dict[tuple[int, int], Verdict], pairs: Sequence[tuple[int, int]]) -> list[str]:
    wrong = sum(verdicts[pair].related for pair in pairs)
    return [str(len(pairs)), f"{wrong} ({wrong / max(1, len(pairs)):.1%})"]


def _searched(reference: np.ndarray, estimate: np.ndarray) -> Verdict:
    """The verdict after the choice between two alignments that `verify_sounds` makes."""
    found, unmoved = (align(reference, estimate, sample_rate=SAMPLE_RATE, lag=lag) for lag in (None, 0))
    frames = round(found.lag * FRAME_RATE / SAMPLE_RATE)
    both = [(features(pair.reference), features(pair.estimate)) for pair in (found, unmoved)]
    verdicts = [judge(*both[0], lag=frames), judge(*both[1], lag=-frames)]
    return max(verdicts, key=lambda verdict: verdict.score)


def loops() -> str:
    """How many pairs of different loops are called related, and how many of noisy copies."""
    made = [_loop(seed) for seed in range(12)]
    heard = [features(loop) for loop in made]
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(made[0]))
    copies = [judge(a, features(loop + noise)).related for a, loop in zip(heard, made, strict=True)]
    wrong = [judge(a, b).related for a, b in permutations(heard, 2)]
    rows = [["copies in noise", str(len(copies)), f"{sum(copies)}"],
            ["pairs", str(len(wrong)), f"{sum(wrong)} ({np.mean(wrong):.1%})"]]  # fmt: skip
    return table(["", "number", "related"], rows)


def _loop(seed: int) -> np.ndarray:
    """5 s at 120 beats a minute: a drum on every beat, two on random sixteenths, each of its own colour and decay."""
    rng, step, length = np.random.default_rng(seed), SAMPLE_RATE // 8, 2400
    sound = 1e-3 * rng.standard_normal(5 * SAMPLE_RATE + length)
    for density in (0.3, 0.25, 0.5):
        spectrum, centre = np.fft.rfft(rng.standard_normal(length)), rng.uniform(60, 6000)
        spectrum *= np.exp(-(((np.fft.rfftfreq(length, 1 / SAMPLE_RATE) - centre) / (centre / 2)) ** 2))
        drum = np.fft.irfft(spectrum, n=length) * np.exp(-np.arange(length) / SAMPLE_RATE * rng.uniform(20, 60))
        played = rng.random(16) < density
        played[::4] |= density == 0.3
        for k in np.flatnonzero(np.resize(played, 40)):
            sound[k * step : k * step + length] += 0.3 * rng.uniform(0.9, 1) * drum / np.abs(drum).max()
    return sound[: 5 * SAMPLE_RATE]


def decoded(sounds: Sequence[np.ndarray], presets: Sequence[str], model: str) -> dict[str, list[np.ndarray]]:
    """What the streams of the sounds decode to, by preset."""
    backend = api.load_backend(model)
    streams: dict[str, list[np.ndarray]] = {preset: [] for preset in presets}
    for samples in sounds:
        sound = Waveform.of(samples, SAMPLE_RATE)
        for preset in presets:
            data = api.compress(sound, backend=backend, preset=preset)
            streams[preset].append(api.decompress(data, backend=backend).samples[0])
    return streams


def own(heard: Sequence[Features], streams: dict[str, list[np.ndarray]]) -> str:
    """Share of streams that are found to be related to what was coded; and to everything else, wrongly."""
    others = [other_sounds(reference) for reference in heard]
    rows = []
    for preset, sounds in streams.items():
        estimates = [features(sound) for sound in sounds]
        verdicts = [judge(a, b, others=c) for a, b, c in zip(heard, estimates, others, strict=True)]
        wrong = [judge(heard[i], estimates[j], others=others[i]).related for i, j in permutations(range(len(heard)), 2)]
        rows.append([f"{preset} bit/s", f"{sum(v.related for v in verdicts)} of {len(verdicts)}",
                     f"{np.median([v.score for v in verdicts]):.2f}", f"{min(v.score for v in verdicts):.2f}",
                     f"{np.median([v.threshold for v in verdicts]):.2f}", f"{np.mean(wrong):.1%}"])  # fmt: skip
    return table(["stream", "related", "median score", "least score", "median threshold", "of another clip"], rows)


def composites(
    sounds: Sequence[np.ndarray], streams: dict[str, list[np.ndarray]], some: Sequence[tuple[np.ndarray, np.ndarray]]
) -> str:
    """Share above each level of the predecessor's table, of unrelated pairs and of own streams."""
    groups = {f"{len(some)} unrelated pairs": list(some)}
    groups |= {f"own stream, {name} bit/s": list(zip(sounds, found, strict=True)) for name, found in streams.items()}
    rows = []
    for name, group in groups.items():
        for label, score in (("summary", summary_score), ("verify", verify_score)):
            values = np.array([score(a, b, sample_rate=SAMPLE_RATE).score for a, b in group])
            shares = [f"{(values >= level).mean():.0%}" for level in _LEVELS.values()]
            rows.append([f"{name}, {label}", f"{np.median(values):.2f}", *shares])
    return table(["", "median", *(f"from {level} ({name})" for name, level in _LEVELS.items())], rows)


def kinds(clips: Iterable[tuple[str, np.ndarray]]) -> str:
    """How many clips are heard as the kind that they are."""
    heard = [(kind, listen(Waveform.of(samples, SAMPLE_RATE)).kind) for kind, samples in clips]
    rows = [[kind, *(str(heard.count((kind, other))) for other in KINDS)] for kind in KINDS]
    return table(["is, heard as", *KINDS], rows)


def fit_kinds(folder: Path) -> None:
    """Discriminants of crops of every training sound that is not the variant (`__v`) of another one."""
    rows, labels = [], []
    for path in _paths(folder):
        if "__v" in path.name:
            continue
        samples, kind = read_mono(path), KINDS.index(kind_of(path))
        for crop in (samples[: round(seconds * SAMPLE_RATE)] for seconds in _CROPS):
            if not features(crop).silent:
                rows.append(kind_statistics(crop))
                labels.append(kind)
    fit = fit_judge(np.stack(rows), np.array(labels))
    values = {name: np.round(value, 5).tolist() for name, value in vars(fit).items()}
    KINDS_FILE.write_text(json.dumps(values), encoding="utf-8")


def _paths(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    if not paths:
        raise ConfigError(f"{folder}: no sound files in it; allowed are {', '.join(AUDIO_SUFFIXES)}")
    return paths


if __name__ == "__main__":
    main()
