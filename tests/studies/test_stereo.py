"""The study of stereo, on a tiny model."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import stereo
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError


def test_only_stereo_music_of_a_folder_is_taken(tmp_path) -> None:
    sound = 0.1 * np.random.default_rng(0).standard_normal((2, 800)).astype(np.float32)
    for name in ("music-b", "music-a", "music-c", "speech-a"):
        io.write(tmp_path / f"{name}.wav", Waveform(sound, 16000))
    io.write(tmp_path / "music-aa.wav", Waveform(sound[:1], 16000))
    assert [path.stem for path in stereo.stereo_paths(tmp_path, 2)] == ["music-a", "music-b"]
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="no clips that fit"):
        stereo.stereo_paths(tmp_path / "none", 2)


def test_rows_of_a_clip(bench, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(stereo, "BITRATES", ("1500", "3000"))
    a, b = 0.1 * np.random.default_rng(0).standard_normal((2, 32000)).astype(np.float32)
    io.write(tmp_path / "music-a.wav", Waveform(np.stack([a + 0.3 * b, 0.3 * a]).astype(np.float32), 16000))
    rows = stereo.judged(bench, str(tmp_path / "music-a.wav"))["rows"]
    levels = {row["name"]: row["level_db"] for row in rows}
    assert list(levels) == ["3000, mono", "1500", "3000"]
    assert levels["3000, mono"] > 8  # without an image the error is the difference itself, some 10 dB
    assert levels["3000"] < levels["3000, mono"] / 2
    assert all(0 < row["image_bitrate"] < row["bitrate"] for row in rows if "bitrate" in row)


def test_the_tables(measured, monkeypatch) -> None:
    monkeypatch.setattr(stereo, "BITRATES", ("300",))
    monkeypatch.setattr(stereo, "_SECONDS", 1.0)
    parts = measured("stereo")
    assert [line.split(" | ")[0] for line in parts["music"].splitlines()[2:]] == [
        "| the originals", "| 3000, mono", "| 300",
    ]  # fmt: skip
