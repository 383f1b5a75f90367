"""Bands-to-waveform network whose phases go on from frame to frame.

A feed-forward head makes the same frame every hop where the sound stands still, so that steady tones repeat with the
hop and sound at multiples of its rate. Here each bin of a frame has, beside its log-magnitude, a *turn* u (how the
phase goes on from the frame before, |u| says how surely) and an *anchor* d (what is known of the phase itself, as of
an onset):

    z_t = unit(u_t exp(i w_t hop) z_(t-1) + d_t)        spectrum_t = magnitude_t z_t

w_t is the frequency of the partial that the bin belongs to, which the bands tell without a network where they are fine:
the mode of their magnitudes that mean shift (Comaniciu & Meer 2002) reaches from the bin. Of a steady tone it is right
to two cents (tested); so the network only says what else a phase does. Where bands are coarse it is the bin's own.
Magnitudes begin in the same way as those of the bands around a bin, which a network of this size does not reach by
itself (docs/training.md), and the network adds to their logarithms.

So every bin is an oscillator whose phase is summed up, as in a phase vocoder (Flanagan & Golden 1966), and the turn
corrects its instantaneous frequency. The spectrum is put together by three inverse STFTs, of a long window below and of
a short one above, so that low notes are resolved and onsets are not smeared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from noisebook.audio.bands import BANDS, Bands, band_centres
from noisebook.networks.blocks import ResidualBlock, Taps
from noisebook.networks.configs import PhaseVocoderConfig

__all__ = ["PhaseVocoder", "PhaseVocoderConfig", "Spectrum"]

_SHIFTS = 6  # of the mean shift
_FADED = 0.93  # of the top of a bank: from there the next one takes over
_SOFTNESS = 1e-2  # of unit(): its gradient stays finite where a phase is unknown


@dataclass(frozen=True)
class Spectrum:
    """What is known of the bins of all heads, each `[B, T, bins]`: log-magnitude, complex turn beyond the advance of
    the bin's own frequency, and complex anchor."""

    log_magnitude: torch.Tensor
    turn: torch.Tensor
    anchor: torch.Tensor


class PhaseVocoder(nn.Module):
    """`[B, 1, T, bands] -> [B, hop_length * T]`; phases begin with the first frame that is given."""

    advance: torch.Tensor
    envelope: torch.Tensor
    centres: torch.Tensor
    spacing: torch.Tensor
    kernel: torch.Tensor
    fine: torch.Tensor
    fine_reach: torch.Tensor
    fine_bins: torch.Tensor

    def __init__(self, config: PhaseVocoderConfig) -> None:
        super().__init__()
        self.config = c = config
        self.heads = [_Head(*head, hop_length=c.hop_length, sample_rate=c.sample_rate) for head in c.heads]
        bins = sum(self._sizes)
        self.input = Taps(c.bands, c.dim)
        self.blocks = nn.Sequential(*(ResidualBlock(c.dim, c.hidden) for _ in range(c.blocks)))
        self.norm = nn.LayerNorm(c.dim)
        self.magnitude = nn.Linear(c.dim, bins)  # added to what the bands say
        self.turn = nn.Linear(c.dim, 2 * bins)
        self.anchor = nn.Linear(c.dim, 2 * bins)
        with torch.no_grad():  # at first the bands say everything
            self.magnitude.weight.zero_()
            self.magnitude.bias.zero_()
            self.turn.weight.mul_(0.1)
            self.turn.bias.copy_(torch.cat((torch.ones(bins), torch.zeros(bins))))
            self.anchor.weight.mul_(0.3)
        advance = np.concatenate([np.exp(2j * np.pi * head.turns) for head in self.heads])
        self.register_buffer("advance", torch.from_numpy(advance.astype(np.complex64)), persistent=False)
        self._register_partials()
        self.register_buffer("envelope", torch.from_numpy(_interpolation(self.bin_hertz[0])).float(), persistent=False)

    def _register_partials(self) -> None:
        """What `_partials` needs: the fine bands, and the bins that lie among them."""
        c = self.config
        centres = band_centres()[: c.low_bands]
        hertz = np.concatenate([head.hertz for head in self.heads])
        fine = np.flatnonzero((hertz >= centres[0]) & (hertz <= centres[-1]))
        kernel = np.exp(-0.5 * ((centres[:, None] - centres) / c.kernel_hz) ** 2)
        reach = np.concatenate([np.full(head.bins, 2 * c.sample_rate / head.n_fft) for head in self.heads])
        arrays = {"centres": centres, "spacing": np.gradient(centres), "kernel": kernel, "fine": hertz[fine],
                  "fine_reach": reach[fine]}  # fmt: skip
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(array).float(), persistent=False)
        self.register_buffer("fine_bins", torch.from_numpy(fine), persistent=False)

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        return self.synthesise(self.spectrum(bands))

    def spectrum(self, bands: torch.Tensor) -> Spectrum:
        """`[B, 1, T, bands]` -> the bins of each frame, those of the lowest head first."""
        c = self.config
        hidden = self.norm(self.blocks(self.input((bands[:, 0] - c.mean) / c.std)))
        turn, anchor = (torch.complex(*layer(hidden).float().chunk(2, -1)) for layer in (self.turn, self.anchor))
        with torch.autocast(bands.device.type, enabled=False):
            envelope = bands[:, 0].float() @ self.envelope
        magnitude = (envelope + self.magnitude(hidden).float()).clamp(max=1.0)
        return Spectrum(magnitude, turn * self._partials(bands), anchor)

    @torch.no_grad()
    def _partials(self, bands: torch.Tensor) -> torch.Tensor:
        """How far the partial at each bin turns beyond the bin's own frequency in one hop: complex `[B, T, bins]`."""
        low = (self.config.sharpness * bands[:, 0, :, : self.config.low_bands].float()).exp() * self.spacing
        with torch.autocast(bands.device.type, enabled=False):  # bfloat16 does not tell one Hz from the next
            mode = ((low * self.centres) @ self.kernel) / (low @ self.kernel + 1e-30)  # from each band's centre
        start = self.fine.expand(*mode.shape[:2], -1)
        hertz = start
        for _ in range(_SHIFTS):
            below = (torch.searchsorted(self.centres, hertz.contiguous()) - 1).clamp(0, len(self.centres) - 2)
            left, right = self.centres[below], self.centres[below + 1]
            share = ((hertz - left) / (right - left)).clamp(0, 1)
            hertz = torch.lerp(mode.gather(-1, below), mode.gather(-1, below + 1), share)
        beyond = hertz - start
        beyond = torch.where(beyond.abs() < self.fine_reach, beyond, 0.0)  # the main lobe of another partial
        angle = 2 * torch.pi * self.config.hop_length / self.config.sample_rate * beyond
        known = torch.polar(torch.ones_like(angle), angle)
        return torch.ones(*known.shape[:2], sum(self._sizes), dtype=known.dtype, device=known.device).index_copy_(
            -1, self.fine_bins, known
        )

    def synthesise(self, spectrum: Spectrum) -> torch.Tensor:
        """The sum of what the heads make of `[B, T, bins]`: `[B, hop_length * T]`."""
        bins = spectrum.log_magnitude.exp() * self.phases(spectrum)
        total: torch.Tensor = sum(  # type: ignore[assignment]
            head.inverse(part) for head, part in zip(self.heads, bins.split(self._sizes, -1), strict=True)
        )
        return total

    def phases(self, spectrum: Spectrum) -> torch.Tensor:
        """Unit phases z `[B, T, bins]`. No gradient flows through the frame before, where chaos makes it useless."""
        turn = spectrum.turn * self.advance
        with torch.no_grad():
            z = torch.zeros_like(spectrum.anchor[:, 0])
            before = []
            for t in range(turn.shape[1]):
                before.append(z)
                z = _unit(turn[:, t] * z + spectrum.anchor[:, t])
        return _unit(turn * torch.stack(before, 1) + spectrum.anchor)

    def analyse(self, waveform: torch.Tensor) -> torch.Tensor:
        """The bins of `[B, hop_length * T]` as the heads put them together: complex `[B, T, bins]`, where a sine of
        amplitude 1 has a peak of 1."""
        return torch.cat([head.analyse(waveform) * (4 / head.n_fft) for head in self.heads], -1)

    @property
    def bin_hertz(self) -> np.ndarray:
        """Frequency and width of each bin, `[2, bins]`."""
        widths = [np.full(head.bins, self.config.sample_rate / head.n_fft) for head in self.heads]
        return np.stack((np.concatenate([head.hertz for head in self.heads]), np.concatenate(widths)))

    @property
    def _sizes(self) -> list[int]:
        return [head.bins for head in self.heads]


class _Head:
    """One inverse STFT, for the frequencies between two fades."""

    def __init__(self, n_fft: int, low: float, high: float, fade: float, *, hop_length: int, sample_rate: int) -> None:
        self.n_fft, self.hop_length = n_fft, hop_length
        hz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
        share = _risen(hz, low, fade) - (_risen(hz, high, fade) if high < sample_rate / 2 else 0)
        used = np.flatnonzero(share > 0)
        self.first, self.bins = int(used[0]), len(used)
        self.hertz = hz[used]
        self.turns = used * hop_length / n_fft % 1  # of each bin's frequency in one hop
        # A sine of amplitude 1 has a peak of n_fft / 4 behind a Hann window: magnitudes are told in its terms.
        gain = torch.from_numpy((share[used] * n_fft / 4).astype(np.float32))
        self._constants = {torch.device("cpu"): (gain, torch.hann_window(n_fft))}  # on each device that asked for them

    def _on(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Gain of each bin, and window."""
        if device not in self._constants:
            gain, window = self._constants[torch.device("cpu")]
            self._constants[device] = gain.to(device), window.to(device)
        return self._constants[device]

    def inverse(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Complex `[B, T, bins]` -> `[B, hop_length * T]`: windowed overlap-add over the windows' power."""
        above = self.n_fft // 2 + 1 - self.first - self.bins
        gain, window = self._on(spectrum.device)
        padded = F.pad(spectrum * gain, (self.first, above))
        frames = torch.fft.irfft(padded, n=self.n_fft) * window
        power = window.square().expand(1, spectrum.shape[1], -1)
        return self._overlap_add(frames) / self._overlap_add(power).clamp_min(1e-2)

    def analyse(self, waveform: torch.Tensor) -> torch.Tensor:
        """`[B, hop_length * T]` -> complex `[B, T, bins]`, framed as the synthesis is."""
        pad, (_, window) = (self.n_fft - self.hop_length) // 2, self._on(waveform.device)
        padded = F.pad(waveform, (pad, self.n_fft - self.hop_length - pad))
        spectrum = torch.stft(padded, self.n_fft, self.hop_length, window=window, center=False, return_complex=True)
        return spectrum[:, self.first : self.first + self.bins].transpose(1, 2)

    def _overlap_add(self, frames: torch.Tensor) -> torch.Tensor:
        pad, count = (self.n_fft - self.hop_length) // 2, frames.shape[1]
        length = (count - 1) * self.hop_length + self.n_fft
        folded = F.fold(frames.transpose(1, 2), (1, length), (1, self.n_fft), stride=(1, self.hop_length))
        return folded[:, 0, 0, pad : pad + count * self.hop_length]


def _interpolation(hertz: np.ndarray, bands: Bands = BANDS) -> np.ndarray:
    """`[bands, bins]`: weights of the bands around each frequency, linear between their centres; of the first bank that
    reaches there, which fades into the next at its top."""
    centres, starts = band_centres(bands), np.cumsum([0, *(bank.count for bank in bands.banks)])
    weights, share = np.zeros((bands.count, len(hertz))), np.ones(len(hertz))
    for bank, start, end in zip(bands.banks, starts, starts[1:], strict=False):
        own = centres[start:end]
        fade = np.clip((hertz / own[-1] - _FADED) / (1 - _FADED), 0, 1) if end < len(centres) else 0.0
        weights[start:end] = [share * (1 - fade) * np.interp(hertz, own, row) for row in np.eye(bank.count)]
        share = share * fade
    return weights


def _unit(z: torch.Tensor) -> torch.Tensor:
    return z * torch.rsqrt(z.real.square() + z.imag.square() + _SOFTNESS)


def _risen(hz: np.ndarray, middle: float, width: float) -> np.ndarray:
    """A raised cosine from 0 to 1 over `width` Hz around `middle`; all 1 for a middle of 0."""
    if middle == 0:
        return np.ones_like(hz)
    return 0.5 - 0.5 * np.cos(np.pi * np.clip((hz - middle) / width + 0.5, 0, 1))
