"""Train the mel VAE.

    python -m noisebook.recipes.vae PACKED RUN --minutes 30

Reconstruction is L1 on the log-mel and on its differences over time and frequency. The weight of the KL term is
steered so that a latent value carries `--nats`: more than the codec's highest bitrate can spend is wasted, less is a
ceiling on quality. 6 kbit/s over 3200 latent values a second is 1.3 nats.
"""

from __future__ import annotations

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import save_network
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.recipes._clips import PackedAudio
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
_SAMPLES = 20480  # 1.28 s: 32 latent frames


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], minutes=30, batch=16)
    parser.add_argument("--nats", type=float, default=1.6, help="information per latent value")
    parser.add_argument("--white-prior", action="store_true", help="the usual prior N(0, 1), for comparison")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)

    data = PackedAudio(args.data)
    rng = np.random.default_rng([args.seed, 1])
    vae = MelVae(MelVaeConfig()).to(args.device)
    start = torch.full((1, 8, 1, 16), 0.0 if args.white_prior else 0.5, device=args.device)
    memory = torch.nn.Parameter(start, requires_grad=not args.white_prior)
    optimizer = torch.optim.AdamW([*vae.parameters(), memory], lr=args.rate, betas=(0.9, 0.99), weight_decay=0.01)
    ema = Ema(vae)
    budget = Budget(args.minutes, args.device)
    log_kl_weight = float(np.log(0.05))

    state = load_checkpoint(args.run / "checkpoint.pt", args.device)
    if state is not None:
        vae.load_state_dict(state["network"])
        memory.data = state["memory"]
        optimizer.load_state_dict(state["optimizer"])
        ema.weights = state["ema"]
        log_kl_weight = state["log_kl_weight"]
        budget = Budget(args.minutes, args.device, elapsed=state["elapsed"], steps=state["steps"])
        rng = np.random.default_rng([args.seed, 1, budget.step])

    print(
        f"{data.hours:.1f} h of audio; {sum(p.numel() for p in vae.parameters()) / 1e6:.1f} M parameters; {vars(args)}"
    )
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    log = Log(None if args.dry_run else args.run / "log.jsonl")

    def finish() -> None:
        if args.dry_run:
            return
        save_checkpoint(args.run / "checkpoint.pt", budget, network=vae.state_dict(), optimizer=optimizer.state_dict(),
                        ema=ema.weights, log_kl_weight=log_kl_weight, memory=memory.data)  # fmt: skip
        export(args, vae, ema, data, budget)

    first, saved = budget.step, budget.elapsed
    while not budget.done and not (args.dry_run and budget.step >= first + 10):
        waveform, _ = waveforms(data, args.batch, _SAMPLES, rng, args.device)
        mel = log_mel(waveform)
        with mixed_precision(args.device):
            mean, log_variance = vae.posterior(mel)
            sample = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            estimate = vae.decode_unscaled(sample)
        error = estimate - mel
        l1 = error.abs().mean()
        slopes = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        kl = markov_kl(sample, mean, log_variance, memory)
        loss = l1 + 0.25 * slopes + np.exp(log_kl_weight) * kl

        optimizer.param_groups[0]["lr"] = budget.learning_rate(args.rate)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        ema.update(vae, budget.step)
        log_kl_weight += 0.003 * float(np.clip(kl.item() / args.nats - 1, -1, 1))
        budget.tick()

        if budget.step % 50 == 0 or args.dry_run:
            log(
                budget,
                l1_db=_DB * l1,
                kl_nats=kl,
                kl_weight=np.exp(log_kl_weight),
                gradient=norm,
                memory=memory.tanh().mean(),
            )
        if budget.elapsed - saved > args.save_every:
            saved = budget.elapsed
            finish()
    finish()


def markov_kl(
    sample: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, memory: torch.Tensor
) -> torch.Tensor:
    """KL of the posterior from a Gauss-Markov prior along time, nats a latent value, all latents `[B, C, T', F']`.

    `p(z_t | z_(t-1)) = N(a z_(t-1), 1 - a^2)` has variance 1 for every a = tanh(memory), one for each latent cell. With
    a = 0 it is the usual prior, which rewards latents that are white; but a latent that moves slowly is what the
    denoiser can predict.
    """
    a = torch.tanh(memory)
    innovation = 1 - a.square()
    expected = a * sample[:, :, :-1]
    first = 0.5 * (mean[:, :, :1].square() + log_variance[:, :, :1].exp() - 1 - log_variance[:, :, :1])
    mean, log_variance = mean[:, :, 1:], log_variance[:, :, 1:]
    error = ((mean - expected).square() + log_variance.exp()) / innovation
    rest = 0.5 * (error - 1 - log_variance + innovation.log())
    return torch.cat((first, rest), dim=2).mean()


@torch.no_grad()
def export(args, vae: MelVae, ema: Ema, data: PackedAudio, budget: Budget) -> None:  # type: ignore[no-untyped-def]
    """Write the averaged weights, with the scaling factor that gives the latent mode unit variance."""
    with ema.applied(vae):
        rng = np.random.default_rng([args.seed, 2])
        waveform, _ = waveforms(data, 128, _SAMPLES, rng, args.device)
        mel = log_mel(waveform)
        latent = vae.posterior(mel)[0]
        ceiling = (vae.decode_unscaled(latent) - mel).abs().mean()
        record = {
            "data_fingerprint": data.fingerprint,
            "data_hours": data.hours,
            "minutes": budget.elapsed,
            "steps": budget.step,
            "nats": args.nats,
            "train_l1_db": float(_DB * ceiling),
        }
        config = vae.config
        vae.config = MelVaeConfig(**{**vars(config), "scaling_factor": float(1 / latent.std())})
        save_network(args.run / "vae.safetensors", vae, record)
        vae.config = config


if __name__ == "__main__":
    main()
