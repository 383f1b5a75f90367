"""Training of the phase vocoder: on spectra alone, then on bands as a stream leaves them, at last against judges."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from noisebook.audio.bands import log_bands
from noisebook.networks.band_vae import BandVae
from noisebook.networks.denoiser import Denoiser
from noisebook.networks.discriminator import MultiResolutionDiscriminator
from noisebook.networks.phase_vocoder import PhaseVocoder
from noisebook.recipes._codec_stage import coded
from noisebook.recipes._sounds import Sounds
from noisebook.recipes._spectral import anchor_cost, magnitude_loss, spectral_loss, turn_loss
from noisebook.recipes._train import mixed_precision

__all__ = ["VocoderStage"]

_HOP = 480
_FRAMES = 128  # 1.28 s to a clip
_MAGNITUDE, _TURN, _ANCHOR = 0.3, 0.2, 0.05  # weights beside the spectral loss
_FOOLING, _MATCHING = 0.02, 0.05
_ALONE = 0.1  # share of the judged time in which the judges learn before anyone listens to them
_JUDGED = (512, 1024, 2048)  # samples of their windows
_CODED_FRAMES = 64  # latent frames of which coded clips are cut: the denoiser wants to see more than it hands on


class VocoderStage:
    """Losses of the vocoder.

    Args:
        vocoder: that is trained.
        sounds: to train on.
        clips: to a step.
        codec: autoencoder and denoiser of which half of the bands come; None for true bands alone.
        judged_from: share of the stage after which discriminators judge; 1 for never.
        seed: of what is drawn.
    """

    def __init__(
        self,
        vocoder: PhaseVocoder,
        sounds: Sounds,
        *,
        clips: int,
        codec: tuple[BandVae, Denoiser] | None = None,
        judged_from: float = 1.0,
        seed: list[int],
    ) -> None:
        self.vocoder, self._sounds, self._clips, self._codec = vocoder, sounds, clips, codec
        self._judged_from, self._rng = judged_from, np.random.default_rng(seed)
        self.networks = nn.ModuleDict({"vocoder": vocoder})
        self.judges: nn.Module | None = MultiResolutionDiscriminator(_JUDGED) if judged_from < 1 else None

    def step(
        self, share: float, update: Callable[[nn.Module, torch.Tensor], None], device: str
    ) -> dict[str, torch.Tensor]:
        """One step, `share` of the stage having passed; `update` moves a network down a loss."""
        real, bands = self._pairs(device)
        with mixed_precision(device):
            spectrum = self.vocoder.spectrum(bands)
        made = self.vocoder.synthesise(spectrum)
        terms = {
            "spectral": spectral_loss(made, real),
            "magnitude": magnitude_loss(spectrum, real, self.vocoder),
            "turn": turn_loss(spectrum, real, self.vocoder),
            "anchor": anchor_cost(spectrum),
        }
        loss = terms["spectral"] + _MAGNITUDE * terms["magnitude"] + _TURN * terms["turn"] + _ANCHOR * terms["anchor"]
        if self.judges is not None and share >= self._judged_from:
            judged = slice(max(1, self._clips // 2))  # judging costs several times what vocoding does
            loudness = 0.1 / real[judged].square().mean(1, keepdim=True).sqrt().clamp_min(1e-4)
            true, fake = real[judged] * loudness, made[judged] * loudness
            terms["judges"] = self._judge(true, fake.detach(), update, device)
            if share >= self._judged_from + _ALONE * (1 - self._judged_from):
                terms["fooling"], terms["matching"] = self._judged(true, fake, device)
                loss = loss + _FOOLING * terms["fooling"] + _MATCHING * terms["matching"]
        update(self.networks, loss)
        return terms

    def _pairs(self, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms `[B, N]` and bands `[B, 1, T, F]`, every second of them decoded where there is a codec."""
        if self._codec is None:
            real, _ = self._sounds.batch(self._clips, _FRAMES * _HOP)
            return real, log_bands(real)
        real, _ = self._sounds.batch(self._clips, 4 * _CODED_FRAMES * _HOP)
        bands, half = log_bands(real), self._clips // 2
        with torch.no_grad():
            bands[:half] = coded(bands[:half], *self._codec, rng=self._rng, device=device)
        first = int(self._rng.integers(4 * _CODED_FRAMES - _FRAMES + 1))
        return real[:, first * _HOP : (first + _FRAMES) * _HOP], bands[:, :, first : first + _FRAMES]

    def _judge(
        self, true: torch.Tensor, fake: torch.Tensor, update: Callable[[nn.Module, torch.Tensor], None], device: str
    ) -> torch.Tensor:
        """Hinge loss of the judges, after their step."""
        assert self.judges is not None
        with mixed_precision(device):
            scores = [(a[0], b[0]) for a, b in zip(self.judges(true), self.judges(fake), strict=True)]
        loss = torch.stack([F.relu(1 - real).mean() + F.relu(1 + made).mean() for real, made in scores]).mean()
        update(self.judges, loss)
        return loss.detach()

    def _judged(self, true: torch.Tensor, fake: torch.Tensor, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        """How little the judges are fooled, and how far their features are apart (Kumar et al. 2019)."""
        assert self.judges is not None
        with mixed_precision(device):
            with torch.no_grad():
                real = self.judges(true)
            made = self.judges(fake)
        fooling = torch.stack([-score.mean() for score, _ in made]).mean()
        pairs = [(a, b) for (_, x), (_, y) in zip(real, made, strict=True) for a, b in zip(x, y, strict=True)]
        return fooling, torch.stack([(a - b).abs().float().mean() for a, b in pairs]).mean()
