"""What listeners said: the sheets and the key of a listening test (`blind`), read, checked, counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import StringIO
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

from noisebook.errors import ConfigError
from noisebook.metrics.distribution import bootstrap_interval
from noisebook.report.blind import REFERENCE, Design

__all__ = ["COLUMNS", "tally"]

Json = dict[str, Any]

COLUMNS = ["kit", "design", "listener", "seed", "trial", "code", "score", "seconds"]
_GOOD_REFERENCE, _TOLERATED = 90, 0.15  # BS.1534-3: who rates the hidden reference lower in more of the trials is out


def tally(sheets: Sequence[Path], key: Path) -> Json:
    """What the listeners heard: {"design", "kit", "listeners": [...], "conditions": [...]} or {..., "methods": [...]}.

    MUSHRA: for each condition mean, 95 % bootstrap interval and number of ratings, without the listeners that BS.1534-3
    excludes after the test. ABX: for each method and each listener the right answers and the one-sided binomial
    p-value, the chance of so many or more by guessing.

    Raises:
        ConfigError: a key or sheet that is malformed or of another test; the message names file and line.
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
        references = [score for condition, _, score in heard if condition == REFERENCE]
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
    """Right answers and their p-values, by method and by listener."""
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
