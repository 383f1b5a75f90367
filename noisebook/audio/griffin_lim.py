"""Sound from a log-mel without a network (Griffin & Lim 1984; accelerated: Perraudin, Balazs, Søndergaard 2013).

log-mel -> linear magnitudes that explain it -> phases that a real signal can have -> waveform

A long mel is done in blocks. A block begins with frames that the block before has settled; they keep their phases, so
that the two agree where they cross-fade.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from noisebook.audio.mel import LOG_FLOOR, MelConfig, mel_filter_bank

if TYPE_CHECKING:
    import torch

__all__ = ["ITERATIONS", "griffin_lim"]

ITERATIONS = 64
_MEL = MelConfig()
_MOMENTUM = 0.99
_UPDATES = 30  # of the magnitudes
_BLOCK, _SHARED = 3000, 48  # mel frames: of a block, and of those that it shares with the one before
_FADE_FROM, _FADE_TO = 16, 40  # within the shared frames; the last of them are near an end and do not count


def griffin_lim(mel: torch.Tensor, *, iterations: int = ITERATIONS) -> torch.Tensor:
    """`[B, 1, T, n_mels]` natural-log magnitudes -> `[B, T * hop_length]`; the same mel gives the same sound."""
    import torch.nn.functional as F

    # The matched front end centres a frame between two hops and an inverse STFT on a hop: half a hop is cut from both
    # ends of what one more frame at either end gives.
    frames = F.pad(mel[:, 0].transpose(1, 2), (1, 1), mode="replicate")
    hop, count = _MEL.hop_length, frames.shape[2]
    sound, start, end = _block(frames[:, :, :_BLOCK], None, iterations), 0, min(_BLOCK, count)
    while end < count:
        start = end - _SHARED
        end = count if count - end < _BLOCK else start + _BLOCK
        later = _block(frames[:, :, start:end], sound[:, start * hop :], iterations)
        sound = _cross_faded(sound, later, start * hop, hop)
    return sound[:, hop // 2 : hop // 2 + mel.shape[2] * hop]


def _block(log_mel: torch.Tensor, settled: torch.Tensor | None, iterations: int) -> torch.Tensor:
    """`[B, n_mels, T] -> [B, (T - 1) * hop_length]`; the first frames keep the spectra of the `settled` samples."""
    import torch

    window = torch.hann_window(_MEL.n_fft, device=log_mel.device)

    def spectra(samples: torch.Tensor) -> torch.Tensor:
        return torch.stft(samples, _MEL.n_fft, _MEL.hop_length, window=window, return_complex=True)

    def sound(spectra: torch.Tensor) -> torch.Tensor:
        return torch.istft(spectra, _MEL.n_fft, _MEL.hop_length, window=window)

    magnitude = _magnitudes(log_mel)
    fixed = None if settled is None else spectra(settled)[:, :, :_FADE_TO]
    estimate, before = _started(magnitude, fixed), torch.zeros_like(magnitude, dtype=torch.complex64)
    for _ in range(iterations):
        consistent = spectra(sound(estimate))
        ahead = consistent + _MOMENTUM * (consistent - before)
        estimate, before = _kept(magnitude * ahead / ahead.abs().clamp_min(1e-12), fixed), consistent
    return sound(estimate)


def _magnitudes(log_mel: torch.Tensor) -> torch.Tensor:
    """Non-negative `[B, n_fft // 2 + 1, T]` whose mel is the given one: multiplicative updates (Lee & Seung 2001)."""
    import torch

    filters = torch.from_numpy(mel_filter_bank(_MEL)).to(log_mel.device)
    mel = (log_mel.exp() - torch.tensor(LOG_FLOOR).exp()).clamp_min(0)
    shares = filters / filters.sum(dim=0).clamp_min(1e-12)  # of the filters in each bin of the spectrum
    magnitude = shares.T @ (mel / filters.sum(dim=1)[:, None])
    gram = filters.T @ filters
    for _ in range(_UPDATES):
        magnitude = magnitude * (filters.T @ mel) / (gram @ magnitude).clamp_min(1e-12)
    return magnitude


def _started(magnitude: torch.Tensor, fixed: torch.Tensor | None) -> torch.Tensor:
    """Phases to begin with: every bin a steady tone, of its own frequency or going on as the fixed frames end."""
    import torch

    bins, frames = magnitude.shape[1:]
    steps = torch.arange(frames, device=magnitude.device)
    if fixed is None:
        turn = 2 * torch.pi / _MEL.n_fft * (torch.arange(bins, device=magnitude.device) * _MEL.hop_length % _MEL.n_fft)
        return torch.polar(magnitude, (turn[:, None] * steps).expand_as(magnitude))
    last, before = fixed[:, :, -1].angle(), fixed[:, :, -2].angle()
    phase = last[:, :, None] + (last - before)[:, :, None] * (steps - fixed.shape[2] + 1)
    return _kept(torch.polar(magnitude, phase), fixed)


def _kept(spectra: torch.Tensor, fixed: torch.Tensor | None) -> torch.Tensor:
    import torch

    return spectra if fixed is None else torch.cat([fixed, spectra[:, :, fixed.shape[2] :]], dim=2)


def _cross_faded(sound: torch.Tensor, later: torch.Tensor, start: int, hop: int) -> torch.Tensor:
    """`sound` up to the shared frames after sample `start`, then `later`."""
    import torch

    first, last = _FADE_FROM * hop, _FADE_TO * hop
    ramp = torch.linspace(0, 1, last - first, device=sound.device)
    old, new = sound[:, start + first : start + last], later[:, first:last]
    return torch.cat([sound[:, : start + first], old + ramp * (new - old), later[:, last:]], dim=1)
