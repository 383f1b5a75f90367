"""What becomes of sounds that stand still: pitch, level, and whether they ripple at the model's frame rates.

    python -m noisebook.recipes.steady [--model FOLDER] [--preset 3000] [--coding none]

Sines and sawtooth notes, a struck string and a sung note, each of four seconds at 48 kHz, through `compress` and
`decompress` (`--coding none`: through autoencoder and vocoder alone). A model that makes its phases frame by frame
draws steady tones to multiples of its frame rate, and lets their envelope pulse with it. Prints cents from where the
tone was, level in dB, and the ripple of the envelope at 25, 50 and 100 Hz in dB below its mean (of sines: below -60).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.sound import from_latent, to_latent
from noisebook.diffusion.backend import Backend
from noisebook.recipes._tables import table

__all__ = ["Steadiness", "Tone", "steadiness", "tones"]

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


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--preset", default="3000")
    parser.add_argument("--coding", choices=("ddcm", "none"), default="ddcm")
    args = parser.parse_args(argv)
    backend = api.load_backend(args.model)
    through = _coded(backend, args.preset) if args.coding == "ddcm" else _uncoded(backend)
    rows, found = [], []
    for tone in tones():
        found.append(steadiness(tone, through(Waveform(tone.samples[None], _RATE)).samples[0]))
        ripples = (f"{value:.0f}" for value in found[-1].ripple_db)
        rows.append([tone.name, f"{found[-1].cents:+.0f}", f"{found[-1].level_db:+.1f}", *ripples])
    worst = [
        f"{max(abs(one.cents) for one in found):.0f}",
        f"{max((one.level_db for one in found), key=abs):+.1f}",
        *(f"{max(values):.0f}" for values in zip(*(one.ripple_db for one in found), strict=True)),
    ]
    heads = ["tone", "cents", "level dB", *(f"ripple at {hertz} Hz, dB" for hertz in _RIPPLES)]
    print(table(heads, [*rows, ["worst", *worst]]))


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


def _coded(backend: Backend, preset: str) -> Callable[[Waveform], Waveform]:
    return lambda sound: api.decompress(api.compress(sound, backend=backend, preset=preset), backend=backend)


def _uncoded(backend: Backend) -> Callable[[Waveform], Waveform]:
    return lambda sound: from_latent(*to_latent(sound, backend=backend), backend=backend)


if __name__ == "__main__":
    main()
