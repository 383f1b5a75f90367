"""The sounds that are compared: found, cut, and brought to the one form that every method is given."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.errors import AudioError

SAMPLE_RATE = 48000  # Hz
_SOUNDS = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".caf", ".w64", ".m4a")  # in a folder
_KINDS = {"music": "music", "speech": "speech", "sfx": "effects", "effects": "effects"}
_LONGEST_ID = 60


@dataclass(frozen=True, eq=False)
class Input:
    """A sound to compare with."""

    id: str  # unique in the comparison; names files
    title: str  # the name of its file, without suffix
    kind: str | None  # "music", "speech" or "effects", by the first word of the file's name; None: not known
    sound: Waveform  # one channel or two at `SAMPLE_RATE`, the reference of every metric; of more channels their mean
    source_rate: int  # of the file, Hz
    source_channels: int
    cut_seconds: float  # left out at the end of the file

    @property
    def digest(self) -> str:
        return sha256(self.sound.samples.tobytes()).hexdigest()


def load(sources: Sequence[Path], *, limit_seconds: float, beside: Path, mono: bool = False) -> tuple[Input, ...]:
    """The sounds of files, and of folders and their folders by name, each file once.

    Of each the first `limit_seconds`; with `mono` the mean of two channels; none in `beside`, the folder of the
    comparison itself. AudioError for a file that cannot be read, and for a folder without sounds.
    """
    inputs: dict[str, Input] = {}
    for path in {path.resolve(): path for path in sound_files(sources, beside=beside.resolve())}.values():
        whole = io.read(path)
        samples = whole.samples[:, : max(1, round(limit_seconds * whole.sample_rate))]
        cut = Waveform(np.ascontiguousarray(samples), whole.sample_rate)
        sound = resample(downmix(cut) if mono or cut.channels > 2 else cut, SAMPLE_RATE)
        name = _unique(path.stem, inputs)
        inputs[name] = Input(
            id=name,
            title=path.stem.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            kind=_KINDS.get(re.split(r"[^a-z]", path.stem.lower())[0]),
            sound=sound,
            source_rate=whole.sample_rate,
            source_channels=whole.channels,
            cut_seconds=max(0.0, round(whole.duration - sound.duration, 3)),
        )
    return tuple(inputs.values())


def sound_files(sources: Iterable[Path], *, beside: Path | None = None) -> Iterator[Path]:
    """Files as they are named, and the sounds within folders by name, but for those in the folder `beside`.

    Raises:
        AudioError: a folder without sounds.
    """
    for source in sources:
        if not source.is_dir():
            yield source
            continue
        paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in _SOUNDS and path.is_file())
        found = [path for path in paths if beside not in path.resolve().parents]
        if not found:
            raise AudioError(f"there are no sounds in {source}; known in a folder are {' '.join(_SOUNDS)}")
        yield from found


def _unique(stem: str, taken: dict[str, Input]) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:_LONGEST_ID] or "sound"
    number, unique = 2, name
    while unique in taken:
        unique, number = f"{name}-{number}", number + 1
    return unique
