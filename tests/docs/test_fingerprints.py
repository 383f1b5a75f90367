"""Measured pages say which model was measured, and it is the embedded one: numbers cannot go stale unnoticed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from noisebook import api

ROOT = Path(__file__).parents[2]
EMBEDDED = api.model_info().fingerprint.hex()[:4]
PAGES = {page.relative_to(ROOT).as_posix(): page.read_text(encoding="utf-8")
         for page in (*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md")}  # fmt: skip
MEASURED = [page for page, text in PAGES.items() if re.search(r"<!-- numbers \w+ about -->", text)]
EARLIER = {  # pages of an earlier model, until `make numbers` renews them
    "docs/speed.md",
    "docs/studies.md",
    "docs/systems.md",
}
_NAMED = re.compile(r"model\s+`([0-9a-f]{4})`")
_ABOUT = re.compile(r"<!-- numbers (\w+) about -->(.*?)<!-- end -->", re.S)


def is_stale(page: str) -> bool:
    """Whether a study of a page is not of the embedded model alone, or another part speaks of another one."""
    named = [set(_NAMED.findall(text)) for _, text in _ABOUT.findall(PAGES[page])]
    return any(models != {EMBEDDED} for models in named) or bool(set(_NAMED.findall(PAGES[page])) - {EMBEDDED})


@pytest.mark.parametrize("page", MEASURED)
def test_every_study_of_a_page_says_which_model_it_is_of(page):
    abouts = dict(_ABOUT.findall(PAGES[page]))
    assert set(re.findall(r"<!-- numbers (\w+) ", PAGES[page])) <= set(abouts) | {"stereo"}


def test_the_measurements_are_of_the_embedded_model():
    assert json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))["model"] == EMBEDDED


def test_pages_are_of_the_embedded_model_but_those_that_wait():
    stale = {page for page in PAGES if is_stale(page)}
    assert stale == EARLIER, "renew the page (`python -m experiments --list`), or take it off the list"
