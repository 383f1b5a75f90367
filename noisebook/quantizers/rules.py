"""Quantised latents for analysis and transformation: hard, soft and hybrid. Not a codec.

    hard     the nearest atoms                                              what `encode` and `decode` give
    soft     softmax averages of the nearest atoms, weights not rounded
    hybrid   mix of the hard one and the latent itself

Soft needs float weights at a decoder and hybrid the original. The soft rule of `LatentCodebook.encode` is a codec.
"""

from __future__ import annotations

import torch

from noisebook.errors import ConfigError
from noisebook.quantizers.chain import soft_averages
from noisebook.quantizers.codebook import TEMPERATURE, LatentCodebook
from noisebook.quantizers.soft import SOFT_ATOMS, mixed
from noisebook.quantizers.units import join, split, valid_values

__all__ = ["MIX", "QUANTISE_RULES", "quantise"]

QUANTISE_RULES = ("hard", "soft", "hybrid")
MIX = 0.7  # share of the quantised latent in a hybrid


def quantise(
    latent: torch.Tensor,
    codebook: LatentCodebook,
    *,
    rule: str = "hard",
    temperature: float = TEMPERATURE,
    top_k: int = SOFT_ATOMS,
    mix: float = MIX,
    preserve_variance: bool = True,
) -> torch.Tensor:
    """The latent `[B, C, L, F']` as the codebook sees it.

    Args:
        rule: one of `QUANTISE_RULES`.
        temperature, top_k: of the soft rule, applied in every table; an adaptive codebook uses all of its stages.
        mix: of the hybrid rule, share of the quantised latent; the rest is the original.
        preserve_variance: give averages (soft, hybrid) the energy that their parts have on average.

    Raises:
        ConfigError: a latent or option that does not fit.
    """
    if rule not in QUANTISE_RULES:
        raise ConfigError(f"rule {rule!r}: {', '.join(QUANTISE_RULES)} are possible")
    if not 0 <= mix <= 1:
        raise ConfigError(f"a mix of {mix}: 0 (the original) to 1 (quantised) is possible")
    config, frames = codebook.config, latent.shape[2]
    if rule == "soft":
        tables = [table.to(latent.device) for table in codebook.tables]
        averages = soft_averages(
            split(latent, config), config.views, tables, valid_values(config, frames),
            temperature=temperature, top_k=top_k, preserve_variance=preserve_variance,
        )  # fmt: skip
        return join(averages, config, frames)
    quantised = codebook.decode(codebook.encode(latent), frames)
    if rule == "hard":
        return quantised
    parts = torch.stack([split(quantised, config), split(latent, config)])
    weights = torch.tensor([mix, 1 - mix], device=latent.device).view(2, 1, 1, 1).expand(parts.shape[:4])
    return join(mixed(parts, weights, preserve_variance=preserve_variance), config, frames)
