"""What is written beside the package agrees with it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import noisebook

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def value(text: str, key: str) -> str:
    found = re.search(rf"^{key}: (.+)$", text, re.M)
    assert found is not None, key
    return found[1]


def test_the_citation_is_of_this_version() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert value(text, "version") == noisebook.__version__
    assert value(text, "license") == PROJECT["license"]
    assert value(text, "title") == PROJECT["name"]
    assert value(text, "cff-version") == "1.2.0"


def test_the_changelog_has_a_place_for_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## (Unreleased|\[?{re.escape(noisebook.__version__)})", text, re.M)


def test_the_image_has_a_python_that_is_supported() -> None:
    text = (ROOT / "Containerfile").read_text(encoding="utf-8")
    image = re.search(r"^FROM python:(\d+)\.(\d+)-slim$", text, re.M)
    lowest = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["requires-python"])
    assert image is not None
    assert lowest is not None
    assert tuple(map(int, image.groups())) >= tuple(map(int, lowest.groups()))
    copied = {word for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for word in line.split()}
    assert all((ROOT / word).exists() for word in copied)
    assert {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "noisebook"} <= copied
    assert 'ENTRYPOINT ["noisebook"]' in text
    assert PROJECT["scripts"]["noisebook"] == "noisebook.cli:main"
