"""Blind listening tests as one web page, and what listeners said.

Two designs. MUSHRA (ITU-R BS.1534-3): the listener rates all versions of a sound from 0 to 100 beside the open
reference; a hidden copy of the reference and a low-pass of 3.5 kHz are among them. ABX: the listener says whether X is
A or B, of which one is the original and the other what a method made of it.

    write_blind -> index.html (give it to listeners) and key.json (keep it)
    listeners   -> one CSV sheet each, saved by the page
    tally       -> sheets and key joined: means with intervals, or counts with p-values

Nothing in the page reveals which sound is which: names are random, all sounds of a trial are WAV of one length, and
loudness is matched. The page is our own, since it works from one file without a server, which webMUSHRA does not.
"""

from __future__ import annotations

import csv
import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import StringIO
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, get_args

import numpy as np

from noisebook.audio.html import sound_uri
from noisebook.audio.io import read, write_bytes_atomic
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.errors import ConfigError
from noisebook.metrics import bootstrap_interval
from noisebook.report.page import inside, matched_gains, render
from noisebook.report.results import group

Json = dict[str, Any]
Design = Literal["mushra", "abx"]

_REFERENCE, _ANCHOR = "reference", "anchor-3500"  # conditions that are no methods
_CONDITIONS = {_REFERENCE: "hidden reference", _ANCHOR: "anchor: low-pass at 3.5 kHz"}
_MAX_STIMULI = 12  # to be rated in one trial, after BS.1534-3
_ABX_TRIALS = (8, 12, 16)  # of each method at least; the listener chooses
_LEVEL = 0.05  # the most that guessing may reach the right answers asked for
_HEARD = 0.75  # share of right answers of the listener whose chances the page names
_MAX_MEGABYTES = 64.0
_ANCHOR_PASS, _ANCHOR_STOP = 3500.0, 4000.0  # Hz
COLUMNS = ["kit", "design", "listener", "seed", "trial", "code", "score", "seconds"]  # of a sheet
_GOOD_REFERENCE, _TOLERATED = 90, 0.15  # BS.1534-3: who rates the hidden reference lower in more of the trials is out


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

    ConfigError for an unknown design or method, nothing to test, more than 12 sounds to rate in a trial, too much
    sound, and a file outside the folder; AudioError where a sound cannot be read or a file be written.
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
    """The low anchor of BS.1534-3: flat to 3.5 kHz within 0.1 dB, 60 dB down from 4 kHz on, without delay. ConfigError
    for a sample rate below 8 kHz, at which nothing is left to cut off."""
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
        sounds = {_REFERENCE: original}
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
        for entry in inputs:
            stimuli = entry["sounds"] | {_ANCHOR: low_anchor(entry["sounds"][_REFERENCE])}
            if len(stimuli) > _MAX_STIMULI:
                raise ConfigError(
                    f"{len(stimuli)} sounds to rate in a trial ({entry['title']}), with hidden reference and anchor, "
                    f"and BS.1534-3 allows {_MAX_STIMULI}: name the methods to test, {_MAX_STIMULI - 2} at most"
                )
            codes = {self._name(sound): condition for condition, sound in stimuli.items()}
            reference, ordered = self._name(entry["sounds"][_REFERENCE]), sorted(codes)
            self._add(entry, {"reference": reference, "codes": ordered}, {"codes": {c: codes[c] for c in ordered}})

    def add_abx(self, inputs: list[Json]) -> None:
        """Trials for each input and method. X is a copy under a name of its own, or its name would give it away."""
        for entry in inputs:
            for method in (name for name in entry["sounds"] if name != _REFERENCE):
                pair = entry["sounds"][_REFERENCE], entry["sounds"][method]
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
    seconds = sum(entry["sounds"][_REFERENCE].duration for entry in inputs) / len(inputs)
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


def tally(sheets: Sequence[Path], key: Path) -> Json:
    """What listeners answered: {"design", "kit", "listeners": [...], "conditions": [...]} or {..., "methods": [...]}.

    MUSHRA: for each condition mean, 95 % bootstrap interval and number of ratings, without the listeners that BS.1534-3
    excludes after the test. ABX: for each method and each listener the right answers and the one-sided binomial
    p-value, the chance of so many or more by guessing. ConfigError, which names file and line, for a key or sheet that
    is malformed or of another test.
    """
    if not sheets:
        raise ConfigError("no sheet to tally: give the CSV files that the page saved")
    answers = _read_key(key)
    by_listener: dict[str, list[Json]] = {}
    for path in sheets:
        lines = _read_sheet(path, answers)
        known = by_listener.setdefault(lines[0]["listener"], lines)
        if known is not lines:
            raise ConfigError(
                f"{known[0]['sheet']} and {path} are both of the listener {lines[0]['listener']!r}: "
                "give each sheet once, and each listener a name of their own"
            )
    count = _count_mushra if answers["design"] == "mushra" else _count_abx
    return {"design": answers["design"], "kit": answers["kit"], **count(by_listener, answers)}


def _count_mushra(by_listener: dict[str, list[Json]], key: Json) -> Json:
    """Listeners with their screening, and conditions by falling mean."""
    listeners: list[Json] = []
    scores: dict[str, list[tuple[str, float]]] = {name: [] for name in key["conditions"]}  # with their inputs
    for listener, lines in by_listener.items():
        rated = [(key["trials"][line["trial"]], line) for line in lines]
        heard = [(trial["codes"][line["code"]], trial["input"], line["score"]) for trial, line in rated]
        references = [score for condition, _, score in heard if condition == _REFERENCE]
        low = sum(score < _GOOD_REFERENCE for score in references)
        excluded = low > _TOLERATED * len(references)
        about = {"listener": listener, "sheet": lines[0]["sheet"], "trials": len(references)}
        listeners.append(about | {"reference_below_90": low, "excluded": excluded})
        for condition, source, score in heard if not excluded else ():
            scores[condition].append((source, score))
    conditions = []
    for name, own in scores.items():
        mean, low, high = bootstrap_interval([score for _, score in own]) if own else (None, None, None)
        sources = dict.fromkeys(source for source, _ in own)
        means = {source: fmean(score for other, score in own if other == source) for source in sources}
        counted = {"mean": mean, "low": low, "high": high, "n": len(own), "by_input": means}
        conditions.append({"condition": name, "label": key["conditions"][name], **counted})
    conditions.sort(key=lambda one: -1.0 if one["mean"] is None else one["mean"], reverse=True)
    return {"listeners": listeners, "conditions": conditions}


def _count_abx(by_listener: dict[str, list[Json]], key: Json) -> Json:
    from scipy.stats import binomtest

    def count(lines: list[Json]) -> Json:
        right = sum(line["score"] == key["trials"][line["trial"]]["answer"] for line in lines)
        p_value = float(binomtest(right, len(lines), alternative="greater").pvalue) if lines else 1.0
        return {"correct": right, "n": len(lines), "p_value": p_value}

    listeners = [{"listener": name, "sheet": lines[0]["sheet"], **count(lines)} for name, lines in by_listener.items()]
    by_method: dict[str, list[Json]] = {trial["method"]: [] for trial in key["trials"].values()}
    for line in chain(*by_listener.values()):
        by_method[key["trials"][line["trial"]]["method"]].append(line)
    methods = [{"method": name, "label": key["conditions"][name], **count(own)} for name, own in by_method.items()]
    return {"listeners": listeners, "methods": methods}


def _read_key(path: Path) -> Json:
    """The key, its trials by their numbers."""
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        if key["format"] != 1:
            raise ConfigError(f"{path}: a key of format {key['format']!r}, and this version knows format 1")
        if key["design"] not in get_args(Design) or not isinstance(key["kit"], str):
            raise TypeError("kit or design")
        return key | {"trials": {trial["trial"]: trial for trial in key["trials"]}, "conditions": {**key["conditions"]}}
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not the key of a listening test ({error}): give the key.json that was written with it"
        ) from error


def _read_sheet(path: Path, key: Json) -> list[Json]:
    """The lines of one sheet, in order, `trial` an int and `score` a float (MUSHRA) or "A" or "B" (ABX)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the sheet {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise _refused(path, 1, "not UTF-8 text") from error
    reader = csv.DictReader(StringIO(text), strict=True)
    lines: list[Json] = []
    try:
        if (columns := list(reader.fieldnames or COLUMNS)) != COLUMNS:
            raise _refused(path, 1, f"the columns are {','.join(columns)}, not {','.join(COLUMNS)}")
        for line in reader:
            if problem := _problem(line, key):
                raise _refused(path, reader.line_num, problem)
            score = float(line["score"]) if key["design"] == "mushra" else line["score"]
            read = {"trial": int(line["trial"]), "score": score, "sheet": str(path), "line": reader.line_num}
            lines.append(line | read)
    except csv.Error as error:
        raise _refused(path, reader.reader.line_num, f"not CSV ({error})") from error
    if not lines:
        raise _refused(path, 1, "no ratings")
    _check_whole(lines, key, path)
    return lines


def _problem(line: dict[str, str], key: Json) -> str | None:
    """What is wrong with a line by itself."""
    if None in line or None in line.values():
        return f"not {len(COLUMNS)} cells"
    found, wanted = (line["kit"], line["design"]), (key["kit"], key["design"])
    if found != wanted:
        return f"of the test {' '.join(found)}, and the key is of {' '.join(wanted)}"
    if not line["listener"].strip():
        return "no listener"
    trial = key["trials"].get(int(line["trial"])) if line["trial"].isdecimal() else None
    if trial is None:
        return f"no trial {line['trial']!r} in the key"
    if line["code"] not in (trial["codes"] if key["design"] == "mushra" else [trial["code"]]):
        return f"no sound {line['code']!r} in trial {line['trial']}"
    if key["design"] == "abx":
        return None if line["score"] in ("A", "B") else f"a score of {line['score']!r}, not A or B"
    try:
        in_range = 0 <= float(line["score"]) <= 100
    except ValueError:
        in_range = False
    return None if in_range else f"a score of {line['score']!r}, not a number from 0 to 100"


def _check_whole(lines: list[Json], key: Json, path: Path) -> None:
    """One listener, no sound twice, and no trial rated in part."""
    names = list(dict.fromkeys(line["listener"] for line in lines))
    if len(names) != 1:
        raise _refused(path, lines[0]["line"], f"several listeners ({', '.join(names)}): one sheet for each")
    rated: dict[int, dict[str, int]] = {}  # codes of each trial, with their lines
    for line in lines:
        codes = rated.setdefault(line["trial"], {})
        if line["code"] in codes:
            raise _refused(path, line["line"], f"trial {line['trial']}, sound {line['code']} is rated twice")
        codes[line["code"]] = line["line"]
    for trial, codes in rated.items() if key["design"] == "mushra" else ():
        if missing := [code for code in key["trials"][trial]["codes"] if code not in codes]:
            raise _refused(path, max(codes.values()), f"trial {trial} has no score of {', '.join(missing)}")


def _refused(path: Path, line: int, problem: str) -> ConfigError:
    return ConfigError(f"{path}, line {line}: {problem}: give sheets as the page saved them, with their own key")
