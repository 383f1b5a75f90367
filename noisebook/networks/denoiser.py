"""Diffusion transformer on latent frames (DiT, Peebles & Xie 2023) with v-prediction (Salimans & Ho 2022).

A token is one latent frame (`C * F'` values). Attention has rotary positions, the MLP sees both neighbours, and one
time-and-tag embedding modulates every block (adaLN-single, Chen et al. 2024).
"""

from __future__ import annotations

from math import log

import torch
import torch.nn.functional as F
from torch import nn

from noisebook.networks.blocks import Taps
from noisebook.networks.configs import DenoiserConfig


class Denoiser(nn.Module):
    """Predicts `v = sqrt(abar) eps - sqrt(1 - abar) x0` from `x_t`."""

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = c = config
        size = c.latent_channels * c.latent_bins
        self.input = Taps(size, c.dim)
        self.time = nn.Sequential(nn.Linear(256, c.dim), nn.SiLU(), nn.Linear(c.dim, c.dim))
        self.tag = nn.Embedding(len(c.tags) + 1, c.dim)
        self.modulation = nn.Sequential(nn.SiLU(), nn.Linear(c.dim, 6 * c.dim))
        self.blocks = nn.ModuleList(_Block(c) for _ in range(c.blocks))
        self.norm = nn.LayerNorm(c.dim)
        self.output = nn.Linear(c.dim, size)
        nn.init.normal_(self.tag.weight, std=0.02)
        nn.init.zeros_(self.output.weight)

    def forward(self, x: torch.Tensor, t: torch.Tensor, tag: torch.Tensor) -> torch.Tensor:
        """v, shaped as x, float32.

        Args:
            x: `[B, C, T', F']`.
            t: timesteps `[B]` in 0..999.
            tag: `[B]` int64, or weights of the tags `[B, tags + 1]` float32, which mix their embeddings.
        """
        hidden = self.input(x.transpose(1, 2).flatten(2))
        embedding = self.time(_sinusoids(t)) + self._tag_embedding(tag)
        modulation = self.modulation(embedding).unflatten(-1, (6, 1, -1)).unbind(1)
        rotation = _rotations(x.shape[2], self.config.dim // self.config.heads, x.device)
        for block in self.blocks:
            hidden = block(hidden, modulation, rotation)
        v = self.output(self.norm(hidden)).float()
        return v.unflatten(-1, (self.config.latent_channels, -1)).transpose(1, 2)

    def _tag_embedding(self, tag: torch.Tensor) -> torch.Tensor:
        if tag.is_floating_point():
            # Not a matrix product, which mixed precision would round.
            return (tag[:, :, None] * self.tag.weight).sum(1)
        return self.tag(tag)


class _Block(nn.Module):
    def __init__(self, c: DenoiserConfig) -> None:
        super().__init__()
        self.heads = c.heads
        # adaLN-single: the shared modulation plus a learned offset of this block; gates start at zero.
        self.offsets = nn.Parameter(torch.zeros(6, c.dim))
        self.qkv = nn.Linear(c.dim, 3 * c.dim)
        self.attended = nn.Linear(c.dim, c.dim)
        self.expand = Taps(c.dim, c.hidden)
        self.project = nn.Linear(c.hidden, c.dim)
        nn.init.zeros_(self.attended.weight)
        nn.init.zeros_(self.project.weight)

    def forward(self, x: torch.Tensor, modulation: tuple[torch.Tensor, ...], rotation: torch.Tensor) -> torch.Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (
            m + offset for m, offset in zip(modulation, self.offsets, strict=True)
        )
        x = torch.addcmul(x, 1 + gate_a, self._attend(_normalise(x, shift_a, scale_a), rotation))
        hidden = F.gelu(self.expand(_normalise(x, shift_m, scale_m)), approximate="tanh")
        return torch.addcmul(x, 1 + gate_m, self.project(hidden))

    def _attend(self, x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = _rotate(qkv[:2], rotation)
        attended = F.scaled_dot_product_attention(q, k, qkv[2])
        return self.attended(attended.transpose(1, 2).flatten(2))


def _normalise(x: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:]), 1 + scale)


def _sinusoids(t: torch.Tensor, size: int = 256) -> torch.Tensor:
    frequencies = torch.exp(-log(10000.0) * torch.arange(size // 2, device=t.device) / (size // 2))
    angles = t.float()[:, None] * frequencies
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


def _rotations(frames: int, size: int, device: torch.device) -> torch.Tensor:
    """Cosines and signed sines of rotary positions (Su et al. 2021), `[2, frames, size]`."""
    frequencies = torch.exp(-log(10000.0) * torch.arange(0, size, 2, device=device) / size)
    angles = torch.arange(frames, device=device)[:, None] * frequencies
    cos, sin = angles.cos(), angles.sin()
    return torch.stack((torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)))


def _rotate(x: torch.Tensor, rotation: torch.Tensor) -> torch.Tensor:
    """The pairs (a, b) of a head's halves, turned: (a cos - b sin, b cos + a sin)."""
    cos, sin = rotation.to(x.dtype)
    turned, half = x * cos, x.shape[-1] // 2
    turned[..., :half].addcmul_(x[..., half:], sin[..., :half])
    turned[..., half:].addcmul_(x[..., :half], sin[..., half:])
    return turned


def x0_from_v(x: torch.Tensor, v: torch.Tensor, alpha: float | torch.Tensor) -> torch.Tensor:
    """`x0_hat = sqrt(abar) x_t - sqrt(1 - abar) v` (Salimans & Ho 2022); alpha is abar, a number or `[B, 1, 1, 1]`."""
    return alpha**0.5 * x - (1 - alpha) ** 0.5 * v
