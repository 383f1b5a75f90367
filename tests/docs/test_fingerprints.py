"""Measured pages say which model was measured, and it is the embedded one: numbers cannot go stale unnoticed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from noisebook import api

DOCS = Path(__file__).parents[2] / "docs"
EMBEDDED = api.model_info().fingerprint.hex()[:4]
RENEWED = ("results.md", "codecs.md")  # by `make results`
EARLIER: dict[str, str] = {  # pages that may speak of an earlier model, and why
    "level.md": "how decodes became as loud as their originals, which the codec does behind any model",
    "rate_limit.md": "the rule of choice against theory, not the model",
    "speed.md": "time of parts of the codec, each with the model it was measured on",
    "stereo.md": "the image, which lies beside a latent of any model",
    "systems.md": "the other systems, and the history of what was tried",
    "verification.md": "the verdict on decodes of several models",
}
_NAMED = re.compile(r"model\s+`([0-9a-f]{4})`")


@pytest.mark.parametrize("page", RENEWED)
def test_a_renewed_page_is_of_the_embedded_model(page):
    assert set(_NAMED.findall((DOCS / page).read_text(encoding="utf-8"))) == {EMBEDDED}


def test_the_measurements_are_of_the_embedded_model():
    assert json.loads((DOCS / "results.json").read_text(encoding="utf-8"))["model"] == EMBEDDED


def test_pages_of_an_earlier_model_are_known():
    pages = {page.name: set(_NAMED.findall(page.read_text(encoding="utf-8"))) for page in DOCS.glob("*.md")}
    stale = {name for name, models in pages.items() if models - {EMBEDDED}}
    assert stale - set(EARLIER) == set()
    assert set(EARLIER) <= set(pages)
