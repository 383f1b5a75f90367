"""The preset table, the search for a bitrate, and the arithmetic of streams."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace

import numpy as np
import pytest

from noisebook.codec import presets
from noisebook.codec import timeline as timelines
from noisebook.codec.presets import (
    DEFAULT,
    PRESETS,
    QUALITIES,
    by_name,
    by_wire_id,
    params_bitrate,
    params_for,
)
from noisebook.codec.timeline import Layout
from noisebook.coding.container import CodingParams
from noisebook.errors import ConfigError, UnsupportedStream

# Wire ids are in streams that exist: append to this table, never change a row of it.
# id: name, log2 d, log2 K, frames to a unit, coded steps, kappa in percent, coded steps beside an image
WIRE = {
    1: ("8", 15, 15, 256, 5, 70, 5),
    2: ("30", 14, 16, 128, 9, 80, 8),
    3: ("100", 13, 16, 64, 15, 80, 13),
    4: ("300", 11, 15, 16, 12, 80, 11),
    5: ("700", 10, 13, 16, 16, 70, 14),
    6: ("1500", 9, 13, 16, 17, 60, 15),
    7: ("3000", 8, 13, 16, 17, 50, 16),
    8: ("6000", 7, 11, 16, 20, 50, 19),
}
SMALL_PARTS = CodingParams(7, 9, 8, 12, 70)
INFO = SimpleNamespace(frame_values=128, frame_samples=640, frame_multiple=1)


def row(preset: presets.Preset) -> tuple[object, ...]:
    e = preset.params
    return preset.name, e.log2_part, e.log2_K, e.unit_frames, e.steps, e.kappa_percent, preset.stereo_steps


# --- presets -----------------------------------------------------------------------------------------------------


def test_presets_mean_what_they_have_always_meant():
    assert {preset.wire_id: row(preset) for preset in PRESETS} == WIRE
    for preset in PRESETS:
        assert by_wire_id(preset.wire_id) is preset


def test_names_and_ids_are_unique_and_found():
    assert len({p.name for p in PRESETS}) == len({p.wire_id for p in PRESETS}) == len(PRESETS)
    for preset in PRESETS:
        assert by_name(preset.name) is by_wire_id(preset.wire_id) is preset
    assert by_name(DEFAULT).name == "3000"


def test_presets_are_named_by_their_bitrate():
    assert all(a.bitrate < b.bitrate for a, b in pairwise(PRESETS))
    for preset in PRESETS:
        assert preset.bitrate == pytest.approx(float(preset.name), rel=0.04)


def test_choices_and_image_of_a_preset_are_the_bitrate_of_its_name():
    for preset in PRESETS:
        choices = params_bitrate(preset.stereo_params)
        assert choices + preset.image_bitrate == pytest.approx(float(preset.name), rel=0.03)
        assert preset.image_bitrate <= 200
    assert PRESETS[0].image_bitrate == 0


def test_unknown_presets():
    with pytest.raises(ConfigError, match=r"'8000'.*8, 30, 100"):
        by_name("8000")
    with pytest.raises(UnsupportedStream, match="preset id 99"):
        by_wire_id(99)


# --- any bitrate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quality", "tolerance"), [("fast", 0.07), ("balanced", 0.05), ("high", 0.03)])
def test_any_bitrate_is_met(quality, tolerance):
    """Fast has the fewest step counts to choose from, so it is the coarsest."""
    misses = {}
    for bitrate in np.geomspace(30, 6000, 60).tolist():
        params = params_for(bitrate, quality=quality)
        misses[bitrate] = abs(params_bitrate(params) / bitrate - 1)
        assert params.steps <= QUALITIES[quality].most
        assert params.steps >= QUALITIES[quality].fewest or params.log2_part == 15
    worst = max(misses, key=lambda bitrate: misses[bitrate])
    assert misses[worst] < tolerance, f"worst at {worst:.0f} bit/s: off by {misses[worst]:.1%}"


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_lowest_rates_are_met_roughly(quality):
    for bitrate in (5, 6, 7.8, 10, 20):
        assert params_bitrate(params_for(bitrate, quality=quality)) == pytest.approx(bitrate, rel=0.1)


def test_params_for_is_the_nearest_of_all_it_may_choose_from():
    """Nearest but for 2 %: of those it takes the most steps."""
    all_of_them = [
        presets._partitioned(part, steps, stacks, 70, 8)
        for part, stacks, steps in product(range(4, 16), range(3), range(4, 9))
    ]
    for bitrate in np.geomspace(100, 5000, 20).tolist():
        params = params_for(bitrate, quality="fast")
        misses = {one: abs(params_bitrate(one) / bitrate - 1) for one in all_of_them}
        assert misses[params] <= max(0.02, min(misses.values()))
        assert params.steps == max(one.steps for one, miss in misses.items() if miss <= max(0.02, misses[params]))


@pytest.mark.parametrize("bitrate", [4.9, 8001, 0, -1, float("nan"), float("inf")])
def test_bitrates_out_of_range(bitrate):
    with pytest.raises(ConfigError, match="5 to 8000"):
        params_for(bitrate)


def test_unknown_quality():
    with pytest.raises(ConfigError, match=r"'best'.*fast, balanced, high"):
        params_for(1000, quality="best")


@pytest.mark.parametrize(
    ("params", "bitrate"),
    [
        (CodingParams(7, 7, 8, 15, 80), 8 * 8 * 15 / 0.32),
        (CodingParams(6, 8, 8, 3, 80), 9 * 16 * 3 / 0.32),
    ],
)
def test_bitrate_by_hand(params, bitrate):
    assert params_bitrate(params) == pytest.approx(bitrate)


# --- layout ------------------------------------------------------------------------------------------------------


def layout_of_frames(frames: int, *, channels: int = 1, params: CodingParams = SMALL_PARTS) -> Layout:
    return Layout(INFO, channels, frames * 640, params=params, plan=(None,) * params.steps)


@pytest.mark.parametrize("frames", [*range(1, 10), 255, 256, 257, 1599, 1600, 1855, 1856, 1857, 3455, 3456, 10000])
def test_segments_tile_the_timeline(frames):
    timeline = layout_of_frames(frames)
    segments = list(timeline.segments())
    assert segments[0][0] == 0
    assert segments[-1][1] == frames
    assert all(a[1] == b[0] for a, b in pairwise(segments))
    assert len(segments) == timeline.segment_count
    sizes = [end - start for start, end in segments]
    assert all(size == 1600 for size in sizes[:-1])
    assert sizes[-1] < 1600 + 256
    assert sizes[-1] >= 256 or len(sizes) == 1


@pytest.mark.parametrize("segment", [10, 300, 1600])
@pytest.mark.parametrize("shortest", [1, 7, 10])
def test_segment_count_needs_no_walk(monkeypatch, segment, shortest):
    monkeypatch.setattr(timelines, "SEGMENT_FRAMES", segment)
    monkeypatch.setattr(timelines, "_SHORTEST_SEGMENT", shortest)
    for frames in range(1, 4000, 7):
        timeline = layout_of_frames(frames)
        assert timeline.segment_count == len(list(timeline.segments()))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_payload_size_is_the_sum(preset):
    for frames in (1, 250, 1855, 1856, 5000):
        timeline = layout_of_frames(frames, channels=2, params=preset.params)
        sizes = list(timeline.payload_sizes())
        assert timeline.payload_size == sum(sizes)
        bits = [timeline.steps * timeline.segment_bits(index) for index in range(timeline.segment_count)]
        assert sizes == [-(-count // 8) for count in bits]


def test_bits_of_a_step_by_hand():
    """Parts of 128: a unit of 8 frames is 8 parts of 128 values, of 10 bits each; a rest of 3 frames has 3 parts."""
    timeline = layout_of_frames(11, channels=2)
    assert (timeline.steps, timeline.segment_bits(0)) == (12, 2 * (8 + 3) * 10)
    lowest = layout_of_frames(250, params=PRESETS[0].params)
    assert (lowest.steps, lowest.segment_bits(0)) == (5, 16)  # one part, filled up


@pytest.mark.parametrize("unit", [1, 3, 8, 20, 256])
@pytest.mark.parametrize("frames", [5, 100, 1999])
def test_paused_units_frame_by_frame(unit, frames):
    """A unit pauses if every one of its frames lies in a pause, which is asked here for each of them."""
    pauses = ((0, 2), (4, 5), (6, 40), (41, 203), (210, 300), (301, 400))
    params = replace(SMALL_PARTS, unit_frames=unit)
    own = replace(layout_of_frames(frames, channels=2, params=params), pauses=pauses)
    cells, bits, parts = -(-frames // 8), [], 0
    for index, (start, end) in enumerate(own.segments()):
        units = [range(first, min(first + unit, end)) for first in range(start, end, unit)]
        expected = [[all(any(a <= channel * cells + frame // 8 < b for a, b in pauses) for frame in each)
                     for each in units] for channel in range(2)]  # fmt: skip
        found = own.paused(index)
        assert (found if found is not None else np.zeros((2, len(units)), bool)).tolist() == expected
        parts = sum(len(each) for row in expected for each, paused in zip(units, row, strict=True) if not paused)
        bits.append(own.steps * own.segment_bits(index))
        assert bits[-1] == own.steps * parts * own.params.choice_bits  # a frame is one part of 128 values
    assert list(own.payload_sizes()) == [-(-count // 8) for count in bits]
    assert own.payload_size == sum(own.payload_sizes()) <= layout_of_frames(frames, channels=2).payload_size


def test_an_enormous_promise_costs_nothing():
    timeline = layout_of_frames(2**48 // 640)
    assert timeline.segment_count > 2**27
    assert timeline.payload_size > 2**40
    assert next(timeline.payload_sizes()) == 12 * 200 * 8 * 10 // 8


def test_frames_are_whole_and_of_the_models_multiple():
    eight = SimpleNamespace(frame_values=128, frame_samples=640, frame_multiple=8)
    for count, frames in ((1, 8), (640 * 8, 8), (640 * 8 + 1, 16)):
        assert Layout(eight, 1, count, params=SMALL_PARTS, plan=(None,) * 1).frames == frames
    for count, frames in ((1, 1), (640, 1), (641, 2)):
        assert Layout(INFO, 1, count, params=SMALL_PARTS, plan=(None,) * 1).frames == frames
