"""Where bits are best spent: how many stages of a residual quantiser each vector gets under one budget for all."""

from __future__ import annotations

import torch

from noisebook.errors import ConfigError

__all__ = ["spend"]

_HALVINGS = 60


def spend(squares: torch.Tensor, bits: torch.Tensor, count_bits: torch.Tensor, *, budget: float) -> torch.Tensor:
    """Number of stages of each vector that minimises the squared error within a budget.

    Lagrangian allocation (Shoham and Gersho 1988): every vector takes the number n that minimises
    `error(n) + lambda rate(n)`, and lambda is the smallest for which the rates fit.

    Args:
        squares: squared error with 0 .. S stages, `[..., S + 1]`.
        bits: of the code of each stage, `[..., S]`.
        count_bits: of telling the number, `[S + 1]`.
        budget: bits in all.

    Returns:
        `[...]` int64, 0 .. S.

    Raises:
        ConfigError: the budget does not even pay for the cheapest numbers.
    """
    rates = torch.cat([torch.zeros_like(bits[..., :1]), bits.cumsum(-1)], -1) + count_bits
    errors = squares.to(rates.dtype)
    cheapest = float(rates.min(-1).values.sum())
    if cheapest > budget:
        raise ConfigError(f"a budget of {budget:.0f} bits: telling that nothing is coded takes {cheapest:.0f} already")

    def choose(multiplier: float) -> tuple[torch.Tensor, float]:
        chosen = (errors + multiplier * rates).argmin(-1)
        return chosen, float(rates.gather(-1, chosen[..., None]).sum())

    if choose(0.0)[1] <= budget:
        return choose(0.0)[0]
    low, high = 0.0, 1.0
    while choose(high)[1] > budget:
        low, high = high, 2 * high
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if choose(middle)[1] <= budget else (middle, high)
    return choose(high)[0]
