"""The preset table of docs/format.md is the code's."""

from __future__ import annotations

from pathlib import Path

from noisebook.codec.presets import PRESETS, params_bitrate
from noisebook.codec.timeline import SEGMENT_FRAMES

PAGE = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")


def rows_after(heading: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(heading) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|---"))
    body = lines[first + 1 :]
    end = next(i for i, line in enumerate(body) if not line.startswith("|"))
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body[:end]]


def test_preset_table_is_current():
    expected = []
    for p in PRESETS:
        e = p.params
        numbers = (e.log2_part, e.log2_K, e.unit_frames, e.steps, p.stereo_steps, e.kappa_percent, e.choice_bits)
        rates = (p.bitrate, params_bitrate(p.stereo_params), p.image_bitrate)
        expected.append([*map(str, (p.wire_id, p.name, *numbers)), *(f"{rate:g}" for rate in rates)])
    assert rows_after("### 5.2 Presets") == expected


def test_limits_are_stated():
    assert f"segments of {SEGMENT_FRAMES} frames" in PAGE
