"""Figures, with matplotlib; MissingExtra where it is not installed.

spectrogram_grid    sounds side by side
rate_quality        a metric against the bitrate, with intervals
residual_steps      error of the latent after every coded step
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.audio.mel import MelConfig, log_mel, mel_edges
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.errors import MissingExtra
from noisebook.report import results as reading

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Json = dict[str, Any]

_MEL = MelConfig(48_000, 3072, 480, 128, 0.0, 20_000.0)  # of pictures, whatever the rate of a sound
FRAME_RATE = _MEL.sample_rate // _MEL.hop_length  # of a picture, a second
_DB = 20 / np.log(10)
_MARKERS = "osD^vPX*<>"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
_GREY = "#777777"
_DASHES = ("--", ":", "-.", (0, (1, 4)), (0, (6, 2, 1, 2, 1, 2)), (0, (8, 4)))
_MARGIN = 0.6  # of the range of the curves, shown above and below them
_MOST_DECADES = 20  # of rate, which are labelled at 1, 2 and 5
_BETTER = {"higher": "higher is better", "lower": "lower is better", "zero": "0 is best"}


def check_installed() -> None:
    """Raise MissingExtra unless matplotlib is installed."""
    _figure_class()


def log_mel_db(sound: Waveform) -> np.ndarray:
    """The picture of a sound, its channels mixed: dB of mels up to 20 kHz, `[128, frames]`, `FRAME_RATE` a second."""
    import torch

    samples = resample(downmix(sound), _MEL.sample_rate).samples
    missing = max(0, _MEL.n_fft - samples.shape[1])
    mel = log_mel(torch.from_numpy(np.pad(samples, ((0, 0), (0, missing)))), _MEL)
    return np.asarray(_DB * mel[0, 0].numpy().T)


def frequency_ticks() -> tuple[list[float], list[str]]:
    """Places on the axis of a picture's bins, and the frequencies there in Hz."""
    wanted = (250, 1000, 2000, 4000, 8000, 16000)
    centres = mel_edges(_MEL)[:, 1]
    return [float(np.abs(centres - hz).argmin()) for hz in wanted], [str(hz) for hz in wanted]


def spectrogram_grid(sounds: Mapping[str, Waveform], path: Path, *, columns: int = 1) -> None:
    """Log-mel spectrograms of several sounds on one scale, titled by their keys, as a PNG or SVG at `path`."""
    rows = -(-len(sounds) // columns)
    figure = _figure_class()(figsize=(10, 2.0 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    pictures = {title: log_mel_db(sound) for title, sound in sounds.items()}
    top = max(picture.max() for picture in pictures.values())
    for axis in axes[len(pictures) :]:
        axis.remove()
    for place, (axis, (title, picture)) in enumerate(zip(axes, pictures.items(), strict=False)):
        extent = (0, picture.shape[1] / FRAME_RATE, 0, _MEL.n_mels)
        image = axis.imshow(
            picture, origin="lower", aspect="auto", cmap="magma", vmin=top - 80, vmax=top, extent=extent
        )  # fmt: skip
        axis.set_title(title, fontsize=10, loc="left")
        axis.set_yticks(*frequency_ticks())
        if place % columns == 0:
            axis.set_ylabel("Hz")
        if place + columns >= len(pictures):  # nothing below
            axis.tick_params(labelbottom=True)
            axis.set_xlabel("s")
    figure.colorbar(image, ax=list(axes[: len(pictures)]), label="dB", shrink=0.8)
    figure.savefig(path, dpi=110)


def rate_quality(results: Json, metric: Json, path: Path) -> bool:
    """A metric of a comparison against the bitrate, as a PNG or SVG at `path`; says whether there is anything to draw.

    A curve for each codec with bands or bars for the intervals, and for ceilings and controls a dashed line each, with
    its value in the legend. One that is far from the curves has no line, so that the curves stay apart.
    """
    curves, names, means = reading.curves(results, metric["name"]), reading.names(results), reading.cells(results)
    if not curves:
        return False
    points = [point for curve in curves.values() for point in curve]
    apart = [method for group in ("ceiling", "control") for method in reading.members(results, group)]
    levels = {method["label"]: means[key]["mean"] for method in apart
              if (key := (method["id"], metric["name"])) in means}  # fmt: skip
    with _diagram(path, height=4.6) as axis:
        from matplotlib.ticker import LogLocator, NullLocator

        for index, (series, curve) in enumerate(curves.items()):
            _draw_curve(axis, names[series], sorted(curve, key=lambda point: point[0]), series, index)
        low, high = (end(cell["mean"] for _, cell in points) for end in (min, max))
        room = _MARGIN * (high - low or abs(low) or 1.0)
        bottom, top = axis.get_ylim()
        for (name, level), dash in zip(levels.items(), cycle(_DASHES), strict=False):
            axis.axhline(level, color=_GREY, linestyle=dash, linewidth=0.8, label=f"{name} {level:.3g}")
            if low - room <= level <= high + room:
                bottom, top = min(bottom, level), max(top, level)
        axis.set_ylim(bottom, top)
        axis.set_xscale("log")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=_MOST_DECADES))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.set_xlabel("bit/s, whole file")
        axis.set_ylabel(f"{metric['label']} ({metric['unit']})" if metric["unit"] else metric["label"])
        axis.set_title(_BETTER[metric["direction"]], fontsize=9, loc="right", color=_GREY)
    return True


def residual_steps(traces: Mapping[str, Sequence[float]], path: Path) -> None:
    """Error of the latent after 0, 1, ... coded steps, in dB relative to its energy, as a PNG or SVG at `path`.

    The last value is of the decoded latent, after the steps without bits, and is drawn as a ring.
    """
    with _diagram(path, height=4.2) as axis:
        from matplotlib import colormaps
        from matplotlib.ticker import MaxNLocator

        shades = colormaps["viridis"](np.linspace(0, 0.85, len(traces)))  # dark to light, since they have an order
        for colour, (name, (*steps, decoded)) in zip(shades, traces.items(), strict=True):
            axis.plot(range(len(steps)), steps, "-o", color=colour, markersize=3.5, label=name)
            axis.plot([len(steps)], [decoded], "o", color=colour, markersize=6, fillstyle="none")
        axis.set_xlabel("coded steps taken (ring: the decoded latent)")
        axis.set_ylabel("error of the estimated latent, dB")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))


@contextmanager
def _diagram(path: Path, *, height: float) -> Iterator[Axes]:
    """An axis to draw on, with a grid; then its legend beside it, and the file."""
    figure = _figure_class()(figsize=(8, height), layout="constrained")
    axis = figure.subplots()
    axis.grid(alpha=0.25)
    yield axis
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)


def _draw_curve(axis: Axes, name: str, points: list[tuple[float, Json]], series: str, index: int) -> None:
    """Points of bit/s and cell, by rising rate; codebooks (VQ) are no settings of one codec, and are not connected."""
    colour = reading.COLOURS[series][0] if series in reading.COLOURS else _COLOURS[index % len(_COLOURS)]
    style = f"{'' if series == 'vq' else '-'}{_MARKERS[index % len(_MARKERS)]}"
    axis.plot(*zip(*((rate, cell["mean"]) for rate, cell in points), strict=True), style, color=colour, markersize=5,
              label=name)  # fmt: skip
    known = [(rate, cell["mean"], cell["low"], cell["high"]) for rate, cell in points if cell["low"] is not None]
    if not known:
        return
    rates, means, lows, highs = np.array(known).T
    if style.startswith("-") and len(known) == len(points) > 1:
        axis.fill_between(rates, lows, highs, color=colour, alpha=0.13, linewidth=0)
    else:
        axis.errorbar(rates, means, [means - lows, highs - means], fmt="none", ecolor=colour, alpha=0.4)


def _figure_class() -> type[Figure]:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("figures need matplotlib: pip install 'noisebook[plot]'") from error
    return Figure
