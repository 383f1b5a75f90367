"""The pitch of one voice, and whether there is one, as the fine bands show it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from noisebook.audio.bands import BAND_FLOOR, BANKS

_PITCHES = np.exp(np.arange(np.log(80.0), np.log(420.0), 0.01))  # Hz, candidates
_HIGHEST_HZ = 1440.0  # of a harmonic that counts
# Harmonics from so many Hz on say which pitch it is, and that there is a voice at a mean contrast of so many nepers
# (8 and 13 dB). Those from 700 Hz on must agree, since a bass and cymbals are no voice.
_ALL_HZ, _ALL = 200.0, (0.9, 1.5)
_UPPER_HZ, _UPPER = 700.0, (0.3, 0.7)
# Of a pitch: where there are harmonics if it is two, three or five times that of the voice.
_BETWEEN = (-1 / 2, -2 / 5, -1 / 3, 1 / 3, 2 / 5, 1 / 2)
_DEEP = 5.0  # nepers (43 dB) below the loudest band, beneath which nothing is looked at
_QUIET = BAND_FLOOR + 2.5


class Pitch(NamedTuple):
    """Of each frame, `[B, T, 1]`: the pitch in Hz, and its voicing: how surely its harmonics are there, 0 to 1."""

    hertz: torch.Tensor
    voicing: torch.Tensor


def find_pitch(fine: torch.Tensor) -> Pitch:
    """The pitch whose harmonics stand highest over what lies between them (a comb on log magnitudes, after Schroeder
    1968), of bands of the first bank, natural log, `[B, T, count]`. A pitch found at either end of the range, 80
    and 420 Hz, may lie beyond it: there the voicing is 0."""
    combs = _combs(fine.device)
    bands = torch.maximum(fine, (fine.amax(-1, keepdim=True) - _DEEP).clamp_min(_QUIET))
    contrast = bands @ combs[0]
    best, place = contrast.max(-1, keepdim=True)
    upper = (bands @ combs[1]).gather(-1, place)
    middle = place.clamp(1, len(_PITCHES) - 2)
    below, at, above = (contrast.gather(-1, middle + step) for step in (-1, 0, 1))
    between = (0.5 * (below - above) / (below - 2 * at + above).clamp_max(-1e-6)).clamp(-0.5, 0.5)  # of a parabola
    hertz = _PITCHES[0] * (_PITCHES[1] / _PITCHES[0]) ** (middle + between).double()
    return Pitch(hertz, _ramp(best, _ALL) * _ramp(upper, _UPPER) * (place == middle))


def _ramp(value: torch.Tensor, limits: tuple[float, float]) -> torch.Tensor:
    return ((value - limits[0]) / (limits[1] - limits[0])).clamp(0, 1)


@lru_cache(maxsize=2)
def _combs(device: torch.device) -> torch.Tensor:
    """`[2, count, pitches]`: weights of the bands whose sum is the mean contrast of a pitch's harmonics, of all and of
    the upper ones."""
    bands = np.arange(BANKS[0].count)

    def at(hertz: np.ndarray) -> np.ndarray:
        """`[count, n]`: weights that interpolate between the bands."""
        place = np.interp(hertz, BANKS[0].edges[1:-1], bands)
        return np.maximum(0, 1 - np.abs(place - bands[:, None]))

    def comb(pitch: float, lowest: float) -> np.ndarray:
        harmonics = pitch * np.arange(np.ceil(lowest / pitch), _HIGHEST_HZ // pitch + 1)
        return (at(harmonics) - np.mean([at(harmonics + share * pitch) for share in _BETWEEN], axis=0)).mean(1)

    combs = [np.stack([comb(pitch, lowest) for pitch in _PITCHES], 1) for lowest in (_ALL_HZ, _UPPER_HZ)]
    return torch.from_numpy(np.stack(combs)).float().to(device)
