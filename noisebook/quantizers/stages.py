"""The sequences of codes that a codebook makes of a latent, and what an entropy coder needs to know about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2

import torch

from noisebook.quantizers.config import CodebookConfig, hard_alphabets
from noisebook.quantizers.soft import SOFT_ATOMS, WEIGHT_SIZES

__all__ = ["Stage", "alphabets", "hard_stages", "soft_stages"]


@dataclass(frozen=True)
class Stage:
    """One sequence of codes of a latent.

    Attributes:
        name: for people.
        size: of the alphabet; codes are 0 .. size - 1.
        counts: how often each code came up in fitting, all >= 1: a model for entropy coding.
        row_frames: latent frames that share a row of codes.
        columns: codes of a row.
    """

    name: str
    size: int
    counts: tuple[int, ...]
    row_frames: int = 1
    columns: int = 1

    def positions(self, frames: int) -> int:
        """Codes of a latent of `frames` frames."""
        return -(-frames // self.row_frames) * self.columns

    @property
    def entropy(self) -> float:
        """Bits a code, by the counts."""
        total = sum(self.counts)
        return -sum(count / total * log2(count / total) for count in self.counts)

    @property
    def perplexity(self) -> float:
        """How many equally likely codes would have that entropy."""
        return float(2**self.entropy)

    def bits(self, codes: torch.Tensor) -> torch.Tensor:
        """Ideal bits of each code, float64, shaped as `codes`."""
        counts = torch.tensor(self.counts, dtype=torch.float64, device=codes.device)
        return -torch.log2(counts / counts.sum())[codes]


def alphabets(config: CodebookConfig) -> dict[str, int]:
    """Tensors of counts that a codebook has, with their lengths."""
    if config.method == "adaptive":
        return {"counts.0": config.stages + 1} | {f"counts.{i + 1}": config.size for i in range(config.stages)}
    hard = {f"counts.{index}": config.size for index in range(len(config.views))}
    soft = {f"soft.{index}": WEIGHT_SIZES[index] for index in range(min(SOFT_ATOMS, config.size) - 1)}
    return hard | soft if config.flat else hard


def hard_stages(config: CodebookConfig, tensors: Mapping[str, torch.Tensor]) -> tuple[Stage, ...]:
    """One stage for each table; before them the number of stages that are coded, of an adaptive codebook."""
    names = list(hard_alphabets(config))
    blocks = [1] * (config.method == "adaptive") + [view.block for view in config.views]
    counts = [tuple(tensors[f"counts.{index}"].tolist()) for index in range(len(names))]
    return tuple(
        Stage(name, len(count), count, config.row_frames * block, config.columns)
        for name, count, block in zip(names, counts, blocks, strict=True)
    )


def soft_stages(config: CodebookConfig, tensors: Mapping[str, torch.Tensor]) -> tuple[Stage, ...]:
    """Nearest atom, then weight and atom of each further one; the atoms share the counts of the nearest."""
    first = hard_stages(config, tensors)[0]

    def stage(name: str, counts: tuple[int, ...]) -> Stage:
        return Stage(name, len(counts), counts, first.row_frames, first.columns)

    stages = [stage("atom 1", first.counts)]
    for index in range(min(SOFT_ATOMS, config.size) - 1):
        stages.append(stage(f"weight {index + 2}", tuple(tensors[f"soft.{index}"].tolist())))
        stages.append(stage(f"atom {index + 2}", first.counts))
    return tuple(stages)
