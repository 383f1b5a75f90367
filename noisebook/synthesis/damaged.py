"""What is damaged about a sound: as told, or else as found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from noisebook.audio.damage import Span, clipped_samples, find_cutoff, find_gaps, find_threshold
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError

__all__ = ["TASKS", "Damage", "damage_of"]

TASKS = ("inpaint", "bandwidth", "declip")
_LOWEST = 500  # Hz, of a cutoff: below there is too little to restore the rest from
_HIGHEST_SHARE = 0.97  # of the model's bandwidth: a cutoff above leaves no band to restore
_PASSED = 0.94  # share of its bandwidth that a sound of a low rate can be expected to fill


@dataclass(frozen=True)
class Damage:
    """One kind of damage.

    Attributes:
        task: one of `TASKS`, which says the field that is used.
        gaps: first sample and the one after the last of each, rising, apart from each other.
        cutoff: Hz.
        threshold: magnitude.
    """

    task: str
    gaps: tuple[Span, ...] = ()
    cutoff: float = 0.0
    threshold: float = 0.0

    def lost(self, waveform: Waveform) -> np.ndarray:
        """Which samples are lost, bool `[C, N]`; none by a low cutoff, which takes something from each."""
        if self.task == "declip":
            return clipped_samples(waveform.samples, self.threshold)
        lost = np.zeros(waveform.samples.shape, bool)
        for start, end in self.gaps:
            lost[:, start:end] = True
        return lost


def damage_of(
    waveform: Waveform,
    task: str,
    info: BackendInfo,
    *,
    gaps: Sequence[tuple[float, float]] = (),
    cutoff: float | None = None,
    threshold: float | None = None,
) -> Damage:
    """The damage that a task is to undo.

    Args:
        waveform: the damaged sound.
        task: one of `TASKS`.
        info: of the model.
        gaps: start and end in seconds, for inpaint; those found if empty.
        cutoff: Hz, for bandwidth; the one found if None.
        threshold: magnitude, for declip; the one found if None.

    Raises:
        ConfigError: an unknown task, an option of another task, a value outside the sound, or nothing to restore.
    """
    if task not in TASKS:
        raise ConfigError(f"task {task!r}: {', '.join(TASKS)} are possible")
    given = {"inpaint": bool(gaps), "bandwidth": cutoff is not None, "declip": threshold is not None}
    options = {"inpaint": "gaps belong", "bandwidth": "a cutoff belongs", "declip": "a threshold belongs"}
    for other in TASKS:
        if given[other] and other != task:
            raise ConfigError(f"{options[other]} to the task {other}, not to {task}")
    if task == "inpaint":
        return Damage(task, gaps=_gaps(waveform, gaps))
    if task == "bandwidth":
        return Damage(task, cutoff=_cutoff(waveform, cutoff, info))
    return Damage(task, threshold=_threshold(waveform, threshold))


def _gaps(waveform: Waveform, given: Sequence[tuple[float, float]]) -> tuple[Span, ...]:
    spans = [_span(waveform, start, end) for start, end in given] or list(find_gaps(waveform))
    if not spans:
        raise ConfigError("nothing to restore: no digital silence breaks off the sound; name the gaps")
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    if merged == [(0, waveform.sample_count)]:
        raise ConfigError("a gap over the whole sound leaves nothing to restore it from")
    return tuple(merged)


def _span(waveform: Waveform, start: float, end: float) -> Span:
    inside = isfinite(start) and isfinite(end) and 0 <= start < end <= waveform.duration
    first, last = (round(time * waveform.sample_rate) for time in (start, end)) if inside else (0, 0)
    if not first < last:
        raise ConfigError(
            f"a gap from {start:g} to {end:g} s: START has to be before END, both within the sound's "
            f"{waveform.duration:g} s"
        )
    return first, min(last, waveform.sample_count)


def _cutoff(waveform: Waveform, given: float | None, info: BackendInfo) -> float:
    nyquist, top = waveform.sample_rate / 2, info.sample_rate / 2
    highest = min(nyquist, _HIGHEST_SHARE * top)
    if given is not None and not _LOWEST <= given <= highest:
        raise ConfigError(
            f"a cutoff of {given:g} Hz: {_LOWEST} to {highest:g} Hz are possible, for the sound ends at {nyquist:g} Hz "
            f"and the model at {top:g} Hz"
        )
    cutoff = find_cutoff(waveform) if given is None else given
    if cutoff is None and nyquist < top:
        cutoff = _PASSED * nyquist
    if cutoff is None or not _LOWEST <= cutoff <= highest:
        raise ConfigError(f"nothing to restore: no cutoff found between {_LOWEST} and {highest:g} Hz; name it")
    return cutoff


def _threshold(waveform: Waveform, given: float | None) -> float:
    peak = float(np.abs(waveform.samples).max())
    if given is not None and not 0 < given <= peak:
        raise ConfigError(f"a threshold of {given:g}: above 0 and up to the sound's peak, {peak:g}, are possible")
    threshold = find_threshold(waveform) if given is None else given
    if threshold is None:
        raise ConfigError("nothing to restore: no clipping found; name the threshold")
    return threshold
