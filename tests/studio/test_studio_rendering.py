"""Results as HTML: everything is there, and text stays text."""

from __future__ import annotations

import re
import sys
from html import unescape
from io import BytesIO

import numpy as np
import pytest
import soundfile

from noisebook.audio.waveform import Waveform
from noisebook.errors import Error
from noisebook.studio.jobs import run
from noisebook.studio.pictures import difference, spectrograms
from noisebook.studio.rendering import head, message, render_result, store_picture, store_sounds
from noisebook.studio.settings import Settings
from noisebook.studio.store import ResultStore


def content(html: str) -> str:
    found = re.fullmatch(r'<noisebook-result content="([^"]*)"></noisebook-result>', html, re.DOTALL)
    assert found
    return unescape(found[1])


def shown(settings, sound, backend, store, **options) -> str:
    """The page of a finished result."""
    *_, result = run(settings, sound, backend=backend, **options)
    token = store_sounds(result, store, "ann")
    store_picture(result, store, token)
    return content(render_result(result, token))


def test_a_result_is_complete(backend, sound, tmp_path):
    settings = Settings(method="compare", methods=("codec-100", "codec-700"), seed=7)
    store = ResultStore(tmp_path)
    page = shown(settings, sound, backend, store, name="song")
    names = set(re.findall(r"results/[\w-]+/([\w.-]+)", page))
    assert names == {
        "song-original.wav", "song-1-100-bit-s.wav", "song-1-100-bit-s.ddcm", "song-2-700-bit-s.wav",
        "song-2-700-bit-s.ddcm", "spectrograms.png",
    }  # fmt: skip
    token = re.search(r"results/([\w-]+)/", page)[1]
    assert all(store.find(token, name).is_file() for name in names)
    assert 'href="?method=compare&amp;methods=codec-100,codec-700&amp;seed=7"' in page
    for told in ("another clip", "pink noise", "silence", "log-mel error", "(p = ", " of 16-bit PCM"):
        assert told in page
    kept, rate = soundfile.read(store.find(token, "song-original.wav"))
    np.testing.assert_allclose(kept, sound.samples[0], atol=2**-15)
    assert rate == 16000


def test_until_there_are_numbers_a_note_is_in_their_place(backend, sound, tmp_path):
    store = ResultStore(tmp_path)
    result = next(run(Settings(preset="100"), sound, backend=backend, name="song"))
    token = store_sounds(result, store, "ann")
    page = content(render_result(result, token, note="numbers & picture follow"))
    assert "numbers &amp; picture follow" in page
    assert "spectrograms.png" not in page
    assert store.find(token, "spectrograms.png") is None
    assert f"results/{token}/song-100-bit-s.wav" in page


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
    text = head()
    assert 'customElements.define("noisebook-result"' in text
    assert "class SyncedSounds" in text
    assert ":root" not in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_the_difference_ignores_what_both_have_not():
    reference, picture = np.array([[-10.0, -200.0, -90.0]]), np.array([[-16.0, -90.0, -20.0, 0.0]])
    np.testing.assert_array_equal(difference(reference, picture, floor=-80), [[-6.0, 0.0, 60.0]])


def test_pictures_are_png(sound):
    for original in (None, sound):
        data = spectrograms(original, {"a": sound, "b": sound})
        assert data.startswith(b"\x89PNG")
    assert BytesIO(data).getbuffer().nbytes > 10_000


def test_without_matplotlib_the_extra_is_named(sound, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(Error, match=r"noisebook\[studio\]"):
        spectrograms(None, {"a": sound})
