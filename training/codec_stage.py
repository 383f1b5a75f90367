"""Training of autoencoder and denoiser together, for the fewest bits at an error of the bands.

An ideal codec of this kind spends `R(s) = 1/2 integral of error(SNR) dSNR` nats a latent value to reach the SNR of s
(Kingma et al. 2021), and decodes `x0_hat(x_s)`. A noised latent shows both: its denoising error, and the error of the
bands that comes of it. So half of the clips train the denoiser as usual, on timesteps drawn uniformly, and the others,
on timesteps drawn uniformly in log R, train the autoencoder too:

    loss(s) = error(s) / error_0(s) (1 - R(s) / R_max) + |band error|(s) / slope

which is log R + D / slope, averaged over end points s up to R_max and linearised around the errors `error_0` of the
denoiser so far. `slope` is how many dB a factor e in bits buys. The error of the bands trains the autoencoder alone:
the denoiser must stay a posterior mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from noisebook.audio.bands import HOP_LENGTH, log_bands
from noisebook.audio.hearing import NEPER_DB, hearing_weights
from noisebook.diffusion.plan import LN2, Denoise, scaled_linear
from noisebook.networks.band_vae import BandVae
from noisebook.networks.configs import PATCH
from noisebook.networks.denoiser import Denoiser, x0_from_v
from training.run import mixed_precision, on_device
from training.sounds import Sounds

LATENT_HOP = PATCH * HOP_LENGTH  # samples
_LENGTHS = (64, 128, 256)  # latent frames to a clip; `clips` counts those of the shortest
_SLOPE_DB = 0.5  # at 1.4, the slope of mels at 16 kHz, latents gave up what 3 kbit/s could carry
_SLOPES = 0.25  # weight of the differences of the error over time and bands
_SPREAD = 0.1  # keeps the variance near 1, for which the schedule is made
_KL = 0.004  # of the posterior's variance; at 0.06 latents hold no more than some 4 kbit/s, at any error of the bands
_UNTAGGED, _UNCODED = 0.6, 0.4  # shares of clips without a tag, and of those decoded from the posterior itself
_VALUES = 3200  # latent values a second
_RATES = (300.0, 20000.0)  # bit/s between which coded clips end


class CodecStage:
    """Losses of autoencoder and denoiser.

    Args:
        vae, denoiser: that are trained.
        sounds: to train on.
        clips: to a step, of the shortest length; longer ones are fewer.
        device: of torch.
        seed: of what is drawn.
    """

    def __init__(
        self, vae: BandVae, denoiser: Denoiser, sounds: Sounds, *, clips: int, device: str, seed: list[int]
    ) -> None:
        self.vae, self.denoiser, self._sounds, self._clips = vae, denoiser, sounds, clips
        self.networks = nn.ModuleDict({"vae": vae, "denoiser": denoiser})
        self.rates, self._rng = Rates(device), np.random.default_rng(seed)

    def step(self, update: Callable[[torch.Tensor], None], device: str) -> dict[str, torch.Tensor]:
        """One step: `update` is given the loss; the terms of it."""
        terms = self.losses(device)
        heard = terms["band_db"] / _SLOPE_DB + terms["slopes"] + terms["kl"]
        vae = list(self.vae.parameters())
        own = torch.autograd.grad(heard, vae, retain_graph=True, allow_unused=True)
        # The error of the bands has no gradient in the denoiser: it enters as a linear term of the autoencoder alone.
        linear = sum((p * g).sum() for p, g in zip(vae, own, strict=True) if g is not None)
        update(terms["rate"] + terms["v"] + terms["spread"] + linear)
        return terms

    def losses(self, device: str) -> dict[str, torch.Tensor]:
        """The terms of a step: "rate", relative error of v of the coded clips by `Rates.weights`; "v", squared error of
        the others; "spread", of the latent's variance from 1; "band_db", weighted L1 of the bands, dB; "slopes" of its
        differences; "kl" of the posterior's variance, nats a value. All but "band_db" are weighted for the sum."""
        length = int(self._rng.choice(_LENGTHS))
        half = max(1, self._clips * _LENGTHS[0] // length // 2)
        waveform, kinds = self._sounds.batch(2 * half, length * LATENT_HOP)
        bands = log_bands(waveform)
        with mixed_precision(device):
            mean, log_variance = self.vae.posterior(bands[:half])
            with torch.no_grad():
                plain = self.vae.encode(bands[half:]).float()
        x0 = torch.cat((mean.float(), plain))

        t = on_device(self.rates.timesteps(half, half, self._rng), device)
        alpha = self.rates.alphas[t]
        x, target = noised(x0, alpha)
        tag = (kinds + 1) * (torch.rand(2 * half, device=device) > _UNTAGGED)
        with mixed_precision(device):
            v = self.denoiser(x, t, tag)
        squares = (v - target).square().mean((1, 2, 3))
        self.rates.seen(t, squares.detach())

        estimate = x0_from_v(x, v, alpha[:, None, None, None])[:half]
        posterior = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
        uncoded = on_device(self._rng.random(half) < _UNCODED, device)
        with mixed_precision(device):
            decoded = self.vae.decode(torch.where(uncoded[:, None, None, None], posterior.float(), estimate))
        error, weight = decoded - bands[:half], hearing_weights(bands[:half])
        in_time, in_frequency = error.diff(dim=2).abs() * weight[:, :, 1:], error.diff(dim=3).abs() * weight[..., 1:]
        return {
            "rate": (squares[:half] * self.rates.weights[t[:half]]).mean(),
            "v": squares[half:].mean(),
            "spread": _SPREAD * x0[:half].var().log().square(),
            "band_db": NEPER_DB * (error.abs() * weight).mean(),
            "slopes": _SLOPES * NEPER_DB / _SLOPE_DB * (in_time.mean() + in_frequency.mean()),
            "kl": _KL * (0.5 * (log_variance.exp() - 1 - log_variance)).mean(),
        }


class Rates:
    """What an ideal codec spends until each timestep, by the errors of a denoiser that are seen in training.

    Attributes:
        alphas: of the schedule, `[T]`.
        weights: what a squared error of v counts at each timestep, `[T]`: (1 - R / R_max) over the usual.
    """

    _KNOT, _REFRESH, _FORGET = 25, 200, 0.02  # timesteps to a knot; steps to a new density; share of a knot's errors

    def __init__(self, device: str) -> None:
        alphas = np.array(scaled_linear().alphas_cumprod)
        self._snr = alphas / (1 - alphas)
        knots = len(alphas) // self._KNOT
        self.alphas = torch.tensor(alphas, dtype=torch.float32, device=device)
        # To begin with, those of a process whose energy falls by 4 dB for every doubling of the noise's.
        self._errors = torch.tensor((1 + self._snr.reshape(knots, -1).mean(1)) ** -0.6, device=device).float()
        self._errors = self._errors / (1 - self.alphas.reshape(knots, -1).mean(1))  # of v
        self._seen = 0
        self._plan()

    def timesteps(self, coded: int, usual: int, rng: np.random.Generator) -> np.ndarray:
        """`[coded + usual]` int64: by the density of end points, and uniform."""
        count = len(self._snr)
        return np.concatenate((rng.choice(count, size=coded, p=self._density), rng.integers(count, size=usual)))

    def seen(self, t: torch.Tensor, squares: torch.Tensor) -> None:
        """Learn from squared errors of v at timesteps, both `[B]`."""
        knots = t // self._KNOT
        self._errors[knots] += self._FORGET * (squares - self._errors[knots])
        self._seen += 1
        if self._seen % self._REFRESH == 0:
            self._plan()

    def _plan(self) -> None:
        lowest, highest = _RATES
        usual = self._errors.repeat_interleave(self._KNOT)
        errors = (usual * (1 - self.alphas)).cpu().double().numpy()
        pieces = 0.5 * errors[1:] * (self._snr[:-1] - self._snr[1:]) * _VALUES / LN2
        spent = (
            np.concatenate((np.cumsum(pieces[::-1])[::-1], [0.0])) + 0.5 * errors[-1] * self._snr[-1] * _VALUES / LN2
        )
        density = -np.diff(np.log(spent), append=np.log(spent[-1])) * ((spent >= lowest) & (spent <= highest))
        if not density.any():  # no bitrate between the two, as of a denoiser that knows all or nothing
            density = np.ones_like(density)
        self._density = density / density.sum()
        share = torch.tensor(np.clip(1 - spent / highest, 0, 1), dtype=torch.float32, device=usual.device)
        self.weights = share / usual


def noised(x0: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`x_t` with fresh noise, and the `v` that belongs to it (Salimans & Ho 2022): `x0 [B, C, T', F']`, `alpha [B]` of
    its timesteps."""
    signal, noise_level = (a.sqrt()[:, None, None, None] for a in (alpha, 1 - alpha))
    noise = torch.randn_like(x0)
    return signal * x0 + noise_level * noise, signal * noise - noise_level * x0


def estimator(denoiser: Denoiser, device: str) -> Denoise:
    """`(x [B, C, T', F'], t) -> x0_hat`, shaped alike, of a denoiser of v without a tag, in mixed precision."""
    schedule = scaled_linear()

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        times = torch.full((len(x),), t, device=x.device)
        with mixed_precision(device):
            v = denoiser(x, times, torch.zeros_like(times))
        return x0_from_v(x, v, schedule.alpha(t))

    return denoise
