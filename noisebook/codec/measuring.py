"""What a damaged sound still says: its mel with a reliability for each value, and a first guess at the rest.

inpaint     frames that touch a gap are lost                  guess: linear in time from edge to edge
bandwidth   bins that reach above the cutoff are lost         guess: the level below, falling
declip      the less, the louder clipping's distortion is     guess: the sparsest spectrum that clips to the sound
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noisebook.audio.damage import Span, silence
from noisebook.audio.declip import sparsely_declipped
from noisebook.audio.image import StereoImage, image_bands, image_frames
from noisebook.audio.mel import LOG_FLOOR, MelConfig, mel_filter_bank
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec.damaged import Damage
from noisebook.codec.signal import by_latent, heard_by, levelled
from noisebook.codec.sound import Frame
from noisebook.diffusion.backend import BackendInfo, FeatureBackend
from noisebook.diffusion.measurement import Measurement

__all__ = ["framed", "measured", "mel_of", "prepared"]

_MEL = MelConfig()
_TAPER = _MEL.n_fft // 16  # samples at either end of a window that count for nothing
_TRANSITION = 0.97  # share of a cutoff below which nothing is lost yet
_REACH = 0.02  # of a mel filter may lie above that
_HELD_BINS, _FALL = 6, 0.05  # bins whose mean is held above a cutoff, and nepers by which a bin is below the one before
_STEEPNESS, _EVEN = 3.0, 0.3  # reliability against distortion: a logistic curve over nepers, a half at `_EVEN`


def prepared(waveform: Waveform, damage: Damage, info: BackendInfo) -> Waveform:
    """The damaged sound as far as signal processing alone restores it: silence in gaps, whatever was there; clipped
    samples drawn out; and for a lost band a sample rate that can carry it."""
    if damage.task == "inpaint":
        return silence(waveform, damage.gaps)
    if damage.task == "declip":
        return sparsely_declipped(waveform, damage.threshold)
    return waveform if waveform.sample_rate >= info.sample_rate else resample(waveform, info.sample_rate)


def framed(sound: Waveform, damage: Damage, info: BackendInfo) -> Frame:
    """The frame of a `prepared` sound, with an image of what is not lost: that of the nearest time in a gap, of the
    highest band below it above a cutoff."""
    frame = Frame.of(sound, info)
    if frame.image is None or damage.task == "declip":
        return frame
    image, rate = frame.image, sound.sample_rate
    times, bands = np.ones(image.frames, bool), image.bands
    if damage.task == "inpaint":
        for start, end in damage.gaps:
            times[image_frames(start + 1, rate) - 1 : image_frames(end, rate)] = False
    else:
        bands = min(bands, image_bands(2 * int(damage.cutoff)))
    level, coherence = (_held(values, times, bands) for values in (image.level, image.coherence))
    return replace(frame, image=StereoImage(level, coherence, image.weight))


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
    damaged: Waveform, sound: Waveform, damage: Damage, frame: Frame, backend: FeatureBackend
) -> tuple[Measurement, torch.Tensor]:
    """What is known of the mel `[channels, 1, T, n_mels]`, and a guess at all of it, shaped alike.

    Args:
        damaged: as it came.
        sound: the same, `prepared`.
        damage: its damage.
        frame: of `sound`.
        backend: whose mel it is.
    """
    mel = mel_of(sound, frame, backend)
    if damage.task == "inpaint":
        lost = _frames_in_gaps(mel.shape[2], damage.gaps, sound.sample_rate)
        weight = torch.ones_like(mel)
        weight[:, :, lost] = 0
        return Measurement(mel, weight), _across_gaps(mel, lost)
    if damage.task == "bandwidth":
        first = _first_lost_bin(damage.cutoff)
        weight = torch.ones_like(mel)
        weight[..., first:] = 0
        return Measurement(mel, weight), _falling_from(mel, first)
    change = Waveform(sound.samples - damaged.samples, sound.sample_rate)
    distortion = mel_of(change, frame, backend)
    weight = torch.sigmoid(_STEEPNESS * (mel - distortion - _EVEN))
    return Measurement(mel, weight.masked_fill(distortion <= LOG_FLOOR, 1.0)), mel


def mel_of(waveform: Waveform, frame: Frame, backend: FeatureBackend) -> torch.Tensor:
    """The mel `[1, 1, T, n_mels]` of a whole sound at a frame's level, of both channels of stereo together."""
    info, timeline = backend.info, frame.timeline(backend.info)

    def mel(piece: torch.Tensor) -> torch.Tensor:
        return backend.features(by_latent(piece, timeline).to(backend.device))

    samples = levelled(waveform, frame.header(), info)
    return heard_by(mel, samples, timeline, per_frame=info.frame_samples, writes=info.feature_frames)


def _frames_in_gaps(frames: int, gaps: tuple[Span, ...], sample_rate: int) -> torch.Tensor:
    """Which mel frames see a gap, bool `[frames]`."""
    starts = np.arange(frames) * _MEL.hop_length - (_MEL.n_fft - _MEL.hop_length) // 2
    lost = np.zeros(frames, bool)
    for gap in gaps:
        first, last = (edge * _MEL.sample_rate / sample_rate for edge in gap)
        lost |= (starts + _MEL.n_fft - _TAPER > first) & (starts + _TAPER < last)
    return torch.from_numpy(lost)


def _first_lost_bin(cutoff: float) -> int:
    """The lowest mel bin of which a cutoff in Hz takes something."""
    filters = mel_filter_bank(_MEL)
    above = np.linspace(0, _MEL.sample_rate / 2, filters.shape[1]) > _TRANSITION * cutoff
    shares = filters[:, above].sum(1) / filters.sum(1)
    return int(np.argmax(shares > _REACH))


def _across_gaps(mel: torch.Tensor, lost: torch.Tensor) -> torch.Tensor:
    """Lost frames on the straight line between their neighbours; at an end of the sound, like the one neighbour."""
    known = torch.nonzero(~lost)[:, 0]
    if not len(known):
        return mel
    after = torch.searchsorted(known, torch.arange(len(lost)))
    left, right = known[(after - 1).clamp_min(0)], known[after.clamp_max(len(known) - 1)]
    share = (torch.arange(len(lost)) - left) / (right - left).clamp_min(1)
    share = share.clamp(0, 1)[:, None].to(mel.device)
    line = (1 - share) * mel[:, :, left] + share * mel[:, :, right]
    return torch.where(lost[:, None].to(mel.device), line, mel)


def _falling_from(mel: torch.Tensor, first: int) -> torch.Tensor:
    """Bins from `first` on at the mean level of those below, falling with frequency."""
    guess = mel.clone()
    held = mel[..., max(0, first - _HELD_BINS) : first].mean(-1, keepdim=True)
    guess[..., first:] = held - _FALL * torch.arange(1, mel.shape[-1] - first + 1, device=mel.device)
    return guess.clamp_min(LOG_FLOOR)
