"""Tables one after the other: each quantises what its view shows of what the tables before left over.

left = vectors; for each table: code = nearest(read(left)), left = left - write(table[code])

One table is plain vector quantisation, whole views are residual (van den Oord et al. 2017; Zeghidour et al. 2021,
SoundStream), disjoint ones product (Jegou et al. 2011), a view of block means before whole ones hierarchical.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from noisebook.quantizers import soft
from noisebook.quantizers.config import View
from noisebook.quantizers.nearest import nearest
from noisebook.quantizers.units import read, write

__all__ = ["hard_codes", "hard_vectors", "soft_averages", "soft_codes", "soft_vectors"]

Found = tuple[torch.Tensor, ...]
Tables = Sequence[torch.Tensor]


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
    top_k = min(soft.SOFT_ATOMS, len(table))

    def find(x: torch.Tensor, n: int | None) -> Found:
        return soft.soft_assign(x, table, temperature=temperature, top_k=top_k, valid=n)

    indices, weights = _each_vector(find, vectors, View(0, vectors.shape[-1]), valid)
    shares = soft.whole_weights(weights)
    codes = [indices[..., 0]]
    for index in range(top_k - 1):
        codes += [shares[..., index], indices[..., index + 1] * (shares[..., index] > 0)]
    return codes


def soft_vectors(codes: Sequence[torch.Tensor], table: torch.Tensor, *, preserve_variance: bool) -> torch.Tensor:
    """What those codes say, `[B, R, P, d]`."""
    shares = torch.stack(list(codes[1::2])) / soft.WEIGHT_STEPS
    weights = torch.cat([1 - shares.sum(0, keepdim=True), shares])
    return soft.mixed(table[torch.stack(list(codes[::2]))], weights, preserve_variance=preserve_variance)


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
            indices, weights = soft.soft_assign(x, table, temperature=temperature, top_k=top_k, valid=n)
            return (soft.mixed(table[indices.T], weights.T, preserve_variance=preserve_variance),)

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
