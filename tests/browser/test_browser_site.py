"""The documentation in a browser: no page is wider than a phone, the home page has its picture and plays its sounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
CUT_TABLES = "[...document.querySelectorAll('table')].filter(t => t.scrollWidth > t.clientWidth + 1).length"
pytest.importorskip("mkdocs", reason="the site needs the extra docs")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.fixture
def page(chromium: Any) -> Any:
    context = chromium.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    yield page
    context.close()


@pytest.mark.parametrize("name", ["index", "codecs", "results", "metrics", "systems", "api", "howto/run"])
def test_pages_fit_a_phone_and_tables_fit_a_desk(page, site, name):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto((site / f"{name}.html").as_uri(), wait_until="domcontentloaded")
    assert page.evaluate(TOO_WIDE) <= 0
    page.set_viewport_size({"width": 1280, "height": 800})
    assert page.evaluate(TOO_WIDE) <= 0
    assert page.evaluate(CUT_TABLES) == 0


def test_the_home_page_shows_its_picture_and_plays_its_sounds(page, site):
    page.goto((site / "index.html").as_uri())
    assert page.evaluate("document.querySelector('img[src$=\"decode.webp\"]').naturalWidth") > 500
    assert page.locator("audio").count() >= 8
    for player in page.locator("audio").all():
        player.evaluate("sound => { sound.preload = 'auto'; sound.load(); }")
        page.wait_for_function("sound => sound.readyState >= 3", arg=player.element_handle())
        assert player.evaluate("sound => sound.duration") == pytest.approx(10, abs=0.1)
