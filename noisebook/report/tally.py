"""What listeners said: the sheets and the key of a listening test (`blind`), read, checked, counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from noisebook.errors import ConfigError
from noisebook.metrics.distribution import bootstrap_interval
from noisebook.report.blind import REFERENCE

__all__ = ["COLUMNS", "tally"]

Json = dict[str, Any]

COLUMNS = ["kit", "design", "listener", "seed", "trial", "code", "score", "seconds"]
_GOOD_REFERENCE, _TOLERATED = 90, 0.15  # BS.1534-3, post-screening


def tally(sheets: Sequence[Path], key: Path) -> Json:
    """What the listeners heard.

    MUSHRA: for each condition mean, 95 % bootstrap interval and number of ratings (a rating of one listener in one
    trial counts as one), without the listeners that BS.1534-3 excludes after the test: those who rate the hidden
    reference below 90 in more than 15 % of their trials. ABX: for each method and each listener the right answers and
    the one-sided binomial p-value, the chance of so many or more by guessing.

    Returns:
        {"design", "kit", "listeners": [...], "conditions": [...]} or {..., "methods": [...]}, all JSON.

    Raises:
        ConfigError: a key or sheet that is malformed or of another test; the message names file and line.
    """
    if not sheets:
        raise ConfigError("no sheet to tally: give the CSV files that the page saved")
    answers = _read_key(key)
    by_listener: dict[str, list[Json]] = {}
    for path in sheets:
        lines = _read_sheet(path, answers)
        listener, known = lines[0]["listener"], by_listener.setdefault(lines[0]["listener"], lines)
        if known is not lines:
            raise ConfigError(
                f"{known[0]['sheet']} and {path} are both of the listener {listener!r}: "
                "give each sheet once, and each listener a name of their own"
            )
    count = _count_mushra if answers["design"] == "mushra" else _count_abx
    return {"design": answers["design"], "kit": answers["kit"], **count(by_listener, answers)}


def _count_mushra(by_listener: dict[str, list[Json]], key: Json) -> Json:
    """Listeners with their screening, and conditions by falling mean."""

    def condition(line: Json) -> str:
        return str(key["trials"][line["trial"]]["codes"][line["code"]])

    listeners, counted = [], []
    for listener, lines in by_listener.items():
        references = [line["score"] for line in lines if condition(line) == REFERENCE]
        low = sum(score < _GOOD_REFERENCE for score in references)
        excluded = low > _TOLERATED * len(references)
        counted += [] if excluded else lines
        about = {"listener": listener, "sheet": lines[0]["sheet"], "trials": len(references)}
        listeners.append(about | {"reference_below_90": low, "excluded": excluded})
    conditions = []
    for name, label in key["conditions"].items():
        own = [line for line in counted if condition(line) == name]
        scores = [line["score"] for line in own]
        by_trial: dict[int, list[float]] = {}
        for line in own:
            by_trial.setdefault(line["trial"], []).append(line["score"])
        by_input = {key["trials"][trial]["input"]: sum(those) / len(those) for trial, those in by_trial.items()}
        mean, low, high = bootstrap_interval(scores) if scores else (None, None, None)
        ratings = {"mean": mean, "low": low, "high": high, "n": len(scores), "by_input": by_input}
        conditions.append({"condition": name, "label": label, **ratings})
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
    every = [line for lines in by_listener.values() for line in lines]
    methods = [
        {
            "method": name,
            "label": key["conditions"][name],
            **count([line for line in every if key["trials"][line["trial"]]["method"] == name]),
        }
        for name in dict.fromkeys(trial["method"] for trial in key["trials"].values())
    ]
    return {"listeners": listeners, "methods": methods}


def _read_key(path: Path) -> Json:
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        known = key["format"] == 1 and key["design"] in ("mushra", "abx")
        if known:
            key["trials"] = {trial["trial"]: trial for trial in key["trials"]}
            if not isinstance(key["kit"], str) or not isinstance(key["conditions"], dict):
                raise TypeError("kit or conditions")
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not the key of a listening test ({error}): give the key.json that was written with it"
        ) from error
    if not known:
        raise ConfigError(
            f"{path}: a key of format {key['format']!r} and design {key['design']!r}: this version knows format 1"
        )
    return dict(key)


def _read_sheet(path: Path, key: Json) -> list[Json]:
    """The lines of one sheet, in order, `trial` an int and `score` a float (MUSHRA) or "A" or "B" (ABX)."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot read the sheet {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}, line 1: not UTF-8 text: give the CSV file that the page saved") from error
    reader = csv.reader(StringIO(text), strict=True)
    lines: list[Json] = []
    try:
        for cells in reader:
            if reader.line_num == 1:
                _check(cells == COLUMNS, path, 1, f"the columns are {','.join(cells)}, not {','.join(COLUMNS)}")
            elif cells:
                lines.append(_line(cells, key, path, reader.line_num))
    except csv.Error as error:
        raise ConfigError(
            f"{path}, line {reader.line_num}: not CSV ({error}): give the file that the page saved"
        ) from error
    _check(bool(lines), path, reader.line_num or 1, "no ratings")
    _check_whole(lines, key, path)
    return lines


def _line(cells: list[str], key: Json, path: Path, number: int) -> Json:
    _check(len(cells) == len(COLUMNS), path, number, f"{len(cells)} cells, not {len(COLUMNS)}")
    line: Json = dict(zip(COLUMNS, cells, strict=True))
    found, wanted = (line["kit"], line["design"]), (key["kit"], key["design"])
    _check(found == wanted, path, number, f"of the test {' '.join(found)}, and the key is of {' '.join(wanted)}")
    _check(line["listener"].strip() != "", path, number, "no listener")
    known = line["trial"].isdecimal() and int(line["trial"]) in key["trials"]
    _check(known, path, number, f"no trial {line['trial']!r} in the key")
    trial = key["trials"][int(line["trial"])]
    mushra = key["design"] == "mushra"
    codes = trial["codes"] if mushra else [trial["code"]]
    _check(line["code"] in codes, path, number, f"no sound {line['code']!r} in trial {line['trial']}")
    score: float | str | None = line["score"] if line["score"] in ("A", "B") else None
    if mushra:
        try:
            score = float(line["score"])
        except ValueError:
            score = None
        score = score if score is not None and 0 <= score <= 100 else None
    allowed = "a number from 0 to 100" if mushra else "A or B"
    _check(score is not None, path, number, f"a score of {line['score']!r}, not {allowed}")
    return line | {"trial": int(line["trial"]), "score": score, "sheet": str(path), "line": number}


def _check_whole(lines: list[Json], key: Json, path: Path) -> None:
    """One listener, no sound twice, and no trial rated in part."""
    names = list(dict.fromkeys(line["listener"] for line in lines))
    _check(len(names) == 1, path, lines[0]["line"], f"several listeners ({', '.join(names)}): one sheet for each")
    rated: dict[int, set[str]] = {}
    for line in lines:
        codes = rated.setdefault(line["trial"], set())
        place = f"trial {line['trial']}, sound {line['code']}"
        _check(line["code"] not in codes, path, line["line"], f"{place} is rated twice")
        codes.add(line["code"])
    if key["design"] == "mushra":
        for trial, codes in rated.items():
            missing = [code for code in key["trials"][trial]["codes"] if code not in codes]
            last = max(line["line"] for line in lines if line["trial"] == trial)
            _check(not missing, path, last, f"trial {trial} has no score of {', '.join(missing)}")


def _check(good: bool, path: Path, line: int, problem: str) -> None:
    if not good:
        raise ConfigError(f"{path}, line {line}: {problem}: give sheets as the page saved them, with their own key")
