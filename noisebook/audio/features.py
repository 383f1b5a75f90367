"""The front ends of the models: log magnitudes of triangular filters (`mel`, `bands`) with what can be said of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from noisebook.audio.bands import BAND_FLOOR, BANKS, HOP_LENGTH, SAMPLE_RATE, log_bands
from noisebook.audio.mel import LOG_FLOOR, MelConfig, log_mel, mel_edges, mel_filter_bank, noise_level
from noisebook.audio.waveform import pieces

if TYPE_CHECKING:
    import torch

_BLOCK, _MARGIN = 4096, 8  # frames that `amplified` works on at a time, and sees beyond


@dataclass(frozen=True, eq=False)
class Features:
    """A front end: `N` samples to `[B, 1, N / hop_length, bins]`, natural-log magnitudes.

    Frame t is centred on sample `(t + 1/2) * hop_length`, behind a Hann window.

    Attributes:
        sample_rate: Hz.
        hop_length: samples to a frame.
        floor: the value of silence.
        edges: Hz, `[bins, 3]`: where the filter of each bin begins, peaks and ends. Several banks may cover the same
            frequencies, one after the other.
        windows: samples of the window behind each bin, `[bins]`.
        flat: the value, `[bins]`, of noise with a power of 1 in each Hz.
        analyse: `[B, N]`, or `[B, 2, N]` of left and right, to the features of their power mean.
        vocodes: the vocoder of the models with these features has no network.
    """

    sample_rate: int
    hop_length: int
    floor: float
    edges: np.ndarray
    windows: np.ndarray
    flat: np.ndarray
    analyse: Callable[[torch.Tensor], torch.Tensor]
    vocodes: bool

    @property
    def centres(self) -> np.ndarray:
        """Hz, `[bins]`."""
        return self.edges[:, 1]

    @property
    def bins(self) -> int:
        """Of all banks."""
        return len(self.edges)


def _mel_features() -> Features:
    mel = MelConfig()
    windows = np.full(mel.n_mels, mel.n_fft)
    flat = noise_level(mel.sample_rate, windows) + np.log(mel_filter_bank(mel).sum(axis=1, dtype=np.float64))
    return Features(mel.sample_rate, mel.hop_length, LOG_FLOOR, mel_edges(mel), windows, flat, log_mel, vocodes=False)


def _band_features() -> Features:
    edges = np.concatenate([np.lib.stride_tricks.sliding_window_view(bank.edges, 3) for bank in BANKS])
    windows = np.concatenate([np.full(bank.count, bank.n_fft) for bank in BANKS])
    flat = noise_level(SAMPLE_RATE, windows) + np.log(4 / windows)  # a sine of amplitude 1 has a peak of 1
    return Features(SAMPLE_RATE, HOP_LENGTH, BAND_FLOOR, edges, windows, flat, log_bands, vocodes=True)


MEL_FEATURES = _mel_features()
BAND_FEATURES = _band_features()


def amplified(samples: torch.Tensor, gain: torch.Tensor, features: Features) -> torch.Tensor:
    """Samples `[B, N]` through a filter that changes with time, given by a gain for each frame and bin of the features:
    `[B, 1, N / hop_length, bins]`, natural logarithms of the amplitude. Phases stay.

    The gain of a frequency is interpolated between the bins on either side of it; of several banks those behind the
    shortest window count, which say best when something changes.
    """
    import torch

    hop, done = features.hop_length, []
    for seen, kept, _ in pieces(gain.shape[2], _BLOCK, _MARGIN):
        piece = _amplified(samples[:, seen.start * hop : seen.stop * hop], gain[:, 0, seen], features)
        done.append(piece[:, kept.start * hop : kept.stop * hop])
    return torch.cat(done, dim=1)


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
    gains = between[..., bank] @ gain.new_tensor(shares)
    return torch.istft(spectrum * gains.exp().transpose(1, 2), size, hop, window=window, length=samples.shape[1])
