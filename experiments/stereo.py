"""Whether a stereo sound comes back from where it was: held-out music, and sounds whose image is known.

    python -m experiments.stereo CLIPS [--out docs/stereo.md] [--limit 16] [--bitrates 300 700 1500 3000 6000]

CLIPS is a folder of stereo sounds. Every clip is coded as it is at every bitrate and, for control, as mono at one; the
image alone, uncoded and within a budget, is put on the true power mean of left and right. Some 20 minutes of a core.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.tables import table
from noisebook import api
from noisebook.audio.image import measure_image, power_mean, spread
from noisebook.audio.io import read
from noisebook.audio.level import loudness_lufs
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec.imaging import encode_image
from noisebook.diffusion.backend import Backend
from noisebook.errors import AudioError
from noisebook.metrics import image_coherence, image_level_db, mean_coherence

BITRATES = ("300", "700", "1500", "3000", "6000")
_SUFFIXES = (".flac", ".wav", ".ogg")
_SPEECH = Path(__file__).parents[1] / "assets" / "demo-speech.flac"
_RATE, _SECONDS = 44100, 4  # of the sounds made here
_PAGE = """\
# Stereo

Written by `python -m experiments.stereo`, on <COUNT> held-out pieces of stereo music of 10 s, embedded model
`<MODEL>`. A stereo sound is one latent and an image; a preset's bitrate is that of the file, mono or stereo.

- **The latent** is that of the power mean of left and right, `sqrt((|L|^2 + |R|^2) / 2)` of their spectra: nothing
  cancels in it, not even of a sound whose channels are opposite.
- **The image** is the level difference and the coherence of left and right in 40 bands, evenly spaced on the ERB-rate
  scale up to 24 kHz (those that begin below the model's Nyquist frequency), every 160 ms. What the bitrate sets aside
  for it goes to the changes that are worth most: a value that stays as it was costs next to nothing, and dynamic
  programming finds the image of least error for its bits ([format](format.md), 5.10 and 6.2).
- **The decoder** makes a companion of the mono sound, delayed by up to 25 ms with other phases, and in every band makes
  it orthogonal to the mono sound over 0.1 s and as loud over 0.03 s, so that it fades where an attack has passed. Left
  and right are the two, turned by angles whose difference has the coherence as its cosine, with gains whose squares sum
  to 2. Where left and right are alike both are the mono sound to the bit; a silent side is digital silence.

Measuring and spreading take 0.004 s for a second of sound at 16 kHz and 0.01 s at 48 kHz, choosing what to code 0.01 s,
on one core.

## Music

Means over the pieces. Level: `image_level_db`, mean absolute error of the level difference between left and right, by
band and moment. Coherence: `image_coherence`, the same of their coherence ([metrics](metrics.md)); beside it the mean
coherence of the decode, which is <COHERENCE> of the originals: 1 is mono, 0 as wide as can be. L+R: level of the sum of
the decode's channels over that of the mono decode, mean and largest of the pieces.

<MUSIC>

## Sounds whose image is known

At <PRESET> bit/s, the demonstration's voice and a chord of six sines.

<KNOWN>
"""


@dataclass(frozen=True)
class Row:
    """One clip under one treatment."""

    name: str
    level_db: float
    coherence: float
    got: float  # mean coherence of the decode
    image_bitrate: float | None = None
    bitrate: float | None = None
    sum_db: float | None = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of stereo sounds")
    parser.add_argument("--out", type=Path, default=Path("docs/stereo.md"))
    parser.add_argument("--limit", type=int, default=8)
    parser.add_argument("--bitrates", nargs="+", default=list(BITRATES), metavar="PRESET")
    parser.add_argument("--model", default="mini")
    args = parser.parse_args()
    backend = api.load_backend(args.model)
    clips = load(args.clips, args.limit)
    preset = "3000" if "3000" in args.bitrates else args.bitrates[-1]
    rows: list[Row] = []
    for number, clip in enumerate(clips, 1):
        rows += judged(clip, args.bitrates, preset, backend)
        print(f"{number} of {len(clips)}: {rows[-1]}", flush=True)
    coherence = float(np.mean([mean_coherence(clip.samples, sample_rate=clip.sample_rate) for clip in clips]))
    known = list(known_images(preset, backend))
    args.out.write_text(page(rows, known, coherence, preset, len(clips), backend), encoding="utf-8")
    print(f"wrote {args.out}")


def load(folder: Path, limit: int) -> list[Waveform]:
    """The stereo sounds of a folder, by name; where there are more than the limit, evenly spread over them.

    Raises:
        AudioError: there are none.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix in _SUFFIXES)
    clips = [sound for sound in map(read, paths) if sound.channels == 2]
    if not clips:
        raise AudioError(f"{folder}: no stereo sounds; give a folder of {', '.join(_SUFFIXES)} of two channels")
    return [clips[place] for place in np.unique(np.linspace(0, len(clips) - 1, limit).round().astype(int))]


# ---------------------------------------------------------------- music


def judged(clip: Waveform, presets: Sequence[str], control: str, backend: Backend) -> Iterator[Row]:
    """Rows of a clip: with an image at every bitrate, as mono at one, and what an image can do by itself."""
    heard = resample(clip, backend.info.sample_rate)
    mean = power_mean(heard.samples, heard.sample_rate)
    image = measure_image(heard.samples, heard.sample_rate)
    _, coded = encode_image(image, 200 * clip.duration)
    for name, one in (("image uncoded, no codec", image), ("image of 200 bit/s, no codec", coded)):
        yield _row(name, clip, _at(Waveform(spread(mean, one, heard.sample_rate), heard.sample_rate), clip))
    alone = api.decompress(api.compress(clip, backend=backend, preset=control, channels="mono"), backend=backend)
    mono = alone.samples[0]
    yield _row(f"{control}, mono", clip, np.stack([mono, mono]))
    for preset in presets:
        data = api.compress(clip, backend=backend, preset=preset)
        decoded = api.decompress(data, backend=backend).samples
        rates = 8 * api.read_info(data).image_bytes / clip.duration, 8 * len(data) / clip.duration
        yield _row(preset, clip, decoded, *rates, _db(decoded.mean(axis=0)) - _db(mono))


def _row(name: str, clip: Waveform, decoded: np.ndarray, *numbers: float) -> Row:
    rate, original = clip.sample_rate, clip.samples
    level, coherence = (metric(original, decoded, sample_rate=rate) for metric in (image_level_db, image_coherence))
    return Row(name, level, coherence, mean_coherence(decoded, sample_rate=rate, weights=original), *numbers)


def _at(sound: Waveform, clip: Waveform) -> np.ndarray:
    return resample(sound, clip.sample_rate, count=clip.sample_count).samples


# ---------------------------------------------------------------- sounds whose image is known


def known_images(preset: str, backend: Backend) -> Iterator[tuple[str, str]]:
    """What was asked of a sound, and what came of it."""
    voice = resample(read(_SPEECH), _RATE).samples[0, : _SECONDS * _RATE]
    notes = chord(voice.size)
    silence = np.zeros_like(voice)

    def coded(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, int]:
        data = api.compress(Waveform(np.stack([left, right]), _RATE), backend=backend, preset=preset)
        return api.decompress(data, backend=backend).samples, len(data)

    for title, left, right in (("voice hard left", voice, silence), ("chord hard right", silence, notes)):
        sides, _ = coded(left, right)
        yield f"{title}: the other channel, by how much below", _difference(sides, loud_left=left is voice)
    second = voice.size // 2
    first_left, then_right = np.append(voice[:second], silence[second:]), np.append(silence[:second], notes[second:])
    sides, _ = coded(first_left + 0.3 * then_right, then_right + 0.3 * first_left)
    margin = _RATE // 4
    yield "voice 10 dB to the left, then", _difference(sides[:, : second - margin], loud_left=True)
    yield "chord 10 dB to the right", _difference(sides[:, second + margin :], loud_left=False)
    (sides, _), (alike, _) = coded(notes, -notes), coded(notes, notes)
    loudness = loudness_lufs(Waveform(sides, _RATE)) - loudness_lufs(Waveform(alike, _RATE))
    yield "chord with R = -L: loudness beside that of R = L", f"{loudness:+.1f} LU"
    yield "the same: coherence", f"{mean_coherence(sides, sample_rate=_RATE):.2f}"
    sides, size = coded(voice, voice)
    alone = api.compress(Waveform(voice[None], _RATE), backend=backend, preset=preset)
    yield "voice in both channels: bytes more than mono", f"{size - len(alone)}"
    yield "the same: channels equal", "yes" if np.array_equal(*sides) else "NO"


def chord(count: int) -> np.ndarray:
    """`[N]` float32: six sines, an octave and a half of a major chord."""
    time = np.arange(count) / _RATE
    tones = sum(np.sin(2 * np.pi * hz * time) for hz in (220.0, 277.2, 329.6, 440.0, 554.4, 659.3))
    return (0.05 * np.asarray(tones)).astype(np.float32)


def _difference(sides: np.ndarray, *, loud_left: bool) -> str:
    left, right = (_db(side) for side in sides)
    difference = left - right if loud_left else right - left
    return "silent" if difference > 200 else f"{difference:.1f} dB"


def _db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-30))


# ---------------------------------------------------------------- page


def page(
    rows: Sequence[Row], known: Sequence[tuple[str, str]], coherence: float, preset: str, count: int, backend: Backend
) -> str:
    """docs/stereo.md."""
    facts = {
        "COUNT": str(count),
        "MODEL": backend.info.fingerprint[:2].hex(),
        "COHERENCE": f"{coherence:.2f}",
        "MUSIC": _music(rows),
        "PRESET": preset,
        "KNOWN": table(["", "measured"], known),
    }
    text = _PAGE
    for name, value in facts.items():
        text = text.replace(f"<{name}>", value)
    return text


def _music(rows: Sequence[Row]) -> str:
    def cell(values: Sequence[float | None], form: str, *, largest: bool = False) -> str:
        found = [value for value in values if value is not None]
        if not found:
            return ""
        worst = f", {form.format(max(found, key=abs))}" if largest else ""
        return form.format(float(np.mean(found))) + worst

    lines = []
    for name in dict.fromkeys(row.name for row in rows):
        of = [row for row in rows if row.name == name]
        lines.append([
            name,
            cell([row.level_db for row in of], "{:.2f}"),
            cell([row.coherence for row in of], "{:.3f}"),
            cell([row.got for row in of], "{:.2f}"),
            cell([row.image_bitrate for row in of], "{:.0f}"),
            cell([row.bitrate for row in of], "{:.0f}"),
            cell([row.sum_db for row in of], "{:+.1f}", largest=True),
        ])  # fmt: skip
    head = ["", "level dB", "coherence", "of the decode", "image bit/s", "file bit/s", "L+R dB"]
    return table(head, lines)


if __name__ == "__main__":
    main()
