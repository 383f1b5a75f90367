"""The training-matched log-mel front end of an AudioLDM VAE.

HiFi-GAN framing (Kong et al. 2020) as AudioLDM (Liu et al. 2023) was trained with it: reflect padding of
`(n_fft - hop_length) / 2` samples, no centring, magnitude spectrum, Slaney mel filters, natural logarithm of
`max(., 1e-5)`. `N` samples give exactly `N // hop_length` frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING

import numpy as np

from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

_CLAMP = 1e-5
LOG_FLOOR = log(_CLAMP)  # the value of silence, -11.513


@dataclass(frozen=True)
class MelConfig:
    """Geometry of the mel front end; the defaults are AudioLDM's. Frequencies in Hz, lengths in samples."""

    sample_rate: int = 16000
    n_fft: int = 1024
    hop_length: int = 160
    n_mels: int = 64
    fmin: float = 0.0
    fmax: float = 8000.0


def log_mel(waveform: torch.Tensor, config: MelConfig = MelConfig()) -> torch.Tensor:
    """Natural-log magnitude mel spectrogram: `[B, N]` -> `[B, 1, N // hop_length, n_mels]`, values >= `LOG_FLOOR`.

    N is a positive multiple of `hop_length`; `[B, 2, N]` are left and right, whose mel is that of their power mean.
    ConfigError for fewer samples than the reflect padding needs: extend the waveform with silence.
    """
    mel = waveform.new_tensor(mel_filter_bank(config)) @ magnitudes(waveform, config)
    return mel.clamp_min(_CLAMP).log().transpose(1, 2).unsqueeze(1)


def magnitudes(waveform: torch.Tensor, config: MelConfig = MelConfig()) -> torch.Tensor:
    """The spectra behind `log_mel`: `[B, N] -> [B, n_fft // 2 + 1, N // hop_length]`.

    Of left and right, `[B, 2, N]`, the power mean `sqrt((|L|^2 + |R|^2) / 2)`, in which nothing cancels. Errors as of
    `log_mel`.
    """
    import torch
    import torch.nn.functional as F

    pad = (config.n_fft - config.hop_length) // 2
    if waveform.shape[-1] <= pad:
        raise ConfigError(f"{waveform.shape[-1]} samples are too few: reflection needs more than {pad}")
    sides = waveform.flatten(0, -2)
    padded = F.pad(sides[:, None], (pad, pad), mode="reflect")[:, 0]
    window = torch.hann_window(config.n_fft, device=waveform.device)
    spectrum = torch.stft(padded, config.n_fft, config.hop_length, window=window, center=False, return_complex=True)
    if waveform.dim() == 3:
        return spectrum.abs().unflatten(0, waveform.shape[:2]).square().mean(1).sqrt()
    return spectrum.abs()


@lru_cache(maxsize=8)
def mel_filter_bank(config: MelConfig) -> np.ndarray:
    """Slaney-scale, area-normalised triangular filters, `[n_mels, n_fft // 2 + 1]` float32 (Slaney 1998)."""
    bins = np.linspace(0, config.sample_rate / 2, config.n_fft // 2 + 1)
    low, centre, high = mel_edges(config).T[:, :, None]
    triangles = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return (triangles * (2 / (high - low))).astype(np.float32)


def mel_edges(config: MelConfig) -> np.ndarray:
    """Hz, `[n_mels, 3]`: where each filter begins, peaks and ends; evenly spaced in mel."""
    low, high = hz_to_mel(np.array([config.fmin, config.fmax]))
    mel = np.linspace(low, high, config.n_mels + 2)
    linear = mel * _BREAK_HZ / _BREAK_MEL
    edges = np.where(mel < _BREAK_MEL, linear, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
    return np.lib.stride_tricks.sliding_window_view(edges, 3).copy()


def noise_level(sample_rate: int, windows: np.ndarray) -> np.ndarray:
    """Natural-log magnitude of a spectrum behind Hann windows of so many samples, for noise with a power of 1 in each
    Hz."""
    return np.log(sample_rate / 2 * 3 / 8 * windows) / 2


# Slaney's scale: linear below 1 kHz (15 mel), logarithmic above with 27 mel to a factor of 6.4.
_BREAK_HZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Slaney's mel of frequencies in Hz, elementwise."""
    linear = hz * _BREAK_MEL / _BREAK_HZ
    return np.where(hz < _BREAK_HZ, linear, _BREAK_MEL + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP)
