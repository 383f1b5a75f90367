"""Sounds for pages: of one loudness, in a form that a browser plays, inside the page."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noisebook.audio.formats import encode
from noisebook.audio.level import loudness_lufs, peak_db
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError

__all__ = ["data_uri", "inside", "matched_gains", "outline", "sound_uri"]

MAX_GAIN_DB = 20.0  # a nearly silent sound is not blown up further
_TYPES = {"FLAC": "audio/flac", "WAV": "audio/wav"}


def matched_gains(sounds: Sequence[Waveform]) -> list[float]:
    """Gains in dB that give every sound the loudness of the first (ITU-R BS.1770-4), at most `MAX_GAIN_DB` up or down.

    Where a sound would clip, all are turned down by the same amount. Silence keeps its level.
    """
    loudness = [loudness_lufs(sound) for sound in sounds]
    raw = [loudness[0] - level if np.isfinite(loudness[0] - level) else 0.0 for level in loudness]
    gains = [float(np.clip(gain, -MAX_GAIN_DB, MAX_GAIN_DB)) for gain in raw]
    over = max(peak_db(sound.samples) + gain for sound, gain in zip(sounds, gains, strict=True))
    return [round(gain - max(over, 0.0), 2) + 0.0 for gain in gains]  # + 0.0: no negative zero


def sound_uri(sound: Waveform, container: str = "FLAC") -> str:
    """A sound as a data URI, 16 bits.

    FLAC, for Chromium, Firefox and Safari all decode it, it adds nothing to what is being judged, and it has no encoder
    delay, so that sounds stay in step. (Safari learned Ogg late, and MP3 shifts sounds and colours them.)
    """
    return data_uri(bytes(encode(sound, container, "PCM_16")[0]), _TYPES[container])


def data_uri(data: bytes, media_type: str) -> str:
    """Bytes as a URI that contains them."""
    return f"data:{media_type};base64,{b64encode(data).decode('ascii')}"


def inside(folder: Path, name: str) -> Path:
    """The file of that relative name in a folder.

    Raises:
        ConfigError: the name leads out of the folder, or to nothing.
    """
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ConfigError(
            f"the results name the file {name}, which is not inside {folder}: name files of that folder only"
        )
    if not path.is_file():
        raise ConfigError(
            f"the results name the file {name}, and {folder} has none: keep the folder whole, or compare again"
        )
    return path


def outline(sound: Waveform, *, columns: int = 240) -> str:
    """A sound's envelope as an SVG path in a box of `columns` by 100, the middle at 50."""
    peaks = [part.max() for part in np.array_split(np.abs(sound.samples).max(axis=0), columns) if part.size]
    scale = 48 / max(max(peaks), 1e-9)
    step = columns / len(peaks)
    bars = (
        f"M{(i + 0.5) * step:.1f} {50 - h:.1f}V{50 + h:.1f}" for i, h in enumerate(max(p * scale, 0.5) for p in peaks)
    )
    return "".join(bars)
