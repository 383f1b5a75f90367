"""Latents to vectors, vectors to codes by tables one after the other, and back.

    latent [B, C, L, F'] --split--> vectors [B, R, P, d] --read--> [B, R', P, d'] one vector for each code of a table
    latent [B, C, L, F'] <--join--- vectors [B, R, P, d] <-write-- [B, R', P, d']

    left = vectors; for each table: code = nearest(read(left)), left = left - write(table[code])

One table is plain vector quantisation, whole views are residual (van den Oord et al. 2017; Zeghidour et al. 2021,
SoundStream), disjoint ones product (Jegou et al. 2011), a view of block means before whole ones hierarchical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from noisebook.errors import ConfigError
from noisebook.quantizers.config import SOFT_ATOMS, WEIGHT_STEPS, CodebookConfig, View
from noisebook.quantizers.nearest import mixed, nearest, soft_assign, whole_weights

__all__ = [
    "hard_codes",
    "hard_vectors",
    "join",
    "read",
    "soft_averages",
    "soft_codes",
    "soft_vectors",
    "spend",
    "split",
    "valid_values",
    "write",
]

Found = tuple[torch.Tensor, ...]
Tables = Sequence[torch.Tensor]
_HALVINGS = 60


def split(latent: torch.Tensor, config: CodebookConfig) -> torch.Tensor:
    """`[B, C, L, F'] -> [B, R, P, d]` float32: R units in time, P at the same time; a last short clip is filled with 0.

    Raises:
        ConfigError: not a latent of C channels and F' bins with at least one frame, or not finite.
    """
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
    if config.unit == "frame":
        return frames.flatten(2)[:, :, None]
    filled = functional.pad(frames, (0, 0, 0, 0, 0, -latent.shape[2] % config.clip_frames))
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
    if view.block == 1:
        return seen
    rows = seen.shape[1]
    sums = functional.pad(seen, (0, 0, 0, 0, 0, -rows % view.block)).unflatten(1, (-1, view.block)).sum(2)
    counts = torch.full((sums.shape[1], 1, 1), float(view.block), device=sums.device)
    counts[-1] = rows - (len(counts) - 1) * view.block
    return sums / counts


def write(part: torch.Tensor, view: View, like: torch.Tensor) -> torch.Tensor:
    """`[B, ceil(R / block), P, d'] -> [B, R, P, d]`, shaped as `like`, 0 where the view does not look."""
    rows = part.repeat_interleave(view.block, dim=1)[:, : like.shape[1]] if view.block > 1 else part
    return functional.pad(rows, (view.first, like.shape[-1] - view.end))


def hard_codes(
    vectors: torch.Tensor, views: Sequence[View], tables: Tables, valid: int
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Codes `[B, R', P]` of each table, and squared errors `[B, R, P]` before the first and after each table.

    Args:
        vectors: `[B, R, P, d]`.
        valid: leading values of the last row that count.
    """
    codes: list[torch.Tensor] = []
    left = vectors
    squares = [left.square().sum(-1)]
    for view, table in zip(views, tables, strict=True):

        def find(x: torch.Tensor, n: int | None, table: torch.Tensor = table) -> Found:
            return (nearest(x, table, valid=n),)

        codes += _each_vector(find, left, view, valid)
        left = left - write(table[codes[-1]], view, left)
        squares.append(left.square().sum(-1))
    return codes, squares


def hard_vectors(
    codes: Sequence[torch.Tensor], views: Sequence[View], tables: Tables, rows: int, used: torch.Tensor | None
) -> torch.Tensor:
    """Codes `[B, R', P]` -> vectors `[B, rows, P, d]`; those of fewer tables than there are give a coarser result.

    Args:
        used: tables that each vector uses, `[B, R, P]`; None: all.
    """
    values = max(view.end for view in views)
    vectors = torch.zeros(len(codes[0]), rows, codes[0].shape[2], values, device=codes[0].device)
    for index, (view, table, code) in enumerate(zip(views, tables, codes, strict=False)):
        part = write(table[code], view, vectors)
        vectors = vectors + (part if used is None else part * (used > index)[..., None])
    return vectors


def soft_codes(vectors: torch.Tensor, table: torch.Tensor, valid: int, temperature: float) -> list[torch.Tensor]:
    """Nearest atom, then weight and atom of each further one, each `[B, R, P]`; an atom of weight 0 is coded as 0."""
    top_k = min(SOFT_ATOMS, len(table))

    def find(x: torch.Tensor, n: int | None) -> Found:
        return soft_assign(x, table, temperature=temperature, top_k=top_k, valid=n)

    indices, weights = _each_vector(find, vectors, View(0, vectors.shape[-1]), valid)
    shares = whole_weights(weights)
    codes = [indices[..., 0]]
    for index in range(top_k - 1):
        codes += [shares[..., index], indices[..., index + 1] * (shares[..., index] > 0)]
    return codes


def soft_vectors(codes: Sequence[torch.Tensor], table: torch.Tensor, *, preserve_variance: bool) -> torch.Tensor:
    """What those codes say, `[B, R, P, d]`."""
    shares = torch.stack(list(codes[1::2])) / WEIGHT_STEPS
    weights = torch.cat([1 - shares.sum(0, keepdim=True), shares])
    return mixed(table[torch.stack(list(codes[::2]))], weights, preserve_variance=preserve_variance)


def soft_averages(
    vectors: torch.Tensor,
    views: Sequence[View],
    tables: Tables,
    valid: int,
    *,
    temperature: float,
    top_k: int,
    preserve_variance: bool,
) -> torch.Tensor:
    """Vectors `[B, R, P, d]` by tables that each give an average of the `top_k` nearest atoms, not one of them."""
    left, total = vectors, torch.zeros_like(vectors)
    for view, table in zip(views, tables, strict=True):

        def find(x: torch.Tensor, n: int | None, table: torch.Tensor = table) -> Found:
            indices, weights = soft_assign(x, table, temperature=temperature, top_k=top_k, valid=n)
            return (mixed(table[indices.T], weights.T, preserve_variance=preserve_variance),)

        part = write(_each_vector(find, left, view, valid)[0], view, vectors)
        left, total = left - part, total + part
    return total


def _each_vector(
    find: Callable[[torch.Tensor, int | None], Found], vectors: torch.Tensor, view: View, valid: int
) -> Found:
    """`find` on what the view shows, as `[N, d']`, and its results in rows `[B, R', P, ...]`.

    The last row goes apart where only its leading values count.
    """
    seen, inside = read(vectors, view), min(max(valid - view.first, 0), view.values)
    pieces: list[tuple[torch.Tensor, int | None]] = [(seen, None)]
    if inside < view.values:
        pieces = [(seen[:, :-1], None), (seen[:, -1:], inside)]
    found = [
        [result.unflatten(0, piece.shape[:3]) for result in find(piece.flatten(0, 2), count)]
        for piece, count in pieces
        if piece.numel()
    ]
    return tuple(torch.cat(results, dim=1) for results in zip(*found, strict=True))


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
