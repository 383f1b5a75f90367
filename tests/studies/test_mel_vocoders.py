"""The study of vocoders for 64 mel bins, on short clips."""

from __future__ import annotations

import pytest

from experiments import mel_vocoders


def test_the_table(measured, monkeypatch):
    pytest.importorskip("zimtohrli", reason="the study measures with it")
    monkeypatch.setattr(mel_vocoders, "_SECONDS", 1.0)
    lines = [line.split(" | ") for line in measured("mel_vocoders")["table"].splitlines()[2:]]
    assert [line[1] for line in lines] == 3 * ["griffin-lim", "tones", "another clip"]
    mel_errors = {tuple(line[:2]): float(line[5]) for line in lines}
    for kind in ("| music", "| speech", "| sfx"):
        assert max(mel_errors[kind, "griffin-lim"], mel_errors[kind, "tones"]) < 6
