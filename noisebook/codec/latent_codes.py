"""The codes of a segment's latent as bytes: entropy coded by the counts that the codebook was fitted with."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from noisebook.coding.entropy import SymbolReader, SymbolWriter
from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["read_codes", "write_codes"]


def write_codes(codes: Sequence[torch.Tensor], codebook: LatentCodebook, frames: int, rule: str) -> bytes:
    """The bytes of codes `[channels, positions]`, one tensor a stage: stage by stage, channel by channel."""
    writer = SymbolWriter()
    for index, (stage, code) in enumerate(zip(codebook.stages(rule), codes, strict=True)):
        present = codebook.present(codes[:index], frames, rule)
        written = code.flatten() if present is None else code[present]
        writer.write(written.cpu().numpy(), stage.counts)
    return writer.getvalue()


def read_codes(data: bytes, codebook: LatentCodebook, channels: int, frames: int, rule: str) -> list[torch.Tensor]:
    """The inverse, `[channels, positions]` int64 on the CPU, one tensor a stage.

    Raises:
        CorruptStream: the bytes are not what `write_codes` writes.
    """
    reader = SymbolReader(data)
    codes: list[torch.Tensor] = []
    for stage in codebook.stages(rule):
        code = torch.zeros(channels, stage.positions(frames), dtype=torch.int64)
        present = codebook.present(codes, frames, rule)
        if present is None:
            present = torch.ones_like(code, dtype=torch.bool)
        code[present] = torch.from_numpy(reader.read(int(present.sum()), stage.counts))
        codes.append(code)
    reader.finish()
    return codes
