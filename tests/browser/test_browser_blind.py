"""Listening tests in a browser: from the first click to the tally."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from noisebook.report.blind import tally, write_blind

FAINT = (Path(__file__).parent / "contrast.js").read_text("utf-8")
CHOSEN = ["ddcm-300", "opus-6"]


@pytest.fixture(scope="session")
def kits(results: tuple[dict[str, Any], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    table, folder = results
    out = tmp_path_factory.mktemp("kits")
    for design in ("mushra", "abx"):
        write_blind(table, folder, out / design, design=design, seed=11, methods=CHOSEN)
    return out


def begin(page: Any, listener: str) -> None:
    page.fill("#listener", listener)
    page.locator("#start button").click()


def hear_all(page: Any, keys: str) -> None:
    """Play, and press the keys of the sounds."""
    page.keyboard.press("Space")
    page.wait_for_selector(".play[aria-pressed=true]")
    for key in keys:
        page.keyboard.press(key)


def train(page: Any, keys: str) -> None:
    assert page.locator(".count").inner_text() == "Training"
    assert page.locator(".next").is_disabled()
    hear_all(page, keys)
    page.locator(".next").click()


def save(page: Any, path: Path) -> Path:
    with page.expect_download() as download:
        page.locator("#save").click()
    download.value.save_as(path)
    return path


def test_mushra_from_rating_to_tally(visit, kits, tmp_path):
    kit = kits / "mushra"
    answers = {t["trial"]: t["codes"] for t in json.loads((kit / "key.json").read_text("utf-8"))["trials"]}
    conditions = {code: condition for codes in answers.values() for code, condition in codes.items()}
    given = {"reference": 100, "anchor-3500": 20, "ddcm-300": 55, "opus-6": 71}
    page = visit(kit / "index.html", accept_downloads=True)
    begin(page, "L 1")
    train(page, "rabcd")
    for done in range(2):
        assert page.locator(".count").inner_text() == f"Trial {done + 1} of 2"
        assert page.locator(".next").is_disabled()
        assert page.locator(".score").first.is_disabled()  # not heard yet
        hear_all(page, "rabcd")
        codes = page.evaluate("Transport.all[0].versions.slice(1).map(([, code]) => code)")
        for slider, code in zip(page.locator(".score").all(), codes, strict=True):
            assert page.locator(".next").is_disabled()
            slider.fill(str(given[conditions[code]]))
        page.locator(".next").click()
    counted = tally([save(page, tmp_path / "one.csv")], kit / "key.json")
    assert {one["condition"]: one["mean"] for one in counted["conditions"]} == given
    assert [one["n"] for one in counted["conditions"]] == [2, 2, 2, 2]
    assert counted["listeners"][0]["listener"] == "L 1"
    assert not counted["listeners"][0]["excluded"]


def test_abx_from_answer_to_tally(visit, kits, tmp_path):
    kit = kits / "abx"
    answers = {trial["trial"]: trial for trial in json.loads((kit / "key.json").read_text("utf-8"))["trials"]}
    page = visit(kit / "index.html", accept_downloads=True)
    begin(page, "two")
    train(page, "abx")
    assert page.locator(".count").inner_text() == "Trial 1 of 16"  # the shortest test; the longest has twice as many
    for _ in range(len(answers) // 2):
        assert page.locator(".next").is_disabled()
        hear_all(page, "abx")
        trial = answers[page.evaluate("Transport.all[0].trial.trial")]
        wrong = {"A": "B", "B": "A"}[trial["answer"]]
        said = trial["answer"] if trial["method"] == "ddcm-300" else wrong
        page.evaluate(f"document.querySelector('input[value={said}]').click(); document.querySelector('.next').click()")
    counted = tally([save(page, tmp_path / "two.csv")], kit / "key.json")
    by_method = {one["method"]: (one["correct"], one["n"], one["p_value"]) for one in counted["methods"]}
    assert by_method == {"ddcm-300": (8, 8, 1 / 256), "opus-6": (0, 8, 1.0)}


def test_a_reload_goes_on_where_it_was(visit, kits, tmp_path):
    """With the same listener, order, number of trials and answers; until then nothing is asked twice."""
    kit = kits / "abx"
    page = visit(kit / "index.html", accept_downloads=True)
    assert page.locator("#resume").is_hidden()
    page.locator("input[name=rounds]").nth(1).check()
    begin(page, "three")
    train(page, "abx")
    for _ in range(3):
        hear_all(page, "abx")
        page.evaluate("document.querySelector('input[value=A]').click(); document.querySelector('.next').click()")
    order = page.evaluate("[seed, ...order.map(({trial}) => trial)]")
    page.reload()
    assert page.locator("#resume").inner_text().startswith("three, you have done 3 of 24 trials.")
    page.locator("#go-on").click()
    assert page.locator(".count").inner_text() == "Trial 4 of 24"
    assert page.evaluate("[seed, ...order.map(({trial}) => trial)]") == order
    page.evaluate("begin(order.length)")
    counted = tally([save(page, tmp_path / "three.csv")], kit / "key.json")
    assert (counted["listeners"][0]["listener"], counted["listeners"][0]["n"]) == ("three", 3)
    page.reload()
    page.locator("#anew").click()
    assert page.locator("#start").is_visible()
    assert page.evaluate("localStorage.length") == 0


def test_in_the_training_of_abx_x_is_a(visit, kits):
    page = visit(kits / "abx" / "index.html")
    begin(page, "x")
    a, b, x = page.evaluate("Transport.all[0].versions.map(([, code]) => code)")
    assert a == x != b
    assert page.locator(".hint").inner_text() == "Nothing here counts. Hear all three: here, X is A. Set the volume."
    assert page.locator(".answers").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("design", ["mushra", "abx"])
def test_all_text_can_be_read(visit, kits, design, scheme):
    page = visit(kits / design / "index.html", color_scheme=scheme)
    assert page.evaluate(FAINT) == []
    begin(page, "x")
    assert page.evaluate(FAINT) == []


def test_a_rating_of_zero_can_be_given(visit, kits):
    page = visit(kits / "mushra" / "index.html")
    begin(page, "x")
    train(page, "rabcd")
    hear_all(page, "a")
    page.locator(".score").first.press("Home")
    assert page.locator("output").first.inner_text() == "0"


def test_an_order_can_be_repeated_and_is_otherwise_drawn(visit, kits):
    facts = "[seed, shuffled([...'abcdefgh']).join('')]"
    first, again, drawn = (
        visit(kits / "mushra" / "index.html", query).evaluate(facts) for query in ("?seed=1", "?seed=1", "")
    )
    assert first == again != drawn
    assert first[0] == 1


def test_buttons_and_keys_switch(visit, kits):
    page = visit(kits / "mushra" / "index.html")
    begin(page, "x")
    page.locator(".sound").nth(2).click()
    assert page.locator(".current").inner_text() == "B"
    page.keyboard.press("r")
    assert page.locator(".current").inner_text() == "Reference"


@pytest.mark.parametrize("design", ["mushra", "abx"])
def test_a_phone_is_wide_enough(visit, kits, design):
    page = visit(kits / design / "index.html", viewport={"width": 360, "height": 740}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    begin(page, "x")
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_a_listener_needs_a_name(visit, kits):
    page = visit(kits / "abx" / "index.html")
    for name in ("", "a,b", "=1"):
        begin(page, name)
        assert page.locator("#welcome").is_visible(), name
