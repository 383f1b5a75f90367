"""The data recipe on packages and clips made here: nothing is downloaded."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from noisebook.errors import ConfigError, MissingExtra
from training import cutting, data
from training.building import build_package
from training.clips import KINDS, sound_files
from training.cutting import judging_pieces, thin, training_pieces
from training.packages import HELD_OUT, TRAIN, Package, choose

RATE = 48_000
ROOT = Path(__file__).parents[2]
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
TOY = Package("toy-sounds", 0.1, (("music", "*/music/*"), ("effects", "*/sounds/*")), "CC0")


def tone(seconds: float, *, rate: int = RATE, level: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def toy_deb(folder: Path) -> Path:
    """A package with 50 s of 8 kHz stereo music, nine 2 s effects in a zip, silence, and a broken file."""
    tree = folder / "tree"
    for name in ("DEBIAN", "usr/share/toy/music", "usr/share/toy/sounds", "usr/share/doc"):
        (tree / name).mkdir(parents=True)
    (tree / "DEBIAN/control").write_text(
        "Package: toy-sounds\nVersion: 1.2-3\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: toy\n"
    )
    stereo = np.stack([tone(50, rate=8000), np.zeros(400_000, np.float32)], axis=1)
    soundfile.write(tree / "usr/share/toy/music/A Tune.wav", stereo, 8000)
    (tree / "usr/share/toy/music/broken.ogg").write_bytes(b"no sound at all")
    soundfile.write(tree / "usr/share/toy/sounds/silence.wav", tone(20, level=0.001), RATE)
    soundfile.write(tree / "usr/share/doc/unlisted.wav", tone(8), RATE)
    with zipfile.ZipFile(tree / "usr/share/toy/sounds/pack.pk3", "w") as archive:
        for number in range(9):
            soundfile.write(folder / "one.ogg", tone(2, hertz=200 + 50 * number), RATE)
            archive.write(folder / "one.ogg", f"bang{number}.ogg")
    deb = folder / "toy-sounds_1.2-3_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(tree), str(deb)], check=True, capture_output=True)
    return deb


@needs_dpkg
def test_package_becomes_pieces_with_a_manifest(tmp_path: Path) -> None:
    deb, out = toy_deb(tmp_path), tmp_path / "out"
    record = build_package(deb, TOY, out, kinds=TOY.kinds, hours=None, held_out=False)
    assert [row["file"] for row in record["rows"]] == [
        "music__toy-sounds__A-Tune-000.flac",
        "music__toy-sounds__A-Tune-001.flac",
        "sfx__toy-sounds__join-000.flac",  # eight of the nine; the 2 s left over are dropped
    ]
    assert [row["seconds"] for row in record["rows"][:2]] == [25.0, 25.0]
    assert len(record["rows"][2]["sources"]) == 8
    assert 16 + 7 * 0.1 <= record["rows"][2]["seconds"] <= 16 + 7 * 0.3
    assert record["unreadable"] == ["usr/share/toy/music/broken.ogg"]
    for row in record["rows"]:
        info = soundfile.info(out / row["file"])
        assert (info.samplerate, info.channels, info.subtype) == (RATE, 2 if "music" in row["file"] else 1, "PCM_16")
        assert row["sha256"] == hashlib.sha256((out / row["file"]).read_bytes()).hexdigest()
        assert (row["package"], row["version"]) == ("toy-sounds", "1.2-3")
    music, _ = soundfile.read(out / record["rows"][0]["file"])
    assert np.abs(music[1000:-1000]).max(axis=0) == pytest.approx([0.5, 0], abs=0.01)  # left and right stay apart


@needs_dpkg
def test_held_out_package_becomes_ten_second_clips(tmp_path: Path) -> None:
    deb, out = toy_deb(tmp_path), tmp_path / "out"
    rows = build_package(deb, TOY, out, kinds=TOY.kinds, hours=None, held_out=True)["rows"]
    assert [row["file"] for row in rows] == ["music-toy-sounds-A-Tune-20s.flac", "sfx-toy-sounds-join00.flac"]
    assert [soundfile.info(out / row["file"]).frames for row in rows] == [480_000, 480_000]
    # A long sound counts as the one clip that it gives.
    for hours, count in ((10 / 3600, 1), (4 / 3600, 0)):
        record = build_package(deb, TOY, tmp_path / "few", kinds=("music",), hours=hours, held_out=True)
        assert len(record["rows"]) == count


@needs_dpkg
def test_build_goes_on_where_it_was_and_refuses_the_other_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deb, out = toy_deb(tmp_path), tmp_path / "out"
    monkeypatch.setattr(data, "choose", lambda names, kind, held_out: (TOY,))
    monkeypatch.setattr(data, "fetch", lambda package, cache: deb)
    arguments = ["build", str(out), "--kind", "music"]
    assert "music 0.8 min in 2" in CliRunner().invoke(data.cli, arguments).output
    assert "done before" in CliRunner().invoke(data.cli, arguments).output
    assert "effects 0.3 min in 1" in CliRunner().invoke(data.cli, ["build", str(out)]).output
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(row["file"] for row in rows) == sorted(path.name for path in out.glob("*.flac"))
    assert len(rows) == 3
    with pytest.raises(ConfigError, match="never mix"):
        data.refuse_mixture(out, held_out=True)
    shorter = CliRunner().invoke(data.cli, ["build", str(out), "--kind", "music", "--hours", "0.007"])
    assert "music 0.4 min in 1" in shorter.output


def test_long_sounds_are_cut_whole_and_short_ones_joined() -> None:
    long = tone(100) + np.arange(4_800_000, dtype=np.float32) * 1e-9
    pieces = list(training_pieces([("a/long.wav", long[None]), ("a/quiet.wav", tone(30, level=0.003)[None])]))
    assert [piece.seconds for piece in pieces] == pytest.approx([100 / 3] * 3, abs=1e-4)
    np.testing.assert_array_equal(np.concatenate([piece.samples[0] for piece in pieces]), long)
    shorts = [(f"s{number}.wav", tone(1.0)[None]) for number in range(40)]
    joined = list(training_pieces(shorts))
    assert [len(piece.sources) for piece in joined] == [15, 15, 10]
    assert all(6 <= piece.seconds <= 40 for piece in joined)
    first = joined[0].samples[0]
    gap = np.flatnonzero(first[RATE:] != 0)[0]
    assert 0.1 * RATE <= gap <= 0.3 * RATE + 1
    same = list(training_pieces(shorts))
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(joined, same, strict=True))


def test_mono_and_stereo_are_joined_as_stereo() -> None:
    stereo = np.stack([tone(4), np.zeros(4 * RATE, np.float32)])
    (piece,) = training_pieces([("mono.wav", tone(4)[None]), ("stereo.wav", stereo)])
    assert piece.samples.shape[0] == 2
    np.testing.assert_array_equal(piece.samples[0, : 4 * RATE], piece.samples[1, : 4 * RATE])
    assert not piece.samples[1, -4 * RATE :].any()


def test_silence_is_what_peaks_below_minus_fifty_decibels() -> None:
    loud_enough, too_quiet = tone(10, level=10 ** (-49 / 20))[None], tone(10, level=10 ** (-51 / 20))[None]
    assert len(list(training_pieces([("x", loud_enough)]))) == 1
    assert not list(training_pieces([("x", too_quiet)]))
    assert not list(judging_pieces([("x", too_quiet)]))


def test_thinning_is_even() -> None:
    pieces = list(training_pieces((f"p{number}", tone(6)[None]) for number in range(40)))
    kept = [int(piece.stem[1:]) for piece in thin(pieces, 0.25)]
    assert len(kept) == 10
    assert set(np.diff(kept)) == {4}
    assert len(list(thin(pieces, 2.0))) == 40


def test_sound_catalogue_is_opened(tmp_path: Path) -> None:
    sounds = []
    for number in range(3):
        soundfile.write(tmp_path / "one.wav", tone(0.1 * (number + 1)), RATE, subtype="PCM_16")
        sounds.append((tmp_path / "one.wav").read_bytes())
    (tmp_path / "one.wav").unlink()
    (tmp_path / "all.cat").write_bytes(b"\x18\0\0\0index" + b"name\0".join(sounds))
    cutting.unpack_archives(tmp_path)
    members = sound_files(tmp_path)
    assert [path.read_bytes() for path in members] == sounds


def test_g722_without_ffmpeg_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "hello.g722").write_bytes(bytes(800))
    monkeypatch.setattr(cutting.shutil, "which", lambda name: None)
    with pytest.raises(MissingExtra, match="ffmpeg"):
        cutting.unpack_archives(tmp_path)


def test_tables_are_disjoint_and_choose_never_mixes_them() -> None:
    train, held_out = {p.name for p in TRAIN}, {p.name for p in HELD_OUT}
    assert len(train) == len(TRAIN)
    assert len(held_out) == len(HELD_OUT)
    assert not train & held_out
    assert {kind for p in (*TRAIN, *HELD_OUT) for kind in p.kinds} == set(KINDS)
    with pytest.raises(ConfigError, match="other table"):
        choose("klettres-data,singularity-music", "all", held_out=False)
    with pytest.raises(ConfigError, match="other table"):
        choose("klettres-data", "all", held_out=True)
    with pytest.raises(ConfigError, match="in no table"):
        choose("klettres", "all", held_out=False)
    assert [p.name for p in choose("klettres-data,asc-music", "music", held_out=False)] == ["asc-music"]


def test_dry_run_writes_nothing_and_adds_up(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["build", str(out), "--dry-run", "--packages", "asc-music,klettres-data"]
    result = CliRunner().invoke(data.cli, command)
    assert "2 packages, 49.8 MB to download" in result.output
    assert not out.exists()


def test_docs_and_licences_verb_show_the_table() -> None:
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    output = CliRunner().invoke(data.cli, ["licences"]).output
    for package in (*TRAIN, *HELD_OUT):
        read = "read" if package.licence_read else "not read"
        kinds = ", ".join(package.kinds)
        row = f"| {package.name} | {package.megabytes} | {kinds} | {package.licence} | {read} |"
        assert row in text
        assert f"{package.name} " in output
        assert package.licence in output


@pytest.mark.parametrize(("name", "rate", "channels"), [("demo.flac", 48_000, 2), ("demo-speech.flac", 16_000, 1)])
def test_bundled_clips_are_ten_seconds_small_and_licensed(name: str, rate: int, channels: int) -> None:
    path = ROOT / "noisebook/assets" / name
    info = soundfile.info(path)
    assert (info.samplerate, info.channels, info.frames) == (rate, channels, 10 * rate)
    assert path.stat().st_size <= 600_000
    assert f"| `{name}` |" in (path.parent / "LICENCES.md").read_text(encoding="utf-8")
