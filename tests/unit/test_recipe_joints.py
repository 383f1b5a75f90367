"""The measure of joints finds what is put there, and the places are where the codec has its joints."""

from __future__ import annotations

import numpy as np
import pytest

from experiments import joints
from experiments.joints import SOUNDS, jump
from noisebook import api
from noisebook.audio.waveform import Waveform

RATE = 16000


@pytest.mark.parametrize("name", SOUNDS)
def test_a_sound_has_no_joint_and_a_click_in_it_is_one(name):
    samples = SOUNDS[name](4.0, RATE).samples[0]
    assert jump(samples, RATE, 2.0) < 0.02
    clicked = samples.copy()
    clicked[2 * RATE] += 9 * np.sqrt(np.mean(samples**2))
    assert jump(clicked, RATE, 2.0) > 1
    assert jump(clicked, RATE, 2.5) == 0


def test_a_tone_that_starts_anew_is_a_joint():
    time = np.arange(4 * RATE) / RATE
    turned = np.where(time < 2, np.sin(2 * np.pi * 440 * time), np.cos(2 * np.pi * 440 * time))
    assert jump(turned, RATE, 2.0) > 0.5


def test_a_change_of_level():
    tone = SOUNDS["tone"](2.0, RATE).samples[0]
    louder = np.where(np.arange(len(tone)) < RATE, tone, 2 * tone)
    assert joints.level_change(louder, RATE, 1.0) == pytest.approx(20 * np.log10(2), abs=0.1)
    assert joints.level_change(louder, RATE, 0.5) < 0.1


def test_joints_are_where_segments_and_windows_meet(backend):
    info = backend.info
    data = api.compress(SOUNDS["noise"](80.0, RATE), backend=backend, preset="30")
    segments, windows = joints.joints(data, info)
    assert segments == [64.0]
    assert windows[:4] == [7.68, 10.24, 15.36, 17.92]
    assert max(windows) < 80
    short = api.compress(SOUNDS["tone"](3.0, RATE), backend=backend, preset="30")
    assert joints.joints(short, info) == ([], [])


def test_the_level_of_a_stretch():
    tone = SOUNDS["tone"](3.0, RATE)
    assert joints.level(tone, 1, 2) == pytest.approx(10 * np.log10(0.3**2 / 2), abs=0.01)
    assert joints.level(Waveform(np.zeros((1, RATE), np.float32), RATE), 0, 1) == pytest.approx(-120)
