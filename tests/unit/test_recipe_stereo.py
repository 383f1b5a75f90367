"""The recipe that measures stereo, on a tiny model."""

from __future__ import annotations

import re

import numpy as np
import pytest

from experiments import stereo
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError


@pytest.fixture
def clip() -> Waveform:
    a, b = 0.1 * np.random.default_rng(0).standard_normal((2, 32000)).astype(np.float32)
    return Waveform(np.stack([a + 0.3 * b, 0.3 * a]).astype(np.float32), 16000)


def test_only_stereo_sounds_of_a_folder_are_taken(clip, tmp_path) -> None:
    for name in ("b", "a", "c"):
        io.write(tmp_path / f"{name}.wav", clip)
    io.write(tmp_path / "aa.wav", Waveform(clip.samples[:1], 16000))
    (tmp_path / "notes.txt").write_text("no sound")
    assert [sound.channels for sound in stereo.load(tmp_path, 2)] == [2, 2]
    (tmp_path / "none").mkdir()
    with pytest.raises(AudioError, match="no stereo sounds"):
        stereo.load(tmp_path / "none", 2)


def test_rows_and_the_page(backend, clip) -> None:
    rows = list(stereo.judged(clip, ["1500", "3000"], "3000", backend))
    levels = {row.name: row.level_db for row in rows}
    assert list(levels) == ["image uncoded, no codec", "image of 200 bit/s, no codec", "3000, mono", "1500", "3000"]
    # What an image does for the level, no codec in between; without one the error is the difference itself, some 10 dB.
    assert levels["image uncoded, no codec"] <= levels["image of 200 bit/s, no codec"] < 1.5 < 8 < levels["3000, mono"]
    assert levels["3000"] < levels["3000, mono"] / 2
    assert all(0 < row.image_bitrate < row.bitrate for row in rows if row.bitrate)
    page = stereo.page(rows, [("voice hard left", "silent")], 0.5, "3000", 1, backend)
    assert not re.search(r"<[A-Z_]+>", page)
    assert "| voice hard left | silent |" in page
    assert f"| 3000 | {levels['3000']:.2f} |" in page


def test_sounds_whose_image_is_known_come_back_from_where_they_were(backend, monkeypatch) -> None:
    monkeypatch.setattr(stereo, "_SECONDS", 1)
    known = dict(stereo.known_images("3000", backend))
    assert [known[key] for key in known if "hard" in key] == ["silent", "silent"]
    # The chord is not asked about: random weights put sound where the chord has none, and the image of it says nothing.
    assert float(known["voice 10 dB to the left, then"].removesuffix(" dB")) > 5
    assert known["the same: coherence"] == "-1.00"
    assert abs(float(known["chord with R = -L: loudness beside that of R = L"].split()[0])) < 1
    assert int(known["voice in both channels: bytes more than mono"]) <= 3
    assert known["the same: channels equal"] == "yes"
