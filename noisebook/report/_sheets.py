"""The sheets and the key of a listening test: read, checked, counted."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from io import StringIO
from itertools import groupby
from math import comb
from pathlib import Path
from typing import Any

from noisebook.errors import ConfigError
from noisebook.metrics.distribution import bootstrap_interval

__all__ = ["ANCHOR", "COLUMNS", "REFERENCE", "read_key", "read_sheets", "tally_abx", "tally_mushra"]

Json = dict[str, Any]

REFERENCE, ANCHOR = "reference", "anchor-3500"  # conditions that are no methods
COLUMNS = ["kit", "design", "listener", "seed", "trial", "code", "score", "seconds"]
_GOOD_REFERENCE, _TOLERATED = 90, 0.15  # BS.1534-3, post-screening


def read_key(path: Path) -> Json:
    """key.json.

    Raises:
        ConfigError: not there, or not a key.
    """
    try:
        key = json.loads(path.read_text(encoding="utf-8"))
        if key["format"] != 1 or key["design"] not in ("mushra", "abx"):
            raise ConfigError(
                f"{path}: a key of format {key['format']!r} and design {key['design']!r}: this version knows format 1"
            )
        key["trials"] = {trial["trial"]: trial for trial in key["trials"]}
        if not isinstance(key["kit"], str) or not isinstance(key["conditions"], dict):
            raise TypeError("kit or conditions")
    except OSError as error:
        raise ConfigError(f"cannot read the key {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(
            f"{path} is not the key of a listening test ({error}): give the key.json that was written with it"
        ) from error
    return dict(key)


def read_sheets(paths: Sequence[Path], key: Json) -> list[Json]:
    """The lines of all sheets.

    Raises:
        ConfigError: a sheet that cannot be used, or two of one listener.
    """
    sheets = [_read_sheet(path, key) for path in paths]
    owners: dict[str, str] = {}
    for first in (lines[0] for lines in sheets):
        if first["listener"] in owners:
            raise ConfigError(
                f"{owners[first['listener']]} and {first['sheet']} are both of the listener {first['listener']!r}: "
                "give each sheet once, and each listener a name of their own"
            )
        owners[first["listener"]] = first["sheet"]
    return [line for lines in sheets for line in lines]


def _read_sheet(path: Path, key: Json) -> list[Json]:
    """The lines of one sheet, in order, `trial` an int and `score` a float (MUSHRA) or "A" or "B" (ABX).

    Raises:
        ConfigError: the sheet is not there, has other columns, belongs to another test, or a line is impossible or
            missing; the message names file and line.
    """
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
    _check_complete(lines, key, path)
    return lines


def tally_mushra(lines: list[Json], key: Json) -> Json:
    """Listeners with their screening, and conditions by falling mean."""
    listeners = []
    for (listener, sheet), own in _by_listener(lines):
        references = [line["score"] for line in own if _condition(line, key) == REFERENCE]
        low = sum(score < _GOOD_REFERENCE for score in references)
        excluded = low > _TOLERATED * len(references)
        listeners.append(
            {
                "listener": listener,
                "sheet": sheet,
                "trials": len(references),
                "reference_below_90": low,
                "excluded": excluded,
            }
        )
    kept = {one["sheet"] for one in listeners if not one["excluded"]}
    counted = [line for line in lines if line["sheet"] in kept]
    conditions = [
        {
            "condition": name,
            "label": label,
            **_ratings([line for line in counted if _condition(line, key) == name], key),
        }
        for name, label in key["conditions"].items()
    ]
    conditions.sort(key=lambda one: -1.0 if one["mean"] is None else one["mean"], reverse=True)
    return {"listeners": listeners, "conditions": conditions}


def tally_abx(lines: list[Json], key: Json) -> Json:
    """Right answers and their p-values, by method and by listener."""

    def count(chosen: list[Json]) -> Json:
        right = sum(line["score"] == key["trials"][line["trial"]]["answer"] for line in chosen)
        return {"correct": right, "n": len(chosen), "p_value": _chance(right, len(chosen))}

    listeners = [{"listener": name, "sheet": sheet, **count(own)} for (name, sheet), own in _by_listener(lines)]
    methods = [
        {
            "method": name,
            "label": key["conditions"][name],
            **count([line for line in lines if key["trials"][line["trial"]]["method"] == name]),
        }
        for name in dict.fromkeys(trial["method"] for trial in key["trials"].values())
    ]
    return {"listeners": listeners, "methods": methods}


def _line(cells: list[str], key: Json, path: Path, number: int) -> Json:
    _check(len(cells) == len(COLUMNS), path, number, f"{len(cells)} cells, not {len(COLUMNS)}")
    line: Json = dict(zip(COLUMNS, cells, strict=True))
    found, wanted = (line["kit"], line["design"]), (key["kit"], key["design"])
    _check(found == wanted, path, number, f"of the test {' '.join(found)}, and the key is of {' '.join(wanted)}")
    _check(line["listener"].strip() != "", path, number, "no listener")
    _check(
        line["trial"].isdecimal() and int(line["trial"]) in key["trials"],
        path,
        number,
        f"no trial {line['trial']!r} in the key",
    )
    trial = key["trials"][int(line["trial"])]
    codes = trial["codes"] if key["design"] == "mushra" else [trial["code"]]
    _check(line["code"] in codes, path, number, f"no sound {line['code']!r} in trial {line['trial']}")
    score = _score(line["score"], key["design"])
    allowed = "a number from 0 to 100" if key["design"] == "mushra" else "A or B"
    _check(score is not None, path, number, f"a score of {line['score']!r}, not {allowed}")
    return line | {"trial": int(line["trial"]), "score": score, "sheet": str(path), "line": number}


def _score(text: str, design: str) -> float | str | None:
    if design == "abx":
        return text if text in ("A", "B") else None
    try:
        score = float(text)
    except ValueError:
        return None
    return score if 0 <= score <= 100 else None


def _check_complete(lines: list[Json], key: Json, path: Path) -> None:
    """One listener, no sound twice, and no trial rated in part."""
    names = list(dict.fromkeys(line["listener"] for line in lines))
    _check(len(names) == 1, path, lines[0]["line"], f"several listeners ({', '.join(names)}): one sheet for each")
    seen: dict[tuple[int, str], int] = {}
    for line in lines:
        place = line["trial"], line["code"]
        _check(place not in seen, path, line["line"], f"trial {place[0]}, sound {place[1]} is rated twice")
        seen[place] = line["line"]
    if key["design"] == "mushra":
        for trial, number in {trial: number for (trial, _), number in seen.items()}.items():
            missing = [code for code in key["trials"][trial]["codes"] if (trial, code) not in seen]
            _check(not missing, path, number, f"trial {trial} has no score of {', '.join(missing)}")


def _check(good: bool, path: Path, line: int, problem: str) -> None:
    if not good:
        raise ConfigError(f"{path}, line {line}: {problem}: give sheets as the page saved them, with their own key")


def _by_listener(lines: list[Json]) -> Iterator[tuple[tuple[str, str], list[Json]]]:
    """(listener, sheet) and their lines; lines of a sheet lie together."""
    for name, own in groupby(lines, key=lambda line: (line["listener"], line["sheet"])):
        yield name, list(own)


def _condition(line: Json, key: Json) -> str:
    return str(key["trials"][line["trial"]]["codes"][line["code"]])


def _ratings(lines: list[Json], key: Json) -> Json:
    scores = [line["score"] for line in lines]
    inputs = {line["trial"]: key["trials"][line["trial"]]["input"] for line in lines}
    by_input = {name: [line["score"] for line in lines if line["trial"] == trial] for trial, name in inputs.items()}
    mean, low, high = bootstrap_interval(scores) if scores else (None, None, None)
    return {
        "mean": mean,
        "low": low,
        "high": high,
        "n": len(scores),
        "by_input": {name: sum(values) / len(values) for name, values in by_input.items()},
    }


def _chance(right: int, total: int) -> float:
    """Probability of `right` or more of `total` answers by tossing a coin; 1 for none."""
    return sum(comb(total, k) for k in range(right, total + 1)) / 2**total
