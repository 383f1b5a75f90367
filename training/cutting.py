"""From an unpacked package to pieces of sound.

folder --unpack_archives--> files --read--> whole sounds --training_pieces--> pieces of 6-40 s
                                                         `--judging_pieces--> clips of 10 s
"""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noisebook.errors import AudioError, MissingExtra
from training.clips import AUDIO_SUFFIXES, FULL_RATE, Samples

SHORTEST, LONGEST, JOINED = 6.0, 40.0, 15.0  # seconds; short sounds are joined until they reach JOINED
GAP = (0.1, 0.3)  # seconds of silence between joined sounds
SILENCE = 10 ** (-50 / 20)  # peak of -50 dBFS
JUDGED = 10.0  # seconds of one held-out clip
ZIP_SUFFIXES = (".zip", ".pk3", ".pk4")


@dataclass(frozen=True)
class Piece:
    """A piece [C, N] at 48 kHz, the stem it is named by, its files and its offset in the first, in seconds."""

    stem: str
    sources: tuple[str, ...]
    offset: float
    samples: Samples

    @property
    def seconds(self) -> float:
        return self.samples.shape[1] / FULL_RATE


def _carve_riff(path: Path) -> None:
    """Write each RIFF sound inside a sound catalogue as a .wav file in a folder beside it."""
    data, found = path.read_bytes(), 0
    folder = path.with_suffix(".members")
    folder.mkdir(exist_ok=True)
    start = data.find(b"RIFF")
    while start >= 0:
        size = 8 + int.from_bytes(data[start + 4 : start + 8], "little")
        (folder / f"{path.stem}-{found:03d}.wav").write_bytes(data[start : start + size])
        found += 1
        start = data.find(b"RIFF", start + size)


def _convert(path: Path) -> None:
    """Decode a format that libsndfile does not read to a .wav beside it, through ffmpeg."""
    tool = shutil.which("ffmpeg")
    if tool is None:
        raise MissingExtra(f"{path.name}: {path.suffix} needs ffmpeg, which is not installed; apt-get install ffmpeg")
    command = [tool, "-nostdin", "-loglevel", "error", "-y", "-i", str(path), str(path.with_suffix(".wav"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AudioError(f"{path.name}: ffmpeg cannot decode it ({done.stderr.strip()[-200:]}); remove the file")


def unpack_archives(folder: Path) -> None:
    """Open zip archives and sound catalogues in place, and convert G.722; MissingExtra without ffmpeg."""
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        if suffix in ZIP_SUFFIXES and path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                members = [name for name in archive.namelist() if name.lower().endswith(AUDIO_SUFFIXES)]
                archive.extractall(path.with_suffix(".members"), members)
        elif suffix == ".cat":
            _carve_riff(path)
        elif suffix == ".g722":
            _convert(path)


def _stem(source: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", Path(source).stem).strip("-") or "sound"


def _audible(samples: Samples) -> bool:
    return bool(np.abs(samples).max(initial=0.0) >= SILENCE)


def _equal_parts(source: str, samples: Samples) -> Iterator[Piece]:
    """A long sound in the fewest equal parts of at most LONGEST seconds."""
    count = samples.shape[1]
    parts = math.ceil(count / (LONGEST * FULL_RATE))
    edges = np.linspace(0, count, parts + 1).astype(int)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        yield Piece(_stem(source), (source,), start / FULL_RATE, samples[:, start:stop])


def _join(shorts: list[tuple[str, Samples]], rng: np.random.Generator) -> Piece:
    channels = max(len(samples) for _, samples in shorts)
    parts: list[Samples] = []
    for _, samples in shorts:
        gap = int(rng.uniform(*GAP) * FULL_RATE) if parts else 0
        parts += [np.zeros((channels, gap), np.float32), np.broadcast_to(samples, (channels, samples.shape[1]))]
    return Piece("join", tuple(source for source, _ in shorts), 0.0, np.concatenate(parts, axis=1))


def _joined(shorts: Iterable[tuple[str, Samples]], seconds: float, rng: np.random.Generator) -> Iterator[Piece]:
    """Join sounds in order until each piece holds at least `seconds` of them; a short rest is yielded too."""
    waiting: list[tuple[str, Samples]] = []
    held = 0
    for source, samples in shorts:
        waiting.append((source, samples))
        held += samples.shape[1]
        if held >= seconds * FULL_RATE:
            yield _join(waiting, rng)
            waiting, held = [], 0
    if waiting:
        yield _join(waiting, rng)


def training_pieces(sounds: Iterable[tuple[str, Samples]], *, seed: int = 0) -> Iterator[Piece]:
    """Pieces of 6-40 s from (source, samples [C, N]) of one kind and package; silent ones are dropped.

    Sounds under 6 s are joined with 0.1-0.3 s gaps until 15 s; a rest under 6 s is dropped.
    """
    shorts: list[tuple[str, Samples]] = []
    for source, samples in sounds:
        if not _audible(samples):
            continue
        if samples.shape[1] < SHORTEST * FULL_RATE:
            shorts.append((source, samples))
        else:
            yield from (piece for piece in _equal_parts(source, samples) if _audible(piece.samples))
    pieces = _joined(shorts, JOINED, np.random.default_rng(seed))
    yield from (piece for piece in pieces if piece.seconds >= SHORTEST)


def judging_pieces(sounds: Iterable[tuple[str, Samples]], *, seed: int = 0) -> Iterator[Piece]:
    """Clips of exactly 10 s: from the middle of each longer sound, and of short sounds joined."""
    size = int(JUDGED * FULL_RATE)
    shorts: list[tuple[str, Samples]] = []
    for source, samples in sounds:
        if samples.shape[1] < size:
            shorts += [(source, samples)] if _audible(samples) else []
            continue
        second = (samples.shape[1] - size) // (2 * FULL_RATE)
        clip = samples[:, second * FULL_RATE : second * FULL_RATE + size]
        if _audible(clip):
            yield Piece(_stem(source), (source,), float(second), clip)
    for piece in _joined(shorts, JUDGED, np.random.default_rng(seed)):
        if piece.seconds >= JUDGED:
            yield Piece(piece.stem, piece.sources, piece.offset, piece.samples[:, :size])


def thin(pieces: Iterable[Piece], fraction: float) -> Iterator[Piece]:
    """Every 1/fraction-th piece, evenly spread over the order they come in; all of them from 1 up."""
    total = 0.0
    for piece in pieces:
        if math.floor(total + fraction) > math.floor(total) or fraction >= 1:
            yield piece
        total += fraction
