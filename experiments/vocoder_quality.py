"""Judge a vocoder by itself: true features of held-out clips, and pure tones over silence, through it and back.

    python -m experiments.vocoder_quality CLIPS [--model FOLDER]

All metrics that are installed; those for speech on the speech clips alone. A clip is put at peak 0.5 and judged over
its first ten seconds, at the model's sample rate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from experiments.results import load_clips
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.comparison.catalogue import vocoded
from noisebook.comparison.methods import Job
from noisebook.diffusion.backend import Backend
from noisebook.metrics import available, evaluate

_TONES = (110, 220, 330, 440, 700, 1000, 2000, 3000, 5000)  # Hz


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=4, help="clips of each kind")
    args = parser.parse_args(argv)

    backend = api.load_backend(args.model)
    rate = backend.info.sample_rate
    values: dict[str, list[float]] = {}
    for clip in load_clips(args.clips, args.limit, sample_rate=rate):
        truth = clip.sound.samples[0] * np.float32(0.5 / max(1e-9, float(np.abs(clip.sound.samples).max())))
        names = available(speech=clip.kind == "speech")
        for name, value in evaluate(truth, through(backend, truth), sample_rate=rate, names=names).items():
            values.setdefault(name, []).append(value)
    for name, column in values.items():
        print(f"{name:26}{np.mean(column):8.3f}   of {len(column)} clips")
    for frequency in _TONES:
        print("tone of {} Hz: {:+.1f} dB, at {:.1f} Hz".format(frequency, *tone(backend, frequency)))


def through(backend: Backend, samples: np.ndarray) -> np.ndarray:
    """`[N]` -> features -> `[N]`, at the model's rate."""
    return vocoded(Job(Waveform(samples[None], backend.info.sample_rate), backend=backend)).sound.samples[0]


def tone(backend: Backend, frequency: float) -> tuple[float, float]:
    """Level in dB and strongest frequency in Hz of what becomes of two seconds of a sine, at peak 0.5."""
    rate = backend.info.sample_rate
    sine = (0.5 * np.sin(2 * np.pi * frequency * np.arange(2 * rate) / rate)).astype(np.float32)
    heard = through(backend, sine)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    level = 10 * np.log10(float(np.square(heard).mean()) / float(np.square(sine).mean()) + 1e-20)
    return float(level), float(spectrum.argmax()) / 2


if __name__ == "__main__":
    main()
