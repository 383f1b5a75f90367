"""What unrelated sounds would have scored: clips that ship with the package, and sounds made from the reference.

The clips (`noisebook/assets/controls`) are 4 s each of music, speech and effects, ten of a kind, of training sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from noisebook.audio.io import read
from noisebook.metrics.signals import resample
from noisebook.verification.similarity import SAMPLE_RATE, features, of_log_mel, similarity

_FOLDER = Path(__file__).parents[1] / "assets" / "controls"
_PIECE = 0.25  # seconds that a shuffle keeps together


@dataclass(frozen=True, eq=False)
class ControlClip:
    """One bundled clip."""

    name: str  # of the piece that it was cut from
    kind: str  # "music", "speech" or "effects"
    samples: np.ndarray  # [N] float32 at 16 kHz

    @cached_property
    def spectrum(self) -> np.ndarray:
        return features(self.samples).spectrum

    @cached_property
    def movement(self) -> np.ndarray:
        """`Features.movement` `[T, 32]` of the clip as a loop: it can be repeated without a seam in the mean."""
        log_mel = features(self.samples).log_mel
        return of_log_mel(np.tile(log_mel, (3, 1))).movement[len(log_mel) : 2 * len(log_mel)]


@cache
def bundled_clips() -> tuple[ControlClip, ...]:
    """The clips inside the package, of one length."""
    index = json.loads((_FOLDER / "controls.json").read_text(encoding="utf-8"))
    samples = read(_FOLDER / "controls.ogg").samples[0]
    pieces = samples[: len(index["clips"]) * index["seconds"] * SAMPLE_RATE].reshape(len(index["clips"]), -1)
    return tuple(ControlClip(row["piece"], row["kind"], own) for row, own in zip(index["clips"], pieces, strict=True))


def control_sounds(reference: np.ndarray, sample_rate: int = SAMPLE_RATE) -> dict[str, np.ndarray]:
    """Sounds that a metric should mark low, each `[N]` and as loud as the reference `[N]`.

    another clip: the bundled one whose long-term spectrum is most like the reference's, repeated where it is shorter.
    shuffled: the reference in pieces of a quarter of a second, in another order.
    pink noise, and silence.
    """
    spectrum = features(resample(reference, sample_rate=sample_rate, to=SAMPLE_RATE)).spectrum
    nearest = max(bundled_clips(), key=lambda clip: similarity(spectrum, clip.spectrum))
    sounds = {
        "another clip": np.resize(resample(nearest.samples, sample_rate=SAMPLE_RATE, to=sample_rate), len(reference)),
        "shuffled": shuffled(reference, sample_rate=sample_rate),
        "pink noise": pink_noise(len(reference)),
        "silence": np.zeros_like(reference),
    }
    return {name: levelled(sound, reference) for name, sound in sounds.items()}


def levelled(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Samples at the RMS of a reference; silence stays silence."""
    rms, wanted = (float(np.sqrt(np.square(sound, dtype=np.float64).mean())) for sound in (samples, reference))
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
