"""Draw a held-out clip and its decode side by side: docs/images/decode.webp.

Above, on a linear scale from 60 to 1500 Hz and with a window of 4096 samples, which separates partials: whether what
sounds is in tune and steady. Below, from 0 to 20 kHz: what came back of the whole band. Four seconds are drawn.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from experiments.study import ROOT, Bench, Parts, Study
from noisebook import api
from noisebook.audio.waveform import Waveform

OUT = ROOT / "docs" / "images" / "decode.webp"
_PRESET = "3000"
_RATE = 48_000
_WINDOW, _HOP = 4096, 512
_SECONDS = 4.0
_ROWS = ((60, 1500, 70), (0, 20_000, 90))  # Hz, and dB below the loudest bin that are drawn


def run(bench: Bench) -> Parts:
    """The picture of the README, of the first held-out piece of music."""
    sound = next(clip.sound for clip in bench.clips(seconds=_SECONDS, sample_rate=_RATE) if clip.kind == "music")
    decoded = api.decompress(api.compress(sound, backend=bench.backend, preset=_PRESET), backend=bench.backend)
    draw({"original": sound, f"decoded from {_PRESET} bit/s": decoded}, OUT)
    return {}


def draw(sounds: dict[str, Waveform], path: Path) -> None:
    """Two rows of spectrograms of sounds of one channel at 48 kHz, titled by their keys, at `path`."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(9, 5.4), layout="constrained")
    axes = figure.subplots(len(_ROWS), len(sounds), sharex=True, sharey="row", squeeze=False)
    levels = {title: spectrogram(sound.samples[0]) for title, sound in sounds.items()}
    top = max(float(level.max()) for level in levels.values())
    hertz = np.fft.rfftfreq(_WINDOW, 1 / _RATE)
    for row, (low, high, range_db) in enumerate(_ROWS):
        inside = np.flatnonzero((hertz >= low) & (hertz <= high))
        for axis, (title, level) in zip(axes[row], levels.items(), strict=True):
            extent = (0, len(level) * _HOP / _RATE, hertz[inside[0]], hertz[inside[-1]])
            axis.imshow(
                level[:, inside].T, origin="lower", aspect="auto", cmap="magma", vmin=top - range_db, vmax=top,
                extent=extent,
            )  # fmt: skip
            axis.set_title(title if row == 0 else "", fontsize=10, loc="left")
        axes[row, 0].set_ylabel("Hz")
    for axis in axes[-1]:
        axis.set_xlabel("s")
    drawn = BytesIO()
    figure.savefig(drawn, dpi=100)
    Image.open(drawn).convert("RGB").save(path, quality=75)


def spectrogram(samples: np.ndarray) -> np.ndarray:
    """Levels in dB, `[T, bins]`, of `[N]`."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, _WINDOW // 2), _WINDOW)[::_HOP]
    return 20 * np.log10(np.abs(np.fft.rfft(frames * np.hanning(_WINDOW))) / (_WINDOW / 4) + 1e-6)


STUDY = Study("picture", "a clip and its decode, drawn", run, (), limit=1, minutes=0.5)
