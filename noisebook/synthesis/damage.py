"""What is damaged about a sound, as given or as found; and what the sound still says: its features with a reliability
for each value, and a first guess at the rest.

inpaint     windows that touch a gap are lost                 guess: linear in time from edge to edge
bandwidth   bins that reach above the cutoff are lost         guess: the level below, falling
declip      the less, the louder clipping's distortion is     guess: the sparsest spectrum that clips to the sound
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import NamedTuple

import numpy as np
import torch

from noisebook.audio.damage import Span, find_cutoff, find_gaps, find_threshold, runs, silence, sparsely_declipped
from noisebook.audio.features import Features
from noisebook.audio.image import StereoImage, image_bands, image_frames
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import BackendInfo, FeatureBackend, front_end_of
from noisebook.diffusion.measurement import Measurement
from noisebook.errors import ConfigError
from noisebook.synthesis.options import DamageOptions
from noisebook.synthesis.sound import AudioFormat

TASKS = {"inpaint": "gaps", "bandwidth": "cutoff", "declip": "threshold"}  # and the option that says what is damaged
_LOWEST = 500  # Hz, of a cutoff: below there is too little to restore the rest from
_HIGHEST_SHARE = 0.97  # of the model's bandwidth: a cutoff above leaves no band to restore
_PASSED = 0.94  # share of its bandwidth that a sound of a low rate can be expected to fill
_TAPER = 1 / 16  # of a window, at either end, counts for nothing
_TRANSITION = 0.97  # share of a cutoff below which nothing is lost yet
_REACH = 0.02  # of a filter may lie above that
_HELD_BINS = 6  # below a cutoff, whose mean is held above it
_FALL = 1.4  # nepers (12 dB) that it falls with each octave: nearest to training sounds cut at 3 and at 6 kHz
_STEEPNESS, _EVEN = 3.0, 0.3  # reliability against distortion: a logistic curve over nepers, a half at `_EVEN`


@dataclass(frozen=True)
class Damage:
    """One kind of damage: the task, one of `TASKS`, says which field is used. Gaps are spans of samples, rising and
    apart from each other, the cutoff is in Hz, the threshold a magnitude."""

    task: str
    gaps: tuple[Span, ...] = ()
    cutoff: float = 0.0
    threshold: float = 0.0


def damage_of(waveform: Waveform, task: str, options: DamageOptions, info: BackendInfo) -> Damage:
    """The damage that a task is to undo: as the options say, or as found; ConfigError where there is none."""
    if task not in TASKS:
        raise ConfigError(f"task {task!r}: {', '.join(TASKS)} are possible")
    for other, name in TASKS.items():
        if other != task and getattr(options, name) not in ((), None):
            raise ConfigError(f"{name} is an option of the task {other}, not of {task}")
    if task == "inpaint":
        return Damage(task, gaps=_gaps(waveform, options.gaps))
    if task == "bandwidth":
        return Damage(task, cutoff=_cutoff(waveform, options.cutoff, info))
    return Damage(task, threshold=_threshold(waveform, options.threshold))


def _gaps(waveform: Waveform, given: Sequence[tuple[float, float]]) -> tuple[Span, ...]:
    lost = np.zeros(waveform.sample_count, bool)
    for start, end in given:
        first, last = (round(time * waveform.sample_rate) if isfinite(time) else 0 for time in (start, end))
        if not (0 <= start < end <= waveform.duration and first < last):
            raise ConfigError(
                f"a gap from {start:g} to {end:g} s: START has to be before END, both within the sound's "
                f"{waveform.duration:g} s"
            )
        lost[first:last] = True
    gaps = tuple(runs(lost)) or find_gaps(waveform)
    if not gaps:
        raise ConfigError("nothing to restore: no digital silence breaks off the sound; name the gaps")
    if gaps == ((0, waveform.sample_count),):
        raise ConfigError("a gap over the whole sound leaves nothing to restore it from")
    return gaps


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


class Examined(NamedTuple):
    """What a damaged sound still says.

    Attributes:
        sound: as far as signal processing alone restores it: silence in gaps, clipped samples drawn out, and for a lost
            band a sample rate that can carry it.
        form: its format, with an image of what is not lost.
        known, guess: its features `[channels, 1, T, bins]` as far as they are known, and a guess at all of them.
    """

    sound: Waveform
    form: AudioFormat
    known: Measurement
    guess: torch.Tensor


def examined(waveform: Waveform, damage: Damage, backend: FeatureBackend) -> Examined:
    """What a sound with that damage still says to a model."""
    sound = _prepared(waveform, damage, backend.info)
    form = _with_image_of_the_rest(AudioFormat.of(sound, backend.info), sound.sample_rate, damage)
    found, front_end = form.features(sound, backend), front_end_of(backend.info)
    if damage.task == "declip":
        distortion = form.features(Waveform(sound.samples - waveform.samples, sound.sample_rate), backend)
        weight = torch.sigmoid(_STEEPNESS * (found - distortion - _EVEN))
        weight = weight.masked_fill(distortion <= front_end.floor, 1.0)
        return Examined(sound, form, Measurement(found, weight), found)
    if damage.task == "inpaint":
        lost = _in_gaps(found.shape[2], damage.gaps, sound.sample_rate, front_end)
        guess = _across_gaps(found, lost)
    else:
        lost = np.broadcast_to(_above(damage.cutoff, front_end), found.shape[2:])
        guess = _falling_from(found, lost[0], front_end)
    weight = torch.from_numpy((~lost).astype(np.float32)).to(found.device).expand_as(found)
    return Examined(sound, form, Measurement(found, weight), guess)


def _prepared(waveform: Waveform, damage: Damage, info: BackendInfo) -> Waveform:
    if damage.task == "inpaint":
        return silence(waveform, damage.gaps)
    if damage.task == "declip":
        return sparsely_declipped(waveform, damage.threshold)
    return waveform if waveform.sample_rate >= info.sample_rate else resample(waveform, info.sample_rate)


def _with_image_of_the_rest(form: AudioFormat, sample_rate: int, damage: Damage) -> AudioFormat:
    """The format with the image of the nearest time in a gap, and of the highest band below it above a cutoff."""
    if form.image is None or damage.task == "declip":
        return form
    image = form.image
    times, bands = np.ones(image.frames, bool), image.bands
    if damage.task == "inpaint":
        for start, end in damage.gaps:
            times[image_frames(start + 1, sample_rate) - 1 : image_frames(end, sample_rate)] = False
    else:
        bands = min(bands, image_bands(2 * int(damage.cutoff)))
    if not times.any():
        return form
    left, right, share = _neighbours(times)
    nearest, rows = np.where(share <= 0.5, left, right), np.arange(image.bands).clip(max=bands - 1)
    return replace(
        form, image=StereoImage(image.level[rows][:, nearest], image.coherence[rows][:, nearest], image.weight)
    )


def _neighbours(known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each place `[N]` the nearest known ones before and after it, and how far it is from the one to the other, 0 to
    1; where there is one of them only, it is both."""
    places, index = np.flatnonzero(known), np.arange(len(known))
    after = np.searchsorted(places, index)
    left, right = places[(after - 1).clip(min=0)], places[after.clip(max=len(places) - 1)]
    return left, right, ((index - left) / (right - left).clip(min=1)).clip(0, 1)


def _in_gaps(frames: int, gaps: tuple[Span, ...], sample_rate: int, front_end: Features) -> np.ndarray:
    """Which bins of which frames see a gap, bool `[frames, bins]`: a long window sees it from further away."""
    centres = (np.arange(frames)[:, None] + 0.5) * front_end.hop_length
    reach = (0.5 - _TAPER) * front_end.windows
    lost = np.zeros((frames, front_end.bins), bool)
    for gap in gaps:
        first, last = (edge * front_end.sample_rate / sample_rate for edge in gap)
        lost |= (centres + reach > first) & (centres - reach < last)
    return lost


def _above(cutoff: float, front_end: Features) -> np.ndarray:
    """The bins of which a cutoff in Hz takes something, bool `[bins]`."""
    low, centre, high = front_end.edges.T
    edge = _TRANSITION * cutoff
    rest = (high - edge).clip(min=0) ** 2 / ((high - centre) * (high - low))  # of a triangle, beyond its peak
    left = (edge - low).clip(min=0) ** 2 / ((centre - low) * (high - low))
    return np.where(edge > centre, rest, 1 - left) > _REACH


def _across_gaps(features: torch.Tensor, lost: np.ndarray) -> torch.Tensor:
    """Lost frames of each bin on the straight line between their neighbours; at an end of the sound, like the one."""
    guess = features.clone()
    for mask in np.unique(lost, axis=1).T:  # one for each window
        if mask.all():
            continue
        left, right, way = _neighbours(~mask)
        share = torch.from_numpy(way.astype(np.float32))[:, None].to(features.device)
        bins = torch.from_numpy(np.flatnonzero((lost == mask[:, None]).all(axis=0)))
        part = features[..., bins]
        guess[..., bins] = (1 - share) * part[:, :, left] + share * part[:, :, right]
    return guess


def _falling_from(features: torch.Tensor, lost: np.ndarray, front_end: Features) -> torch.Tensor:
    """Lost bins of each bank at the mean level of those below, falling with frequency."""
    guess = features.clone()
    for window in np.unique(front_end.windows):
        bank = front_end.windows == window
        held, bins = np.flatnonzero(bank & ~lost)[-_HELD_BINS:], np.flatnonzero(bank & lost)
        octaves = torch.tensor(np.log2(front_end.centres[bins] / front_end.centres[held[-1]]), dtype=features.dtype)
        level = features[..., held].mean(-1, keepdim=True)
        guess[..., bins] = level - _FALL * octaves.to(features.device)
    return guess.clamp_min(front_end.floor)
