"""Train the VAE's decoder on what the codec hands it: latents that were coded, and not only clean ones.

    python -m noisebook.recipes.decoder PACKED RUN --vae VAE --denoiser DENOISER --minutes 20

The encoder stays as it is, so the latents, and with them the denoiser and every codebook, keep their meaning. The loss
is that of `recipes.vae` without its KL term.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import load_network, save_network
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._coded import CodedSounds
from noisebook.recipes._train import (
    Budget,
    Ema,
    Log,
    arguments,
    load_checkpoint,
    mixed_precision,
    save_checkpoint,
)

_DB = 20 / np.log(10)
_FRAMES = 64  # latent frames to a stretch, 2.56 s
_REFRESH = 4  # steps to a refreshment of the pool


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], minutes=20, batch=16)
    parser.add_argument("--vae", type=Path, required=True, help="weights of the VAE to go on from")
    parser.add_argument("--denoiser", type=Path, required=True, help="weights of the denoiser of its latents")
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)

    data = PackedAudio(args.data)
    rng = np.random.default_rng([args.seed, 6])
    vae = load_network(args.vae, MelVae, MelVaeConfig).to(args.device)
    denoiser = load_network(args.denoiser, Denoiser, DenoiserConfig).to(args.device)
    weights = [value for name, value in vae.named_parameters() if name.startswith("decoder")]
    for weight in weights:
        weight.requires_grad_(True)
    optimizer = torch.optim.AdamW(weights, lr=args.rate, betas=(0.9, 0.99), weight_decay=0.01)
    ema = Ema(vae, 0.999)
    budget = Budget(args.minutes, args.device)

    state = load_checkpoint(args.run / "checkpoint.pt", args.device)
    if state is not None:
        vae.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        ema.weights = state["ema"]
        budget = Budget(args.minutes, args.device, elapsed=state["elapsed"], steps=state["steps"])
        rng = np.random.default_rng([args.seed, 6, budget.step])

    print(f"{data.hours:.1f} h; {sum(p.numel() for p in weights) / 1e6:.1f} M parameters; {vars(args)}")
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    log = Log(None if args.dry_run else args.run / "log.jsonl")
    sounds = CodedSounds(data, vae, denoiser, rng, args.device, size=8 if args.dry_run else 128)

    def finish() -> None:
        if args.dry_run:
            return
        save_checkpoint(args.run / "checkpoint.pt", budget, network=vae.state_dict(),
                        optimizer=optimizer.state_dict(), ema=ema.weights)  # fmt: skip
        record = {"data_fingerprint": data.fingerprint, "data_hours": data.hours, "decoder_minutes": budget.elapsed,
                  "decoder_steps": budget.step}  # fmt: skip
        with ema.applied(vae):
            save_network(args.run / "vae.safetensors", vae, record)

    first, saved = budget.step, budget.elapsed
    while not budget.done and not (args.dry_run and budget.step >= first + 10):
        waveform, latent = sounds.sample(args.batch, _FRAMES)
        with mixed_precision(args.device):
            estimate = vae.decode(latent)
        # At the ends of a stretch neither the decoder nor the analysis sees what is beyond.
        edge = 4 * vae.config.decoder_reach
        error = (estimate - log_mel(waveform))[:, :, edge:-edge]
        l1 = error.abs().mean()
        loss = l1 + 0.25 * (error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean())

        optimizer.param_groups[0]["lr"] = budget.learning_rate(args.rate)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        ema.update(vae, budget.step)
        if budget.step % _REFRESH == 0:
            sounds.refresh()
        budget.tick()

        if budget.step % 50 == 0 or args.dry_run:
            log(budget, l1_db=_DB * l1, gradient=norm)
        if budget.elapsed - saved > args.save_every:
            saved = budget.elapsed
            finish()
    finish()


if __name__ == "__main__":
    main()
