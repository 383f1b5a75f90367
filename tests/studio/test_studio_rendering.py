"""Results as HTML: everything is there, and text stays text."""

from __future__ import annotations

import re
from html import unescape

import numpy as np
import soundfile

from noisebook.audio.waveform import Waveform
from noisebook.studio.files import ResultStore
from noisebook.studio.jobs import run
from noisebook.studio.rendering import message, render_result, rendered, store_sounds
from noisebook.studio.settings import Settings


def content(html: str) -> str:
    found = re.fullmatch(r'<noisebook-result content="([^"]*)"></noisebook-result>', html, re.DOTALL)
    assert found
    return unescape(found[1])


def shown(settings, sound, backend, store, **options) -> str:
    """The page of a finished result."""
    *_, result = run(settings, sound, backend=backend, **options)
    return content(render_result(result, store_sounds(result, store, "ann")))


def test_a_result_is_complete(backend, sound, tmp_path):
    settings = Settings(method="compare", methods=("codec-100", "codec-700"), seed=7)
    store = ResultStore(tmp_path)
    page = shown(settings, sound, backend, store, name="song")
    names = set(re.findall(r"results/[\w-]+/([\w.-]+)", page))
    assert names == {
        "song-original.wav", "song-1-preset-100.wav", "song-1-preset-100.ddcm", "song-2-preset-700.wav",
        "song-2-preset-700.ddcm",
    }  # fmt: skip
    token = re.search(r"results/([\w-]+)/", page)[1]
    assert all(store.find(token, name).is_file() for name in names)
    assert 'href="?method=compare&amp;methods=codec-100,codec-700&amp;seed=7"' in page
    rates = [8 * store.find(token, f"song-{name}.ddcm").stat().st_size for name in ("1-preset-100", "2-preset-700")]
    labels = [f"{rate} bit/s (preset {preset})" for rate, preset in zip(rates, (100, 700), strict=True)]
    for told in ("another clip", "pink noise", "silence", " of 16-bit PCM", *labels):
        assert told in page
    kept, rate = soundfile.read(store.find(token, "song-original.wav"))
    np.testing.assert_allclose(kept, sound.samples[0], atol=2**-15)
    assert rate == 16000


def test_until_there_are_numbers_a_note_is_in_their_place(backend, sound, tmp_path):
    store = ResultStore(tmp_path)
    result = next(run(Settings(preset="100"), sound, backend=backend, name="song"))
    token = store_sounds(result, store, "ann")
    page = content(render_result(result, token, note="numbers & more follow"))
    assert "numbers &amp; more follow" in page
    assert "All numbers" not in page
    assert f"results/{token}/song-preset-100.wav" in page


def test_the_numbers_are_a_sentence_first(backend, sound, tmp_path):
    *_, result = run(Settings(method="compare", methods=("codec-8", "codec-6000")), sound, backend=backend, name="x")
    values = [track.verification.metrics[1].value for track in result.tracks]
    page = content(render_result(result, "token"))
    related, order = (
        re.findall(r'<p class="verdict">(.*?)</p>', page)[:-1],
        re.findall(r'"verdict">(.*?)</p>', page)[-1],
    )
    assert all(
        re.search("related to the original|not distinguishable from an unrelated sound", told) for told in related
    )
    first, second = ("preset 8", "preset 6000") if values[0] < values[1] else ("preset 6000", "preset 8")
    assert order.startswith("Nearest to it by Mel spectrum error: ")
    assert order.index(first) < order.index(second) < order.index("the best of the unrelated sounds has ")
    assert page.index("verdict") < page.index("<summary>All numbers</summary>") < page.index("<table")


def test_silence_is_told_and_not_measured(backend, tmp_path):
    silence = Waveform.of(np.zeros(16000), 16000)
    page = shown(Settings(preset="300"), silence, backend, ResultStore(tmp_path), name="x")
    assert "The original is silence: there is nothing to compare." in page
    assert "unrelated sounds" not in page
    assert re.search(r" · 1:\d+(\.\d+)? of 16-bit PCM", page)  # no exponent, however large


def test_words_of_visitors_are_text(backend, tmp_path):
    hostile = '"><img src=x onerror=alert(1)> music'
    settings = Settings(method="generate", prompt=hostile, seconds=1)
    page = shown(settings, None, backend, ResultStore(tmp_path), name="x")
    assert "<img src=x" not in page
    assert "onerror" not in re.sub(r"prompt=[^\"]*|words that the model does not know:[^<]*", "", page)
    assert "<b>" not in content(message("<b>bold</b>"))


def test_a_problem_is_an_alert():
    assert 'role="alert"' in content(message("the file is empty"))
    assert "alert" not in content(message("Drop a sound", problem=False))


def test_the_head_holds_everything_the_element_needs():
    text = rendered("head.html.jinja")
    assert 'customElements.define("noisebook-result"' in text
    assert "class SyncedSounds" in text
    assert "class SoundPicture" in text
    assert ":root" not in text
    assert "http" not in text.replace("http://www.w3.org", "")
