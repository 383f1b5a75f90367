"""The page of a comparison: one file, everything inside it, and text that stays text."""

from __future__ import annotations

import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pytest
import soundfile

import noisebook
from noisebook.audio.level import loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError, ConfigError
from noisebook.report.page import MAX_GAIN_DB, matched_gains, outline, write_page

build = run_path(str(Path(__file__).parents[1] / "report_results.py"))["build"]
VOID = {"meta", "link", "input", "img", "br"}


class Elements(HTMLParser):
    """All start tags with their attributes, and whether every one was closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID and tag != "path":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag != "path":
            assert self.open.pop() == tag

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path, str]:
    folder = tmp_path_factory.mktemp("page")
    results = build(folder, inputs=3, seconds=0.5)
    write_page(results, folder, folder / "index.html")
    return results, folder, (folder / "index.html").read_text("utf-8")


def test_the_markup_closes_and_loads_nothing(made):
    elements = Elements(made[2])
    assert not elements.open
    for _, attributes in elements.found:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith(("data:", "#")), attributes
    assert not re.search(r"@import|url\(|https?://", made[2])
    assert len(elements.of("script")) == len(elements.of("style")) == 1


def test_identifiers_are_unique_and_labels_lead_somewhere(made):
    elements = Elements(made[2])
    identifiers = [attributes["id"] for _, attributes in elements.found if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for _, attributes in elements.found:
        for target in (attributes.get("aria-labelledby"), (attributes.get("href") or "").removeprefix("#")):
            assert not target or target in identifiers or target.startswith("data:")


def test_titles_and_errors_are_escaped(made):
    text = made[2]
    assert "<b>birds</b>" not in text
    assert "document.title = 'taken'" not in re.findall(r"<script>(.*?)</script>", text, re.S)[0]
    assert "&lt;/script&gt;&lt;script&gt;" in text
    assert "ffmpeg ended with status 1: &lt;stderr&gt; &amp; more" in text
    assert "place them &amp; &lt;try&gt; again" in text


def test_sounds_are_the_files_and_the_original_comes_first(made):
    results, folder, text = made
    audio = Elements(text).of("audio")
    assert len(audio) == 3 + sum(row["file"] is not None for row in results["rows"])
    samples, rate = soundfile.read(BytesIO(b64decode(str(audio[0]["src"]).split(",")[1])))
    wanted, wanted_rate = soundfile.read(folder / results["inputs"][0]["file"])
    np.testing.assert_array_equal(samples, wanted)
    assert rate == wanted_rate


def test_a_failed_run_has_no_sound_but_a_line(made):
    text = made[2]
    third = text[text.index('id="input-3"') : text.index('id="ranking"')]
    assert "failed: ffmpeg" in third
    assert not re.search(r'class="label">MP3 8 kbit/s', third)


def test_pictures_are_inside(made):
    pictures = [str(attributes["src"]) for attributes in Elements(made[2]).of("img")]
    assert len(pictures) == 3  # a curve, a spectrogram, a residual
    assert all(b64decode(uri.split(",")[1]).startswith(b"\x89PNG") for uri in pictures)


def test_only_the_inputs_that_fit_have_players(made, tmp_path):
    results, folder, text = made
    size = len(str(Elements(text).of("audio")[0]["src"])) * 12
    write_page(results, folder, tmp_path / "small.html", max_megabytes=1.9 * size / 1e6)
    small = (tmp_path / "small.html").read_text("utf-8")
    assert 1 <= small.count('class="player"') < 3
    assert small.count("No player: the sounds up to this input fill the") == 3 - small.count('class="player"')
    assert 'href="sounds/in-2/original.flac"' in small


def test_one_input_without_metrics_figures_or_methods(made, tmp_path):
    results, folder, _ = made
    bare = results | {"inputs": results["inputs"][2:], "methods": [], "rows": [], "metrics": [], "ranking": []}
    bare |= {"skipped": [], "figures": {"rate_quality": [], "residuals": []}, "manifest": {}}
    write_page(bare, folder, tmp_path / "bare.html")
    text = (tmp_path / "bare.html").read_text("utf-8")
    assert "0 methods on 1 input<" in text
    assert 'id="missing"' not in text
    assert 'id="ranking"' not in text
    assert not Elements(text).open


def test_infinite_means_have_a_place_on_the_axis(made, tmp_path):
    results, folder, _ = made
    ranking = [line | ({"mean": float("inf"), "low": 3.0, "high": float("inf")} if line["method"] == "ddcm-300" else {})
               for line in results["ranking"]]  # fmt: skip
    write_page(results | {"ranking": ranking}, folder, tmp_path / "infinite.html")
    text = (tmp_path / "infinite.html").read_text("utf-8")
    assert "∞" in text
    assert not re.search(r"style=\"left: (nan|inf)", text)


def test_files_outside_the_folder_are_refused(made, tmp_path):
    results, folder, _ = made
    Path(folder.parent, "secret.flac").write_bytes(b"")
    sounds = [results["inputs"][0] | {"file": "../secret.flac"}]
    with pytest.raises(ConfigError, match="not inside"):
        write_page(results | {"inputs": sounds}, folder, tmp_path / "x.html")
    sounds = [results["inputs"][0] | {"file": "sounds/none.flac"}]
    with pytest.raises(ConfigError, match=r"none\.flac.*compare again"):
        write_page(results | {"inputs": sounds}, folder, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_a_target_that_cannot_be_written(made, tmp_path):
    results, folder, _ = made
    with pytest.raises(AudioError, match="no folder"):
        write_page(results, folder, tmp_path / "none" / "x.html")


def noise(level: float, seconds: float = 1.0) -> Waveform:
    samples = level * np.random.default_rng(3).standard_normal(round(16000 * seconds))
    return Waveform(samples[None].astype(np.float32), 16000)


def test_gains_match_loudness():
    sounds = [noise(0.02), noise(0.05), noise(0.01)]
    levels = [
        loudness_lufs(Waveform(sound.samples * np.float32(10 ** (gain / 20)), 16000))
        for sound, gain in zip(sounds, matched_gains(sounds), strict=True)
    ]
    assert levels == pytest.approx([levels[0]] * 3, abs=0.02)
    assert matched_gains(sounds)[0] == 0


def test_gains_never_clip_and_leave_silence_alone():
    silence = Waveform(np.zeros((1, 16000), np.float32), 16000)
    sounds = [noise(0.2), noise(0.002), silence]
    gains = matched_gains(sounds)
    assert gains[1] - gains[0] == pytest.approx(MAX_GAIN_DB)
    assert gains[2] == gains[0]
    peaks = [np.abs(s.samples).max() * 10 ** (g / 20) for s, g in zip(sounds, gains, strict=True)]
    assert max(peaks) <= 1.001
    assert matched_gains([silence, noise(0.01)]) == [0, 0]


@pytest.mark.parametrize("count", [1, 100, 48000])
def test_an_outline_fills_its_box(count):
    sound = Waveform(np.linspace(-1, 1, count, dtype=np.float32)[None], 16000)
    numbers = [float(x) for x in re.findall(r"[\d.]+", outline(sound))]
    assert min(numbers) >= 0
    assert max(numbers) <= 240


def test_a_sound_says_its_rate_gain_and_kind(made):
    about = re.findall(r'class="about">([^<]*)<', made[2])
    assert about[0] == "reference"
    assert "3010 bit/s · +10.4 dB · generative" in about
    assert not any("-0.0" in text or "+0.0" in text for text in about)


def test_no_style_sheet_or_script_ends_its_own_element():
    for package in ("report", "studio"):
        folder = Path(noisebook.__file__).parent / package / "templates"
        for path in (*folder.glob("*.css"), *folder.glob("*.js")):
            assert not re.search(r"</(script|style)", path.read_text("utf-8"), re.IGNORECASE), path
