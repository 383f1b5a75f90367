"""Judge a VAE before a denoiser exists: the bitrate that an ideal linear codec needs on its latents.

    python -m noisebook.recipes.bound PACKED VAE.safetensors CLIPS

Latents are taken as Gaussian with the covariance of blocks of six frames of the training audio. Reverse water-filling
(Cover & Thomas 2006, 10.3) gives for every water level the bits it costs and the latent it would deliver; the log-mel
error of that latent is measured on held-out clips. A VAE whose latents are easy to predict shows as fewer bits for the
same error, and a trained denoiser, which sees more than six frames and more than covariances, should do better still.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from noisebook.audio.mel import log_mel
from noisebook.backends.checkpoint import load_network
from noisebook.metrics import log_mel_l1_db
from noisebook.networks.mel_vae import MelVae, MelVaeConfig
from noisebook.recipes._clips import PackedAudio
from noisebook.recipes._train import waveforms
from noisebook.recipes.results import load_clips

_BLOCK = 6  # latent frames
_WATER_LEVELS = (1.5, 1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.1, 0.06, 0.03)
_FRAMES_PER_SECOND = 25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="packed training audio")
    parser.add_argument("vae", type=Path, help="weights of the VAE")
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--limit", type=int, default=4, help="clips of each kind")
    parser.add_argument("--threads", type=int, help="CPU threads")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)

    vae = load_network(args.vae, MelVae, MelVaeConfig)
    mean, variances, basis = principal_components(vae, PackedAudio(args.data))
    samples = np.concatenate([clip.sound.samples for clip in load_clips(args.clips, args.limit)])
    samples *= 0.5 / np.abs(samples).max(axis=1, keepdims=True).clip(1e-4)
    usable = samples.shape[1] // (640 * _BLOCK) * 640 * _BLOCK
    mel = log_mel(torch.from_numpy(samples[:, :usable]))
    latent = vae.encode(mel)
    print(f"no coding: {log_mel_l1_db(mel.numpy(), vae.decode(latent).numpy()):.2f} dB")
    for level in _WATER_LEVELS:
        bits = float(0.5 * torch.log2((variances / level).clamp_min(1)).sum())
        coded = water_fill(latent, mean, variances, basis, level)
        error = log_mel_l1_db(mel.numpy(), vae.decode(coded).numpy())
        print(f"{bits / _BLOCK * _FRAMES_PER_SECOND:7.0f} bit/s: {error:.2f} dB", flush=True)


def principal_components(
    vae: MelVae, data: PackedAudio, *, batches: int = 24
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean of a frame `[V]`, and variances `[6 V]` and directions `[6 V, 6 V]` of blocks of six frames."""
    rng = np.random.default_rng(9)
    frames = torch.cat(
        [_frames(vae.encode(log_mel(waveforms(data, 16, 81920, rng, "cpu")[0]))) for _ in range(batches)]
    )
    mean = frames.mean((0, 1))
    blocks = (frames - mean)[:, : frames.shape[1] // _BLOCK * _BLOCK].reshape(-1, _BLOCK * len(mean))
    shifted = (frames - mean)[:, 3 : 3 + (frames.shape[1] - 3) // _BLOCK * _BLOCK].reshape(-1, _BLOCK * len(mean))
    both = torch.cat((blocks, shifted))
    covariance = both.T @ both / len(both) + 1e-4 * torch.eye(both.shape[1])
    return mean, *torch.linalg.eigh(covariance)


def water_fill(
    latent: torch.Tensor, mean: torch.Tensor, variances: torch.Tensor, basis: torch.Tensor, level: float
) -> torch.Tensor:
    """The latent as the test channel of water-filling delivers it: components above the level with that much error."""
    frames = _frames(latent) - mean
    components = frames.reshape(-1, len(variances)) @ basis
    gain = (1 - level / variances).clamp_min(0)
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(components.shape, generator=generator) * (level * gain).sqrt()
    delivered = ((components * gain + noise) @ basis.T).reshape(frames.shape) + mean
    return delivered.unflatten(-1, (latent.shape[1], latent.shape[3])).transpose(1, 2)


def _frames(latent: torch.Tensor) -> torch.Tensor:
    """`[B, C, T', F'] -> [B, T', V]`."""
    return latent.transpose(1, 2).flatten(2)


if __name__ == "__main__":
    main()
