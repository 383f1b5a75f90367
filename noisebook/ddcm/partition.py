"""Cutting the latent timeline into the parts that choose an atom each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

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
    permuted values are cut into parts of `part` values, the last filled with zeros.

    Attributes:
        shape: of the latent.
        unit_frames: latent frames to a unit.
        part: values to a part, d.
        seed: of the stream; names the permutations.
    """

    shape: tuple[int, int, int, int]
    unit_frames: int
    part: int
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or self.unit_frames < 1 or self.part < 1:
            raise ConfigError(f"shape {self.shape}, unit {self.unit_frames}, part {self.part}: all must be positive")

    @property
    def parts(self) -> int:
        """Parts in all: those of channel 0 first, each channel's units in order of time."""
        return self.shape[0] * sum(units * self._rows(size) for units, size in self._groups)

    def parts_in(self, units: torch.Tensor) -> torch.Tensor:
        """`[parts]` bool: those of the units that are true in `[channels, units]`."""
        counts = [self._rows(size) for number, size in self._groups for _ in range(number)]
        return units.repeat_interleave(torch.tensor(counts), dim=1).flatten()

    def split(self, latent: torch.Tensor, step: int) -> torch.Tensor:
        """`[channels, C, L, F'] -> [parts, part]`, in the order of `step`'s permutation."""
        values = latent.transpose(1, 2).flatten(2)  # [channels, L, C F']
        pieces, start = [], 0
        for units, size in self._groups:
            piece = values[:, start : start + units * size].reshape(self.shape[0], units, -1)
            ordered = piece[..., _permutation(piece.shape[-1], self.seed, step).to(piece.device)]
            pieces.append(F.pad(ordered, (0, -ordered.shape[-1] % self.part)).reshape(self.shape[0], -1, self.part))
            start += units * size
        return torch.cat(pieces, dim=1).flatten(0, 1)

    def join(self, parts: torch.Tensor, step: int) -> torch.Tensor:
        """The inverse of `split`; what fell on the zero filling is dropped."""
        rows, pieces, start = parts.reshape(self.shape[0], -1, self.part), [], 0
        for units, size in self._groups:
            count, height = size * self._frame_size, self._rows(size)
            piece = rows[:, start : start + units * height].reshape(self.shape[0], units, -1)[..., :count]
            values = torch.empty_like(piece)
            values[..., _permutation(count, self.seed, step).to(piece.device)] = piece
            pieces.append(values.reshape(self.shape[0], -1, self._frame_size))
            start += units * height
        return torch.cat(pieces, dim=1).unflatten(-1, (self.shape[1], self.shape[3])).transpose(1, 2)

    @property
    def _groups(self) -> list[tuple[int, int]]:
        """(units, latent frames of each): the whole units, then what is left."""
        whole, rest = divmod(self.shape[2], self.unit_frames)
        return [group for group in ((whole, self.unit_frames), (1, rest)) if all(group)]

    def _rows(self, frames: int) -> int:
        """Parts of a unit of so many frames."""
        return -(-frames * self._frame_size // self.part)

    @property
    def _frame_size(self) -> int:
        return self.shape[1] * self.shape[3]


@lru_cache(maxsize=4)  # split and join of one step need the same orders, of whole units and of the last one
def _permutation(count: int, seed: int, step: int) -> torch.Tensor:
    return torch.from_numpy(rng.permutation(count, seed=seed, purpose=rng.Purpose.PERMUTATION, step=step))
