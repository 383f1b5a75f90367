"""A real Chromium, without network, that fails a test on any error in the page.

Where Chromium or playwright is missing the tests are skipped, unless NOISEBOOK_REQUIRE_BROWSER=1, with which they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from runpy import run_path
from typing import Any

import pytest

build = run_path(str(Path(__file__).parents[1] / "report_results.py"))["build"]
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


def _missing(what: str) -> Any:
    if os.environ.get("NOISEBOOK_REQUIRE_BROWSER") == "1":
        pytest.fail(f"NOISEBOOK_REQUIRE_BROWSER is set, and there is no {what}")
    pytest.skip(f"no {what}")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        _missing("chromium on the PATH")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield browser
        browser.close()


@contextmanager
def visiting(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens files, with any options of a browser context; what went wrong in a page is raised at the end."""
    problems: list[str] = []
    contexts = []

    def open_page(path: Path, query: str = "", **options: Any) -> Any:
        context = chromium.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: None if local(request.url) else problems.append(f"asks for {request.url}"))
        page.goto(path.as_uri() + query)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def visit(chromium: Any) -> Iterator[Callable[..., Any]]:
    with visiting(chromium) as open_page:
        yield open_page


@pytest.fixture(scope="module")
def still(chromium: Any, comparison: Path) -> Iterator[Any]:
    """The page of a comparison, opened once for the tests that play nothing."""
    with visiting(chromium) as open_page:
        yield open_page(comparison)


def local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """Results of two inputs, and their folder."""
    folder = tmp_path_factory.mktemp("comparison")
    return build(folder, inputs=2, seconds=1.5), folder


@pytest.fixture(scope="session")
def comparison(results: tuple[dict[str, Any], Path]) -> Path:
    """The page of a comparison."""
    from noisebook.report.page import write_page

    table, folder = results
    write_page(table, folder, folder / "index.html")
    return folder / "index.html"
