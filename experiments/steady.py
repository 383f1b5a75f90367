"""What becomes of steady tones: pitch, level, and whether they ripple at the model's frame rates.

Sines and sawtooth notes, a struck string and a sung note, each of four seconds at 48 kHz, through a method of
`noisebook compare`: `ddcm-RATE`, `autoencoder`, `vocoder`, `opus-6k` and so on. A model that makes its phases frame by
frame draws steady tones to multiples of its frame rate, and lets their envelope pulse with it. Prints cents from where
the tone was, level in dB, and the ripple of the envelope at 25, 50 and 100 Hz in dB below its mean (of sines: -60).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.comparison.methods import Job, Method
from noisebook.diffusion.backend import Backend

_RATE = 48_000
_SECONDS = 4
_CUT = slice(_RATE // 2, -_RATE // 2)  # what is judged: no onset, no end
_RIPPLES = (25, 50, 100)  # Hz
_PITCHES = (55.0, 82.41, 110.0, 164.81, 220.0, 440.0, 1234.0, 3000.0)  # Hz


@dataclass(frozen=True)
class Tone:
    """A sound of one pitch: its name, its fundamental in Hz, and samples `[N]` at 48 kHz, peak 0.4."""

    name: str
    hertz: float
    samples: np.ndarray


@dataclass(frozen=True)
class Steadiness:
    """How a tone came back: pitch in cents, level in dB, and ripple in dB at each of 25, 50 and 100 Hz."""

    cents: float
    level_db: float
    ripple_db: tuple[float, ...]


def through(method: Method, tone: Tone, *, backend: Backend) -> np.ndarray:
    """What a method makes of a tone, `[N]` at 48 kHz; what is missing at the end is silence."""
    sound = method.run(Job(Waveform(tone.samples[None], _RATE), backend=backend)).sound
    heard = resample(sound, _RATE).samples[0, : len(tone.samples)]
    return np.pad(heard, (0, len(tone.samples) - len(heard)))


def worst(heard: Callable[[Tone], np.ndarray]) -> dict[str, Any]:
    """Of what is heard of each tone, over all of them: the largest error of pitch in cents and of level in dB, the
    median of the first, and the strongest ripple in dB at each of its frequencies."""
    found = [steadiness(tone, heard(tone)) for tone in tones()]
    cents = [abs(one.cents) for one in found]
    levels = np.array([one.level_db for one in found])
    ripples = zip(_RIPPLES, zip(*(one.ripple_db for one in found), strict=True), strict=True)
    return {
        "median_cents": round(float(np.median(cents)), 1),
        "cents": round(max(cents), 1),
        "level_db": round(float(levels[np.abs(levels).argmax()]), 2),
        **{f"ripple_{hertz}_db": round(max(values), 1) for hertz, values in ripples},
    }


def tones() -> Iterator[Tone]:
    """The sounds, in order."""
    time = np.arange(_SECONDS * _RATE) / _RATE
    for hertz in _PITCHES:
        yield _tone(f"sine {hertz:g} Hz", hertz, np.sin(2 * np.pi * hertz * time))
        orders = np.arange(1, max(2, int(7000 / hertz)))
        partials = [np.sin(2 * np.pi * hertz * k * time + k) / k for k in orders]
        yield _tone(f"sawtooth {hertz:g} Hz", hertz, np.sum(partials, axis=0))
    struck = [
        np.exp(-time * (0.6 + 0.25 * k)) * np.sin(2 * np.pi * 261.63 * k * np.sqrt(1 + 4e-4 * k * k) * time) / k**1.2
        for k in range(1, 12)
    ]
    yield _tone("struck string 261.63 Hz", 261.63, np.sum(struck, axis=0))
    vibrato = 0.8 * np.sin(2 * np.pi * 5.5 * time)
    sung = [np.sin(k * (2 * np.pi * 220 * time + vibrato)) / k**1.1 for k in range(1, 16)]
    yield _tone("sung 220 Hz", 220.0, np.sum(sung, axis=0))


def steadiness(tone: Tone, heard: np.ndarray) -> Steadiness:
    """Of a tone and what came back of it, `[N]` at 48 kHz."""
    cut = heard[_CUT].astype(np.float64)
    level = 20 * np.log10(cut.std() / tone.samples[_CUT].std() + 1e-9)
    cents = 1200 * np.log2(_peak(cut, tone.hertz) / tone.hertz)
    return Steadiness(float(cents), float(level), tuple(_ripple(cut, hertz) for hertz in _RIPPLES))


def _tone(name: str, hertz: float, samples: np.ndarray) -> Tone:
    return Tone(name, hertz, (0.4 * samples / np.abs(samples).max()).astype(np.float32))


def _peak(samples: np.ndarray, hertz: float) -> float:
    """Hz of the strongest bin within half an octave or so of a frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 4 * len(samples)))
    frequencies = np.fft.rfftfreq(4 * len(samples), 1 / _RATE)
    near = np.flatnonzero((frequencies > 0.7 * hertz) & (frequencies < 1.4 * hertz))
    return float(frequencies[near[spectrum[near].argmax()]])


def _ripple(samples: np.ndarray, hertz: float) -> float:
    """dB of the envelope's component within a Hz of a frequency, below its mean."""
    from scipy.signal import hilbert

    envelope = np.abs(hilbert(samples))
    mean = envelope.mean() + 1e-12
    spectrum = np.abs(np.fft.rfft((envelope - mean) * np.hanning(len(envelope)))) / (len(envelope) / 4) / mean
    frequencies = np.fft.rfftfreq(len(envelope), 1 / _RATE)
    return float(20 * np.log10(spectrum[np.abs(frequencies - hertz) < 1].max() + 1e-9))
