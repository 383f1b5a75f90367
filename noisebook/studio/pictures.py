"""Spectrograms of sounds and of their difference, as one picture."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.errors import MissingExtra
from noisebook.report.figures import FRAME_RATE, frequency_ticks, log_mel_db

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform

__all__ = ["spectrograms"]

_RANGE_DB, _DIFFERENCE_DB = 80, 30


def spectrograms(original: Waveform | None, sounds: Mapping[str, Waveform]) -> bytes:
    """Log-mel spectrograms up to 20 kHz as a PNG: the original, and below it each sound with its difference beside it.

    A difference is the sound's level over the original's, where either is within 80 dB of the loudest. Without an
    original there are only the sounds.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("the studio draws with matplotlib: pip install 'noisebook[studio]'") from error

    reference = None if original is None else log_mel_db(original)
    pictures = {label: log_mel_db(sound) for label, sound in sounds.items()}
    shown = {"original": reference, **pictures} if reference is not None else pictures
    columns = 1 if reference is None else 2
    figure = Figure(figsize=(9, 0.5 + 1.7 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), columns, sharex=True, sharey=True, squeeze=False)
    top = max(float(picture.max()) for picture in shown.values() if picture is not None)
    for row, (label, picture) in zip(axes, shown.items(), strict=True):
        level = _draw(row[0], picture, label, cmap="magma", vmin=top - _RANGE_DB, vmax=top)
        if picture is reference and reference is not None:
            row[1].set_axis_off()
        elif reference is not None:
            change = difference(reference, picture, floor=top - _RANGE_DB)
            limits = {"vmin": -_DIFFERENCE_DB, "vmax": _DIFFERENCE_DB}
            drawn = _draw(row[1], change, f"{label} minus original", cmap="RdBu_r", **limits)
    _scale(figure, level, axes[:, 0], location="left")
    if reference is not None:
        _scale(figure, drawn, axes[:, 1], location="right")
    buffer = BytesIO()
    figure.savefig(buffer, dpi=110, format="png")
    return buffer.getvalue()


def difference(reference: np.ndarray, picture: np.ndarray, *, floor: float) -> np.ndarray:
    """Level over the reference's in dB over their common frames; what both have below the floor is 0."""
    frames = min(reference.shape[1], picture.shape[1])
    return np.maximum(picture[:, :frames], floor) - np.maximum(reference[:, :frames], floor)


def _draw(axis: Any, picture: Any, title: str, **style: Any) -> Any:
    extent = (0, picture.shape[1] / FRAME_RATE, 0, len(picture))
    image = axis.imshow(picture, origin="lower", aspect="auto", extent=extent, **style)
    axis.set_title(title, fontsize=9, loc="left")
    places, hertz = frequency_ticks()
    axis.set_yticks(places, [f"{hz} Hz" for hz in hertz])
    axis.tick_params(labelsize=7)
    return image


def _scale(figure: Any, image: Any, axes: Any, *, location: str) -> None:
    bar = figure.colorbar(image, ax=axes, location=location, fraction=0.02, pad=0.01, aspect=30)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("dB", fontsize=8)
