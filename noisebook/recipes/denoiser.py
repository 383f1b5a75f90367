"""Train the denoiser on the latents of a trained VAE.

    python -m noisebook.recipes.denoiser PACKED RUN --vae RUN/vae.safetensors --minutes 90 [--start WEIGHTS]

v-prediction on AudioLDM's schedule, mean squared error, timesteps uniform. A step sees 41 s of sound, as clips of
2.56, 5.12 or 10.24 s. The kind of sound is the tag, dropped for 40 % of the clips: the codec works without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import load_network, save_network
from noisebook.config import to_dict
from noisebook.diffusion.calibration import measure_curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._coded import LATENT_HOP, estimator
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

_LENGTHS = (64, 128, 256)  # latent frames to a clip; --batch counts clips of the shortest
_UNTAGGED = 0.4  # share of clips


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], minutes=90, batch=16)
    parser.add_argument("--vae", type=Path, required=True, help="weights of the VAE")
    parser.add_argument("--start", type=Path, help="weights of a denoiser to go on from, in a fresh run folder")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)

    data = PackedAudio(args.data)
    rng = np.random.default_rng([args.seed, 4])
    vae = load_network(args.vae, MelVae, MelVaeConfig).to(args.device)
    denoiser = load_network(args.start, Denoiser, DenoiserConfig) if args.start else Denoiser(DenoiserConfig())
    denoiser = denoiser.to(args.device).requires_grad_(True).train()
    optimizer = torch.optim.AdamW(denoiser.parameters(), lr=args.rate, betas=(0.9, 0.99), weight_decay=0.01)
    ema = Ema(denoiser)
    budget = Budget(args.minutes, args.device)
    alphas = torch.tensor(scaled_linear().alphas_cumprod, dtype=torch.float32, device=args.device)

    state = load_checkpoint(args.run / "checkpoint.pt", args.device)
    if state is not None:
        denoiser.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        ema.weights = state["ema"]
        budget = Budget(args.minutes, args.device, elapsed=state["elapsed"], steps=state["steps"])
        rng = np.random.default_rng([args.seed, 4, budget.step])

    print(f"{data.hours:.1f} h; {sum(p.numel() for p in denoiser.parameters()) / 1e6:.1f} M parameters; {vars(args)}")
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    log = Log(None if args.dry_run else args.run / "log.jsonl")

    def finish() -> None:
        if args.dry_run:
            return
        save_checkpoint(args.run / "checkpoint.pt", budget, network=denoiser.state_dict(),
                        optimizer=optimizer.state_dict(), ema=ema.weights)  # fmt: skip
        export(args, denoiser, ema, vae, data, budget)

    first, saved = budget.step, budget.elapsed
    losses: list[torch.Tensor] = []
    while not budget.done and not (args.dry_run and budget.step >= first + 10):
        length = int(rng.choice(_LENGTHS))
        batch = max(1, args.batch * _LENGTHS[0] // length)
        waveform, kinds = waveforms(data, batch, length * LATENT_HOP, rng, args.device)
        with torch.no_grad(), mixed_precision(args.device):
            x0 = vae.encode(log_mel(waveform)).float()
        t = torch.randint(len(alphas), (batch,), device=args.device)
        x, target = noised(x0, alphas[t])
        tag = (kinds + 1) * (torch.rand(batch, device=args.device) > _UNTAGGED)
        with mixed_precision(args.device):
            v = denoiser(x, t, tag)
        loss = F.mse_loss(v, target)

        optimizer.param_groups[0]["lr"] = budget.learning_rate(args.rate)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(denoiser.parameters(), 1.0)
        optimizer.step()
        ema.update(denoiser, budget.step)
        budget.tick()

        losses.append(loss.detach())
        if budget.step % 50 == 0 or args.dry_run:
            log(budget, loss=torch.stack(losses).mean(), gradient=norm)
            losses.clear()
        if budget.elapsed - saved > args.save_every:
            saved = budget.elapsed
            finish()
    finish()


def noised(x0: torch.Tensor, alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`x_t` with fresh noise, and the `v` that belongs to it (Salimans & Ho 2022): `x0 [B, C, T', F']`, `alpha [B]` of
    its timesteps."""
    signal, noise_level = (a.sqrt()[:, None, None, None] for a in (alpha, 1 - alpha))
    noise = torch.randn_like(x0)
    return signal * x0 + noise_level * noise, signal * noise - noise_level * x0


def export(args, denoiser: Denoiser, ema: Ema, vae: MelVae, data: PackedAudio, budget: Budget) -> None:  # type: ignore[no-untyped-def]
    """Write the averaged weights with their error curve, from which the codec's plans follow."""

    def latents() -> Iterator[torch.Tensor]:
        rng = np.random.default_rng([args.seed, 5])
        for _ in range(8):
            waveform, _ = waveforms(data, 6, _LENGTHS[-1] * LATENT_HOP, rng, args.device)
            yield vae.encode(log_mel(waveform))

    with ema.applied(denoiser), torch.no_grad():
        curve = measure_curve(estimator(denoiser, args.device), scaled_linear(), latents())
        record = {"data_fingerprint": data.fingerprint, "data_hours": data.hours, "minutes": budget.elapsed,
                  "steps": budget.step, "curve": to_dict(curve)}  # fmt: skip
        save_network(args.run / "denoiser.safetensors", denoiser, record)


if __name__ == "__main__":
    main()
