"""Study front ends: mel spectrograms that no autoencoder was trained on, and the way back from each.

samples --levels--> power mel in dB --Mapping.features--> what the autoencoder is given
features of the model <--to_matched-- power mel in dB <--Mapping.levels-- what the autoencoder gives back

Their normalisation and their decibels are undone exactly, except for what was clipped. From power to magnitude, and
from one set of filters to another, the way back is exact for a spectrum that is flat within a filter and changes
log-linearly from filter to filter. All have a frame each 10 ms, as the models' front ends do (one with another hop is
interpolated), so that only scale and frequency axis differ. An autoencoder of 64 bins is given theirs, one for one, on
an axis that it does not know; one of other bins what theirs say at the frequencies of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.mel import MelConfig, hz_to_mel, magnitudes, mel_edges, mel_filter_bank, noise_level
from noisebook.options import named

if TYPE_CHECKING:
    import torch

    from noisebook.audio.features import Features

MATCHED = "matched"
_POWER_FLOOR, _FLOOR_DB = 1e-10, -100.0
_NEPERS_PER_DB = log(10) / 20


@dataclass(frozen=True)
class FrontEnd:
    """One way of turning sound into numbers, 64 of them each 10 ms.

    Attributes:
        name: for options and reports.
        mel: rate, window, hop, filters.
        top_db: cells more than this below the loudest of the clip are raised to there; None keeps all.
        relative: whether decibels count from the loudest cell of the clip.
        unit_db: decibels to one unit of the features; None is the spread of the clip, so that it fills [-1, 1].
        middle_db: the level at which features are 0, for a fixed `unit_db`.
        clip: whether features are cut to [-1, 1].
    """

    name: str
    mel: MelConfig
    top_db: float | None = None
    relative: bool = True
    unit_db: float | None = 1.0
    middle_db: float = 0.0
    clip: bool = False

    @property
    def frame_samples(self) -> int:
        """10 ms at its rate, whatever its hop."""
        return self.mel.sample_rate // 100

    @property
    def centres(self) -> np.ndarray:
        """Hz, `[64]`, where the filters peak."""
        return mel_edges(self.mel)[:, 1]

    def mapping(self, clip_levels: torch.Tensor) -> Mapping:
        """The scale of features for a clip with these levels, all of it, in dB."""
        loudest, quietest = float(clip_levels.max()), float(clip_levels.min())
        floor = quietest if self.top_db is None else max(quietest, loudest - self.top_db)
        if self.unit_db is None:  # a clip of one level has no spread: any unit does
            return Mapping(floor, (loudest + floor) / 2, max(loudest - floor, 1e-3) / 2, self.clip)
        reference = loudest if self.relative else 0.0
        return Mapping(floor, reference + self.middle_db, self.unit_db, self.clip)


@dataclass(frozen=True)
class Mapping:
    """Decibels to features and back: `(level - middle_db) / unit_db`, after `floor_db` and before the cut."""

    floor_db: float
    middle_db: float
    unit_db: float
    clip: bool = False

    def features(self, levels_db: torch.Tensor) -> torch.Tensor:
        """What the autoencoder is given."""
        features = (levels_db.clamp_min(self.floor_db) - self.middle_db) / self.unit_db
        return features.clamp(-1, 1) if self.clip else features

    def levels(self, features: torch.Tensor) -> torch.Tensor:
        """The inverse: exact for levels above the floor that were not cut."""
        return features * self.unit_db + self.middle_db


_CLAP = MelConfig(48000, 1024, 480, 64, 50.0, 14000.0)
_WIDE = MelConfig(48000, 1024, 480, 64, 0.0, 24000.0)
# The 25 ms window, the ranges and the scales are the predecessor's. CLAP's numbers are those of the feature extractor
# that comes with AudioLDM 2 (Slaney filters, power, decibels from full scale). Its table's "standard" has librosa's hop
# and window, and no scale: that of `mel-db`, which has its range.
FRONT_ENDS = (
    FrontEnd("db-minmax", MelConfig(), top_db=80, unit_db=None),
    FrontEnd("db20", MelConfig(), top_db=80, unit_db=20, clip=True),
    FrontEnd("clap", _CLAP, relative=False),
    FrontEnd("clap-wide", _WIDE, top_db=120, relative=False),
    FrontEnd("mel-db", MelConfig(48000, 1200, 480, 64, 50.0, 24000.0), top_db=80, unit_db=40, middle_db=-40),
    FrontEnd("mel-db-wide", _WIDE, top_db=120, unit_db=60, middle_db=-60),
    FrontEnd("standard", MelConfig(48000, 2048, 512, 64, 50.0, 8000.0), top_db=80, unit_db=40, middle_db=-40),
)


def by_name(name: str) -> FrontEnd:
    """The study front end of that name. ConfigError where there is none."""
    listed = f"{MATCHED} and {', '.join(front_end.name for front_end in FRONT_ENDS)}"
    return named("front end", FRONT_ENDS, name, listed)


def levels(waveform: torch.Tensor, front_end: FrontEnd, features: Features, start: int = 0) -> torch.Tensor:
    """Power mel spectrogram in dB, not below -100: `[B, N]` or `[B, 2, N]` at its rate -> `[B, 1, T, bins]`, those of
    the model. `start` is how many samples of the clip, whole frames, come before these: hops are counted from there."""
    skipped = -start % front_end.mel.hop_length
    filters = waveform.new_tensor(mel_filter_bank(front_end.mel))
    power = filters @ magnitudes(waveform[..., skipped:], front_end.mel).square()
    decibels = 10 * power.clamp_min(_POWER_FLOOR).log10().transpose(1, 2).unsqueeze(1)
    own = _framed(decibels, front_end, waveform.shape[-1] // front_end.frame_samples, skipped)
    axis = _axis(front_end, features)
    carried = _carried(own, front_end.centres, axis)
    return carried.masked_fill(carried.new_tensor(axis) >= front_end.mel.fmax, _FLOOR_DB)


def to_matched(levels_db: torch.Tensor, front_end: FrontEnd, features: Features) -> torch.Tensor:
    """The features of a model for a front end's levels in dB, both `[B, 1, T, bins]`.

    The density of power that each level says is carried to the model's filters by interpolation over mel. Below the
    lowest filter of the front end it is held; above the highest there is silence.
    """
    mel, axis = front_end.mel, _axis(front_end, features)
    weights = mel_filter_bank(mel).sum(axis=1, dtype=np.float64)
    flat = np.log(weights) + 2 * noise_level(mel.sample_rate, np.array(mel.n_fft))  # log power of a density of 1
    density = levels_db * (2 * _NEPERS_PER_DB) - levels_db.new_tensor(
        np.interp(hz_to_mel(axis), hz_to_mel(front_end.centres), flat)
    )
    matched = _carried(density, axis, features.centres) / 2 + levels_db.new_tensor(features.flat)
    unheard = levels_db.new_tensor(features.centres) >= mel.fmax
    return matched.clamp_min(features.floor).masked_fill(unheard, features.floor)


def _framed(hops: torch.Tensor, front_end: FrontEnd, count: int, skipped: int) -> torch.Tensor:
    """`[B, 1, hops, 64]`, the first hop `skipped` samples late, at the centres of `count` frames of 10 ms: linear."""
    centres = front_end.frame_samples * (np.arange(count) + 0.5)
    places = ((centres - skipped) / front_end.mel.hop_length - 0.5).clip(0, hops.shape[2] - 1)
    before = places.astype(int)
    share = hops.new_tensor(places - before)[:, None]
    return hops[:, :, before].lerp(hops[:, :, (before + 1).clip(max=hops.shape[2] - 1)], share)


def _axis(front_end: FrontEnd, features: Features) -> np.ndarray:
    """Hz, `[bins of the model]`, that levels stand for: the front end's own, if it has as many."""
    return front_end.centres if len(front_end.centres) == features.bins else features.centres


def _carried(values: torch.Tensor, given: np.ndarray, wanted: np.ndarray) -> torch.Tensor:
    """Values at some frequencies in Hz, on the last axis, at others: linear over mel, constant beyond the ends."""
    columns = [np.interp(hz_to_mel(wanted), hz_to_mel(given), unit) for unit in np.eye(len(given))]
    return values @ values.new_tensor(np.stack(columns))
