"""The page of a comparison in a browser: players play and stay in step, tables sort, filters filter."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

FAINT = (Path(__file__).parent / "contrast.js").read_text("utf-8")
POSITION = "document.querySelector('.player').player.sounds.position"


def start(page: Any, player: int = 0, *, loop: bool = True) -> None:
    """Play, round and round, so that a slow machine does not reach the end before the test has looked."""
    page.locator(".player .loop").nth(player).set_checked(loop)
    page.locator(".player .play").nth(player).click()
    page.wait_for_function(f"document.querySelectorAll('.player')[{player}].player.sounds.position > 0.1")


def test_playing_moves_the_place_and_pausing_keeps_it(visit, comparison):
    page = visit(comparison)
    play = page.locator(".player .play").first
    assert play.get_attribute("aria-label") == "Play"
    start(page)
    assert play.get_attribute("aria-label") == "Pause"
    before = page.evaluate(POSITION)
    page.wait_for_function(f"{POSITION} !== {before}")
    play.click()
    held = page.evaluate(POSITION)
    page.wait_for_timeout(150)
    assert page.evaluate(POSITION) == held != before
    assert float(page.locator(".seek input").first.input_value()) == pytest.approx(held, abs=0.01)


def test_a_sound_ends_where_it_began(visit, comparison):
    page = visit(comparison)
    start(page, loop=False)
    page.evaluate("document.querySelector('.player').player.move(1.8)")
    page.wait_for_function("!document.querySelector('.player').player.sounds.playing")
    assert page.evaluate(POSITION) == 0
    assert page.locator(".player .play").first.get_attribute("aria-label") == "Play"


def test_all_sounds_start_together_and_switching_stops_none(visit, comparison):
    page = visit(comparison)
    start(page)
    started = "(({startedAt, sources}) => [startedAt, sources.length])(document.querySelector('.player').player.sounds)"
    before = page.evaluate(started)
    page.locator(".player .sound").nth(5).click()
    assert page.evaluate(started) == before
    assert before[1] == page.locator(".player").first.locator(".sound").count() == 12
    page.wait_for_function("document.querySelector('.player').player.sounds.gains[5].gain.value > 0.1")
    gains = page.evaluate("document.querySelector('.player').player.sounds.gains.map((node) => node.gain.value)")
    assert [index for index, gain in enumerate(gains) if gain > 1e-6] == [5]
    assert page.locator(".current").first.inner_text() == "DDCM 3000"
    assert page.locator(".sound[aria-pressed=true] .label").first.inner_text() == "DDCM 3000"


def test_the_browser_hears_the_files_to_the_sample(visit, comparison, results):
    page, (table, folder) = visit(comparison), results
    start(page)
    heard = page.evaluate(
        "document.querySelector('.player').player.sounds.buffers.slice(0, 2).map((one) => [...one.getChannelData(0)])"
    )
    files = [table["inputs"][0]["file"], "sounds/in-0/reconstruct-matched.flac"]
    for samples, file in zip(heard, files, strict=True):
        np.testing.assert_allclose(samples, soundfile.read(folder / file)[0], atol=2**-15)


def test_loudness_matching_can_be_switched_off(visit, comparison):
    page = visit(comparison)
    start(page)
    quiet = page.locator(".player").first.locator(".sound", has_text="DDCM 3000")  # at 0.3 of the level
    quiet.click()
    gain = "document.querySelector('.player').player.sounds.gains[5].gain.value"
    page.wait_for_function(f"{gain} > 2")
    assert page.evaluate(gain) == pytest.approx(1 / 0.3, rel=0.1)
    page.locator(".matched").first.uncheck()
    page.wait_for_function(f"{gain} === 1")


def test_a_region_loops(visit, comparison):
    page = visit(comparison)
    start(page)
    player = "document.querySelector('.player').player"
    page.evaluate(f"{player}.sounds.seek(0.5); {player}.bound('from'); {player}.sounds.seek(0.8); {player}.bound('to')")
    places = []
    for _ in range(12):
        page.wait_for_timeout(60)
        places.append(page.evaluate(POSITION))
    assert page.evaluate(f"{player}.sounds.playing")
    assert all(0.45 <= place <= 0.95 for place in places)
    assert any(after < before for before, after in pairwise(places))
    assert page.locator(".region").first.is_visible()
    page.locator(".whole").first.click()
    assert page.locator(".region").first.is_hidden()


def test_keys(visit, comparison):
    page = visit(comparison)
    page.locator(".player .sound").first.click()
    page.keyboard.press("l")
    page.keyboard.press("Space")
    page.wait_for_function(f"{POSITION} > 0")
    page.keyboard.press("4")
    assert page.locator(".current").first.inner_text() == "DDCM 300"
    page.keyboard.press("ArrowDown")
    assert page.locator(".current").first.inner_text() == "DDCM 1500"
    page.keyboard.press("ArrowUp")
    page.keyboard.press("1")
    assert page.locator(".current").first.inner_text() == "Original"
    assert page.locator(".hears-reference").first.is_visible()
    page.keyboard.press("Space")
    held = page.evaluate(POSITION)
    page.keyboard.press("ArrowLeft")
    assert page.evaluate(POSITION) == pytest.approx(max(held - 1, 0), abs=1e-6)


def test_one_player_at_a_time(visit, comparison):
    page = visit(comparison)
    start(page, 0)
    start(page, 1)
    playing = page.evaluate("[...document.querySelectorAll('.player')].map((root) => root.player.sounds.playing)")
    assert playing == [False, True]


def column(page: Any, index: int) -> list[str]:
    cells = page.locator(f"#all-metrics tbody:first-of-type tr:not(.head) > :nth-child({index + 1})")
    return cells.evaluate_all("(cells) => cells.map((cell) => cell.dataset.value)")


def test_the_table_sorts_within_its_groups(still):
    page = still
    before = column(page, 2)
    heading = page.locator("#all-metrics thead th").nth(2)
    heading.locator("button").click()
    rising = [float(value) for value in column(page, 2)]
    assert rising == sorted(map(float, before)) != [float(value) for value in before]
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    assert [float(value) for value in column(page, 2)] == rising[::-1]
    assert heading.get_attribute("aria-sort") == "descending"
    titles = page.locator("#all-metrics tr.head").all_inner_texts()
    assert [title.strip().lower() for title in titles] == ["methods", "ceilings", "controls"]
    last = page.locator("#all-metrics tbody").nth(2).locator("tr").all_inner_texts()
    assert all("control" in text.lower() for text in last)


def test_rows_without_a_value_stay_last(still):
    page = still
    heading = page.locator("#all-metrics thead th").nth(1).locator("button")
    for _ in range(2):
        heading.click()
        values = column(page, 1)
        assert values[-2:] == ["", ""]
        assert "" not in values[:-2]
    assert values[0] == "8000.0"


def test_series_can_be_hidden(still):
    page = still
    rows = page.locator("#all-metrics tr[data-series=ddcm]")
    assert rows.count() == 3
    page.locator("#table .filters input[value=ddcm]").uncheck()
    assert not any(row.is_visible() for row in rows.all())
    assert not page.locator("#ranking .filters input[value=ddcm]").is_checked()
    assert not page.locator(".ranking tr[data-series=ddcm]").first.is_visible()
    assert page.locator("#all-metrics tr[data-series=opus]").first.is_visible()
    page.locator("#ranking .filters input[value=ddcm]").check()
    assert rows.first.is_visible()


def test_one_ranking_is_shown(still):
    page = still
    assert page.locator(".ranking:visible").count() == 1
    page.locator("#metric").select_option(index=3)
    assert page.locator(".ranking:visible caption").inner_text() == "Ranking by Log-spectral distance"


def test_nothing_is_wider_than_a_phone(visit, comparison):
    page = visit(comparison, viewport={"width": 360, "height": 740}, has_touch=True)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    page.locator(".player .play").first.tap()
    page.wait_for_function(f"{POSITION} > 0.1")
    page.locator(".player .sound").nth(3).tap()
    assert page.locator(".current").first.inner_text() == "DDCM 300"
    small = page.locator("button:visible, select:visible").evaluate_all(
        "(all) => all.filter((b) => !b.closest('thead') && b.getBoundingClientRect().height < 40).length"
    )
    assert small == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_tables_fit(visit, comparison, width):
    """They wrap, and on a phone each row is a card with the names of its values."""
    page = visit(comparison, viewport={"width": width, "height": 844})
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    wide = "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.ariaLabel)"
    assert page.locator(".scroll:visible").evaluate_all(wide) == []
    card = page.locator("#all-metrics tr[data-series=opus]").inner_text()
    named = (
        page.locator("#all-metrics tr[data-series=opus] td")
        .nth(1)
        .evaluate("(cell) => getComputedStyle(cell, '::before').content")
    )
    assert (named == '"Signal to noise dB ↑"') is (width == 390), card


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_can_be_read(visit, comparison, scheme):
    page = visit(comparison, color_scheme=scheme)
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    assert page.evaluate(FAINT) == []
    page.locator(".player .sound").nth(6).click()
    assert page.evaluate(FAINT) == []


def test_tiles_compare_like_with_like(still):
    tile = still.locator(".tiles li").first
    assert tile.locator("h3").inner_text().startswith("Signal to noise")
    assert tile.locator("dt").all_inner_texts() == [
        "below 0.5 kbit/s", "1 to 2 kbit/s", "2 to 4 kbit/s", "4 to 8 kbit/s", "8 to 16 kbit/s"
    ]  # fmt: skip
    name, value = tile.locator("dd").all_inner_texts()[:2]
    assert name.strip() == "VQ frame-kmeans"
    assert value in still.locator("#all-metrics tr[data-series=vq] td").nth(1).inner_text()


def test_titles_are_text(still):
    page = still
    assert page.title() == "Comparison of 8 methods on 2 inputs"
    titles = page.locator("article h3").all_inner_texts()
    assert titles[0] == 'Garden & <b>birds</b> "at dawn"'
    assert "</script>" in titles[1]


def test_without_javascript_everything_is_there(visit, comparison):
    page = visit(comparison, java_script_enabled=False)
    assert page.locator("audio:visible").count() == 2 * 12 - 1  # one run failed
    assert page.locator(".ranking:visible").count() == 5
    assert page.locator("button.sound:visible").count() == 0


def test_every_control_has_a_name(still):
    page = still
    unnamed = page.evaluate(
        "[...document.querySelectorAll('button, input, select')].filter((one) => !(one.getAttribute('aria-label')"
        " || one.textContent.trim() || one.closest('label')?.textContent.trim())).length"
    )
    assert unnamed == 0
    assert page.locator("img:not([alt])").count() == 0
    assert page.locator("div[onclick], span[onclick]").count() == 0


def test_sounds_that_cannot_be_decoded_are_reported(visit, comparison, tmp_path):
    text = comparison.read_text("utf-8").replace("data:audio/flac;base64,ZkxhQ", "data:audio/flac;base64,AAAAA")
    Path(tmp_path, "broken.html").write_text(text, "utf-8")
    page = visit(tmp_path / "broken.html")
    page.locator(".player .play").first.click()
    page.locator(".problem").first.wait_for()
    assert "cannot play" in page.locator(".problem").first.inner_text()


def test_the_page_of_a_verification(visit, tmp_path):
    """Two sounds in step, and nothing wider than a phone."""
    from noisebook import Waveform, verify
    from noisebook.report.page import write_verification

    samples = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    sound, other = Waveform.of(samples, 16_000), Waveform.of(0.5 * samples, 16_000)
    found = verify(sound, other, metrics=["mel_db_mae"])
    write_verification(found.to_dict(), sound, other, tmp_path / "page.html", names=("a.wav", "b.wav"))
    page = visit(tmp_path / "page.html", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate(FAINT) == []
    start(page)
    page.keyboard.press("2")
    assert page.locator(".current").inner_text() == "b.wav"
    assert page.evaluate(f"{POSITION}") > 0.1
