"""One package, from the archive to written pieces: fetch, extract, cut, write."""

from __future__ import annotations

import hashlib
import math
import shutil
import subprocess
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

from noisebook.audio.io import write
from noisebook.audio.waveform import Waveform
from noisebook.errors import AudioError, ConfigError, MissingExtra
from training.clips import FULL_RATE, PREFIX_OF_KIND, Samples, read_sound, sound_files
from training.cutting import JUDGED, Piece, judging_pieces, thin, training_pieces, unpack_archives
from training.packages import Package

APT_LOCK = Lock()  # one download at a time, however many packages are cut at once


# ---------------------------------------------------------------- fetch and extract


def _run(*command: str, cwd: Path | None = None) -> str:
    if shutil.which(command[0]) is None:
        raise MissingExtra(f"{command[0]} is not installed; this recipe runs on Debian 12 and its relatives")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"{' '.join(command)} failed: {done.stderr.strip()[-300:]}; try apt-get update first")
    return done.stdout


def fetch(package: Package, cache: Path) -> Path:
    """The package's .deb file, downloaded into `cache` unless it is there already."""
    cache.mkdir(parents=True, exist_ok=True)
    if not list(cache.glob(f"{package.name}_*.deb")):
        with APT_LOCK:
            _run("apt-get", "download", "-q=2", package.name, cwd=cache)
    return sorted(cache.glob(f"{package.name}_*.deb"))[-1]


def extract(deb: Path, folder: Path) -> str:
    """Unpack `deb` and the archives inside it into `folder`; the package's version."""
    _run("dpkg-deb", "-x", str(deb), str(folder))
    unpack_archives(folder)
    return _run("dpkg-deb", "-f", str(deb), "Version").strip()


# ---------------------------------------------------------------- cut and write


def _sounds(folder: Path, files: list[Path], unreadable: list[str]) -> Iterator[tuple[str, Samples]]:
    """(path inside the package, samples [C, N]) of each file; what does not decode is noted."""
    for path in files:
        source = path.relative_to(folder).as_posix()
        try:
            yield source, read_sound(path)
        except AudioError:
            unreadable.append(source)


def _hours(files: list[Path], *, at_most: float = math.inf) -> float:
    """Duration of `files` from their headers, of each `at_most` seconds; what cannot be opened counts as nothing."""
    import soundfile

    total = 0.0
    for path in files:
        try:
            total += min(soundfile.info(path).duration, at_most)
        except soundfile.SoundFileError:
            continue  # reported when it is decoded
    return total / 3600


def _file_name(piece: Piece, package: Package, kind: str, number: int, *, held_out: bool) -> str:
    """KIND__package__stem-NNN.flac to train on, KIND-package-stem-offset.flac to judge on."""
    prefix = PREFIX_OF_KIND[kind]
    if not held_out:
        return f"{prefix}__{package.name}__{piece.stem}-{number:03d}.flac"
    if piece.stem == "join":
        return f"{prefix}-{package.name}-join{number:02d}.flac"
    again = f"-{number}" if number else ""  # two files of one name in different folders
    return f"{prefix}-{package.name}-{piece.stem}{again}-{piece.offset:.0f}s.flac"


def _cut_kind(
    folder: Path, package: Package, kind: str, out: Path, *, hours: float | None, held_out: bool, version: str
) -> tuple[list[dict[str, Any]], list[str]]:
    """Write the pieces of one kind of one package; its manifest rows, and the files that did not decode."""
    files = [
        p
        for p in sound_files(folder, required=False)
        if package.kind_of("/" + p.relative_to(folder).as_posix()) == kind
    ]
    unreadable: list[str] = []
    cut = judging_pieces if held_out else training_pieces
    # The seed only places the gaps; taking it from the name keeps a package the same in any build.
    pieces = cut(_sounds(folder, files, unreadable), seed=zlib.crc32(package.name.encode()))
    # Of a long sound there is one clip to judge on, and all of it to train on.
    available = _hours(files, at_most=JUDGED if held_out else math.inf)
    fraction = 1.0 if hours is None else hours / max(available, 1e-9)
    rows: list[dict[str, Any]] = []
    numbers: Counter[str] = Counter()
    for piece in thin(pieces, fraction):
        name = _file_name(piece, package, kind, numbers[piece.stem], held_out=held_out)
        numbers[piece.stem] += 1
        row = {"file": name, "sources": piece.sources, "offset": round(piece.offset, 3)}
        row |= {"package": package.name, "version": version, "kind": kind, "seconds": round(piece.seconds, 3)}
        write(out / name, Waveform.of(piece.samples, FULL_RATE), overwrite=True)
        rows.append(row | {"sha256": hashlib.sha256((out / name).read_bytes()).hexdigest()})
    return rows, unreadable


def build_package(
    deb: Path, package: Package, out: Path, *, kinds: tuple[str, ...], hours: float | None, held_out: bool
) -> dict[str, Any]:
    """Extract, cut and write one package, `hours` of each kind at most; its record for the build's state."""
    out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {"kinds": kinds, "hours": hours, "held_out": held_out}
    record |= {"rows": [], "unreadable": []}
    with tempfile.TemporaryDirectory(prefix="noisebook-") as temporary:
        folder = Path(temporary)
        version = extract(deb, folder)
        for kind in kinds:
            rows, unreadable = _cut_kind(folder, package, kind, out, hours=hours, held_out=held_out, version=version)
            record["rows"] += rows
            record["unreadable"] += unreadable
    return record
