"""Blind listening tests as one web page.

Two designs. MUSHRA (ITU-R BS.1534-3): the listener rates all versions of a sound from 0 to 100 beside the open
reference; a hidden copy of the reference and a low-pass of 3.5 kHz are among them. ABX: the listener says whether X is
A or B, of which one is the original and the other what a method made of it.

    write_blind -> index.html (give it to listeners) and key.json (keep it)
    listeners   -> one CSV sheet each, saved by the page
    tally.tally -> sheets and key joined: means with intervals, or counts with p-values

Nothing in the page reveals which sound is which: names are random, all sounds of a trial are WAV of one length, and
loudness is matched. The page is our own, since it works from one file without a server, which webMUSHRA does not.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from noisebook.audio.html import sound_uri
from noisebook.audio.io import read, write_bytes_atomic
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.errors import ConfigError
from noisebook.report.page import inside, matched_gains, render
from noisebook.report.results import group

__all__ = ["ANCHOR", "REFERENCE", "Design", "low_anchor", "write_blind"]

Json = dict[str, Any]
Design = Literal["mushra", "abx"]

REFERENCE, ANCHOR = "reference", "anchor-3500"  # conditions that are no methods
_CONDITIONS = {REFERENCE: "hidden reference", ANCHOR: "anchor: low-pass at 3.5 kHz"}
_MAX_STIMULI = 12  # to be rated in one trial, after BS.1534-3
_ABX_TRIALS = (8, 12, 16)  # of each method at least; the listener chooses
_LEVEL = 0.05  # the most that guessing may reach the right answers asked for
_HEARD = 0.75  # share of right answers of the listener whose chances the page names
_MAX_MEGABYTES = 64.0
_ANCHOR_PASS, _ANCHOR_STOP = 3500.0, 4000.0  # Hz


def write_blind(
    results: Json,
    folder: Path,
    out: Path,
    *,
    design: Design,
    seed: int,
    methods: Sequence[str] | None = None,
    max_megabytes: float = _MAX_MEGABYTES,
) -> None:
    """Write `index.html` and `key.json` of a listening test into `out`, which is made; existing ones are replaced.

    Args:
        results: the dictionary of results.json.
        folder: where the files that it names are.
        design: "mushra": one trial for each input. "abx": trials for each input and method, of each method at least 8,
            12 or 16, as the listener chooses.
        seed: of the names and, for ABX, of what X is. (The page draws the order anew for each listener.)
        methods: ids of those to test; by default all but controls.
        max_megabytes: room for sounds in the page, in 10^6 bytes.

    Raises:
        ConfigError: an unknown design or method, nothing to test, more than 12 sounds to rate in a trial, more sound
            than there is room for, or a file outside the folder.
        AudioError: a sound that cannot be read, or a file that cannot be written.
    """
    if design not in get_args(Design):
        raise ConfigError(f"no design {design!r} of listening tests: choose from {', '.join(get_args(Design))}")
    chosen = _choose(results, methods)
    inputs = [entry for entry in _inputs(results, folder, chosen) if len(entry["sounds"]) > 1]
    if not inputs:
        raise ConfigError("no input has a sound of the chosen methods: nothing to listen to; choose others")
    test = _Test(random.Random(seed))
    (test.add_mushra if design == "mushra" else test.add_abx)(inputs)
    uris = {code: sound_uri(sound, "WAV") for code, sound in sorted(test.sounds.items())}  # an order that says nothing
    megabytes = sum(map(len, uris.values())) / 1e6
    if megabytes > max_megabytes:
        raise ConfigError(
            f"the test has {megabytes:.1f} MB of sound, and {max_megabytes:g} are allowed: "
            "choose fewer methods or shorter clips"
        )
    identity = {"kit": hashlib.sha256("".join(uris).encode()).hexdigest()[:12], "design": design}
    made_by = {"noisebook": results["noisebook"]}
    conditions = _CONDITIONS | {method["id"]: method["label"] for method in chosen}
    key = {**identity, "format": 1, "seed": seed, **made_by, "conditions": conditions, "trials": test.answers}
    kit = {**identity, "sounds": uris, "trials": test.trials}
    page = render("blind.html.jinja", kit=kit, design=design, lengths=_lengths(test.trials, inputs), **made_by)
    out.mkdir(parents=True, exist_ok=True)
    for name, text in (("index.html", page), ("key.json", json.dumps(key, indent=1, ensure_ascii=False))):
        write_bytes_atomic(out / name, text.encode("utf-8"), overwrite=True)


def low_anchor(sound: Waveform) -> Waveform:
    """The low anchor of BS.1534-3: flat to 3.5 kHz within 0.1 dB, 60 dB down from 4 kHz on, without delay.

    Raises:
        ConfigError: a sample rate below 8 kHz, at which nothing is left to cut off.
    """
    rate = sound.sample_rate
    if rate < 2 * _ANCHOR_STOP:
        raise ConfigError(f"an anchor of 3.5 kHz of a sound at {rate} Hz: compare at 8000 Hz or above, or use ABX")
    from scipy.signal import firwin, kaiserord, oaconvolve

    count, beta = kaiserord(60, 2 * (_ANCHOR_STOP - _ANCHOR_PASS) / rate)
    taps = firwin(count | 1, (_ANCHOR_PASS + _ANCHOR_STOP) / 2, window=("kaiser", beta), fs=rate)
    filtered = oaconvolve(sound.samples, taps[None], mode="same", axes=1)
    return Waveform(filtered.astype(np.float32), rate)


def _choose(results: Json, names: Sequence[str] | None) -> list[Json]:
    if names is None:
        return [method for method in results["methods"] if group(method) != "control"]
    table = {method["id"]: method for method in results["methods"]}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ConfigError(f"no method {', '.join(unknown)} in these results: choose from {', '.join(table)}")
    return [table[name] for name in names]


def _inputs(results: Json, folder: Path, chosen: list[Json]) -> Iterator[Json]:
    """For each input its sounds by condition: the original, and of each method, all of one shape and loudness."""
    for entry in results["inputs"]:
        files = {row["method"]: row["file"] for row in results["rows"] if row["input"] == entry["id"] and row["file"]}
        original = read(inside(folder, entry["file"]))
        sounds = {REFERENCE: original}
        for method in chosen:
            if method["id"] in files:
                sounds[method["id"]] = _conform(read(inside(folder, files[method["id"]])), original)
        gains = matched_gains(list(sounds.values()))
        levelled = {
            condition: Waveform(sound.samples * np.float32(10 ** (gain / 20)), sound.sample_rate)
            for (condition, sound), gain in zip(sounds.items(), gains, strict=True)
        }
        yield {"id": entry["id"], "title": entry["title"], "sounds": levelled}


def _conform(sound: Waveform, like: Waveform) -> Waveform:
    """The sound at the rate, channels and length of another, so that no size reveals it."""
    sound = resample(sound, like.sample_rate)
    samples = sound.samples
    if sound.channels != like.channels:
        samples = np.repeat(downmix(sound).samples, like.channels, axis=0)
    missing = max(0, like.sample_count - samples.shape[1])
    return Waveform(np.pad(samples, ((0, 0), (0, missing)))[:, : like.sample_count], like.sample_rate)


@dataclass
class _Test:
    """Sounds by random names, trials for the page, and for each the answer for the key."""

    draw: random.Random
    sounds: dict[str, Waveform] = field(default_factory=dict)
    trials: list[Json] = field(default_factory=list)
    answers: list[Json] = field(default_factory=list)

    def add_mushra(self, inputs: list[Json]) -> None:
        """A trial for each input."""
        for entry in inputs:
            stimuli = entry["sounds"] | {ANCHOR: low_anchor(entry["sounds"][REFERENCE])}
            if len(stimuli) > _MAX_STIMULI:
                raise ConfigError(
                    f"{len(stimuli)} sounds to rate in a trial ({entry['title']}), with hidden reference and anchor, "
                    f"and BS.1534-3 allows {_MAX_STIMULI}: name the methods to test, {_MAX_STIMULI - 2} at most"
                )
            codes = {self._name(sound): condition for condition, sound in stimuli.items()}
            reference, ordered = self._name(entry["sounds"][REFERENCE]), sorted(codes)
            self._add(entry, {"reference": reference, "codes": ordered}, {"codes": {c: codes[c] for c in ordered}})

    def add_abx(self, inputs: list[Json]) -> None:
        """Trials for each input and method. X is a copy under a name of its own, or its name would give it away."""
        for entry in inputs:
            for method in (name for name in entry["sounds"] if name != REFERENCE):
                pair = entry["sounds"][REFERENCE], entry["sounds"][method]
                shown, hidden = ([self._name(sound) for sound in pair] for _ in range(2))
                for number in range(-(-max(_ABX_TRIALS) // len(inputs))):
                    first, x = self.draw.randrange(2), self.draw.randrange(2)
                    codes = {"a": shown[first], "b": shown[1 - first], "x": hidden[x]}
                    answer = {"method": method, "code": codes["x"], "answer": "A" if x == first else "B"}
                    self._add(entry, {"round": number} | codes, answer)

    def _add(self, entry: Json, trial: Json, answer: Json) -> None:
        number = len(self.trials) + 1
        self.trials.append({"trial": number, "title": entry["title"]} | trial)
        self.answers.append({"trial": number, "input": entry["id"]} | answer)

    def _name(self, sound: Waveform) -> str:
        """Put a sound in under a new random name, and return the name."""
        code = ""
        while not code or code in self.sounds:
            code = "".join(self.draw.choices("bcdfghjkmnpqrstvwxz23456789", k=6))
        self.sounds[code] = sound
        return code


def _lengths(trials: list[Json], inputs: list[Json]) -> list[Json]:
    """How long the test can be: of each choice the trials and about how many minutes; of ABX also the rounds, the
    trials of each method, how many of them have to be right, and how likely that is."""
    seconds = sum(entry["sounds"][REFERENCE].duration for entry in inputs) / len(inputs)
    if "round" not in trials[0]:  # every version is heard twice, and rated in five seconds
        versions = sum(len(trial["codes"]) for trial in trials)
        return [{"trials": len(trials), "minutes": _minutes(2 * seconds * (versions + len(trials)) + 5 * versions)}]
    from scipy.stats import binom

    lengths = []
    for rounds in dict.fromkeys(-(-count // len(inputs)) for count in _ABX_TRIALS):
        count, each = sum(trial["round"] < rounds for trial in trials), rounds * len(inputs)
        needed = int(binom.isf(_LEVEL, each, 0.5)) + 1
        lengths.append({
            "rounds": rounds, "trials": count, "each": each, "needed": needed,
            "minutes": _minutes(count * (5 * seconds + 5)), "chance": float(binom.sf(needed - 1, each, _HEARD)),
        })  # fmt: skip
    return lengths


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))
