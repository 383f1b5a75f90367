"""The noise schedule: how much signal is left at each timestep (Ho et al. 2020).

All but `cosine` is plain float64 arithmetic of `+ - * / sqrt`, so every IEEE 754 machine computes the same schedule
and, from it, the same coding plan.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sqrt
from typing import TYPE_CHECKING

from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

__all__ = ["Schedule", "cosine", "linear", "scaled_linear"]


@dataclass(frozen=True)
class Schedule:
    """`alphas_cumprod[t]` for t = 0..T-1, strictly falling in (0, 1)."""

    alphas_cumprod: tuple[float, ...]

    def __post_init__(self) -> None:
        values = (1.0, *self.alphas_cumprod, 0.0)
        if len(values) < 4 or any(a <= b for a, b in pairwise(values)):
            raise ConfigError("alphas_cumprod must fall strictly within (0, 1) and have at least two values")

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    def alpha(self, t: int | None) -> float:
        """`alphas_cumprod` at timestep t; None stands for clean data, where it is 1."""
        return 1.0 if t is None else self.alphas_cumprod[t]

    def snr(self, t: int) -> float:
        """Signal-to-noise ratio `abar_t / (1 - abar_t)`."""
        alpha = self.alphas_cumprod[t]
        return alpha / (1.0 - alpha)

    def add_noise(self, x0: torch.Tensor, noise: torch.Tensor, t: int) -> torch.Tensor:
        """`x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise`: clean data as the denoiser is given it at timestep t."""
        alpha = self.alphas_cumprod[t]
        return sqrt(alpha) * x0 + sqrt(1 - alpha) * noise


def scaled_linear(first: float = 0.0015, last: float = 0.0195, steps: int = 1000) -> Schedule:
    """Betas linear in their square root, as AudioLDM was trained (Rombach et al. 2022).

    Raises:
        ConfigError: betas outside 0..1.
    """
    if min(first, last) < 0:
        raise ConfigError(f"betas from {first:g} to {last:g}: they lie between 0 and 1")
    low, high = sqrt(first), sqrt(last)
    roots = (low + (high - low) * i / (steps - 1) for i in range(steps))
    return _from_betas(root * root for root in roots)


def linear(first: float, last: float, steps: int = 1000) -> Schedule:
    """Betas linear in the timestep (Ho et al. 2020)."""
    return _from_betas(first + (last - first) * i / (steps - 1) for i in range(steps))


def cosine(steps: int = 1000) -> Schedule:
    """`abar = cos^2(pi tau / 2)` at `tau = (t + 1) / (steps + 1)`, for models in continuous time (Salimans & Ho 2022).

    The cosine is rounded to twelve digits, in which all machines agree.
    """
    return Schedule(tuple(round(cos(pi / 2 * (t + 1) / (steps + 1)) ** 2, 12) for t in range(steps)))


def _from_betas(betas: Iterable[float]) -> Schedule:
    alphas: list[float] = []
    product = 1.0
    for beta in betas:
        product *= 1.0 - beta
        alphas.append(product)
    return Schedule(tuple(alphas))
