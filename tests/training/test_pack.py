"""Packing clips into one file and drawing batches from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from noisebook.errors import AudioError, ConfigError
from training import data
from training.clips import KINDS, kind_of, pack_folder, read_packed, write_opus
from training.sounds import Sounds

RATE = 16_000


def tone(seconds: float, *, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def clips(folder: Path) -> Path:
    """Three kinds of very unequal length, each at its own level; one at 48 kHz."""
    folder.mkdir()
    soundfile.write(folder / "music__p__a-000.flac", np.full(160_000, 0.25, np.float32), RATE)
    soundfile.write(folder / "music__p__b-000.flac", np.full(40_000, 0.125, np.float32), RATE)
    soundfile.write(folder / "sfx__p__c-000.flac", np.full(1_000, 0.5, np.float32), RATE)
    soundfile.write(folder / "speech__p__d-000.wav", tone(1, rate=48_000, hertz=300.0), 48_000)
    return folder


def test_pack_lays_clips_end_to_end(tmp_path: Path) -> None:
    index = pack_folder(clips(tmp_path / "in"), tmp_path / "out", sample_rate=RATE)
    assert [(clip["kind"], clip["start"], clip["length"]) for clip in index["clips"]] == [
        ("music", 0, 160_000),
        ("music", 160_000, 40_000),
        ("effects", 200_000, 1_000),
        ("speech", 201_000, 16_000),
    ]
    words = np.fromfile(tmp_path / "out/audio.i16", "<i2")
    assert len(words) == 217_000
    assert abs(int(words[0]) - 8192) <= 1
    assert abs(int(words[200_500]) - 16384) <= 1
    expected = tone(1, hertz=300.0) * 32768
    assert np.abs(words[202_000:216_000] - expected[1_000:15_000]).max() < 40


def test_fingerprint_follows_names_and_samples(tmp_path: Path) -> None:
    folder = clips(tmp_path / "in")
    first = pack_folder(folder, tmp_path / "1", sample_rate=RATE)["fingerprint"]
    assert pack_folder(folder, tmp_path / "2", sample_rate=RATE)["fingerprint"] == first
    (folder / "sfx__p__c-000.flac").rename(folder / "sfx__p__e-000.flac")
    renamed = pack_folder(folder, tmp_path / "3", sample_rate=RATE)["fingerprint"]
    soundfile.write(folder / "sfx__p__e-000.flac", np.full(1_000, 0.51, np.float32), RATE)
    assert len({first, renamed, pack_folder(folder, tmp_path / "4", sample_rate=RATE)["fingerprint"]}) == 3


def test_sampling_is_even_over_kinds_and_by_length_within(tmp_path: Path) -> None:
    pack_folder(clips(tmp_path / "in"), tmp_path / "out", sample_rate=RATE)
    sounds = Sounds(tmp_path / "out", "cpu", [0], synthetic=0.0, sample_rate=RATE)
    waveform, kind_ids = (tensor.numpy() for tensor in sounds.crops(3000, 2000))
    assert (waveform.shape, waveform.dtype, kind_ids.dtype) == ((3000, 2000), np.float32, np.int64)
    counts = np.bincount(kind_ids, minlength=3)
    assert (np.abs(counts - 1000) < 5 * np.sqrt(3000 * 2 / 9)).all()
    music = waveform[kind_ids == 0]
    assert set(np.round(music.max(axis=1), 3)) == {0.25, 0.125}
    assert np.mean(music[:, 0] > 0.2) == pytest.approx(0.8, abs=5 * np.sqrt(0.16 / 900))
    effects = waveform[kind_ids == KINDS.index("effects")]
    assert np.allclose(effects[:, :1000], 0.5, atol=1e-4)
    assert not effects[:, 1000:].any()
    again, _ = Sounds(tmp_path / "out", "cpu", [0], synthetic=0.0, sample_rate=RATE).crops(3000, 2000)
    np.testing.assert_array_equal(again, waveform)
    assert sounds.hours == pytest.approx(217_000 / RATE / 3600)


def test_crops_reach_both_ends_of_a_clip(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    ramp = np.arange(1, 9, dtype=np.int16)
    soundfile.write(folder / "ramp.wav", ramp, RATE)
    pack_folder(folder.parent, tmp_path / "out", sample_rate=RATE)
    waveform, _ = Sounds(tmp_path / "out", "cpu", [1], synthetic=0.0, sample_rate=RATE).crops(400, 6)
    starts = np.unique(np.round(waveform[:, 0].numpy() * 32768)).astype(int).tolist()
    assert starts == [1, 2, 3]


def test_packed_folder_that_does_not_fit_its_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pack verb"):
        read_packed(tmp_path, RATE)
    pack_folder(clips(tmp_path / "in"), tmp_path / "out", sample_rate=RATE)
    with (tmp_path / "out/audio.i16").open("ab") as file:
        file.write(b"\0\0")
    with pytest.raises(AudioError, match="pack again"):
        read_packed(tmp_path / "out", RATE)


def test_kind_comes_from_name_then_folder_then_option() -> None:
    assert kind_of(Path("speech/sfx__p__a.ogg")) == "effects"
    assert kind_of(Path("music-p-a-10s.flac")) == "music"
    assert kind_of(Path("music/speech/a.ogg")) == "speech"
    assert kind_of(Path("a.ogg"), "music") == "music"
    with pytest.raises(ConfigError, match="--kind"):
        kind_of(Path("some/a.ogg"))


def test_pack_refuses_training_and_held_out_clips_together(tmp_path: Path) -> None:
    folder = clips(tmp_path / "in")
    soundfile.write(folder / "music-singularity-music-Nebula-153s.flac", tone(1), RATE)
    result = CliRunner().invoke(data.cli, ["pack", str(folder), str(tmp_path / "out")])
    assert isinstance(result.exception, ConfigError)
    assert "never mix" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_opus_files_fill_a_size_with_kinds_in_turns(tmp_path: Path) -> None:
    folder, rng = tmp_path / "in", np.random.default_rng(0)
    folder.mkdir()
    for kind in ("music", "sfx"):
        for number in range(8):
            noise = 0.1 * rng.standard_normal((4 * 48_000, 2))
            soundfile.write(folder / f"{kind}__p__a-{number:03d}.flac", noise, 48_000)
    hours, count = write_opus(folder, tmp_path / "out", size=240_000, bitrate=64_000)
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == count
    assert 150_000 < sum(file.stat().st_size for file in files) <= 240_000
    assert abs(sum(file.name.startswith("music") for file in files) - count / 2) <= 0.5
    assert hours == pytest.approx(count * 4 / 3600)
    assert all(soundfile.info(file).channels == 2 for file in files)
    bits = 8 * sum(file.stat().st_size for file in files) / (hours * 3600)
    assert bits == pytest.approx(64_000, rel=0.15)
    assert (
        CliRunner()
        .invoke(data.cli, ["opus", str(folder), str(tmp_path / "all"), "--mib", "1"])
        .output.startswith("16 ")
    )


def test_another_rate_is_refused(tmp_path: Path) -> None:
    pack_folder(clips(tmp_path / "in"), tmp_path / "out", sample_rate=48_000)
    with pytest.raises(ConfigError, match="packed at 48000 Hz: pack it with --rate 16000"):
        read_packed(tmp_path / "out", RATE)
