"""Sound from a log-mel of 64 bins without weights: by Griffin-Lim, or in tune by tones that explain the mel.

**Griffin-Lim** (1984; accelerated: Perraudin, Balazs, Søndergaard 2013) finds phases that a real signal can have for
the linear magnitudes that explain the mel. It starts from a spectrum that is smooth between the centres of the bins, 46
Hz apart. A long mel is done in blocks. A block begins with frames that the block before has settled; they keep their
phases, so that the two agree where they cross-fade.

**Tones** hold more of what a mel says: one tone shows in three or four bins, in proportions that tell its frequency.
(A network that sees the same mel in every frame makes the same frame every hop, so what is steady repeats with the hop:
HiFi-GAN plays notes at multiples of 100 Hz.) The mel is taken apart into tones of a fine grid, by multiplicative
updates of the Kullback-Leibler divergence (Lee & Seung 2001); between updates the amplitudes are averaged over time,
since notes last, and only the last updates follow every frame. These tones have bands, from which `synthesise_bands`
makes sound whose phases go on. Its spectrum is then multiplied by wanted over found mel, in a few rounds.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.band_synthesis import synthesise_bands
from noisebook.audio.bands import BAND_FLOOR, BANKS, PADDING, SAMPLE_RATE, band_filters
from noisebook.audio.features import MEL_FEATURES, amplified
from noisebook.audio.mel import LOG_FLOOR, MelConfig, log_mel, mel_filter_bank
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, pieces

_MEL = MelConfig()
ITERATIONS = 64  # of Griffin-Lim
_MOMENTUM = 0.99
_MAGNITUDE_UPDATES = 30
_BLOCK, _SHARED = 3000, 48  # mel frames: of a block, and of those that it shares with the one before
_FADE_FROM, _FADE_TO = 16, 40  # within the shared frames; the last of them are near an end and do not count

_TONES = np.concatenate([np.arange(24.0, 1500.0, 4.0), np.geomspace(1500.0, 7900.0, 180)])  # Hz
_UPDATES, _FOLLOWING = 200, 10  # all of them, and the last ones, without the average
_POWER = 1.7  # of an update: below 2 it converges, sooner than with 1
_AVERAGED = 12  # frames to either side
_ROUNDS, _MOST = 4, 1.4  # and the nepers by which one changes a bin
_TONE_BLOCK, _MARGIN = 2048, 64  # frames that are taken apart at a time, and seen beyond


def griffin_lim(mel: torch.Tensor, *, iterations: int = ITERATIONS) -> torch.Tensor:
    """`[B, 1, T, 64]` natural-log magnitudes -> `[B, T * hop_length]`; the same mel gives the same sound."""
    # The matched front end centres a frame between two hops and an inverse STFT on a hop: half a hop is cut from both
    # ends of what one more frame at either end gives.
    frames = F.pad(mel[:, 0].transpose(1, 2), (1, 1), mode="replicate")
    hop, count = _MEL.hop_length, frames.shape[2]
    sound, start, end = _block(frames[:, :, :_BLOCK], None, iterations), 0, min(_BLOCK, count)
    while end < count:
        start = end - _SHARED
        end = count if count - end < _BLOCK else start + _BLOCK
        later = _block(frames[:, :, start:end], sound[:, start * hop :], iterations)
        first, last = (start + _FADE_FROM) * hop, (start + _FADE_TO) * hop
        ramp = torch.linspace(0, 1, last - first, device=sound.device)
        faded = sound[:, first:last].lerp(later[:, _FADE_FROM * hop : _FADE_TO * hop], ramp)
        sound = torch.cat([sound[:, :first], faded, later[:, _FADE_TO * hop :]], dim=1)
    return sound[:, hop // 2 : hop // 2 + mel.shape[2] * hop]


def _block(log_mel: torch.Tensor, settled: torch.Tensor | None, iterations: int) -> torch.Tensor:
    """`[B, n_mels, T] -> [B, (T - 1) * hop_length]`; the first frames keep the spectra of the `settled` samples."""
    window = torch.hann_window(_MEL.n_fft, device=log_mel.device)

    def spectra(samples: torch.Tensor) -> torch.Tensor:
        return torch.stft(samples, _MEL.n_fft, _MEL.hop_length, window=window, return_complex=True)

    def sound(spectra: torch.Tensor) -> torch.Tensor:
        return torch.istft(spectra, _MEL.n_fft, _MEL.hop_length, window=window)

    magnitude = _magnitudes(log_mel)
    fixed = magnitude[:, :, :0] if settled is None else spectra(settled)[:, :, :_FADE_TO]
    estimate, before = _with(fixed, _started(magnitude, fixed)), torch.zeros_like(magnitude, dtype=torch.complex64)
    for _ in range(iterations):
        consistent = spectra(sound(estimate))
        ahead = consistent + _MOMENTUM * (consistent - before)
        estimate, before = _with(fixed, magnitude * ahead / ahead.abs().clamp_min(1e-12)), consistent
    return sound(estimate)


def _with(fixed: torch.Tensor, spectra: torch.Tensor) -> torch.Tensor:
    """Spectra whose first frames are the fixed ones."""
    return torch.cat([fixed, spectra[:, :, fixed.shape[2] :]], dim=2)


def _magnitudes(log_mel: torch.Tensor) -> torch.Tensor:
    """Non-negative `[B, n_fft // 2 + 1, T]` whose mel is the given one: multiplicative updates (Lee & Seung 2001)."""
    filters = log_mel.new_tensor(mel_filter_bank(_MEL))
    mel = (log_mel.exp() - torch.tensor(LOG_FLOOR).exp()).clamp_min(0)
    shares = filters / filters.sum(dim=0).clamp_min(1e-12)  # of the filters in each bin of the spectrum
    magnitude = shares.T @ (mel / filters.sum(dim=1)[:, None])
    gram = filters.T @ filters
    for _ in range(_MAGNITUDE_UPDATES):
        magnitude = magnitude * (filters.T @ mel) / (gram @ magnitude).clamp_min(1e-12)
    return magnitude


def _started(magnitude: torch.Tensor, fixed: torch.Tensor) -> torch.Tensor:
    """Phases to begin with: every bin a steady tone, of its own frequency or going on as the fixed frames end."""
    bins, frames = magnitude.shape[1:]
    steps = torch.arange(frames, device=magnitude.device)
    if not fixed.shape[2]:
        turn = 2 * torch.pi / _MEL.n_fft * (torch.arange(bins, device=magnitude.device) * _MEL.hop_length % _MEL.n_fft)
        return torch.polar(magnitude, (turn[:, None] * steps).expand_as(magnitude))
    last, before = fixed[:, :, -1].angle(), fixed[:, :, -2].angle()
    phase = last[:, :, None] + (last - before)[:, :, None] * (steps - fixed.shape[2] + 1)
    return torch.polar(magnitude, phase)


# ---------------------------------------------------------------- tones


def synthesise_mel(mel: torch.Tensor) -> torch.Tensor:
    """`[B, 1, T, 64]` natural-log magnitudes as `log_mel` makes them -> `[B, T * hop_length]`, on the CPU."""
    with torch.no_grad():
        bands = (tones_of(mel) @ _bands_of_tones(mel.device)).clamp_min(np.exp(BAND_FLOOR)).log()[:, None]
        high = [Waveform(sound[None].numpy(), SAMPLE_RATE) for sound in synthesise_bands(bands, rounds=0).cpu()]
        sound = torch.cat([torch.from_numpy(resample(one, _MEL.sample_rate).samples) for one in high])
        wanted = mel.cpu()
        for _ in range(_ROUNDS):
            missing = (wanted - log_mel(sound)).clamp(-_MOST, _MOST)
            sound = amplified(sound, missing, MEL_FEATURES)
        return sound


def tones_of(mel: torch.Tensor) -> torch.Tensor:
    """Amplitudes `[B, T, tones]` of steady tones that together have a mel `[B, 1, T, 64]`."""
    tones = [
        _explained((mel[:, 0, seen].exp() - np.exp(LOG_FLOOR)).clamp_min(1e-9))[:, kept]
        for seen, kept, _ in pieces(mel.shape[2], _TONE_BLOCK, _MARGIN)
    ]
    return torch.cat(tones, 1)


def _explained(mel: torch.Tensor) -> torch.Tensor:
    seen = _mel_of_tones(mel.device)
    total, width = seen.sum(1), 2 * _AVERAGED + 1
    tones = (0.01 * mel.mean(-1, keepdim=True)).expand(-1, -1, len(seen)).contiguous()
    for update in range(_UPDATES):
        tones = tones * ((mel / (tones @ seen).clamp_min(1e-9)) @ seen.T / total) ** _POWER
        if update < _UPDATES - _FOLLOWING:
            averaged = F.avg_pool1d(tones.transpose(1, 2), width, 1, _AVERAGED, count_include_pad=False)
            tones = averaged.transpose(1, 2)
    return tones


@lru_cache(maxsize=2)
def _mel_of_tones(device: torch.device) -> torch.Tensor:
    """`[tones, 64]`: the mel magnitudes of a tone of amplitude 1."""
    return _response(torch.from_numpy(mel_filter_bank(_MEL)).T, _MEL.n_fft, _MEL.sample_rate).to(device)


@lru_cache(maxsize=2)
def _bands_of_tones(device: torch.device) -> torch.Tensor:
    """`[tones, bands]`: the bands of a tone of amplitude 1."""
    cpu = torch.device("cpu")
    banks = [_response(band_filters(bank, cpu), bank.n_fft, SAMPLE_RATE, PADDING) for bank in BANKS]
    return torch.cat(banks, 1).to(device)


def _response(filters: torch.Tensor, size: int, sample_rate: int, padding: int = 1) -> torch.Tensor:
    """`[tones, count]`: magnitudes, through filters `[bins, count]` over a spectrum `padding` times as fine as that of
    `size` samples, of tones of amplitude 1 behind a Hann window."""
    hertz = np.arange(len(filters)) * sample_rate / (padding * size)
    bins = (hertz - _TONES[:, None]) * size / sample_rate
    lobes = size / 4 * np.abs(np.sinc(bins) + (np.sinc(bins - 1) + np.sinc(bins + 1)) / 2)
    return torch.from_numpy(lobes.astype(np.float32)) @ filters
