"""Sounds to train on: their files and kinds, and all of them as one flat mono int16 file.

folder of clips --pack_folder--> audio.i16 + index.json --read_packed--> samples [N] and clips (--> training.sounds)
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noisebook.audio.io import read
from noisebook.audio.resample import resample
from noisebook.audio.waveform import downmix
from noisebook.errors import AudioError, ConfigError

FULL_RATE = 48_000  # Hz, of clips and of the embedded model
KINDS = ("music", "speech", "effects")  # the order is the id
PREFIX_OF_KIND = {"music": "music", "speech": "speech", "effects": "sfx"}
AUDIO_SUFFIXES = (".ogg", ".oga", ".opus", ".wav", ".flac", ".mp3")

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ClipEntry:
    """One clip's place in the flat file; `start` and `length` in samples."""

    name: str
    kind: str
    start: int
    length: int


def kind_of(path: Path, default: str | None = None) -> str:
    """Kind from the `KIND__` or `KIND-` name prefix, else from a folder named after a kind, else `default`; ConfigError
    where none of the three answers."""
    words = {**{kind: kind for kind in KINDS}, "sfx": "effects"}
    prefix = re.split("__|-", path.name, maxsplit=1)[0]
    for word in (prefix, *reversed(path.parts[:-1])):
        if word in words:
            return words[word]
    if default is None:
        raise ConfigError(
            f"{path}: neither its name (KIND__...) nor a folder tells the kind; "
            "allowed are music, speech, sfx or effects; rename it or give --kind"
        )
    return default


def sound_files(folder: Path, *, required: bool = True) -> list[Path]:
    """Sound files of a folder and of those in it, by name; links are left out, since their targets are there.
    ConfigError if there are none, and some are required."""
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    found = sorted(path for path in paths if path.is_file() and not path.is_symlink())
    if required and not found:
        raise ConfigError(f"{folder}: no sound files; allowed are {', '.join(AUDIO_SUFFIXES)}; give a folder of clips")
    return found


def read_mono(path: Path, sample_rate: int) -> Samples:
    """The whole sound at `path`, mixed to mono, [N] float32 at `sample_rate` Hz; AudioError when unreadable."""
    samples: Samples = resample(downmix(read(path)), sample_rate).samples[0]
    return samples


def read_words(path: Path, sample_rate: int) -> npt.NDArray[np.int16]:
    """`read_mono` as 16-bit samples `[N]`, little-endian."""
    # Decoders of lossy formats overshoot full scale: clip instead of wrapping around.
    return np.clip(np.rint(read_mono(path, sample_rate) * 32768.0), -32768, 32767).astype("<i2")


def read_sound(path: Path) -> Samples:
    """The whole sound at `path`, `[1, N]` or `[2, N]` float32 at 48 kHz, two equal channels as one; more than two are
    mixed to one. AudioError when unreadable."""
    sound = read(path)
    if sound.channels > 2 or (sound.channels == 2 and np.array_equal(*sound.samples)):
        sound = downmix(sound)
    samples: Samples = resample(sound, FULL_RATE).samples
    return samples


def pack_folder(
    folder: Path, out: Path, *, sample_rate: int = FULL_RATE, default_kind: str | None = None
) -> dict[str, Any]:
    """Decode every sound file under `folder` to `out/audio.i16` (mono) with `out/index.json`.

    The fingerprint is the SHA-256 over each clip's name, samples and length, in sorted order of
    names. Memory holds one file at a time. Files appear under their final names only when complete.
    Returns the index; raises AudioError for a file that does not decode, ConfigError for one of no kind.
    """
    paths = sound_files(folder)
    names = [path.relative_to(folder) for path in paths]
    kinds = [kind_of(name, default_kind) for name in names]  # before any decoding, so that it fails early
    out.mkdir(parents=True, exist_ok=True)
    digest, clips, start = hashlib.sha256(), [], 0
    part = out / "audio.i16.part"
    with part.open("wb") as file:
        for path, name, kind in zip(paths, names, kinds, strict=True):
            digest.update(name.as_posix().encode() + b"\0")
            words = read_words(path, sample_rate)
            file.write(words.tobytes())
            digest.update(words.tobytes())
            length = len(words)
            digest.update(length.to_bytes(8, "little"))
            clips.append(ClipEntry(name.as_posix(), kind, start, length))
            start += length
    index = {
        "sample_rate": sample_rate,
        "clips": [asdict(clip) for clip in clips],
        "fingerprint": digest.hexdigest(),
    }
    os.replace(part, out / "audio.i16")
    (out / "index.json").write_text(json.dumps(index, indent=0), encoding="utf-8")
    return index


def write_opus(folder: Path, out: Path, *, size: int, bitrate: int) -> tuple[float, int]:
    """Clips of `folder` as Opus files of `bitrate` bit/s in `out`, until the next one would exceed `size` bytes in all.

    Kinds take turns, and the clips of a kind are taken evenly spread over their names. Gives hours and number of files;
    ConfigError for no sound files, or a clip of no kind.
    """
    import soundfile

    by_kind: dict[str, list[Path]] = {}
    for path in sound_files(folder):
        by_kind.setdefault(kind_of(path.relative_to(folder)), []).append(path)
    out.mkdir(parents=True, exist_ok=True)
    seconds, count, used = 0.0, 0, 0
    # All of a kind, any beginning evenly spread over their order (golden-ratio steps); kinds take turns.
    spread = [sorted(paths, key=lambda path, of=paths: (of.index(path) * 0.6180339887498949) % 1)  # type: ignore[misc]
              for paths in by_kind.values()]  # fmt: skip
    for path in (path for turn in zip_longest(*spread) for path in turn if path is not None):
        samples = read_sound(path)
        # libsndfile's compression level: 6 kbit/s a channel at 1, 256 at 0.
        level = 1 - (bitrate / len(samples) - 6000) / 250_000
        target = out / f"{path.stem}.opus"
        soundfile.write(target, samples.T, FULL_RATE, format="OGG", subtype="OPUS", compression_level=level)
        used += target.stat().st_size
        if used > size:
            target.unlink()
            break
        seconds, count = seconds + samples.shape[1] / FULL_RATE, count + 1
    return seconds / 3600, count


@dataclass(frozen=True)
class Packed:
    """What `pack_folder` wrote: samples int16 `[N]` as a memory map, where the clips lie in it, and the fingerprint."""

    audio: npt.NDArray[np.int16]
    clips: tuple[ClipEntry, ...]
    sample_rate: int
    fingerprint: str


def read_packed(folder: Path, sample_rate: int = FULL_RATE) -> Packed:
    """A packed folder. ConfigError if nothing is packed there, or at another rate; AudioError if it lacks samples."""
    try:
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{folder}: no index.json; make one with the pack verb") from error
    if index["sample_rate"] != sample_rate:
        raise ConfigError(f"{folder} is packed at {index['sample_rate']} Hz: pack it with --rate {sample_rate}")
    clips = tuple(ClipEntry(**clip) for clip in index["clips"])
    audio = np.memmap(folder / "audio.i16", "<i2", "c")  # copy on write: torch asks for a writable one
    expected = sum(clip.length for clip in clips)
    if len(audio) != expected:
        raise AudioError(f"{folder}: audio.i16 has {len(audio)} samples, index.json says {expected}; pack again")
    return Packed(audio, clips, sample_rate, index["fingerprint"])
