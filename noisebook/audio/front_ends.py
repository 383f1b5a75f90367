"""Study front ends: mel spectrograms that an AudioLDM VAE was not trained on, and the way back from each.

samples --levels--> power mel in dB --Mapping.features--> what the autoencoder is given
matched log-mel <--to_matched-- power mel in dB <--Mapping.levels-- what the autoencoder gives back

Their normalisation and their decibels are undone exactly, except for what was clipped. From power to magnitude, and
from one set of filters to another, the way back is exact for a spectrum that is flat within a filter and changes
log-linearly from filter to filter. All of them are framed as the matched front end is (frame t is centred 10 ms * t +
5 ms), so that only scale and frequency axis differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.mel import LOG_FLOOR, MelConfig, hz_to_mel, magnitudes, mel_edges, mel_filter_bank
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["FRONT_ENDS", "MATCHED", "FrontEnd", "Mapping", "by_name", "levels", "to_matched"]

MATCHED = "matched"
_POWER_FLOOR = 1e-10  # -100 dB
_NEPERS_PER_DB = log(10) / 20


@dataclass(frozen=True)
class FrontEnd:
    """One way of turning sound into `[B, 1, T, 64]` numbers.

    Attributes:
        name: for options and reports.
        mel: rate, window, filters; a hop is 10 ms.
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

    def mapping(self, clip_levels: torch.Tensor) -> Mapping:
        """The scale of features for a clip with these levels, all of it: `[B, 1, T, 64]` dB."""
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
# that comes with AudioLDM 2 (Slaney filters, power, decibels from full scale).
FRONT_ENDS = (
    FrontEnd("db-minmax", MelConfig(), top_db=80, unit_db=None),
    FrontEnd("db20", MelConfig(), top_db=80, unit_db=20, clip=True),
    FrontEnd("clap", _CLAP, relative=False),
    FrontEnd("clap-wide", _WIDE, top_db=120, relative=False),
    FrontEnd("mel-db", MelConfig(48000, 1200, 480, 64, 50.0, 24000.0), top_db=80, unit_db=40, middle_db=-40),
    FrontEnd("mel-db-wide", _WIDE, top_db=120, unit_db=60, middle_db=-60),
)


def by_name(name: str) -> FrontEnd:
    """The study front end of that name.

    Raises:
        ConfigError: there is none.
    """
    for front_end in FRONT_ENDS:
        if front_end.name == name:
            return front_end
    names = ", ".join(front_end.name for front_end in FRONT_ENDS)
    raise ConfigError(f"front end {name!r}: there are {MATCHED} and {names}")


def levels(waveform: torch.Tensor, front_end: FrontEnd) -> torch.Tensor:
    """Power mel spectrogram in dB, not below -100: `[B, N]` or `[B, 2, N]` at its rate -> `[B, 1, T, 64]`."""
    import torch

    filters = torch.from_numpy(mel_filter_bank(front_end.mel)).to(waveform.device)
    power = filters @ magnitudes(waveform, front_end.mel).square()
    return 10 * power.clamp_min(_POWER_FLOOR).log10().transpose(1, 2).unsqueeze(1)


def to_matched(levels_db: torch.Tensor, front_end: FrontEnd) -> torch.Tensor:
    """The matched natural-log magnitude mel for a front end's power mel in dB, both `[B, 1, T, 64]`.

    Each filter's mean power is carried to the matched filters by interpolation over mel, and scaled by the energy of
    the two analysis windows. Below the lowest filter of the front end its level is held.
    """
    import torch

    own, matched = front_end.mel, MelConfig()
    to_power = -np.log(_weights(own)) + np.log(matched.sample_rate * matched.n_fft / (own.sample_rate * own.n_fft))
    log_power = levels_db * (2 * _NEPERS_PER_DB) + torch.tensor(to_power, dtype=torch.float32, device=levels_db.device)
    carried = log_power @ torch.from_numpy(_interpolation(own, matched)).to(levels_db.device)
    log_weights = torch.tensor(np.log(_weights(matched)), dtype=torch.float32, device=levels_db.device)
    return (carried / 2 + log_weights).clamp_min(LOG_FLOOR)


def _weights(config: MelConfig) -> np.ndarray:
    """Sum of each filter, `[n_mels]`: what it makes of a flat spectrum of 1."""
    return mel_filter_bank(config).sum(axis=1, dtype=np.float64)


def _interpolation(own: MelConfig, matched: MelConfig) -> np.ndarray:
    """`[own bins, matched bins]` float32: linear interpolation between centres, constant beyond them."""
    at, given = (hz_to_mel(mel_edges(config)[:, 1]) for config in (matched, own))
    columns = [np.interp(at, given, unit) for unit in np.eye(own.n_mels)]
    return np.stack(columns).astype(np.float32)
