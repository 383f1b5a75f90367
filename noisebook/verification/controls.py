"""What unrelated sounds would have scored: clips that ship with the package, and sounds made from the reference.

The clips (`noisebook/assets/controls`) are 4 s each of music, speech and effects, ten of a kind, of the training
sound, so that held-out sound can test what was decided with them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from noisebook.audio.io import read
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.verification.similarity import SAMPLE_RATE, features, of_log_mel, similarity

__all__ = [
    "ControlClip",
    "at_rate",
    "bundled_clips",
    "bundled_movements",
    "bundled_spectra",
    "control_sounds",
    "levelled",
    "pink_noise",
    "shuffled",
]

_FOLDER = Path(__file__).parents[1] / "assets" / "controls"
_PIECE = 0.25  # seconds that a shuffle keeps together


@dataclass(frozen=True, eq=False)
class ControlClip:
    """One bundled clip.

    Attributes:
        name: of the piece that it was cut from.
        kind: "music", "speech" or "effects".
        samples: `[N]` float32 at 16 kHz.
    """

    name: str
    kind: str
    samples: np.ndarray


@cache
def bundled_clips() -> tuple[ControlClip, ...]:
    """The clips inside the package, of one length."""
    index = json.loads((_FOLDER / "controls.json").read_text(encoding="utf-8"))
    samples = read(_FOLDER / "controls.ogg").samples[0]
    count = index["seconds"] * SAMPLE_RATE
    return tuple(
        ControlClip(row["piece"], row["kind"], samples[i * count : (i + 1) * count])
        for i, row in enumerate(index["clips"])
    )


@cache
def bundled_movements() -> tuple[np.ndarray, ...]:
    """`Features.movement` `[T, 32]` of every bundled clip as a loop: it can be repeated without a seam in the mean."""
    movements = []
    for clip in bundled_clips():
        log_mel = features(clip.samples).log_mel
        movements.append(of_log_mel(np.tile(log_mel, (3, 1))).movement[len(log_mel) : 2 * len(log_mel)])
    return tuple(movements)


@cache
def bundled_spectra() -> tuple[np.ndarray, ...]:
    """`Features.spectrum` `[1, 32]` of every bundled clip."""
    return tuple(features(clip.samples).spectrum for clip in bundled_clips())


def control_sounds(reference: np.ndarray, sample_rate: int = SAMPLE_RATE) -> dict[str, np.ndarray]:
    """Sounds that a metric should mark low, each `[N]` and as loud as the reference `[N]`.

    another clip: the bundled one whose long-term spectrum is most like the reference's, repeated where it is shorter.
    shuffled: the reference in pieces of a quarter of a second, in another order.
    pink noise, and silence.
    """
    makers: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "another clip": lambda sound: np.resize(_nearest(sound, sample_rate), len(sound)),
        "shuffled": partial(shuffled, sample_rate=sample_rate),
        "pink noise": lambda sound: pink_noise(len(sound)),
        "silence": np.zeros_like,
    }
    return {name: levelled(make(reference), reference) for name, make in makers.items()}


def levelled(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Samples at the RMS of a reference; silence stays silence."""
    rms = float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
    wanted = float(np.sqrt(np.square(reference, dtype=np.float64).mean()))
    return samples * (wanted / rms) if rms > 0 else samples


def shuffled(
    samples: np.ndarray, *, sample_rate: int = SAMPLE_RATE, seed: int = 0, piece: float = _PIECE
) -> np.ndarray:
    """`[N]` in pieces of so many seconds in a random order, none in its own place; a sound of one piece is reversed."""
    pieces = np.array_split(samples, max(1, len(samples) // round(piece * sample_rate)))
    if len(pieces) == 1:
        return samples[::-1]
    order = np.random.default_rng(seed).permutation(len(pieces))
    successor = np.empty_like(order)
    successor[order] = np.roll(order, 1)  # one cycle through all of them: no piece stays
    return np.concatenate([pieces[i] for i in successor])


def pink_noise(count: int, *, seed: int = 0, flat_below: float = 1.0) -> np.ndarray:
    """`[count]`: Gaussian noise whose power falls by 3 dB an octave from the bin `flat_below` up, RMS 1."""
    white = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    slope = 1 / np.sqrt(np.maximum(np.arange(len(white)), max(flat_below, 1.0)))
    slope[0] = 0 if count > 1 else 1
    return levelled(np.fft.irfft(white * slope, n=count), np.ones(1))


def at_rate(samples: np.ndarray, given: int, wanted: int) -> np.ndarray:
    """`[N]` at another rate."""
    return samples if given == wanted else resample(Waveform.of(samples, given), wanted).samples[0]


def _nearest(reference: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[N]` of the bundled clip whose long-term spectrum is most like the reference's, both at one rate."""
    spectrum = features(at_rate(reference, sample_rate, SAMPLE_RATE)).spectrum
    likeness = [similarity(spectrum, other) for other in bundled_spectra()]
    return at_rate(bundled_clips()[int(np.argmax(likeness))].samples, SAMPLE_RATE, sample_rate)
