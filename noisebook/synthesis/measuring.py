"""What a damaged sound still says: its features with a reliability for each value, and a first guess at the rest.

inpaint     windows that touch a gap are lost                 guess: linear in time from edge to edge
bandwidth   bins that reach above the cutoff are lost         guess: the level below, falling
declip      the less, the louder clipping's distortion is     guess: the sparsest spectrum that clips to the sound
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noisebook.audio.damage import Span, silence
from noisebook.audio.features import Features
from noisebook.audio.image import StereoImage, image_bands, image_frames
from noisebook.audio.repair import sparsely_declipped
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec import signal
from noisebook.diffusion.backend import BackendInfo, FeatureBackend, front_end_of
from noisebook.diffusion.measurement import Measurement
from noisebook.synthesis.damaged import Damage
from noisebook.synthesis.sound import AudioFormat

__all__ = ["features_of", "framed", "measured", "prepared"]

_TAPER = 1 / 16  # of a window, at either end, counts for nothing
_TRANSITION = 0.97  # share of a cutoff below which nothing is lost yet
_REACH = 0.02  # of a filter may lie above that
_HELD_BINS = 6  # below a cutoff, whose mean is held above it
_FALL = 1.4  # nepers (12 dB) that it falls with each octave: nearest to training sounds cut at 3 and at 6 kHz
_STEEPNESS, _EVEN = 3.0, 0.3  # reliability against distortion: a logistic curve over nepers, a half at `_EVEN`


def prepared(waveform: Waveform, damage: Damage, info: BackendInfo) -> Waveform:
    """The damaged sound as far as signal processing alone restores it: silence in gaps, whatever was there; clipped
    samples drawn out; and for a lost band a sample rate that can carry it."""
    if damage.task == "inpaint":
        return silence(waveform, damage.gaps)
    if damage.task == "declip":
        return sparsely_declipped(waveform, damage.threshold)
    return waveform if waveform.sample_rate >= info.sample_rate else resample(waveform, info.sample_rate)


def framed(sound: Waveform, damage: Damage, info: BackendInfo) -> AudioFormat:
    """The format of a `prepared` sound, with an image of what is not lost: that of the nearest time in a gap, of the
    highest band below it above a cutoff."""
    form = AudioFormat.of(sound, info)
    if form.image is None or damage.task == "declip":
        return form
    image, rate = form.image, sound.sample_rate
    times, bands = np.ones(image.frames, bool), image.bands
    if damage.task == "inpaint":
        for start, end in damage.gaps:
            times[image_frames(start + 1, rate) - 1 : image_frames(end, rate)] = False
    else:
        bands = min(bands, image_bands(2 * int(damage.cutoff)))
    level, coherence = (_held(values, times, bands) for values in (image.level, image.coherence))
    return replace(form, image=StereoImage(level, coherence, image.weight))


def _held(values: np.ndarray, times: np.ndarray, bands: int) -> np.ndarray:
    """`[bands, frames]` of which what is known, at some times and of the lowest bands, goes on beyond."""
    known = np.flatnonzero(times)
    if not len(known):
        return values
    frames = np.arange(len(times))
    after = np.searchsorted(known, frames)
    left, right = known[(after - 1).clip(min=0)], known[after.clip(max=len(known) - 1)]
    nearest = np.where(np.abs(frames - left) <= np.abs(right - frames), left, right)
    rows = np.arange(len(values)).clip(max=bands - 1)
    return values[rows][:, nearest]


def measured(
    damaged: Waveform, sound: Waveform, damage: Damage, form: AudioFormat, backend: FeatureBackend
) -> tuple[Measurement, torch.Tensor]:
    """What is known of the features `[channels, 1, T, bins]`, and a guess at all of them, shaped alike.

    Args:
        damaged: as it came.
        sound: the same, `prepared`.
        damage: its damage.
        form: of `sound`.
        backend: whose features they are.
    """
    found, front_end = features_of(sound, form, backend), front_end_of(backend.info)
    if damage.task == "declip":
        change = Waveform(sound.samples - damaged.samples, sound.sample_rate)
        distortion = features_of(change, form, backend)
        weight = torch.sigmoid(_STEEPNESS * (found - distortion - _EVEN))
        return Measurement(found, weight.masked_fill(distortion <= front_end.floor, 1.0)), found
    if damage.task == "inpaint":
        lost = _in_gaps(found.shape[2], damage.gaps, sound.sample_rate, front_end)
        guess = _across_gaps(found, lost)
    else:
        lost = np.broadcast_to(_above(damage.cutoff, front_end), found.shape[2:])
        guess = _falling_from(found, lost[0], front_end)
    weight = torch.from_numpy((~lost).astype(np.float32)).to(found.device).expand_as(found)
    return Measurement(found, weight), guess


def features_of(waveform: Waveform, form: AudioFormat, backend: FeatureBackend) -> torch.Tensor:
    """The features `[1, 1, T, bins]` of a whole sound at a format's level, of both channels of stereo together."""
    samples, timeline = form.levelled(waveform, backend.info), form.timeline(backend.info)
    return signal.features_of(samples, timeline, backend)


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
    guess, frames = features.clone(), torch.arange(len(lost))
    for mask in np.unique(lost, axis=1).T:  # one for each window
        bins = torch.from_numpy(np.flatnonzero((lost == mask[:, None]).all(axis=0)))
        known = torch.from_numpy(np.flatnonzero(~mask))
        if not len(known):
            continue
        after = torch.searchsorted(known, frames)
        left, right = known[(after - 1).clamp_min(0)], known[after.clamp_max(len(known) - 1)]
        share = ((frames - left) / (right - left).clamp_min(1)).clamp(0, 1)[:, None].to(features.device)
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
