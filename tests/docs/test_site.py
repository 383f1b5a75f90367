"""The documentation as a site: built strictly, without a network; every link of every page leads somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
pytest.importorskip("mkdocs", reason="the site needs the extra docs")

_LOADED = {"img": "src", "script": "src", "audio": "src", "iframe": "src", "source": "src"}  # by a reader's browser


class Page(HTMLParser):
    """Links, anchors, and what a browser loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "shortcut icon", "preload"):
            self.loaded.append(given["href"])
        if _LOADED.get(tag) in given:
            self.loaded.append(given[_LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    offline = {**os.environ, "http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    built = subprocess.run(command, cwd=ROOT, env=offline, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = {path: Page(path) for path in site.rglob("*.html") if path.name != "404.html"}
    assert len(found) >= 18
    return found


def test_every_link_leads_somewhere(pages):
    for path, page in pages.items():
        for link in page.links + page.loaded:
            target, _, anchor = link.partition("#")
            if "://" in target or target.startswith(("mailto:", "data:")):
                continue
            place = (path.parent / unquote(target)).resolve() if target else path
            assert place.is_file(), f"{path.name}: {link}"
            assert not anchor or place not in pages or unquote(anchor) in pages[place].anchors, f"{path.name}: {link}"


def test_no_page_asks_another_server(site, pages):
    assert not [link for page in pages.values() for link in page.loaded if "://" in link or link.startswith("//")]
    for style in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_there_are_few_pages():
    assert len([*(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "howto").glob("*.md")]) <= 20


def test_every_page_of_the_folder_is_there(site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert (site / page.relative_to(ROOT / "docs").with_suffix(".html")).is_file()
    assert (site / "notebooks" / "tour.ipynb").is_file()
    assert not list(site.rglob("*.py"))


def test_the_reference_has_signatures_and_docstrings(site):
    text = (site / "api.html").read_text(encoding="utf-8")
    import noisebook

    functions = set(noisebook.__all__) - {"__version__", "Error"}
    missing = {name for name in functions if f'id="noisebook.{name}"' not in text}
    assert not missing, "add them to docs/api.md"
    assert "CorruptStream" in text
    assert "bytes of a .ddcm stream" in text


def test_figures_are_small_and_drawn():
    drawn = sorted(IMAGES.glob("how-*"))
    assert [path.name for path in drawn] == ["how-choice.svg", "how-errors.svg", "how-plans.svg", "how-way.png"]
    assert sum(path.stat().st_size for path in drawn) <= 400_000
    page = (ROOT / "docs" / "how-ddcm-works.md").read_text(encoding="utf-8")
    script = (ROOT / "docs" / "draw_figures.py").read_text(encoding="utf-8")
    assert all(f"images/{path.name}" in page and path.name in script for path in drawn)
