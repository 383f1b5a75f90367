"""Building blocks in `[B, T, C]` layout: every convolution is a `Linear` over a frame and its two neighbours.

On CPUs a matrix product runs several times faster than a small convolution of the same size, so the whole
embedded model is made of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Taps(nn.Module):
    """A convolution of three taps over time, as one matrix product; zeros at the ends: `[B, T, inputs -> outputs]`."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = F.pad(x, (0, 0, 1, 1))
        return self.linear(torch.cat((padded[:, :-2], x, padded[:, 2:]), dim=-1))


class ResidualBlock(nn.Module):
    """`x + Linear(gelu(Taps(LayerNorm(x))))`; starts as the identity. Reaches one frame to either side."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.expand = Taps(dim, hidden)
        self.project = nn.Linear(hidden, dim)
        nn.init.zeros_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.project(F.gelu(self.expand(self.norm(x)), approximate="tanh"))
