"""Cutting the latent timeline into the parts that choose an atom each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F

from noisebook import rng
from noisebook.errors import ConfigError

__all__ = ["Partition"]


@dataclass(frozen=True)
class Partition:
    """How a latent `[channels, C, L, F']` falls into units of time, and each unit into parts.

    A unit is `unit_frames` latent frames of one channel, the last one what is left. Its values, frame by frame,
    are permuted, anew at every step, so that each part samples all of the unit's times and frequencies; the
    permuted values are cut into parts of `part` values, the last filled with zeros. Those of an accented unit are cut
    into halves of such parts, each filled with zeros: twice the parts.

    Attributes:
        shape: of the latent.
        unit_frames: latent frames to a unit.
        part: values to a part, d; even where units are accented.
        seed: of the stream; names the permutations.
        accented: `[channels, units]` bool; None if no unit is.
    """

    shape: tuple[int, int, int, int]
    unit_frames: int
    part: int
    seed: int = 0
    accented: torch.Tensor | None = None

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.unit_frames < 1 or self.part < 1:
            raise ConfigError(f"shape {self.shape}, unit {self.unit_frames}, part {self.part}: all must be positive")

    @property
    def parts(self) -> int:
        """Parts in all: those of channel 0 first, each channel's units in order of time."""
        if self._used is not None:
            return int(self._used.sum())
        return self.shape[0] * sum(units * self._rows(size) for units, size in self._groups)

    def parts_in(self, units: torch.Tensor) -> torch.Tensor:
        """`[parts]` bool: those of the units that are true in `[channels, units]`."""
        counts = [self._rows(size) for number, size in self._groups for _ in range(number)]
        return self._in_use(units.repeat_interleave(torch.tensor(counts), dim=1))

    def split(self, latent: torch.Tensor, step: int) -> torch.Tensor:
        """`[channels, C, L, F'] -> [parts, part]`, in the order of `step`'s permutation."""
        values = latent.transpose(1, 2).flatten(2)  # [channels, L, C F']
        pieces, start = [], 0
        for units, size in self._groups:
            piece = values[:, start : start + units * size].reshape(self.shape[0], units, -1)
            ordered = piece[..., self._permutation(piece.shape[-1], step).to(piece.device)]
            pieces.append(self._cut(ordered).flatten(1, 2))
            start += units * size
        return self._in_use(torch.cat(pieces, dim=1))

    def join(self, parts: torch.Tensor, step: int) -> torch.Tensor:
        """The inverse of `split`; what fell on the zero filling is dropped."""
        rows, pieces, start = self._all_rows(parts), [], 0
        for units, size in self._groups:
            count, height = size * self._frame_size, self._rows(size)
            cut = rows[:, start : start + units * height].reshape(self.shape[0], units, height, self.part)
            piece = self._uncut(cut, count)
            values = torch.empty_like(piece)
            values[..., self._permutation(count, step).to(piece.device)] = piece
            pieces.append(values.reshape(self.shape[0], -1, self._frame_size))
            start += units * height
        return torch.cat(pieces, dim=1).unflatten(-1, (self.shape[1], self.shape[3])).transpose(1, 2)

    @property
    def _groups(self) -> list[tuple[int, int]]:
        """(units, latent frames of each): the whole units, then what is left."""
        whole, rest = divmod(self.shape[2], self.unit_frames)
        return [group for group in ((whole, self.unit_frames), (1, rest)) if all(group)]

    # Where units are accented, each is cut in both ways, and the rows of the other way are left out.

    def _cut(self, values: torch.Tensor) -> torch.Tensor:
        """`[..., count]`, the values of units, to rows `[..., rows, part]`: parts, then halves of parts."""
        parts = _filled(values, self.part)
        if self.accented is None:
            return parts
        halves = F.pad(_filled(values, self._half), (0, self._half))
        return torch.cat((parts, halves), dim=-2)

    def _uncut(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """The inverse of `_cut`, of rows that are 0 where they are not in use."""
        parts = -(-count // self.part)
        values = rows[..., :parts, :].flatten(-2)[..., :count]
        return values if self.accented is None else values + rows[..., parts:, : self._half].flatten(-2)[..., :count]

    def _rows(self, frames: int) -> int:
        """Rows to a unit of so many frames."""
        count = frames * self._frame_size
        return -(-count // self.part) + (0 if self.accented is None else -(-count // self._half))

    def _in_use(self, rows: torch.Tensor) -> torch.Tensor:
        """`[channels, rows, ...] -> [parts, ...]`."""
        return rows.flatten(0, 1) if self._used is None else rows[self._used.to(rows.device)]

    def _all_rows(self, parts: torch.Tensor) -> torch.Tensor:
        """The inverse of `_in_use`, with 0 in all other rows."""
        if self._used is None:
            return parts.reshape(self.shape[0], -1, self.part)
        used = self._used.to(parts.device)
        rows = parts.new_zeros(*used.shape, self.part)
        rows[used] = parts
        return rows

    @cached_property
    def _used(self) -> torch.Tensor | None:
        """`[channels, rows]` bool; None where all are."""
        if self.accented is None:
            return None
        used, start = [], 0
        for units, size in self._groups:
            accented, parts = self.accented[:, start : start + units, None], -(-size * self._frame_size // self.part)
            halves = self._rows(size) - parts
            used.append(torch.cat((~accented.expand(-1, -1, parts), accented.expand(-1, -1, halves)), 2).flatten(1))
            start += units
        return torch.cat(used, dim=1)

    def _permutation(self, count: int, step: int) -> torch.Tensor:
        key = (count, step)
        if self._last.get("key") != key:  # split and join of one step need the same order
            drawn = rng.permutation(count, seed=self.seed, purpose=rng.Purpose.PERMUTATION, step=step)
            self._last.update(key=key, order=torch.from_numpy(drawn))
        return self._last["order"]  # type: ignore[return-value]

    @cached_property
    def _last(self) -> dict[str, object]:
        return {}

    @property
    def _frame_size(self) -> int:
        return self.shape[1] * self.shape[3]

    @property
    def _half(self) -> int:
        return self.part // 2


def _filled(values: torch.Tensor, size: int) -> torch.Tensor:
    """`[..., count] -> [..., rows, size]`, the last row filled with zeros."""
    return F.pad(values, (0, -values.shape[-1] % size)).unflatten(-1, (-1, size))
