"""How loud decodes are beside their originals, as they are written in 16 bits, and what each stage takes.

    python -m experiments.level CLIPS [--out docs/level.md] [--limit 3] [--bitrates 30 300 3000]
        [--search shaped]

CLIPS is a folder of held-out sounds, of which the first 6 s are taken. Beside them sounds that are hard
on a level: speech through a telephone, speech that was turned up until it clipped, chords. Some 10 minutes of a core.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.io import read, wav_bytes
from noisebook.audio.level import loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.codec.signal import levelled
from noisebook.diffusion.backend import FeatureBackend, with_features

HELD_OUT = ("music", "speech", "sfx")
BITRATES = ("30", "300", "3000")
_SECONDS, _RATE = 6, 16000
_CLIPPED = (2, 8)  # times louder, and cut at full scale
_CHORDS = (131, 220)  # Hz, the root of a major chord of notes with five partials
_PAGE = """\
# Level

Written by `python -m experiments.level`, on <COUNT> held-out clips of <SECONDS> s, embedded model `<MODEL>`,
`--search <SEARCH>`.

- **Below hearing.** An offset, and what lies below 20 Hz, is taken away before anything is measured (Butterworth,
  second order): else it sets the level, and the model makes bursts of it in pauses. And it is taken from what a vocoder
  makes: beside loud bass it adds an offset of its own.
- **Loudness.** The encoder decodes what it wrote and puts what is missing of the loudness (ITU-R BS.1770-4) into the
  gain by which a decoder divides, in its steps of 0.5 dB. That takes a seventh of the encoding.
- **Peaks.** What is beyond full scale is turned down by a limiter before samples become whole numbers, by 4 dB at most
  and not further than 2 ms from it; more than that only a sound exceeds that was clipped before. `--bits float` writes
  without.
- **Silence.** Digital silence takes no bits and comes back as such.

## Decode against original

LU, as written in 16 bits: mean of the absolute differences, and the largest one.

<DECODES>

A sound that was clipped at eight times full scale gets more gain than its loudness asks for, as the peak guard takes
some of it again: in floating point its decode is up to 6 dB too loud.

## What each stage takes

LU, mean of what a sound lacks behind the vocoder alone, autoencoder and vocoder, and the codec without correction. The
vocoder takes most of steady tones, and few bits of everything: the tail of the diffusion ends near the mean of what may
be meant, which has less energy than each of it.

<STAGES>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--out", type=Path, help="the page to write; by default it is shown")
    parser.add_argument("--limit", type=int, default=3, help="clips of each kind")
    parser.add_argument("--bitrates", nargs="+", default=BITRATES)
    parser.add_argument("--search", choices=("none", "shaped"), default="shaped")
    args = parser.parse_args()

    backend = with_features(api.load_backend(device="cpu"))
    sounds = sounds_of(args.clips, args.limit)
    decodes, stages = defaultdict(list), defaultdict(list)
    for kind, sound in sounds:
        for stage, difference in lost_by(sound, backend).items():
            stages[kind, stage].append(difference)
        for bitrate in args.bitrates:
            written, coded = differences(sound, EncodeOptions(preset=bitrate, search=args.search), backend)
            decodes[kind, bitrate].append(written)
            stages[kind, bitrate].append(coded)
    kinds = list(dict.fromkeys(kind for kind, _ in sounds))
    page = (
        _PAGE.replace("<COUNT>", str(sum(kind in HELD_OUT for kind, _ in sounds)))
        .replace("<SECONDS>", str(_SECONDS))
        .replace("<SEARCH>", args.search)
        .replace("<MODEL>", backend.info.fingerprint[:2].hex())
        .replace("<DECODES>", _decodes(decodes, kinds, args.bitrates))
        .replace("<STAGES>", _stages(stages, kinds, args.bitrates))
    )
    print(page) if args.out is None else args.out.write_text(page, encoding="utf-8")


def sounds_of(folder: Path, limit: int) -> list[tuple[str, Waveform]]:
    """Held-out clips and what is made here, each with its kind."""
    clips = load_clips(folder, limit)
    sounds = [(clip.kind, _beginning(clip.sound)) for clip in clips]
    speech = [sound for kind, sound in sounds if kind == "speech"][:2]
    sounds += [("telephone speech", telephone(sound)) for sound in speech]
    for times in _CLIPPED:
        sounds += [
            (f"speech clipped at {times} times", Waveform(np.clip(times * _full(s), -1, 1), _RATE)) for s in speech
        ]
    return sounds + [("chords", chord(root)) for root in _CHORDS]


def telephone(sound: Waveform) -> Waveform:
    """300 to 3400 Hz, in 8 bits of mu-law (ITU-T G.711 by its formula)."""
    from scipy.signal import butter, sosfiltfilt

    narrow = sosfiltfilt(butter(4, (300, 3400), "bandpass", fs=_RATE, output="sos"), _full(sound))
    law = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log(256)
    steps = np.round(law * 127) / 127
    return Waveform((np.sign(steps) * (256 ** np.abs(steps) - 1) / 255).astype(np.float32), _RATE)


def chord(root: float) -> Waveform:
    """Major, sustained, at a peak of 0.5."""
    time = np.arange(_SECONDS * _RATE) / _RATE
    notes = sum(np.sin(2 * np.pi * root * ratio * n * time) / n for ratio in (1, 1.26, 1.5) for n in range(1, 6))
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.05)
    return Waveform.of((0.5 * notes / np.abs(notes).max() * fade).astype(np.float32), _RATE)


def differences(sound: Waveform, options: EncodeOptions, backend: FeatureBackend) -> tuple[float, float]:
    """Of the loudness of a decode, in LU: as written in 16 bits, and without the encoder's correction."""
    header, latent = ddcm.decode_latent(ddcm.compress(sound, backend=backend, options=options), backend=backend)
    written = as_written(ddcm.synthesise(latent, header, backend=backend))
    coded = ddcm.synthesise(latent, ddcm.analysed(header, sound), backend=backend)
    return loudness_lufs(written) - loudness_lufs(sound), loudness_lufs(coded) - loudness_lufs(sound)


def as_written(sound: Waveform) -> Waveform:
    """What a file of 16 bits holds of a sound: behind the peak guard, in whole steps."""
    return read(BytesIO(wav_bytes(sound)))


def lost_by(sound: Waveform, backend: FeatureBackend) -> dict[str, float]:
    """LU by which the vocoder, and autoencoder and vocoder, are louder than the sound at the codec's level."""
    header, info = ddcm.header_of(sound, EncodeOptions(), backend.info), backend.info
    samples = levelled(sound, header, info)
    padded = np.pad(samples, ((0, 0), (0, -samples.shape[1] % info.frame_samples)))
    mel = backend.features(torch.from_numpy(padded).to(backend.device))
    made = {"vocoder": backend.vocode(mel), "autoencoder": backend.vocode(backend.decode(backend.encode(mel)))}
    level = loudness_lufs(Waveform(samples, info.sample_rate))
    heard = {name: wave.cpu().numpy().reshape(1, -1)[:, : samples.shape[1]] for name, wave in made.items()}
    return {name: loudness_lufs(Waveform.of(wave, info.sample_rate)) - level for name, wave in heard.items()}


def _decodes(found: dict[tuple[str, str], list[float]], kinds: list[str], bitrates: list[str]) -> str:
    rows = [
        [kind, str(len(found[kind, bitrates[0]])), *(_spread(found[kind, rate]) for rate in bitrates)] for kind in kinds
    ]
    held_out = [kind for kind in kinds if kind in HELD_OUT]
    every = {rate: [value for kind in held_out for value in found[kind, rate]] for rate in bitrates}
    count = str(len(every[bitrates[0]]))
    rows.insert(len(held_out), ["all held-out clips", count, *(_spread(every[rate]) for rate in bitrates)])
    return table(["sounds", "number", *(f"{rate} bit/s" for rate in bitrates)], rows)


def _stages(found: dict[tuple[str, str], list[float]], kinds: list[str], bitrates: list[str]) -> str:
    stages = ["vocoder", "autoencoder", *bitrates]
    rows = [[kind, *(f"{np.mean(found[kind, stage]):.1f}" for stage in stages)] for kind in kinds]
    return table(["sounds", "vocoder", "autoencoder", *(f"{rate} bit/s" for rate in bitrates)], rows)


def _spread(values: list[float]) -> str:
    return f"{np.mean(np.abs(values)):.2f} ({max(values, key=abs):+.2f})"


def _beginning(sound: Waveform) -> Waveform:
    return Waveform(np.ascontiguousarray(sound.samples[:1, : _SECONDS * _RATE]), _RATE)


def _full(sound: Waveform) -> np.ndarray:
    """At a peak of 1."""
    return sound.samples / np.abs(sound.samples).max()


if __name__ == "__main__":
    main()
