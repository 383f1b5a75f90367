"""Judge a vocoder by itself: true mels of held-out clips, and pure tones over silence, through it and back.

    python -m noisebook.recipes.vocoder_quality noisebook/backends/weights/vocoder.safetensors CLIPS

All metrics that are installed; those for speech on the speech clips alone. A clip is put at peak 0.5 and judged over
its first ten seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import load_network
from noisebook.metrics import available, evaluate
from noisebook.networks.vocoder import Vocoder, VocoderConfig
from noisebook.recipes._clips import SAMPLE_RATE, Samples
from noisebook.recipes.results import load_clips

_TONES = (110, 220, 330, 440, 700, 1000, 2000, 3000, 5000)  # Hz


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--limit", type=int, default=4, help="clips of each kind")
    args = parser.parse_args()

    vocoder = load_network(args.weights, Vocoder, VocoderConfig)
    values: dict[str, list[float]] = {}
    for clip in load_clips(args.clips, args.limit):
        truth = clip.sound.samples[0] * np.float32(0.5 / max(1e-9, float(np.abs(clip.sound.samples).max())))
        names = available(speech=clip.kind == "speech")
        for name, value in evaluate(truth, through(vocoder, truth), sample_rate=SAMPLE_RATE, names=names).items():
            values.setdefault(name, []).append(value)
    for name, column in values.items():
        print(f"{name:26}{np.mean(column):8.3f}   of {len(column)} clips")
    for frequency in _TONES:
        print("tone of {} Hz: {:+.1f} dB, at {:.1f} Hz".format(frequency, *tone(vocoder, frequency)))


def through(vocoder: Vocoder, samples: Samples) -> Samples:
    """`[N]` -> mel -> `[N]`, N a multiple of the hop."""
    with torch.no_grad():
        sound: Samples = vocoder(log_mel(torch.from_numpy(samples)[None]))[0].numpy()
    return sound


def tone(vocoder: Vocoder, frequency: float) -> tuple[float, float]:
    """Level in dB and strongest frequency in Hz of what becomes of two seconds of a sine, at peak 0.5."""
    seconds = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sine = (0.5 * np.sin(2 * np.pi * frequency * seconds)).astype(np.float32)
    heard = through(vocoder, sine)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    level = 10 * np.log10(float(np.square(heard).mean()) / float(np.square(sine).mean()) + 1e-20)
    return float(level), float(spectrum.argmax()) / 2


if __name__ == "__main__":
    main()
