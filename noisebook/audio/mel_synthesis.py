"""Sound from a mel of 64 bins, without weights and in tune: tones are found that explain it, and then sounded.

    mel --which tones have it?--> amplitudes --> bands --band_synthesis--> sound, 48 kHz --> 16 kHz --rounds--> sound

A network that sees the same mel in every frame makes the same frame every hop, so what stands still repeats with the
hop: HiFi-GAN plays notes at multiples of 100 Hz. Griffin-Lim starts from a spectrum that is smooth between the centres
of the bins, 46 Hz apart. A mel says more than that: one tone shows in three or four bins, in proportions that tell its
frequency. So the mel is taken apart into tones of a fine grid, by multiplicative updates of the Kullback-Leibler
divergence (Lee & Seung 2001); between updates the amplitudes are averaged over time, since notes last, and only the
last updates follow every frame. These tones have bands, from which `synthesise_bands` makes sound whose phases go on.
What is left to do is to give it the mel: in each of a few rounds its spectrum is multiplied by what is wanted over what
is found.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.audio.bands import BAND_FLOOR, BANDS, band_filters
from noisebook.audio.features import MEL_FEATURES, amplified
from noisebook.audio.mel import LOG_FLOOR, MelConfig, log_mel, mel_filter_bank
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform

__all__ = ["synthesise_mel", "tones_of"]

_MEL = MelConfig()
_TONES = np.concatenate([np.arange(24.0, 1500.0, 4.0), np.geomspace(1500.0, 7900.0, 180)])  # Hz
_UPDATES, _FOLLOWING = 200, 10  # all of them, and the last ones, without the average
_POWER = 1.7  # of an update: below 2 it converges, sooner than with 1
_AVERAGED = 12  # frames to either side
_ROUNDS, _MOST = 4, 1.4  # and the nepers by which one changes a bin
_BLOCK, _MARGIN = 2048, 64  # frames that are taken apart at a time, and seen beyond


def synthesise_mel(mel: torch.Tensor) -> torch.Tensor:
    """`[B, 1, T, 64]` natural-log magnitudes as `log_mel` makes them -> `[B, T * hop_length]`, on the CPU."""
    with torch.no_grad():
        bands = (tones_of(mel) @ _heard(mel.device)).clamp_min(np.exp(BAND_FLOOR)).log()[:, None]
        high = [Waveform(sound[None].numpy(), BANDS.sample_rate) for sound in synthesise_bands(bands, rounds=0).cpu()]
        sound = torch.cat([torch.from_numpy(resample(one, _MEL.sample_rate).samples) for one in high])
        wanted = mel.cpu()
        for _ in range(_ROUNDS):
            missing = (wanted - log_mel(sound)).clamp(-_MOST, _MOST)
            sound = amplified(sound, missing, MEL_FEATURES)
        return sound


def tones_of(mel: torch.Tensor) -> torch.Tensor:
    """Amplitudes `[B, T, tones]` of steady tones that together have a mel `[B, 1, T, 64]`."""
    pieces, count = [], mel.shape[2]
    for start in range(0, count, _BLOCK):
        first, last = max(0, start - _MARGIN), min(count, start + _BLOCK + _MARGIN)
        piece = _explained((mel[:, 0, first:last].exp() - np.exp(LOG_FLOOR)).clamp_min(1e-9))
        pieces.append(piece[:, start - first :][:, :_BLOCK])
    return torch.cat(pieces, 1)


def _explained(mel: torch.Tensor) -> torch.Tensor:
    seen = _seen(mel.device)
    total = seen.sum(1)
    tones = (0.01 * mel.mean(-1, keepdim=True)).expand(-1, -1, len(seen)).contiguous()
    for update in range(_UPDATES):
        tones = tones * ((mel / (tones @ seen).clamp_min(1e-9)) @ seen.T / total) ** _POWER
        if update < _UPDATES - _FOLLOWING:
            tones = F.avg_pool1d(
                tones.transpose(1, 2), 2 * _AVERAGED + 1, 1, _AVERAGED, count_include_pad=False
            ).transpose(1, 2)  # fmt: skip
    return tones


@lru_cache(maxsize=2)
def _seen(device: torch.device) -> torch.Tensor:
    """`[tones, 64]`: the mel magnitudes of a tone of amplitude 1."""
    filters = torch.from_numpy(mel_filter_bank(_MEL)).T
    return _response(filters, _MEL.n_fft, _MEL.sample_rate).to(device)


@lru_cache(maxsize=2)
def _heard(device: torch.device) -> torch.Tensor:
    """`[tones, bands]`: the bands of a tone of amplitude 1."""
    cpu, rate = torch.device("cpu"), BANDS.sample_rate
    banks = [_response(band_filters(bank, rate, cpu), bank.n_fft, rate, bank.padding) for bank in BANDS.banks]
    return torch.cat(banks, 1).to(device)


def _response(filters: torch.Tensor, size: int, sample_rate: int, padding: int = 1) -> torch.Tensor:
    """`[tones, count]`: magnitudes, through filters `[bins, count]` over a spectrum `padding` times as fine as that of
    `size` samples, of tones of amplitude 1 behind a Hann window."""
    hertz = np.arange(len(filters)) * sample_rate / (padding * size)
    bins = (hertz - _TONES[:, None]) * size / sample_rate
    lobes = size / 4 * np.abs(np.sinc(bins) + (np.sinc(bins - 1) + np.sinc(bins + 1)) / 2)
    return torch.from_numpy(lobes.astype(np.float32)) @ filters
