"""Train the vocoder.

    python -m noisebook.recipes.vocoder PACKED RUN --minutes 90 [--vae VAE [--denoiser DENOISER]] [--start WEIGHTS]

First on multi-resolution log-mel distance alone; after `--adversarial-after` minutes against band discriminators as
well (hinge loss, feature matching), which is what removes the buzz. With `--vae`, half of the inputs are mels that
the VAE decoded from a noisy latent, as the codec will hand them over, while the target stays the original sound; with
`--denoiser` they are decoded from latents that the diffusion left, as those of a stream are (`_coded`).
One sound in sixteen is synthetic (`_tones`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from noisebook.audio.mel import MelConfig, log_mel, mel_filter_bank
from noisebook.backends.checkpoint import load_network, save_network
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.discriminator import MultiResolutionDiscriminator
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.networks.vocoder import Vocoder, VocoderConfig
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._coded import LATENT_HOP, CodedSounds
from noisebook.recipes._tones import tones
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

_SAMPLES = 10240  # 0.64 s
_RESOLUTIONS = ((256, 20), (512, 40), (1024, 64), (2048, 128))  # n_fft, mel bands
_MEL_WEIGHT, _MATCH_WEIGHT = 45.0, 2.0
_JUDGES_ALONE = 1.0  # minutes that the discriminators learn before anyone listens to them
_REFRESH = 8  # steps to a refreshment of the pool of coded sounds


def main() -> None:
    parser = arguments(__doc__.splitlines()[0], minutes=90, batch=16)
    parser.add_argument("--adversarial-after", type=float, default=30.0, help="minutes of spectral loss alone")
    parser.add_argument("--vae", type=Path, help="weights of the VAE, to train on decoded mels too")
    parser.add_argument("--denoiser", type=Path, help="weights of the denoiser, to train on coded latents; needs --vae")
    parser.add_argument("--start", type=Path, help="weights of a vocoder to go on from, in a fresh run folder")
    args = parser.parse_args()
    if args.denoiser and not args.vae:
        parser.error("--denoiser needs --vae: its latents are those of the VAE")
    torch.manual_seed(args.seed)
    if args.threads:
        torch.set_num_threads(args.threads)

    data = PackedAudio(args.data)
    rng = np.random.default_rng([args.seed, 3])
    vocoder = load_network(args.start, Vocoder, VocoderConfig) if args.start else Vocoder(VocoderConfig())
    vocoder = vocoder.to(args.device).requires_grad_(True).train()
    judges = MultiResolutionDiscriminator().to(args.device)
    vae = load_network(args.vae, MelVae, MelVaeConfig).to(args.device) if args.vae else None
    optimizer = torch.optim.AdamW(vocoder.parameters(), lr=args.rate, betas=(0.8, 0.99), weight_decay=0.01)
    judge_optimizer = torch.optim.AdamW(judges.parameters(), lr=0.5 * args.rate, betas=(0.8, 0.99), weight_decay=0.01)
    ema = Ema(vocoder, 0.999)
    budget = Budget(args.minutes, args.device)

    state = load_checkpoint(args.run / "checkpoint.pt", args.device)
    if state is not None:
        vocoder.load_state_dict(state["network"])
        judges.load_state_dict(state["judges"])
        optimizer.load_state_dict(state["optimizer"])
        judge_optimizer.load_state_dict(state["judge_optimizer"])
        ema.weights = state["ema"]
        budget = Budget(args.minutes, args.device, elapsed=state["elapsed"], steps=state["steps"])
        rng = np.random.default_rng([args.seed, 3, budget.step])

    print(f"{data.hours:.1f} h; {sum(p.numel() for p in vocoder.parameters()) / 1e6:.1f} M parameters; {vars(args)}")
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    log = Log(None if args.dry_run else args.run / "log.jsonl")
    coded = None
    if vae is not None and args.denoiser:
        denoiser = load_network(args.denoiser, Denoiser, DenoiserConfig).to(args.device)
        coded = CodedSounds(data, vae, denoiser, rng, args.device, size=8 if args.dry_run else 128)

    def finish() -> None:
        if args.dry_run:
            return
        save_checkpoint(args.run / "checkpoint.pt", budget, network=vocoder.state_dict(), judges=judges.state_dict(),
                        optimizer=optimizer.state_dict(), judge_optimizer=judge_optimizer.state_dict(),
                        ema=ema.weights)  # fmt: skip
        record = {"data_fingerprint": data.fingerprint, "data_hours": data.hours, "minutes": budget.elapsed,
                  "steps": budget.step, "adversarial_after": args.adversarial_after}  # fmt: skip
        with ema.applied(vocoder):
            save_network(args.run / "vocoder.safetensors", vocoder, record)

    first, saved = budget.step, budget.elapsed
    while not budget.done and not (args.dry_run and budget.step >= first + 10):
        mel, real = pairs(data, args.batch, vae, coded, rng, args.device)
        if coded is not None and budget.step % _REFRESH == 0:
            coded.refresh()
        optimizer.param_groups[0]["lr"] = budget.learning_rate(args.rate)

        with mixed_precision(args.device):
            fake = vocoder(mel)
        spectral = mel_distance(fake, real)
        loss = _MEL_WEIGHT * spectral
        report = {"mel": spectral.detach()}
        if budget.elapsed >= args.adversarial_after or args.dry_run:
            judged = slice(args.batch // 2)  # half of the batch: judging costs several times what vocoding does
            loudness = 0.1 / real[judged].square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-4)
            true, made = real[judged] * loudness, fake[judged] * loudness
            report["judges"] = judge_step(judges, judge_optimizer, true, made.detach(), args.device)
            if budget.elapsed >= args.adversarial_after + _JUDGES_ALONE or args.dry_run:
                fooling, matching = adversarial_losses(judges, true, made, args.device)
                loss = loss + fooling + _MATCH_WEIGHT * matching
                report |= {"fooling": fooling.detach(), "matching": matching.detach()}
        optimizer.zero_grad()
        loss.backward()
        report["gradient"] = torch.nn.utils.clip_grad_norm_(vocoder.parameters(), 10.0)
        optimizer.step()
        ema.update(vocoder, budget.step)
        budget.tick()

        if budget.step % 50 == 0 or args.dry_run:
            log(budget, **report)
        if budget.elapsed - saved > args.save_every:
            saved = budget.elapsed
            finish()
    finish()


def pairs(
    data: PackedAudio,
    batch: int,
    vae: MelVae | None,
    coded: CodedSounds | None,
    rng: np.random.Generator,
    device: str,
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the vocoder is given and what it shall say: mel `[batch, 1, T, F]`, waveform `[batch, N]`.

    With a VAE every second mel is decoded, with coded sounds from the latent of one of them.
    """
    real, _ = waveforms(data, batch, _SAMPLES, rng, device)
    synthetic = max(1, batch // 16)
    real[1 : 2 * synthetic : 2] = torch.from_numpy(tones(synthetic, _SAMPLES, rng)).to(device)
    mel = log_mel(real)
    if vae is not None and coded is not None:
        real[::2], mel[::2] = decoded_from(coded, vae, -(-batch // 2))
    elif vae is not None:
        mel = half_decoded(vae, mel)
    return mel, real


@torch.no_grad()
def half_decoded(vae: MelVae, mel: torch.Tensor) -> torch.Tensor:
    """The same mels, every second one decoded from its latent with noise of -inf to -8 dB."""
    latent = vae.encode(mel[::2])
    level = 0.4 * torch.rand(len(latent), 1, 1, 1, device=mel.device) ** 2
    mixed = mel.clone()
    mixed[::2] = vae.decode(latent + level * torch.randn_like(latent))
    return mixed


@torch.no_grad()
def decoded_from(coded: CodedSounds, vae: MelVae, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Waveforms `[batch, N]` and the mels `[batch, 1, T, F]` that the VAE decodes for them from coded latents."""
    frames, margin = _SAMPLES // LATENT_HOP, vae.config.decoder_reach
    waveform, latent = coded.sample(batch, frames + 2 * margin)
    mel = vae.decode(latent)[:, :, 4 * margin : -4 * margin]
    return waveform[:, margin * LATENT_HOP : -margin * LATENT_HOP], mel


def mel_distance(estimate: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """L1 between log-mels, averaged over resolutions (nats)."""
    total = estimate.new_zeros(())
    for n_fft, n_mels in _RESOLUTIONS:
        filters = torch.from_numpy(mel_filter_bank(MelConfig(n_fft=n_fft, n_mels=n_mels))).to(estimate.device)
        window = torch.hann_window(n_fft, device=estimate.device)
        both = torch.cat((estimate, reference))
        spectrum = torch.stft(both, n_fft, n_fft // 4, window=window, return_complex=True)
        magnitude = (spectrum.real.square() + spectrum.imag.square() + 1e-12).sqrt()
        a, b = (filters @ magnitude).clamp_min(1e-5).log().chunk(2)
        total = total + (a - b).abs().mean()
    return total / len(_RESOLUTIONS)


def judge_step(
    judges: MultiResolutionDiscriminator,
    optimizer: torch.optim.Optimizer,
    real: torch.Tensor,
    fake: torch.Tensor,
    device: str,
) -> torch.Tensor:
    """One update of the discriminators with the hinge loss."""
    with mixed_precision(device):
        outputs = judges(torch.cat((real, fake)))
    loss = real.new_zeros(())
    for scores, _ in outputs:
        for_real, for_fake = scores.chunk(2)
        loss = loss + F.relu(1 - for_real).mean() + F.relu(1 + for_fake).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach() / len(outputs)


def adversarial_losses(
    judges: MultiResolutionDiscriminator, real: torch.Tensor, fake: torch.Tensor, device: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hinge generator loss, and L1 between hidden layers relative to their size; each averaged over resolutions."""
    judges.requires_grad_(False)
    with mixed_precision(device):
        with torch.no_grad():
            targets = judges(real)
        outputs = judges(fake)
    judges.requires_grad_(True)
    fooling = matching = real.new_zeros(())
    for (scores, features), (_, wanted) in zip(outputs, targets, strict=True):
        fooling = fooling - scores.mean()
        for a, b in zip(features, wanted, strict=True):
            matching = matching + (a - b).abs().float().mean() / b.abs().float().mean() / len(features)
    return fooling / len(outputs), matching / len(outputs)


if __name__ == "__main__":
    main()
