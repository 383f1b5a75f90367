"""A filter that changes with time, told in mel bins: how a sound gets another mel and keeps its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noisebook.audio.mel import MelConfig, mel_filter_bank

if TYPE_CHECKING:
    import torch

__all__ = ["amplified"]

_MEL = MelConfig()
_BLOCK, _MARGIN = 4096, 8  # mel frames that are worked on at a time, and that are seen beyond


def amplified(samples: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    """Samples with a gain for each mel frame and bin.

    Args:
        samples: `[B, N]`, N a multiple of the hop length.
        gain: `[B, 1, N / hop_length, n_mels]`, natural logarithm of the amplitude, 0 for none.

    Returns:
        `[B, N]`. A frequency has the mean of the gains of the filters that it lies in, weighted by them.
    """
    import torch

    hop, frames = _MEL.hop_length, gain.shape[2]
    pieces = []
    for start in range(0, frames, _BLOCK):
        left, right = max(0, start - _MARGIN), min(frames, start + _BLOCK + _MARGIN)
        piece = _amplified(samples[:, left * hop : right * hop], gain[:, 0, left:right])
        pieces.append(piece[:, (start - left) * hop :][:, : _BLOCK * hop])
    return torch.cat(pieces, dim=1)


def _amplified(samples: torch.Tensor, gain: torch.Tensor) -> torch.Tensor:
    import torch

    window = torch.hann_window(_MEL.n_fft, device=samples.device)
    size, hop = _MEL.n_fft, _MEL.hop_length
    spectrum = torch.stft(samples, size, hop, window=window, pad_mode="constant", return_complex=True)
    # Mel frame t is centred half a hop behind the spectrum t: between two mel frames lies one spectrum.
    padded = torch.cat([gain[:, :1], gain, gain[:, -1:]], dim=1)
    between = (padded[:, 1:] + padded[:, :-1]) / 2  # [B, N / hop_length + 1, n_mels]
    filters = torch.from_numpy(mel_filter_bank(_MEL)).to(samples.device)
    shares = filters / filters.sum(0, keepdim=True).clamp_min(1e-9)
    return torch.istft(spectrum * (between @ shares).exp().transpose(1, 2), size, hop, window=window,
                       length=samples.shape[1])  # fmt: skip
