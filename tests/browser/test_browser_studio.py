"""The studio in a browser: a sound goes in, and what comes out can be heard, kept, and opened again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
import soundfile

TESTS = Path(__file__).parents[1]
running = run_path(str(TESTS / "studio" / "server.py"))["running"]
run_main = run_path(str(TESTS / "cli" / "conftest.py"))["run_main"]
PLAYER = "document.querySelector('#result noisebook-result').player"
LIMITS = ("--limit-seconds", "4", "--max-mb", "0.6")
FAINT = (Path(__file__).parent / "contrast.js").read_text("utf-8")


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    if find_spec("gradio") is None:
        if os.environ.get("NOISEBOOK_REQUIRE_BROWSER") == "1":
            pytest.fail("NOISEBOOK_REQUIRE_BROWSER is set, and there is no gradio")
        pytest.skip("no gradio")
    with running(tiny_model, tmp_path_factory.mktemp("studio"), *LIMITS) as server:
        yield server


@pytest.fixture
def studio(chromium: Any, server: Any) -> Iterator[Callable[..., Any]]:
    """Opens the page; what it asks of other machines, and errors in it, are raised at the end."""
    problems: list[str] = []
    contexts = []

    def open_page(query: str = "", **options: Any) -> Any:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        here = (server.url, "data:", "blob:")
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: None if r.url.startswith(here) else problems.append(f"asks for {r.url}"))
        page.goto(server.url + query)
        page.locator("#make:enabled").wait_for()  # the address is read
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """my song.wav: 1 s at 22.05 kHz, stereo."""
    time = np.arange(22050) / 22050
    chord = [0.2 * np.sin(2 * np.pi * hz * time) * np.exp(-time) for hz in (220, 330)]
    soundfile.write(tmp_path / "my song.wav", np.stack(chord, axis=1), 22050)
    return tmp_path / "my song.wav"


def upload(page: Any, path: Path | str, place: str = "#sound") -> None:
    """Choose a file, and wait until the page has it from the server: then it can be cleared."""
    page.locator(f"{place} input[type=file]").set_input_files(path)
    page.locator(f"{place} [aria-label='Clear']").wait_for()


def kept(answer: Any, name: str) -> bool:
    """Whether this is the server's answer to being told whose file of that name it is."""
    return "/run/predict" in answer.url and name in (answer.request.post_data or "")


def make(page: Any, button: str = "#make", place: str = "#result") -> Any:
    """Press the button, and wait for the answer: a result, or a sentence about what is wrong."""
    answers = ":is(.result:not([data-ready]), .message.problem)"
    page.locator(f"{place} {answers}").wait_for(state="detached")
    page.locator(button).click()
    answer = page.locator(f"{place} {answers}").first
    answer.wait_for()
    return answer


def value_of(page: Any, selector: str, value: str) -> None:
    """Wait until a field of the page has that value."""
    page.wait_for_function(f"document.querySelector({selector!r})?.value === {value!r}")


def test_a_sound_is_compressed_heard_kept_and_opened_again(studio, song, tiny_model, tmp_path, monkeypatch):
    page = studio("?method=codec&preset=300")
    upload(page, song)
    result = make(page)
    result.locator(".play").click()
    page.wait_for_function(f"{PLAYER}.sounds.position > 0.1")
    result.locator(".sound").nth(1).click()
    assert result.locator(".current").inner_text().endswith(" bit/s (preset 300)")
    result.locator(".verdict").first.wait_for()
    assert not result.locator("table").is_visible()
    result.locator("summary").click()
    assert "another clip" in result.locator("table").inner_text()

    monkeypatch.chdir(tmp_path)
    for suffix in ("ddcm", "wav"):
        with page.expect_download() as download:
            result.locator(f"a[download$='{suffix}']").click()
        assert download.value.suggested_filename == f"my-song-preset-300.{suffix}"
        download.value.save_as(f"kept.{suffix}")
    ran = run_main("decompress", "kept.ddcm", "again.wav", "--model", tiny_model, "--device", "cpu")
    assert ran.status == 0, ran.err
    kept, again = soundfile.read("kept.wav"), soundfile.read("again.wav")
    assert kept[1] == again[1] == 22050
    np.testing.assert_allclose(kept[0], again[0], atol=2**-14)

    page.get_by_role("tab", name="Open a stream").click()
    upload(page, "kept.ddcm", "#upload")
    opened = make(page, "#open", "#opened")
    assert "preset\n300" in opened.locator("dl").inner_text()
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("document.body.classList.contains('dark')")
    assert page.evaluate(FAINT) == []
    opened.locator(".reuse").click()
    page.locator("#clip label", has_text="My own").wait_for()  # the other tab again


def test_the_page_opens_with_sounds_that_are_ready(studio):
    page = studio()
    song = page.locator("#result .result[data-ready]", has_text="Song, already compressed")
    song.wait_for()
    assert page.locator("#clip label", has_text="Song").locator("input").is_checked()
    song.locator(".play").click()
    page.wait_for_function(f"{PLAYER}.sounds.position > 0.1")
    assert [about.split(" bytes")[0] for about in song.locator(".about").all_inner_texts()[1:]] == ["3765", "398", "53"]
    page.keyboard.press("a")
    assert song.locator(".current").inner_text() == "Original"
    page.keyboard.press("a")
    assert song.locator(".current").inner_text() == "3012 bit/s (preset 3000)"
    page.locator("#clip label", has_text="Voice").click()
    page.locator("#result .result[data-ready]", has_text="Voice, already compressed").wait_for()
    page.locator("#result .again", has_text="Song").click()
    song.wait_for()


def test_a_file_may_be_dropped_anywhere(studio, song):
    page = studio()
    page.locator("#sound [aria-label='Clear']").wait_for()
    for name in ("own.wav", "own.ddcm"):
        with page.expect_response(lambda answer, name=name: kept(answer, name)):
            page.evaluate(
                """([name, bytes]) => {
                  const dataTransfer = new DataTransfer();
                  dataTransfer.items.add(new File([new Uint8Array(bytes)], name, {type: "audio/wav"}));
                  const drop = new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true});
                  document.querySelector("#title").dispatchEvent(drop);
                }""",
                [name, list(song.read_bytes())],
            )
    page.locator("#upload [aria-label='Clear']").wait_for()  # in the other tab


def test_the_picture_shows_where_a_sound_is_and_takes_a_click(studio, song):
    page = studio("?method=codec&preset=300")
    upload(page, song)
    result = make(page)
    result.locator(".seek.drawn").wait_for()
    result.locator(".play").focus()
    page.keyboard.press("1")
    page.keyboard.press("z")
    loudest = page.evaluate(f"""async () => {{
      const picture = {PLAYER}.picture;
      const powers = (await picture.powers(0, () => false))[0], columns = powers.length / 256;
      const rows = Array.from({{length: 256}}, (_, row) => powers[row * columns + Math.floor(columns / 2)]);
      return rows.map((power, row) => [power, 60 + (row + 0.5) * 1440 / 256]).sort((a, b) => b[0] - a[0])[0][1];
    }}""")
    assert min(abs(loudest - 220), abs(loudest - 330)) < 6  # Hz
    pictures = result.locator(".pictures canvas")
    seen = set()
    for key, count in (("2", 1), ("d", 1), ("s", 2), ("z", 2)):
        page.keyboard.press(key)
        page.wait_for_function(
            """([count, seen]) => {
              const root = document.querySelector('#result noisebook-result').shadowRoot;
              const found = [...root.querySelectorAll('canvas')];
              return found.length === count && !seen.includes(found[0].toDataURL());
            }""",
            arg=[count, sorted(seen)],
        )
        seen.add(pictures.first.evaluate("canvas => canvas.toDataURL()"))
    box = result.locator(".seek").bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    assert page.evaluate(f"{PLAYER}.sounds.position") == pytest.approx(0.75, abs=0.01)


def test_results_are_kept_used_again_and_marked_when_settings_change(studio, song):
    page = studio("?method=reconstruct")
    upload(page, song)
    result = make(page)
    assert not result.locator(".stale").is_visible()
    page.locator("#method label", has_text="Compress").click()
    result.locator(".stale").wait_for()
    page.locator("#make:enabled").wait_for()
    with page.expect_response(lambda answer: kept(answer, "matched.wav")):
        result.locator(".reuse").click()
    first = result.get_attribute("data-token")
    page.locator("#make").click()
    second = page.locator(f"#result .result:not([data-token='{first}'])")
    second.wait_for()
    assert second.get_attribute("data-title").startswith("my-song-reconstructed-matched: ")
    assert not second.locator(".stale").is_visible()
    page.locator(f"#result .again[data-token='{first}']").click()
    page.locator(f"#result .result[data-token='{first}']").wait_for()


def test_what_is_wrong_is_a_sentence(studio, tmp_path):
    page = studio("?method=codec")
    assert make(page).inner_text() == "there is no sound: drop a file, record one, or choose a bundled clip"
    (tmp_path / "photo.wav").write_bytes(b"RIFF and nothing of it is sound")
    upload(page, tmp_path / "photo.wav")
    page.locator("#make").click()
    problem = page.locator("#result .problem", has_text="photo.wav")
    problem.wait_for()
    assert problem.inner_text().startswith("photo.wav is not a sound that this page can read: it takes WAV, FLAC")
    assert problem.get_attribute("role") == "alert"


def test_too_long_a_clip_is_told_and_an_address_too(studio):
    page = studio("?clip=demo&method=transform&prompt=music&strength=0.4&seed=9")
    value_of(page, "#prompt textarea", "music")
    page.locator("#advanced > button").click()
    value_of(page, "#seed input", "9")
    page.locator("#preset").wait_for(state="hidden")
    page.locator("#sound [aria-label='Play']").wait_for()
    told = "the sound is 10.0 s long, and at most 4 s are taken here"
    assert told in make(page).inner_text()
    page = studio("?preset=300&colour=blue")
    page.locator("#result .problem", has_text="the address has a setting 'colour'").wait_for()


def test_a_job_can_be_cancelled_and_a_waiting_one_at_once(studio, song):
    query = "?method=compare&methods=codec-700,codec-1500,codec-3000,codec-6000"
    samples, rate = soundfile.read(song)
    soundfile.write(song, np.tile(samples, (4, 1)), rate)  # work for as long as the clicks take
    busy, waiting = studio(query), studio(query)
    for page in (busy, waiting):
        upload(page, song)
        assert page.locator("#cancel-make").is_disabled()
    for page in (busy, waiting):  # one click after the other: what the first asks for does not take long
        page.locator("#make").click()
    waiting.locator("#result", has_text="waiting for 1 other").wait_for()
    for page in (busy, waiting):
        page.locator("#cancel-make:enabled").wait_for()
    for page in (waiting, busy):
        page.locator("#cancel-make").click()
        page.locator("#result .message", has_text="Cancelled. Nothing was kept.").wait_for()
        if page is waiting:
            assert busy.locator("#result .message", has_text="Cancelled").count() == 0  # it was not waited for
        page.locator("#make:enabled").wait_for()
        assert page.locator("#cancel-make").is_disabled()


def test_a_sound_plays_on_while_its_numbers_come(studio, song):
    from playwright import sync_api

    page = studio("?method=codec&preset=300")
    upload(page, song)
    for _ in range(3):  # on a busy machine sound and numbers may come between two looks
        page.locator("#make:enabled").click()
        with suppress(sync_api.TimeoutError):
            page.locator("#result .details", has_text="follow in a moment").wait_for(timeout=20_000)
            break
    page.evaluate(f"window.player = {PLAYER}; player.part('.loop').click(); player.part('.play').click()")
    page.locator("#result .verdict").first.wait_for()
    assert page.evaluate(f"{PLAYER} === window.player && player.sounds.playing")
    assert page.evaluate(FAINT) == []


SIZES = [(1280, 900), (390, 844)]
FOCUS = """() => {
  let element = document.activeElement;
  while (element.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
  const shown = [element, element.closest("label"), element.closest(".seek")].filter(Boolean);
  const ringed = shown.some((one) => getComputedStyle(one).outlineStyle === "solid");
  const value = element.type === "checkbox" ? element.className : element.value;
  return [element.id || value || element.textContent.trim().split(" ")[0] || element.className, ringed];
}"""


def test_buttons_are_always_in_sight_and_text_can_be_read(studio):
    page = studio("?method=generate&seconds=1")
    make(page)

    def read() -> None:
        for size, scheme in product(SIZES, ("light", "dark")):
            page.set_viewport_size({"width": size[0], "height": size[1]})
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function(f"document.body.classList.contains('dark') === {str(scheme == 'dark').lower()}")
            assert page.evaluate(FAINT) == [], (size, scheme)

    page.locator("#result .seek.drawn").wait_for()
    read()
    for size, place in product(SIZES, (0, 400, 100_000)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate(f"window.scrollTo(0, {place})")
        for button in ("#make", "#cancel-make"):
            box = page.locator(button).bounding_box()
            assert 0 <= box["y"] < box["y"] + box["height"] <= size[1], (place, button)
    page.locator("#method label", has_text="Compress").click()
    page.locator("#clip label", has_text="Song").click()
    page.locator("#sound [aria-label='Play']").wait_for()
    read()
    page.get_by_role("tab", name="Open a stream").click()
    assert page.locator("#open").bounding_box()["y"] < SIZES[1][1]
    read()


def test_the_keyboard_goes_all_the_way_and_shows_where_it_is(studio):
    page = studio()
    page.locator("#result .seek.drawn").wait_for()
    way = []
    while "loop" not in way:
        page.keyboard.press("Tab")
        where, ringed = page.evaluate(FOCUS)
        assert ringed, where
        way.append(where)
    wanted = ["Make", "Open", "demo", "codec", "compare", "3000", "Advanced", "make", "play", "0", "loop"]
    assert [where for where in way if where in wanted] == wanted


def test_what_was_uploaded_goes_with_the_page(studio, server, song):
    page = studio("?method=codec")
    with page.expect_response(lambda answer: kept(answer, song.name)):
        upload(page, song)
    uploads = next(server.folder.glob("noisebook-studio-*/uploads"))
    stored = [path for path in uploads.rglob("my*song.wav")]
    assert stored
    page.context.close()
    deadline = time.monotonic() + 60
    while any(path.exists() for path in stored):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_server_that_has_stopped_is_told_until_it_is_back(studio):
    page = studio("?method=codec")
    told = page.get_by_role("alert").filter(has_text="The studio has stopped: start it again")
    page.route("**/alive", lambda route: route.abort())
    told.wait_for()
    page.unroute("**/alive")
    told.wait_for(state="detached")


def test_nothing_is_wider_than_a_phone(studio):
    page = studio("?method=generate&seconds=1&stream=1", viewport={"width": 360, "height": 740}, has_touch=True)
    wide = "document.documentElement.scrollWidth"
    page.locator("#stream").wait_for(state="attached")
    assert page.evaluate(wide) == 360
    result = make(page)
    assert page.evaluate(wide) == 360
    page.wait_for_function("document.querySelector('#result').getBoundingClientRect().top < innerHeight / 2")
    result.locator(".play").tap()
    page.wait_for_function(f"{PLAYER}.sounds.position > 0.1")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    result.locator(".permalink").tap()
    result.locator(".permalink", has_text="copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert link == page.evaluate("location.href") == f"{page.url.split('?')[0]}?method=generate&seconds=1&stream=1"
    assert page.locator("#stream input").is_checked()
