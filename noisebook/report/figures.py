"""Figures, with matplotlib where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.channels import downmix
from noisebook.audio.mel import MelConfig, log_mel
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["spectrogram_grid"]

_DB = 20 / np.log(10)


def spectrogram_grid(sounds: Mapping[str, Waveform], path: Path, *, columns: int = 1) -> None:
    """Log-mel spectrograms of several sounds on one scale, titled by their keys, as a PNG or SVG at `path`.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    figure_class = _figure_class()
    rows = -(-len(sounds) // columns)
    figure = figure_class(figsize=(9 / columns * min(columns, 2) + 1, 2.0 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    pictures = {title: _picture(sound) for title, sound in sounds.items()}
    top = max(picture.max() for picture in pictures.values())
    for axis, (title, picture) in zip(axes, pictures.items(), strict=False):
        seconds = picture.shape[1] / 100
        image = axis.imshow(
            picture, origin="lower", aspect="auto", cmap="magma", vmin=top - 80, vmax=top, extent=(0, seconds, 0, 128)
        )
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_yticks(*_frequency_ticks())
        axis.set_ylabel("Hz")
    axes[-1].set_xlabel("s")
    figure.colorbar(image, ax=list(axes), label="dB", shrink=0.8)
    figure.savefig(path, dpi=110)


def _picture(sound: Waveform) -> np.ndarray:
    """`[128, frames]` dB."""
    import torch

    samples = resample(downmix(sound), 16000).samples
    missing = max(0, 640 - samples.shape[1])
    mel = log_mel(torch.from_numpy(np.pad(samples, ((0, 0), (0, missing)))), MelConfig(n_mels=128))
    return _DB * mel[0, 0].numpy().T


def _frequency_ticks() -> tuple[list[float], list[str]]:
    from noisebook.audio.mel import mel_filter_bank

    centres = mel_filter_bank(MelConfig(n_mels=128)).argmax(axis=1) * 16000 / 1024
    wanted = (250, 1000, 2000, 4000)
    return [float(np.abs(centres - hz).argmin()) for hz in wanted], [str(hz) for hz in wanted]


def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("figures need matplotlib: pip install 'noisebook[plot]'") from error
    return Figure
