"""Distances between sets of sounds, and their controls."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.cli.main import cli
from noisebook.errors import ConfigError
from noisebook.verification.sets import compare_sets


def chords(count: int, seed: int) -> list[np.ndarray]:
    """Sounds of one kind: two seconds of three partials with vibrato, of random pitch."""
    rng, time = np.random.default_rng(seed), np.arange(32000) / 16000
    sounds = []
    for _ in range(count):
        pitch, depth = rng.uniform(150, 600), rng.uniform(2, 6)
        phase = 2 * np.pi * pitch * time + depth * np.sin(2 * np.pi * 5 * time)
        sounds.append(0.2 * sum(np.sin(k * phase) / k for k in (1, 2, 3)) * (1 + np.sin(2 * np.pi * 3 * time)) / 2)
    return sounds


def noises(count: int, seed: int) -> list[np.ndarray]:
    return list(0.2 * np.random.default_rng(seed).standard_normal((count, 32000)))


def test_sets_of_one_kind_are_near_and_others_far():
    alike = compare_sets(chords(12, 0), chords(12, 1))
    unlike = compare_sets(chords(12, 0), noises(12, 1))
    for near, far in zip(alike.distances, unlike.distances, strict=True):
        assert near.name == far.name
        assert near.value < min(near.controls["other sounds"], near.controls["pink noise"])
        assert far.value > 3 * near.value
        assert far.low > near.high
        assert near.controls == far.controls  # they are of the reference alone
    plain = alike.distances[0]
    assert plain.name == "frechet_distance"
    assert plain.value < 3 * plain.controls["halves of the reference"]


def test_too_few_sounds_are_refused():
    with pytest.raises(ConfigError, match="3 and 2 sounds"):
        compare_sets(chords(3, 0), chords(2, 1))
    with pytest.raises(ConfigError, match="4 and 1 sounds"):
        compare_sets(chords(4, 0), chords(1, 1))


def test_folders_on_the_command_line(tmp_path):
    for name, sounds in (("a", chords(4, 0)), ("b", noises(3, 0))):
        (tmp_path / name).mkdir()
        for index, sound in enumerate(sounds):
            write(tmp_path / name / f"{index}.wav", Waveform(sound[None].astype(np.float32), 16000))
    places = [str(tmp_path / name) for name in ("a", "b")]
    shown = CliRunner().invoke(cli, ["verify", *places], standalone_mode=False)
    assert shown.exception is None
    assert shown.stdout.startswith("REF 4 sounds, EST 3 sounds")
    assert "frechet_distance_extrapolated" in shown.stdout
    assert "halves of the reference" in shown.stdout
    with pytest.raises(Exception, match="for sounds, not for folders"):
        CliRunner().invoke(cli, ["verify", *places, "--require-related"], standalone_mode=False, catch_exceptions=False)
