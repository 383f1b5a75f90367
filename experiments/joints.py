"""Look for joints where segments and windows meet: steps of the decoded sound that stand out.

    python -m experiments.joints [--model MODEL] [--presets 30,300,3000] [--seconds 80] [--keep FOLDER]
    python -m experiments.joints --alone [--presets 300] [--seeds 0,1,2]

A steady tone, a sweep and noise are coded. The jump at a joint is the largest step between neighbouring samples within
10 ms of it, less the largest of all such stretches of the second before and the second after, over the RMS of the
sound: 0 where the joint is not the roughest place around. Beside it stands the change of level from the tenth of a
second before a joint to that behind it, and the size that one in twenty of such changes exceeds anywhere in the sound.
Windows begin and end in every segment; segments of 64 s are coded independently. `--keep` writes the decoded sounds,
to be looked at and heard.

`--alone` asks whether a joint is the cause of what is heard behind it: the level of the sweep in the 2 s before the
joint of two segments and in the 10 s behind it, beside the level at the same places of the 28 s around the joint coded
as a sound of their own, where there is none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np

from experiments.tables import table
from noisebook import api
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import SEGMENT_FRAMES, layout_of
from noisebook.coding import container
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.windows import window_starts

_OVERLAP = 64  # latent frames, as the codec has its windows
_NEAR, _AROUND, _LEVEL = 0.01, 1.0, 0.1  # seconds to either side
_BEFORE, _BEHIND = 14.0, 14.0  # seconds around a joint
ALONE = [f"{what}: {where}, dB" for what in ("two segments", "one") for where in ("2 s before", "10 s behind")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--presets", default="30,300,3000")
    parser.add_argument("--seconds", type=float, default=80)
    parser.add_argument("--keep", type=Path, help="folder for the decoded sounds")
    parser.add_argument("--alone", action="store_true", help="the surroundings of a joint, without it")
    parser.add_argument("--seeds", default="0,1,2", help="of the streams of --alone")
    args = parser.parse_args()

    backend = api.load_backend(args.model)
    if args.alone:
        print(table(["preset, seed", *ALONE], list(_alone(args, backend))))
        return
    rows = []
    for preset in args.presets.split(","):
        for name, make in SOUNDS.items():
            sound = make(args.seconds, backend.info.sample_rate)
            data = api.compress(sound, backend=backend, preset=preset)
            decoded = api.decompress(data, backend=backend)
            segments, windows = joints(data, backend.info)
            rows.append([f"{preset}, {name}", *_cells(decoded, segments), *_cells(decoded, windows), _usual(decoded)])
            if args.keep:
                args.keep.mkdir(parents=True, exist_ok=True)
                io.write(args.keep / f"{preset}-{name}.flac", decoded, overwrite=True)
    heads = [f"{place}: {what}" for place in ("segments", "windows") for what in ("jump / RMS", "level, dB")]
    print(table(["preset, sound", *heads, "anywhere: level, dB"], rows))


def _alone(args: argparse.Namespace, backend: Backend) -> Iterator[list[str]]:
    """Levels before and behind the joint, in the whole and in its surroundings by themselves."""
    info = backend.info
    sound, joint = sweep(args.seconds, info.sample_rate), SEGMENT_FRAMES / info.frames_per_second
    first = round((joint - _BEFORE) * info.sample_rate)
    around = Waveform(sound.samples[:, first : first + round((_BEFORE + _BEHIND) * info.sample_rate)], info.sample_rate)
    for preset, seed in product(args.presets.split(","), map(int, args.seeds.split(","))):
        cells = []
        for piece, place in ((sound, joint), (around, _BEFORE)):
            decoded = api.decompress(api.compress(piece, backend=backend, preset=preset, seed=seed), backend=backend)
            cells += [f"{level(decoded, start, end):.1f}" for start, end in ((place - 2, place), (place, place + 10))]
        yield [f"{preset}, {seed}", *cells]


def level(sound: Waveform, start: float, end: float) -> float:
    """Mean level from second `start` to `end`, in dB of full scale."""
    first, last = (round(second * sound.sample_rate) for second in (start, end))
    return float(10 * np.log10(np.square(sound.samples[0, first:last], dtype=np.float64).mean() + 1e-12))


def tone(seconds: float, sample_rate: int) -> Waveform:
    """440 Hz."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    return Waveform.of(0.3 * np.sin(2 * np.pi * 440 * time), sample_rate)


def sweep(seconds: float, sample_rate: int) -> Waveform:
    """50 Hz to 6 kHz, every octave as long."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    rise = np.log(6000 / 50) / seconds
    return Waveform.of(0.3 * np.sin(2 * np.pi * 50 / rise * np.expm1(rise * time)), sample_rate)


def noise(seconds: float, sample_rate: int) -> Waveform:
    """White, Gaussian."""
    return Waveform.of(0.1 * np.random.default_rng(0).standard_normal(round(seconds * sample_rate)), sample_rate)


SOUNDS: dict[str, Callable[[float, int], Waveform]] = {"tone": tone, "sweep": sweep, "noise": noise}


def joints(data: bytes, info: BackendInfo) -> tuple[list[float], list[float]]:
    """Seconds at which two segments meet, and at which a window begins or ends, in a stream."""
    layout = layout_of(container.parse_header(data)[0], info)
    segments, windows = list(layout.segments()), set()
    for first, end in segments:
        if end - first > info.window_frames:
            starts = window_starts(end - first, info.window_frames, _OVERLAP)
            windows |= {first + start for start in starts[1:]} | {
                first + start + info.window_frames for start in starts[:-1]
            }
    rate = info.frames_per_second
    return [first / rate for first, _ in segments[1:]], [frame / rate for frame in sorted(windows)]


def jump(samples: np.ndarray, sample_rate: int, at: float) -> float:
    """How far the roughest step near second `at` of `[N]` stands out of those around, over the RMS; 0 if it does not.

    The sound has to go on for more than 10 ms on one side of `at` at least.
    """
    near, around = round(_NEAR * sample_rate), round(_AROUND * sample_rate)
    place = round(at * sample_rate)
    first = max(0, place - around)
    steps = np.abs(np.diff(samples[first : place + around].astype(np.float64)))
    joint = slice(place - first - near, place - first + near)
    rms = float(np.sqrt(np.square(samples, dtype=np.float64).mean()))
    return max(0.0, float(steps[joint].max() - np.delete(steps, joint).max())) / rms


def level_change(samples: np.ndarray, sample_rate: int, at: float) -> float:
    """Size of the change of level of `[N]` at second `at`, from a tenth of a second to the next; dB."""
    place, count = round(at * sample_rate), round(_LEVEL * sample_rate)
    before, after = (np.square(samples[start : start + count]).mean() + 1e-12 for start in (place - count, place))
    return float(abs(10 * np.log10(after / before)))


def _cells(sound: Waveform, places: list[float]) -> list[str]:
    """The worst jump and change of level of these places."""
    if not places:
        return ["none", "none"]
    samples, rate = sound.samples[0], sound.sample_rate
    worst = [max(measure(samples, rate, place) for place in places) for measure in (jump, level_change)]
    return [f"{worst[0]:.3f}", f"{worst[1]:.1f}"]


def _usual(sound: Waveform) -> str:
    samples, rate = sound.samples[0], sound.sample_rate
    places = np.arange(_LEVEL, sound.duration - _LEVEL, _LEVEL)
    return f"{np.quantile([level_change(samples, rate, place) for place in places], 0.95):.1f}"


if __name__ == "__main__":
    main()
