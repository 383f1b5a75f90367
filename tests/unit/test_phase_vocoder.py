"""The head of the phase vocoder: what is steady stays in tune, and the three inverse STFTs are one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook.audio.bands import log_bands
from noisebook.networks.phase_vocoder import PhaseVocoder, PhaseVocoderConfig, Spectrum

SMALL = PhaseVocoderConfig(dim=8, hidden=8, blocks=1)


@pytest.fixture(scope="module")
def vocoder() -> PhaseVocoder:
    torch.manual_seed(0)
    return PhaseVocoder(SMALL).eval()


def test_the_heads_share_every_frequency(vocoder: PhaseVocoder) -> None:
    sound = torch.randn(2, 480 * 40, generator=torch.Generator().manual_seed(0))
    back = sum(head.inverse(head.analyse(sound) * (4 / head.n_fft)) for head in vocoder.heads)
    inside = slice(4800, -4800)
    error = (back - sound)[:, inside].square().mean() / sound.square().mean()
    assert error < 1e-3  # where they fade, windows of two lengths are not quite complementary


@pytest.mark.parametrize("hertz", [55.0, 82.41, 437.0, 1234.0, 3017.0, 9001.0])
def test_a_turn_carries_a_tone_that_no_multiple_of_the_frame_rate_is(vocoder: PhaseVocoder, hertz: float) -> None:
    """One anchor at the beginning, then the same turn in every frame: as a network says it of a steady tone."""
    frames = 200
    time = torch.arange(480 * frames, dtype=torch.float64) / 48_000
    true = vocoder.analyse(torch.sin(2 * torch.pi * hertz * time).float()[None])
    steady = true[:, frames // 2 : frames // 2 + 1].expand(-1, frames, -1)
    turn = torch.polar(torch.ones(()), torch.tensor(2 * np.pi * hertz * 480 / 48_000)).to(torch.complex64)
    anchor = torch.zeros(1, frames, steady.shape[-1], dtype=torch.complex64)
    anchor[:, 0] = 20 * steady[:, 0] / steady[:, 0].abs().clamp_min(1e-9)
    magnitude = steady.abs().clamp_min(1e-9).log()
    with torch.no_grad():
        heard = vocoder.synthesise(Spectrum(magnitude, turn * vocoder.advance.conj() * torch.ones_like(anchor), anchor))
    cut = heard[0, 48_000:-9600].double().numpy()
    spectrum = np.abs(np.fft.rfft(cut * np.hanning(len(cut)), 16 * len(cut)))
    found = spectrum.argmax() * 48_000 / (16 * len(cut))
    assert abs(1200 * np.log2(found / hertz)) < 2
    assert np.std(cut) == pytest.approx(0.707, rel=0.1)


@pytest.mark.parametrize("hertz", [49.0, 61.74, 82.41, 110.0, 146.83, 220.0, 339.0, 440.0, 622.25, 987.77, 1318.5])
def test_the_bands_tell_the_frequency_of_a_partial(vocoder: PhaseVocoder, hertz: float) -> None:
    time = torch.arange(48_000, dtype=torch.float64) / 48_000
    bands = log_bands((0.3 * torch.sin(2 * torch.pi * hertz * time)).float()[None])
    turn = vocoder._partials(bands)[0, 50]
    bins = np.concatenate([head.hertz for head in vocoder.heads])
    for number in np.flatnonzero(np.abs(bins - hertz) < 11):  # all bins that its main lobe fills
        found = bins[number] + float(turn[number].angle()) / (2 * np.pi) * 100
        assert abs(1200 * np.log2(found / hertz)) < 5


def test_gradients_are_finite_and_reach_every_weight() -> None:
    torch.manual_seed(1)
    vocoder = PhaseVocoder(SMALL)
    vocoder(torch.randn(2, 1, 60, 192) - 6).square().mean().backward()
    for name, weight in vocoder.named_parameters():
        assert weight.grad is not None, name
        assert torch.isfinite(weight.grad).all(), name
        assert weight.grad.abs().max() > 0 or "blocks" in name, name  # a block starts as the identity


def test_phases_are_of_unit_size_and_silence_is_quiet(vocoder: PhaseVocoder) -> None:
    with torch.no_grad():
        spectrum = vocoder.spectrum(torch.full((1, 1, 30, 192), -11.5))
        assert float(vocoder.phases(spectrum).abs().max()) <= 1
        assert vocoder(torch.zeros(1, 1, 30, 192) - 11.5).shape == (1, 30 * 480)


def test_untrained_magnitudes_are_those_of_the_bands() -> None:
    """Before any training a chord has its partials at their places and levels."""
    torch.manual_seed(0)
    untrained = PhaseVocoder(SMALL).eval()
    time = torch.arange(48_000, dtype=torch.float64) / 48_000
    chord = sum(0.1 * torch.sin(2 * torch.pi * hertz * time) for hertz in (131.0, 262.0, 392.0))
    sound = chord.float()[None]  # type: ignore[union-attr]
    with torch.no_grad():
        said = untrained.spectrum(log_bands(sound)).log_magnitude[0, 50]
        true = untrained.analyse(sound).abs()[0, 50].log()
    strong = true > true.max() - 2.3  # within 20 dB
    assert float((said - true)[strong].abs().max()) < 1.2
    assert float((said - true)[strong].abs().mean()) < 0.6
