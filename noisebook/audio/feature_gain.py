"""A filter that changes with time, told in bins of features: how a sound gets other features and keeps its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

    from noisebook.audio.features import Features

__all__ = ["amplified"]

_BLOCK, _MARGIN = 4096, 8  # frames that are worked on at a time, and that are seen beyond


def amplified(samples: torch.Tensor, gain: torch.Tensor, features: Features) -> torch.Tensor:
    """Samples with a gain for each frame and bin.

    Args:
        samples: `[B, N]` at the rate of the features, N a multiple of their hop length.
        gain: `[B, 1, N / hop_length, bins]`, natural logarithm of the amplitude, 0 for none.
        features: whose bins they are.

    Returns:
        `[B, N]`. The gain of a frequency is interpolated between the bins on either side of it; of several banks those
        behind the shortest window count, which says best when something changes.
    """
    import torch

    hop, frames = features.hop_length, gain.shape[2]
    pieces = []
    for start in range(0, frames, _BLOCK):
        left, right = max(0, start - _MARGIN), min(frames, start + _BLOCK + _MARGIN)
        piece = _amplified(samples[:, left * hop : right * hop], gain[:, 0, left:right], features)
        pieces.append(piece[:, (start - left) * hop :][:, : _BLOCK * hop])
    return torch.cat(pieces, dim=1)


def _amplified(samples: torch.Tensor, gain: torch.Tensor, features: Features) -> torch.Tensor:
    import torch

    size, hop = int(features.windows.min()), features.hop_length
    window = torch.hann_window(size, device=samples.device)
    spectrum = torch.stft(samples, size, hop, window=window, pad_mode="constant", return_complex=True)
    # Frame t of the features is centred half a hop behind spectrum t: between two of them lies one spectrum.
    padded = torch.cat([gain[:, :1], gain, gain[:, -1:]], dim=1)
    between = (padded[:, 1:] + padded[:, :-1]) / 2  # [B, N / hop_length + 1, bins]
    bank = np.flatnonzero(features.windows == size)
    frequencies = np.linspace(0, features.sample_rate / 2, size // 2 + 1)
    shares = np.stack([np.interp(frequencies, features.centres[bank], unit) for unit in np.eye(len(bank))])
    gains = between[..., torch.from_numpy(bank)] @ torch.tensor(shares, dtype=gain.dtype, device=gain.device)
    return torch.istft(spectrum * gains.exp().transpose(1, 2), size, hop, window=window, length=samples.shape[1])
