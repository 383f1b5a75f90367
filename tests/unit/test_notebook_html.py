"""What a notebook shows of a sound and of a stream: HTML that needs nothing beside itself."""

from __future__ import annotations

import re
import sys
from base64 import b64decode
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

import noisebook
from noisebook.audio.waveform import Waveform

TONE = Waveform.of(0.5 * np.sin(np.arange(24000) * 0.2), 48000)


def elements(html: str) -> dict[str, ElementTree.Element]:
    """Of well-formed HTML, the last of each kind."""
    closed = re.sub(r"<(br|img)([^>]*)>", r"<\1\2/>", html).replace("<audio controls", "<audio controls=''")
    return {element.tag: element for element in ElementTree.fromstring(closed).iter()}


def test_a_sound_has_a_player_a_picture_and_facts():
    found = elements(TONE._repr_html_())
    data = b64decode(found["audio"].attrib["src"].removeprefix("data:audio/flac;base64,"))
    heard, rate = soundfile.read(BytesIO(data), dtype="float32")
    assert rate == 48000
    np.testing.assert_allclose(heard, TONE.samples[0], atol=2**-15)
    picture = b64decode(found["img"].attrib["src"].removeprefix("data:image/jpeg;base64,"))
    assert picture.startswith(b"\xff\xd8")
    assert len(picture) < 30_000
    assert "mono, 48000 Hz, 0.50 s, peak -6.0 dB" in TONE._repr_html_()


def test_without_matplotlib_there_is_no_picture(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert set(elements(TONE._repr_html_())) == {"div", "audio"}


def test_a_long_sound_is_cut(monkeypatch: pytest.MonkeyPatch):
    """So that the notebook stays small; the facts are of the whole."""
    monkeypatch.setattr("noisebook.audio.html._SECONDS", 0.1)
    html = Waveform(np.zeros((2, 24000), np.float32), 48000)._repr_html_()
    data = b64decode(elements(html)["audio"].attrib["src"].partition(",")[2])
    assert soundfile.info(BytesIO(data)).frames == 4800
    assert "stereo, 48000 Hz, 0.50 s, peak -inf dB, the first 0.1 s are here" in html


def test_a_stream_has_a_table(backend):
    info = noisebook.read_info(noisebook.compress(TONE, backend=backend, preset="300"))
    html = info._repr_html_()
    rows = {row[0].text: row[1].text for row in ElementTree.fromstring(html)[0]}
    assert html.startswith(f"<div>{info.file_bytes} bytes, {info.bitrate:.0f} bit/s, 0.50 s at 48000 Hz<table>")
    assert rows["preset"] == "300"
    assert rows["file bytes"] == str(info.file_bytes)
    assert "intact" not in rows  # not known without the model
