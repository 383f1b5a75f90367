"""What an error of a band is worth to the ear: weights for the loss of a training, and for the aim of an encoder."""

from __future__ import annotations

from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.bands import BANKS
from noisebook.audio.features import BAND_FEATURES

if TYPE_CHECKING:
    import torch

NEPER_DB = 20 / log(10)  # features are natural logarithms
_MASKED_DB, _LEAST = 45.0, 0.15  # at so many dB below its surroundings a band counts so much
_AROUND = (7, 25)  # frames and bands: what surrounds it
_BESIDE = 9  # bands, of which a partial stands out
_PROMINENT_DB, _MOST_DB = 10.0, 40.0  # so far out a band counts once more, and up to so far
_HIGH_HZ, _HIGH_WEIGHT = 8000.0, 0.4
_SPOKEN_HZ, _SPOKEN_WEIGHT = 4000.0, 2.0  # bands of the short window below: what is said stands in their envelopes


def hearing_weights(bands: torch.Tensor, prominent: float = 0.0) -> torch.Tensor:
    """What an error of each value of `bands [B, 1, T, F]` counts, shaped alike.

    It counts less above 8 kHz, and where a band is far below what surrounds it, which masks it; more below 4 kHz, where
    speech has its formants; and `1 + prominent` times where a band stands 10 dB out of those beside it, as a partial
    does.
    """
    import torch.nn.functional as F

    around = F.max_pool2d(bands, _AROUND, 1, tuple(n // 2 for n in _AROUND))
    audible = (1 - NEPER_DB * (around - bands) / _MASKED_DB * (1 - _LEAST)).clamp_min(_LEAST)
    if prominent:
        audible = audible * (1 + prominent * prominence(bands).clamp(0, _MOST_DB) / _PROMINENT_DB)
    return audible * band_weights(bands.device)


def prominence(bands: torch.Tensor) -> torch.Tensor:
    """How many dB each value of `bands [B, 1, T, F]` stands over the mean of the nine bands around it, shaped alike."""
    import torch.nn.functional as F

    return NEPER_DB * (bands - F.avg_pool2d(bands, (1, _BESIDE), 1, (0, _BESIDE // 2), count_include_pad=False))


@lru_cache(maxsize=4)
def band_weights(device: torch.device) -> torch.Tensor:
    """What an error of each band counts, masking aside: `[F]` of mean 1."""
    import torch

    hertz = BAND_FEATURES.centres
    short = np.arange(len(hertz)) >= BANKS[0].count
    weights = np.where(hertz > _HIGH_HZ, _HIGH_WEIGHT, np.where(short & (hertz < _SPOKEN_HZ), _SPOKEN_WEIGHT, 1.0))
    return torch.from_numpy(weights / weights.mean()).float().to(device)
