"""Train autoencoder and denoiser together, for the fewest bits at an error of the mel.

    python -m noisebook.recipes.end_to_end PACKED RUN --vae WEIGHTS --denoiser WEIGHTS --minutes 90

An ideal codec of this kind spends `R(s) = 1/2 integral of error(SNR) dSNR` nats a latent value to reach the SNR of s
(Kingma et al. 2021), and decodes `x0_hat(x_s)`. A noised latent shows both: its denoising error, and the error of the
mel that comes of it. So half of the clips train the denoiser as usual, on timesteps drawn uniformly, and the others,
on timesteps drawn uniformly in log R, train the autoencoder too:

    loss(s) = error(s) / error_0(s) (1 - R(s) / R_max) + |mel error|(s) / slope

which is log R + D / slope, averaged over end points s up to R_max and linearised around the errors `error_0` of the
denoiser to begin with. `slope` is how many dB of log-mel a factor e in bits buys. The mel error trains the autoencoder
alone: the denoiser must stay a posterior mean.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import load_network, read_metadata, save_network
from noisebook.config import from_dict
from noisebook.diffusion.plan import LN2, Curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.recipes import denoiser as denoiser_recipe
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._coded import LATENT_HOP
from noisebook.recipes._train import (
    Budget,
    Ema,
    Log,
    arguments,
    load_checkpoint,
    mixed_precision,
    save_checkpoint,
    waveforms,
)

_DB = 20 / np.log(10)
_LENGTHS = (64, 128, 256)  # latent frames to a clip; --batch counts clips of the shortest
_SLOPE_DB = 1.4
_SLOPES_WEIGHT = 0.25  # of the mel's differences over time and frequency, as in recipes.vae
_SPREAD_WEIGHT = 0.1  # keeps the variance near 1, for which the schedule is made
_KL_WEIGHT = 0.06  # of the posterior's variance, which is to be as wide as the ceiling allows
_UNTAGGED = 0.6  # share of clips
_UNCODED = 1 / 6  # share of the coded clips that are decoded from the posterior itself: the ceiling
_VALUES = 3200  # latent values a second
_RATES = (60.0, 16000.0)  # bit/s between which coded clips end


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], minutes=90, batch=16)
    parser.add_argument("--vae", type=Path, required=True, help="weights of the autoencoder to begin with")
    parser.add_argument("--denoiser", type=Path, required=True, help="weights of the denoiser to begin with")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)

    data, rates, training = PackedAudio(args.data), Rates.of(args.denoiser, args.device), Training(args)
    budget = training.budget
    rng = np.random.default_rng([args.seed, 6, budget.step])
    size = sum(p.numel() for p in training.networks.parameters())
    print(f"{data.hours:.1f} h; {size / 1e6:.1f} M parameters; {vars(args)}")
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    log = Log(None if args.dry_run else args.run / "log.jsonl")

    first, saved = budget.step, budget.elapsed
    means: dict[str, list[torch.Tensor]] = {}
    while not budget.done and not (args.dry_run and budget.step >= first + 10):
        losses = losses_of(training.vae, training.denoiser, data, rates, rng, args.batch, args.device)
        training.step(losses, budget.learning_rate(args.rate))
        for name, value in losses.items():
            means.setdefault(name, []).append(value.detach())
        if budget.step % 50 == 0 or args.dry_run:
            log(budget, **{name: torch.stack(values).mean() for name, values in means.items()})
            means.clear()
        if budget.elapsed - saved > args.save_every and not args.dry_run:
            saved = budget.elapsed
            training.save(args, data)
    if not args.dry_run:
        training.save(args, data)


class Training:
    """Both networks with their optimizer, average and budget, as the run folder has them or as the weights begin."""

    def __init__(self, args) -> None:  # type: ignore[no-untyped-def]
        self.vae = load_network(args.vae, MelVae, MelVaeConfig)
        self.denoiser = load_network(args.denoiser, Denoiser, DenoiserConfig)
        self.networks = torch.nn.ModuleDict({"vae": self.vae, "denoiser": self.denoiser})
        self.networks.to(args.device).requires_grad_(True).train()
        self.optimizer = torch.optim.AdamW(
            self.networks.parameters(), lr=args.rate, betas=(0.9, 0.99), weight_decay=0.01
        )
        self.ema = Ema(self.networks)
        self.budget = Budget(args.minutes, args.device)
        state = load_checkpoint(args.run / "checkpoint.pt", args.device)
        if state is not None:
            self.networks.load_state_dict(state["networks"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.ema.weights = state["ema"]
            self.budget = Budget(args.minutes, args.device, elapsed=state["elapsed"], steps=state["steps"])

    def step(self, losses: dict[str, torch.Tensor], rate: float) -> None:
        """One step down the terms of `losses_of`, at a learning rate."""
        self.optimizer.param_groups[0]["lr"] = rate
        self.optimizer.zero_grad()
        backward(losses, self.vae)
        for network in (self.vae, self.denoiser):
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self.optimizer.step()
        self.ema.update(self.networks, self.budget.step)
        self.budget.tick()

    def save(self, args, data: PackedAudio) -> None:  # type: ignore[no-untyped-def]
        """A checkpoint, and the averaged weights of both networks, the denoiser with its error curve."""
        save_checkpoint(args.run / "checkpoint.pt", self.budget, networks=self.networks.state_dict(),
                        optimizer=self.optimizer.state_dict(), ema=self.ema.weights)  # fmt: skip
        with self.ema.applied(self.networks):
            record = {"data_fingerprint": data.fingerprint, "data_hours": data.hours,
                      "minutes": self.budget.elapsed, "steps": self.budget.step}  # fmt: skip
            save_network(args.run / "vae.safetensors", self.vae, record)
            denoiser_recipe.export(args, self.denoiser, Ema(self.denoiser), self.vae, data, self.budget)


def losses_of(
    vae: MelVae,
    denoiser: Denoiser,
    data: PackedAudio,
    rates: Rates,
    rng: np.random.Generator,
    shortest_clips: int,
    device: str,
) -> dict[str, torch.Tensor]:
    """The terms of one step: half of its clips are coded, the other half train the denoiser as always.

    Returns:
        "rate", relative error of v of the coded clips, weighted by `Rates.weights`; "v", squared error of the others;
        "spread", of the latent's variance from 1; "mel_db", L1 of the log-mel, dB; "slopes" of its differences; "kl" of
        the posterior's variance from 1, nats a value. All but "mel_db" are weighted for the sum.
    """
    length = int(rng.choice(_LENGTHS))
    batch = max(2, shortest_clips * _LENGTHS[0] // length)
    coded = batch // 2
    waveform, kinds = waveforms(data, batch, length * LATENT_HOP, rng, device)
    mel = log_mel(waveform)
    scale = vae.config.scaling_factor
    with mixed_precision(device):
        mean, log_variance = vae.posterior(mel[:coded])
        with torch.no_grad():
            plain = vae.encode(mel[coded:]).float()
    x0 = torch.cat((mean.float() * scale, plain))

    t = torch.cat((rates.timesteps(coded, rng), torch.from_numpy(rng.integers(rates.count, size=batch - coded))))
    t = t.to(device)
    x, target = denoiser_recipe.noised(x0, rates.alphas[t])
    tag = (kinds + 1) * (torch.rand(batch, device=device) > _UNTAGGED)
    with mixed_precision(device):
        v = denoiser(x, t, tag)
    squares = (v - target).square().mean((1, 2, 3))

    estimate = x0_from_v(x, v, rates.alphas[t][:, None, None, None])[:coded]
    posterior = (mean + torch.randn_like(mean) * (0.5 * log_variance).exp()).float() * scale
    uncoded = torch.from_numpy(rng.random(coded) < _UNCODED).to(device)[:, None, None, None]
    with mixed_precision(device):
        decoded = vae.decode(torch.where(uncoded, posterior, estimate))
    error = decoded - mel[:coded]
    slopes = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return {
        "rate": (squares[:coded] * rates.weights[t[:coded]]).mean(),
        "v": squares[coded:].mean(),
        "spread": _SPREAD_WEIGHT * x0[:coded].var().log().square(),
        "mel_db": _DB * error.abs().mean(),
        "slopes": _SLOPES_WEIGHT * _DB / _SLOPE_DB * slopes,
        "kl": _KL_WEIGHT * (0.5 * (log_variance.exp() - 1 - log_variance)).mean(),
    }


def backward(losses: dict[str, torch.Tensor], vae: MelVae) -> None:
    """Gradients of the terms: those of the mel for the autoencoder alone."""
    (losses["rate"] + losses["v"] + losses["spread"]).backward(retain_graph=True)
    heard = losses["mel_db"] / _SLOPE_DB + losses["slopes"] + losses["kl"]
    torch.autograd.backward(heard, inputs=list(vae.parameters()))


@dataclass(frozen=True)
class Rates:
    """What an ideal codec spends until each timestep, by the error curve of a denoiser.

    Attributes:
        alphas: of the schedule, `[T]`.
        weights: what a squared error of v counts at each timestep, `[T]`: (1 - R / R_max) over the usual.
        density: of the timesteps of coded clips, `[T]`, uniform in log R.
    """

    alphas: torch.Tensor
    weights: torch.Tensor
    density: np.ndarray

    @classmethod
    def of(cls, denoiser: Path, device: str, *, between: tuple[float, float] = _RATES) -> Rates:
        """From the error curve in the record of a denoiser's weights; `between` two bitrates, bit/s."""
        lowest, highest = between
        curve = from_dict(Curve, json.loads(read_metadata(denoiser)["record"])["curve"])
        alphas = np.array(scaled_linear().alphas_cumprod)
        snr = alphas / (1 - alphas)
        errors = np.array([curve(t) for t in range(len(alphas))])
        pieces = 0.5 * errors[1:] * (snr[:-1] - snr[1:]) * _VALUES / LN2
        spent = np.concatenate((np.cumsum(pieces[::-1])[::-1], [0.5 * errors[-1] * snr[-1] * _VALUES / LN2]))
        density = -np.diff(np.log(spent), append=np.log(spent[-1])) * ((spent >= lowest) & (spent <= highest))
        usual = errors / (1 - alphas)  # of v
        weights = np.clip(1 - spent / highest, 0, 1) / usual
        as_tensor = partial(torch.tensor, dtype=torch.float32, device=device)
        return cls(as_tensor(alphas), as_tensor(weights), density / density.sum())

    @property
    def count(self) -> int:
        return len(self.density)

    def timesteps(self, clips: int, rng: np.random.Generator) -> torch.Tensor:
        """`[clips]` int64, by the density."""
        return torch.from_numpy(rng.choice(self.count, size=clips, p=self.density))


if __name__ == "__main__":
    main()
