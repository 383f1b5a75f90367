"""How loud decodes are beside their originals, as they are written, and what each stage takes.

Beside the clips of `experiments.results`, with their streams, there are sounds that are hard on a level: speech through
a telephone, speech that was turned up until it clipped, chords.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np

from experiments.results import decodes
from experiments.study import Bench, Parts, Row, Study, clip_paths, mean_of, table
from noisebook import api
from noisebook.audio.io import read, wav_bytes
from noisebook.audio.level import coding_gain_of, loudness_lufs
from noisebook.audio.waveform import Waveform
from noisebook.coding.container import parse_header

BITRATES = ("300", "3000")
_SECONDS, _RATE = 4, 16000  # of the sounds that are made
_CLIPPED = 8  # times louder, and cut at full scale
_CHORDS = (131, 220)  # Hz, the root of a major chord of notes with five partials


def run(bench: Bench) -> Parts:
    """The tables of docs/studies.md."""
    count = len(clip_paths(bench.options.clips, bench.options.limit))
    clips = bench.rows(measure, ({"place": place} for place in range(count)))
    made = bench.rows(measure_made, ({"place": place} for place in range(len(made_sounds(bench)))))
    groups = {kind: [row for row in (*clips, *made) if row["kind"] == kind]
              for kind in dict.fromkeys(row["kind"] for row in (*clips, *made))}  # fmt: skip
    decodes = [
        [kind, str(len(of)), *(_spread([row[rate] for row in of]) for rate in BITRATES)]
        for kind, of in {**groups, "all held-out clips": clips}.items()
    ]
    stages = [
        [kind, *(f"{mean_of(of, key):.1f}" if key in of[0] else ""
                 for key in ("vocoder", "autoencoder", *(f"{rate} coded" for rate in BITRATES)))]
        for kind, of in groups.items()
    ]  # fmt: skip
    rates = [f"{rate} bit/s" for rate in BITRATES]
    return {
        "about": f"The {count} clips of [results](results.md), their streams, and {len(made)} sounds of {_SECONDS} s",
        "decodes": table(["sounds", "number", *rates], decodes),
        "stages": table(["sounds", "vocoder", "autoencoder", *rates], stages),
    }


def measure(bench: Bench, place: int) -> Row:
    """LU of what each stage and each stream make of a clip over the clip."""
    source, made = decodes(bench, place, ("ceiling", *(f"ddcm-{rate}" for rate in BITRATES)))
    level = loudness_lufs(source.sound)
    row: Row = {"kind": source.kind}
    row |= {name: loudness_lufs(made[name].sound) - level for name in ("vocoder", "autoencoder")}
    for rate in BITRATES:
        one = made[f"ddcm-{rate}"]
        row |= of_stream(one.file, one.sound, source.sound, rate)
    return row


def measure_made(bench: Bench, place: int) -> Row:
    """LU of each stream of a sound that is made here over the sound."""
    kind, sound = made_sounds(bench)[place]
    row: Row = {"kind": kind}
    for rate in BITRATES:
        file = api.compress(sound, backend=bench.backend, preset=rate)
        row |= of_stream(file, as_written(api.decompress(file, backend=bench.backend)), sound, rate)
    return row


def of_stream(file: bytes, decoded: Waveform, sound: Waveform, rate: str) -> Row:
    """LU of a decode over its sound, as it is and without the encoder's correction of the gain."""
    louder = loudness_lufs(decoded) - loudness_lufs(sound)
    corrected = (parse_header(file)[0].gain_half_db - coding_gain_of(sound)) / 2  # dB that the decoder divides by
    return {rate: louder, f"{rate} coded": louder + corrected}


def made_sounds(bench: Bench) -> list[tuple[str, Waveform]]:
    """Kinds and sounds: two of each."""
    speech = [clip.sound for clip in bench.clips(seconds=_SECONDS, sample_rate=_RATE) if clip.kind == "speech"][:2]
    return [
        *(("telephone speech", telephone(sound)) for sound in speech),
        *((f"speech clipped at {_CLIPPED} times", Waveform(np.clip(_CLIPPED * _full(sound), -1, 1), _RATE))
          for sound in speech),
        *(("chords", chord(root)) for root in _CHORDS),
    ]  # fmt: skip


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


def _spread(values: list[float]) -> str:
    return f"{np.mean(np.abs(values)):.2f} ({max(values, key=abs):+.2f})"


def _full(sound: Waveform) -> np.ndarray:
    """At a peak of 1."""
    return sound.samples / np.abs(sound.samples).max()


STUDY = Study("level", "how loud decodes are", run, ("docs/studies.md",), limit=16, minutes=3)
