"""Blind tests: pages that do not tell, and tallies that count right and refuse what is malformed."""

from __future__ import annotations

import csv
import json
import re
from base64 import b64decode
from collections.abc import Callable
from io import BytesIO
from math import comb
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
import soundfile

from noisebook.audio.level import loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from noisebook.report.blind import COLUMNS, low_anchor, tally, write_blind

build = run_path(str(Path(__file__).parents[1] / "report_results.py"))["build"]
CHOSEN = ["ddcm-300", "ddcm-3000", "opus-6"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    folder = tmp_path_factory.mktemp("blind")
    return build(folder, inputs=2, seconds=0.6), folder


@pytest.fixture(scope="module")
def kits(made: tuple[dict[str, Any], Path]) -> Path:
    results, folder = made
    for design in ("mushra", "abx"):
        write_blind(results, folder, folder / design, design=design, seed=4, methods=CHOSEN)
    return folder


def key_of(kit: Path) -> dict[str, Any]:
    return json.loads((kit / "key.json").read_text("utf-8"))


def kit_of(kit: Path) -> dict[str, Any]:
    page = (kit / "index.html").read_text("utf-8")
    return json.loads(re.findall(r'<script type="application/json" id="kit">(.*?)</script>', page, re.S)[0])


def sound_of(uri: str) -> np.ndarray:
    return soundfile.read(BytesIO(b64decode(uri.split(",")[1])))[0]


@pytest.mark.parametrize("design", ["mushra", "abx"])
def test_the_page_does_not_tell(kits, design):
    page = (kits / design / "index.html").read_text("utf-8")
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)
    assert not re.search(r"key\.json|ddcm|opus|https?://|anchor", words, re.IGNORECASE)
    sounds = kit_of(kits / design)["sounds"]
    assert len({len(uri) for uri in sounds.values()}) == 1  # no size tells
    assert list(sounds) == sorted(sounds)  # nor does the order
    assert all(re.fullmatch("[a-z0-9]{6}", code) for code in sounds)


def test_mushra_has_a_hidden_reference_and_an_anchor_in_each_trial(kits, made):
    kit, key = kit_of(kits / "mushra"), key_of(kits / "mushra")
    assert [trial["input"] for trial in key["trials"]] == ["in-0", "in-1"]
    for shown, answer in zip(kit["trials"], key["trials"], strict=True):
        assert sorted(answer["codes"]) == shown["codes"]
        assert sorted(answer["codes"].values()) == sorted(["reference", "anchor-3500", *CHOSEN])
        by_condition = {condition: sound_of(kit["sounds"][code]) for code, condition in answer["codes"].items()}
        np.testing.assert_array_equal(by_condition["reference"], sound_of(kit["sounds"][shown["reference"]]))
        assert shown["reference"] not in answer["codes"]
        loudness = [loudness_lufs(Waveform.of(x, 16000)) for name, x in by_condition.items() if name in CHOSEN]
        assert np.ptp(loudness) < 0.1
    title = made[0]["inputs"][0]["title"]
    assert kit["trials"][0]["title"] == title


def test_abx_x_is_a_copy_of_the_answer(kits):
    kit, key = kit_of(kits / "abx"), key_of(kits / "abx")
    assert len(kit["trials"]) == len(key["trials"]) == 16 * len(CHOSEN)
    for shown, answer in zip(kit["trials"], key["trials"], strict=True):
        a, b, x = (sound_of(kit["sounds"][shown[name]]) for name in "abx")
        assert len({shown[name] for name in "abx"}) == 3
        same = np.array_equal(x, a), np.array_equal(x, b)
        assert same == ((True, False) if answer["answer"] == "A" else (False, True))
    for method in CHOSEN:
        answers = [trial["answer"] for trial in key["trials"] if trial["method"] == method]
        assert len(answers) == 16
    assert {trial["answer"] for trial in key["trials"]} == {"A", "B"}


def test_the_page_says_how_long_it_takes_and_what_that_shows(kits):
    """The numbers of right answers are the smallest that guessing reaches in at most one test of twenty."""
    page = (kits / "abx" / "index.html").read_text("utf-8")
    told = re.findall(r"(\d+) right of the (\d+) of a kind.*?gets there in (\d+) %", page, re.S)
    assert [int(each) for _, each, _ in told] == [8, 12, 16]
    for needed, each, chance in (map(int, one) for one in told):
        by_chance = [sum(comb(each, k) for k in range(n, each + 1)) / 2**each for n in (needed, needed - 1)]
        assert by_chance[0] <= 0.05 < by_chance[1]
        heard = sum(comb(each, k) * 0.75**k * 0.25 ** (each - k) for k in range(needed, each + 1))
        assert chance == round(100 * heard)
    rounds = [trial["round"] for trial in kit_of(kits / "abx")["trials"]]
    assert {number: rounds.count(number) for number in rounds} == dict.fromkeys(range(8), 2 * len(CHOSEN))
    assert "about a minute if you hear every version twice, after a short training." in (
        kits / "mushra" / "index.html"
    ).read_text("utf-8")


def test_a_seed_draws_the_names(made, tmp_path):
    results, folder = made
    pages = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_blind(results, folder, tmp_path / name, design="mushra", seed=seed, methods=["opus-6"])
        pages.append((tmp_path / name / "index.html").read_bytes())
    assert pages[0] == pages[1] != pages[2]


def test_by_default_all_but_controls(made, tmp_path):
    results, folder = made
    write_blind(results, folder, tmp_path, design="mushra", seed=0)
    conditions = set(key_of(tmp_path)["trials"][0]["codes"].values())
    assert "vocoder" in conditions
    assert not conditions & {"silence", "other-clip"}


def test_what_cannot_be_tested_is_refused(made, tmp_path):
    results, folder = made

    def write(changed: dict[str, Any] | None = None, **options: Any) -> None:
        settings: dict[str, Any] = {"design": "mushra", "seed": 0} | options
        write_blind(results | (changed or {}), folder, tmp_path / "out", **settings)

    with pytest.raises(ConfigError, match="mushra, abx"):
        write(design="mos")
    with pytest.raises(ConfigError, match=r"no method opus-7.*opus-6"):
        write(methods=["opus-7"])
    with pytest.raises(ConfigError, match="nothing to listen to"):
        write({"rows": []})
    with pytest.raises(ConfigError, match=r"13 sounds to rate.*10 at most"):
        write(methods=[method["id"] for method in results["methods"]])
    with pytest.raises(ConfigError, match=r"0\.01 are allowed"):
        write(methods=["opus-6"], max_megabytes=0.01)
    assert not (tmp_path / "out").exists()


def test_sounds_of_other_shapes_are_conformed(made, tmp_path):
    results, folder = made
    odd = folder / "sounds" / "odd.wav"
    soundfile.write(odd, np.random.default_rng(0).uniform(-0.1, 0.1, (30000, 2)), 44100)
    rows = [row | {"file": "sounds/odd.wav"} for row in results["rows"] if row["method"] == "opus-6"]
    write_blind(results | {"rows": rows}, folder, tmp_path, design="mushra", seed=0)
    assert len({len(uri) for uri in kit_of(tmp_path)["sounds"].values()}) == 1


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_the_anchor_meets_the_standard(rate):
    impulse = np.zeros((1, rate), np.float32)
    impulse[0, rate // 2] = 1
    response = 20 * np.log10(np.abs(np.fft.rfft(low_anchor(Waveform(impulse, rate)).samples[0])) + 1e-12)  # 1 Hz steps
    assert np.abs(response[:3501]).max() <= 0.1
    assert response[4000:].max() <= -50  # the standard asks for 25 dB at 4 kHz and 50 dB at 4.5 kHz
    assert low_anchor(Waveform(impulse, rate)).samples[0].argmax() == rate // 2  # no delay


def test_the_anchor_needs_something_to_cut_off():
    with pytest.raises(ConfigError, match=r"3\.5 kHz"):
        low_anchor(Waveform(np.zeros((1, 100), np.float32), 7999))


def write_sheet(path: Path, key: dict[str, Any], listener: str, score: Callable[[dict[str, Any], str], Any]) -> Path:
    """A sheet as the page saves it; `score` of a trial of the key and a code."""
    lines = [COLUMNS]
    for trial in key["trials"]:
        for code in trial.get("codes") or [trial["code"]]:
            lines.append([key["kit"], key["design"], listener, 1, trial["trial"], code, score(trial, code), 3.5])
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)
    return path


GIVEN = {"reference": 100, "anchor-3500": 10, "ddcm-300": 40, "ddcm-3000": 80, "opus-6": 60}


def test_mushra_means_and_intervals(kits, tmp_path):
    key = key_of(kits / "mushra")
    good = [
        write_sheet(tmp_path / f"{name}.csv", key, name, lambda t, c, more=more: min(100, GIVEN[t["codes"][c]] + more))
        for name, more in (("anna", 0), ("ben", 4), ("cem", -4))
    ]
    counted = tally(good, kits / "mushra" / "key.json")
    means = {one["condition"]: one["mean"] for one in counted["conditions"]}
    assert list(means) == ["reference", "ddcm-3000", "opus-6", "ddcm-300", "anchor-3500"]
    assert means["ddcm-300"] == pytest.approx(40)
    line = next(one for one in counted["conditions"] if one["condition"] == "opus-6")
    assert 56 <= line["low"] < 60 < line["high"] <= 64
    assert (line["n"], line["label"], line["by_input"]) == (6, "Opus 6 kbit/s", {"in-0": 60, "in-1": 60})
    json.dumps(counted, allow_nan=False)


@pytest.mark.parametrize(("reference", "excluded"), [(100, False), (90, False), (89, True)])
def test_who_misses_the_hidden_reference_is_left_out(kits, tmp_path, reference, excluded):
    key = key_of(kits / "mushra")

    def careless(trial: dict[str, Any], code: str) -> int:
        condition = trial["codes"][code]
        return reference if condition == "reference" and trial["trial"] == 1 else GIVEN[condition]

    sheets = [
        write_sheet(tmp_path / "a.csv", key, "a", lambda t, c: GIVEN[t["codes"][c]]),
        write_sheet(tmp_path / "b.csv", key, "b", careless),
    ]
    counted = tally(sheets, kits / "mushra" / "key.json")
    assert [one["excluded"] for one in counted["listeners"]] == [False, excluded]
    assert counted["conditions"][0]["n"] == (2 if excluded else 4)
    alone = tally(sheets[1:], kits / "mushra" / "key.json")
    assert (alone["conditions"][0]["mean"] is None) == excluded


def test_abx_counts_right_answers(kits, tmp_path):
    key = key_of(kits / "abx")
    other = {"A": "B", "B": "A"}
    sheets = [
        write_sheet(tmp_path / "a.csv", key, "a", lambda t, _: t["answer"]),
        write_sheet(tmp_path / "b.csv", key, "b", lambda t, _: other[t["answer"]] if t["method"] == "opus-6" else "A"),
    ]
    counted = tally(sheets, kits / "abx" / "key.json")
    by_method = {one["method"]: one for one in counted["methods"]}
    assert (by_method["opus-6"]["correct"], by_method["opus-6"]["n"]) == (16, 32)
    assert by_method["opus-6"]["p_value"] == pytest.approx(0.570, abs=1e-3)
    assert counted["listeners"][0]["correct"] == 48
    assert counted["listeners"][0]["p_value"] == pytest.approx(2**-48)
    right, total = counted["listeners"][1]["correct"], counted["listeners"][1]["n"]
    tail = sum(comb(total, k) for k in range(right, total + 1)) / 2**total  # so many or more by tossing a coin
    assert counted["listeners"][1]["p_value"] == pytest.approx(tail)


def damaged(text: str, line: int, **changes: str) -> str:
    lines = text.splitlines()
    cells = dict(zip(COLUMNS, lines[line - 1].split(","), strict=True)) | changes
    lines[line - 1] = ",".join(cells.values())
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: damaged(t, 3, score="101"), r"line 3: a score of '101', not a number from 0 to 100"),
        (lambda t: damaged(t, 3, score="nan"), r"line 3: a score of 'nan'"),
        (lambda t: damaged(t, 3, score=""), r"line 3: a score of ''"),
        (lambda t: damaged(t, 4, code="zzzzzz"), r"line 4: no sound 'zzzzzz' in trial 1"),
        (lambda t: damaged(t, 4, trial="9"), r"line 4: no trial '9'"),
        (lambda t: damaged(t, 4, trial="x"), r"line 4: no trial 'x'"),
        (lambda t: damaged(t, 2, kit="0123"), r"line 2: of the test 0123 mushra"),
        (lambda t: damaged(t, 2, listener=" "), r"line 2: no listener"),
        (lambda t: damaged(t, 5, listener="eve"), r"line 2: several listeners \(a, eve\)"),
        (lambda t: t + t.splitlines()[1] + "\n", r"line 12: trial 1, sound \w+ is rated twice"),
        (lambda t: "\n".join(t.splitlines()[:-1]), r"line 10: trial 2 has no score of \w+"),
        (lambda t: t.replace(",1,", ",1,1,", 1), r"line 2: not 8 cells"),
        (lambda t: t.replace(",", ";"), r"line 1: the columns are kit;design"),
        (lambda t: t.splitlines()[0] + "\n", r"line 1: no ratings"),
        (lambda t: "", r"line 1: no ratings"),
        (lambda t: t + '"open', r"line 12: not CSV"),
    ],
)  # fmt: skip
def test_malformed_sheets_are_refused_with_file_and_line(kits, tmp_path, damage, message):
    key = key_of(kits / "mushra")
    sheet = write_sheet(tmp_path / "a.csv", key, "a", lambda t, c: GIVEN[t["codes"][c]])
    sheet.write_text(damage(sheet.read_text("utf-8")), "utf-8")
    with pytest.raises(ConfigError, match=r"a\.csv, " + message):
        tally([sheet], kits / "mushra" / "key.json")


def test_a_sheet_saved_again_by_a_spreadsheet_is_read(kits, tmp_path):
    key = key_of(kits / "mushra")
    sheet = write_sheet(tmp_path / "a.csv", key, "a", lambda t, c: GIVEN[t["codes"][c]])
    sheet.write_bytes(b"\xef\xbb\xbf" + sheet.read_bytes().replace(b"\n", b"\r\n"))
    assert tally([sheet], kits / "mushra" / "key.json")["conditions"][0]["mean"] == 100


def test_sheets_and_keys_that_are_none(kits, tmp_path):
    key = kits / "mushra" / "key.json"
    sheet = write_sheet(tmp_path / "a.csv", key_of(kits / "mushra"), "a", lambda t, c: GIVEN[t["codes"][c]])
    with pytest.raises(ConfigError, match="both of the listener 'a'"):
        tally([sheet, sheet], key)
    with pytest.raises(ConfigError, match="no sheet to tally"):
        tally([], key)
    with pytest.raises(ConfigError, match="cannot read the sheet"):
        tally([tmp_path / "none.csv"], key)
    with pytest.raises(ConfigError, match="cannot read the key"):
        tally([sheet], tmp_path / "none.json")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8"):
        tally([tmp_path / "bytes.csv"], key)
    for text in ("{", "[]", "{}", '{"format": 1, "design": "abx", "kit": 1, "trials": []}'):
        (tmp_path / "key.json").write_text(text, "utf-8")
        with pytest.raises(ConfigError, match="not the key of a listening test"):
            tally([sheet], tmp_path / "key.json")
    (tmp_path / "key.json").write_text('{"format": 2, "design": "abx"}', "utf-8")
    with pytest.raises(ConfigError, match=r"format 2.*knows format 1"):
        tally([sheet], tmp_path / "key.json")
