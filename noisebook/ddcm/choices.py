"""The choice of a part: the atom of largest inner product in magnitude, with its sign, and how it is written."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from noisebook.coding.bitio import BitReader, BitWriter

__all__ = ["Choice", "choose", "read", "write"]


@dataclass(frozen=True)
class Choice:
    """Chosen atoms of P parts.

    Attributes:
        indices: `[P]` int64.
        signs: `[P]` of +-1, int64.
    """

    indices: torch.Tensor
    signs: torch.Tensor

    def of(self, parts: torch.Tensor) -> Choice:
        """The choices of some parts, `[P]` bool."""
        return Choice(self.indices[parts], self.signs[parts])

    def among(self, parts: torch.Tensor) -> Choice:
        """The inverse of `of`, on the device of `parts`: all other parts take atom 0 as it is."""
        indices, signs = self.indices.new_zeros(len(parts)), self.signs.new_ones(len(parts))
        indices[parts], signs[parts] = self.indices, self.signs
        return Choice(indices, signs)

    def to(self, device: torch.device) -> Choice:
        return Choice(self.indices.to(device), self.signs.to(device))


def choose(correlations: torch.Tensor) -> Choice:
    """The choice for inner products `[P, K]`."""
    indices = correlations.abs().argmax(1)
    return Choice(indices, torch.where(correlations.gather(1, indices[:, None])[:, 0] < 0, -1, 1))


def write(choice: Choice, width: int, writer: BitWriter) -> None:
    """Append the choices of all parts, each `width` bits: the index, then the sign (1 for minus)."""
    writer.write_array((2 * choice.indices + (choice.signs < 0)).cpu().numpy(), width)


def read(parts: int, width: int, reader: BitReader) -> Choice:
    """The choices of `parts` parts, as `write` left them.

    Raises:
        TruncatedStream: too few bits.
    """
    values = torch.from_numpy(reader.read_array(parts, width))
    return Choice(values >> 1, 1 - 2 * (values & 1))
