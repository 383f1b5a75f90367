"""Latents to vectors, vectors to the nearest atoms of tables one after the other, and back.

    latent [B, C, L, F'] --split--> vectors [B, R, P, d] --read--> [B, R', P, d'] one vector for each code of a table
    latent [B, C, L, F'] <--join--- vectors [B, R, P, d] <-write-- [B, R', P, d']

    left = vectors; for each table: left = left - write(nearest atoms of read(left))

One table is plain vector quantisation, whole views are residual (van den Oord et al. 2017; Zeghidour et al. 2021,
SoundStream), disjoint ones product (Jegou et al. 2011), a view of block means before whole ones hierarchical.

Hard assignment takes the nearest atom. Soft assignment averages several, with weights

    w_i = softmax(-distance_i / temperature) over the k nearest atoms, Euclidean distance

An average of atoms has less energy than they have. `mixed` gives it back: it scales each vector to the energy that its
parts have on (weighted) average, which a decoder can do since it needs nothing but atoms and weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional

from noisebook.errors import ConfigError
from noisebook.quantizers.config import CodebookConfig, View

_SCORES = 2**18  # held at once: 1 MiB, which stays in a core's cache
_HALVINGS = 60


def split(latent: torch.Tensor, config: CodebookConfig) -> torch.Tensor:
    """`[B, C, L, F'] -> [B, R, P, d]` float32: R units in time, P at the same time; a last short clip is filled with 0.
    ConfigError where the latent is not of C channels and F' bins, has no frame, or is not finite."""
    shape = tuple(latent.shape)
    if len(shape) != 4 or shape[1] != config.channels or shape[3] != config.bins or 0 in shape:
        raise ConfigError(
            f"a latent of shape {list(shape)}: the codebook needs [B, {config.channels}, L, {config.bins}]"
        )
    if not bool(torch.isfinite(latent).all()):
        raise ConfigError("the latent holds NaN or infinite values")
    if config.unit == "position":
        return latent.float().permute(0, 2, 3, 1)
    frames = latent.float().permute(0, 2, 1, 3)
    filled = functional.pad(frames, (0, 0, 0, 0, 0, -latent.shape[2] % config.row_frames))
    return filled.reshape(len(latent), -1, 1, config.values)


def join(vectors: torch.Tensor, config: CodebookConfig, frames: int) -> torch.Tensor:
    """The inverse of `split`: `[B, R, P, d] -> [B, C, frames, F']`."""
    if config.unit == "position":
        return vectors.permute(0, 3, 1, 2).contiguous()
    by_frame = vectors.reshape(len(vectors), -1, config.channels, config.bins)[:, :frames]
    return by_frame.permute(0, 2, 1, 3).contiguous()


def valid_values(config: CodebookConfig, frames: int) -> int:
    """Leading values of the last vector that are of the latent and not filling."""
    rest = frames % config.row_frames
    return rest * config.channels * config.bins if rest else config.values


def read(vectors: torch.Tensor, view: View) -> torch.Tensor:
    """`[B, R, P, d] -> [B, ceil(R / block), P, d']`; the last block's mean is over the rows it has."""
    seen = vectors[..., view.first : view.end]
    return seen if view.block == 1 else torch.stack([rows.mean(1) for rows in seen.split(view.block, dim=1)], 1)


def write(part: torch.Tensor, view: View, like: torch.Tensor) -> torch.Tensor:
    """`[B, ceil(R / block), P, d'] -> [B, R, P, d]`, shaped as `like`, 0 where the view does not look."""
    rows = part.repeat_interleave(view.block, dim=1)[:, : like.shape[1]] if view.block > 1 else part
    return functional.pad(rows, (view.first, like.shape[-1] - view.end))


def nearest(vectors: torch.Tensor, table: torch.Tensor, valid: int | None = None) -> torch.Tensor:
    """Index of the nearest atom: vectors `[N, d]`, table `[K, d]` -> `[N]` int64. Only the first `valid` values count;
    those of the vectors beyond must be 0."""
    # `max` finds the index three times as fast as `argmax` (measured).
    return torch.cat([scores.max(1).indices for scores in _scores(vectors, table, valid)])


def soft_assign(
    vectors: torch.Tensor, table: torch.Tensor, *, temperature: float, top_k: int, valid: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The `top_k` nearest atoms and their weights, nearest first: `[N, k]` int64 and `[N, k]`; see `nearest`.

    Weights fall and sum to 1; at temperature 0 the nearest atom has all of it.
    """
    if not temperature >= 0:
        raise ConfigError(f"a temperature of {temperature}: 0 (hard) or above is possible")
    if not 1 <= top_k <= len(table):
        raise ConfigError(f"the {top_k} nearest of {len(table)} atoms: 1 to all are possible")
    found = [scores.topk(top_k, dim=1) for scores in _scores(vectors, table, valid)]
    scores, indices = (torch.cat(parts) for parts in zip(*found, strict=True))
    distances = (vectors.square().sum(1, keepdim=True) - 2 * scores).clamp_min(0).sqrt()
    behind = distances - distances[:, :1]  # before the division: a tiny temperature must not overflow to inf - inf
    return indices, torch.softmax(-behind / max(temperature, 1e-20), dim=1)


def _scores(vectors: torch.Tensor, table: torch.Tensor, valid: int | None) -> Iterator[torch.Tensor]:
    """`x.a - |a|^2 / 2` of chunks, `[n, K]`: largest where `|x - a|` is smallest, at the cost of one product."""
    offset = -0.5 * table[:, :valid].square().sum(1)
    for chunk in vectors.split(max(1, _SCORES // len(table))):
        yield torch.addmm(offset, chunk, table.T)


def mixed(parts: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Sum of parts `[k, ..., d]` with weights `[k, ...]` over the first axis, at their mean energy."""
    mix = (parts * weights[..., None]).sum(0)
    wanted = (parts.square().sum(-1) * weights).sum(0)
    energy = mix.square().sum(-1)
    # Parts that cancel have no direction to give energy to.
    scale = torch.where(energy > 1e-12 * wanted, wanted / energy.clamp_min(1e-30), 1.0).sqrt()
    return mix * scale[..., None]


def assigned(
    left: torch.Tensor,
    view: View,
    table: torch.Tensor,
    valid: int,
    *,
    temperature: float = 0.0,
    top_k: int | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Atoms and their weights for what a view shows of vectors `[B, R, P, d]`, both `[B, R', P, k]`, as of
    `soft_assign`; without `top_k` the nearest atom alone. Of the last row the first `valid` values count."""

    def find(rows: torch.Tensor, count: int | None) -> list[torch.Tensor]:
        x = rows.flatten(0, 2)
        if top_k is None:
            indices = nearest(x, table, count)[:, None]
            weights = torch.ones_like(indices, dtype=x.dtype)
        else:
            indices, weights = soft_assign(x, table, temperature=temperature, top_k=top_k, valid=count)
        return [result.unflatten(0, rows.shape[:3]) for result in (indices, weights)]

    seen, inside = read(left, view), min(max(valid - view.first, 0), view.values)
    whole = seen.shape[1] - (inside < view.values)  # rows of which all values count
    pieces = ((seen[:, :whole], None), (seen[:, whole:], inside))
    indices, weights = zip(*(find(rows, count) for rows, count in pieces if rows.numel()), strict=True)
    return torch.cat(indices, dim=1), torch.cat(weights, dim=1)


def spend(squares: torch.Tensor, bits: torch.Tensor, count_bits: torch.Tensor, *, budget: float) -> torch.Tensor:
    """Number of stages of each vector, int64 0 .. S, that minimises the squared error within a budget of bits in all.

    `squares [..., S + 1]` are the errors with 0 .. S stages, `bits [..., S]` those of the code of each stage, and
    `count_bits [S + 1]` those of telling the number. Lagrangian allocation (Shoham and Gersho 1988): every vector takes
    the number n that minimises `error(n) + lambda rate(n)`, and lambda is the smallest for which the rates fit.
    ConfigError where the budget does not even pay for the cheapest numbers.
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
