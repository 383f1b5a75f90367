"""Losses of sound at 48 kHz: how far spectra are apart, and how phases go on."""

from __future__ import annotations

from functools import lru_cache

import torch

from noisebook.networks.phase_vocoder import PhaseVocoder, Spectrum

__all__ = ["RESOLUTIONS", "anchor_cost", "magnitude_loss", "spectral_loss", "turn_loss"]

RESOLUTIONS = (512, 1024, 2048, 4096, 8192)  # samples: 11 ms for onsets to 171 ms for low chords
_FLOOR = 1e-5  # of magnitudes, where a sine of amplitude 1 has 1
_SURENESS = 4.0  # concentration of the von Mises distribution to |turn|


def spectral_loss(made: torch.Tensor, real: torch.Tensor, sizes: tuple[int, ...] = RESOLUTIONS) -> torch.Tensor:
    """Log-magnitude distance and spectral convergence (Yamamoto et al. 2020) of `[B, N]`, every ERB counting alike."""
    total = made.new_zeros(())
    for size in sizes:
        weight = _erb_weights(size, made.device)
        a, b = _magnitudes(made, size), _magnitudes(real, size)
        logarithmic = (a.clamp_min(_FLOOR).log() - b.clamp_min(_FLOOR).log()).abs().mean((0, 2)) @ weight
        convergence = ((a - b).abs().mean(2) @ weight) / (b.mean(2) @ weight + 1e-4)
        total = total + logarithmic + 0.5 * convergence.mean()
    return total / len(sizes)


def magnitude_loss(spectrum: Spectrum, real: torch.Tensor, vocoder: PhaseVocoder) -> torch.Tensor:
    """L1 of the log-magnitudes of the bins themselves, every ERB counting alike, faint bins less: with these and with
    phases that go on as they should, a steady sound is what it was."""
    with torch.no_grad():
        true = vocoder.analyse(real).abs().clamp_min(_FLOOR)
        heard = (1 + true.log10() / 4).clamp(0.05, 1) * _bin_weights(vocoder, real.device)
    return ((spectrum.log_magnitude - true.log()).abs() * heard).mean()


def turn_loss(spectrum: Spectrum, real: torch.Tensor, vocoder: PhaseVocoder) -> torch.Tensor:
    """How surprising the true advance of the phases of `real [B, N]` is: -log of the von Mises density of direction
    `turn` and concentration `4 |turn|`, up to a constant, weighted by the root of the magnitude."""
    with torch.no_grad():
        true = vocoder.analyse(real)
        advance = true[:, 1:] * true[:, :-1].conj() * vocoder.advance.conj()
        size = advance.abs()
        weight = size.sqrt() / (size.sqrt().mean((1, 2), keepdim=True) + 1e-4)
        advance = advance / (size + 1e-9)
    turn = spectrum.turn[:, 1:]
    concentration = _SURENESS * (turn.abs() + 1e-4)
    along = _SURENESS * (turn.real * advance.real + turn.imag * advance.imag)
    surprise = torch.special.i0e(concentration).log() + concentration - along
    return (weight * surprise).mean()


def anchor_cost(spectrum: Spectrum) -> torch.Tensor:
    """Mean |anchor|^2 weighted by magnitude: an anchor where no onset is breaks a steady phase."""
    magnitude = spectrum.log_magnitude.exp()
    power = spectrum.anchor.real.square() + spectrum.anchor.imag.square()
    return (magnitude * power).mean() / magnitude.mean()


def _magnitudes(waveform: torch.Tensor, size: int) -> torch.Tensor:
    """`[B, bins, T]`, 1 at the peak of a sine of amplitude 1."""
    window = torch.hann_window(size, device=waveform.device)
    spectrum = torch.stft(waveform, size, size // 4, window=window, return_complex=True)
    return spectrum.abs() * (4 / size)


@lru_cache(maxsize=16)
def _erb_weights(size: int, device: torch.device, sample_rate: int = 48_000) -> torch.Tensor:
    """`[bins]` of sum 1, by the density of the ERB-rate scale (Glasberg & Moore 1990); kept on the device."""
    hz = torch.arange(size // 2 + 1) * sample_rate / size
    density = 1 / (1 + 0.00437 * hz)
    density[hz < 25] = 0
    return (density / density.sum()).to(device)


@lru_cache(maxsize=4)
def _bin_weights(vocoder: PhaseVocoder, device: torch.device) -> torch.Tensor:
    """`[bins]` of mean 1: how many ERBs each bin is wide."""
    hertz, width = vocoder.bin_hertz
    weight = width / (1 + 0.00437 * hertz)
    return torch.from_numpy(weight / weight.mean()).float().to(device)
