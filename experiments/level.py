"""How loud decodes are beside their originals, as they are written in 16 bits, and what each stage takes.

Beside held-out clips there are sounds that are hard on a level: speech through a telephone, speech that was turned up
until it clipped, chords.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import torch

from experiments.study import KINDS, Bench, Parts, Row, Study, mean_of, table
from noisebook import api
from noisebook.audio.io import read, wav_bytes
from noisebook.audio.level import coding_gain_of, loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import header_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.signal import levelled, sound_of
from noisebook.diffusion.backend import FeatureBackend

BITRATES = ("30", "300", "3000")
_SECONDS, _RATE = 6, 16000
_CLIPPED = (2, 8)  # times louder, and cut at full scale
_CHORDS = (131, 220)  # Hz, the root of a major chord of notes with five partials


def run(bench: Bench) -> Parts:
    """The tables of docs/studies.md."""
    rows = bench.rows(measure, ({"place": place} for place in range(len(sounds_of(bench)))))
    held_out = [row for row in rows if row["kind"] in KINDS]
    groups = {kind: [row for row in rows if row["kind"] == kind] for kind in dict.fromkeys(row["kind"] for row in rows)}
    decodes = [
        [kind, str(len(of)), *(_spread([row[rate] for row in of]) for rate in BITRATES)]
        for kind, of in {**groups, "all held-out clips": held_out}.items()
    ]
    stages = [
        [kind, *(f"{mean_of(of, key):.1f}" for key in ("vocoder", "autoencoder", *(f"{r} coded" for r in BITRATES)))]
        for kind, of in groups.items()
    ]
    rates = [f"{rate} bit/s" for rate in BITRATES]
    return {
        "about": f"{len(held_out)} held-out clips of {_SECONDS} s",
        "decodes": table(["sounds", "number", *rates], decodes),
        "stages": table(["sounds", "vocoder", "autoencoder", *rates], stages),
    }


def sounds_of(bench: Bench) -> list[tuple[str, Waveform]]:
    """Held-out clips and what is made here, each with its kind."""
    sounds = [(clip.kind, clip.sound) for clip in bench.clips(seconds=_SECONDS, sample_rate=_RATE)]
    speech = [sound for kind, sound in sounds if kind == "speech"][:2]
    sounds += [("telephone speech", telephone(sound)) for sound in speech]
    for times in _CLIPPED:
        name = f"speech clipped at {times} times"
        sounds += [(name, Waveform(np.clip(times * _full(sound), -1, 1), _RATE)) for sound in speech]
    return sounds + [("chords", chord(root)) for root in _CHORDS]


def measure(bench: Bench, place: int) -> Row:
    """LU of a decode over its sound: as written in 16 bits, without the encoder's correction, and of each stage."""
    backend = bench.features
    kind, sound = sounds_of(bench)[place]
    row: Row = {"kind": kind}
    original = loudness_lufs(sound)
    for bitrate in BITRATES:
        header, latent = decode_latent(api.compress(sound, backend=backend, preset=bitrate), backend=backend)
        written = as_written(sound_of(latent, header, backend))
        coded = sound_of(latent, replace(header, gain_half_db=coding_gain_of(sound)), backend)
        row |= {bitrate: loudness_lufs(written) - original, f"{bitrate} coded": loudness_lufs(coded) - original}
    return row | lost_by(sound, backend)


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


def as_written(sound: Waveform) -> Waveform:
    """What a file of 16 bits holds of a sound: behind the peak guard, in whole steps."""
    return read(BytesIO(wav_bytes(sound)))


def lost_by(sound: Waveform, backend: FeatureBackend) -> dict[str, float]:
    """LU by which the vocoder, and autoencoder and vocoder, are louder than the sound at the codec's level."""
    header, info = header_of(sound, EncodeOptions(), backend.info), backend.info
    samples = levelled(sound, header.gain_half_db, info.sample_rate)
    padded = np.pad(samples, ((0, 0), (0, -samples.shape[1] % info.frame_samples)))
    mel = backend.features(torch.from_numpy(padded).to(backend.device))
    made = {"vocoder": backend.vocode(mel), "autoencoder": backend.vocode(backend.decode(backend.encode(mel)))}
    level = loudness_lufs(Waveform(samples, info.sample_rate))
    heard = {name: wave.cpu().numpy().reshape(1, -1)[:, : samples.shape[1]] for name, wave in made.items()}
    return {name: loudness_lufs(Waveform.of(wave, info.sample_rate)) - level for name, wave in heard.items()}


def _spread(values: list[float]) -> str:
    return f"{np.mean(np.abs(values)):.2f} ({max(values, key=abs):+.2f})"


def _full(sound: Waveform) -> np.ndarray:
    """At a peak of 1."""
    return sound.samples / np.abs(sound.samples).max()


STUDY = Study("level", "how loud decodes are", run, ("docs/studies.md",), limit=2, minutes=6)
