"""The payloads of quantised latents: codes of a codebook to bytes and back to a latent. Decoding is a look-up.

latent --codebook.encode--> codes --entropy coder--> payload --read_codes--> codes --codebook.decode--> latent
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from noisebook.codec.timeline import Timeline
from noisebook.coding import container
from noisebook.coding.container import CODEBOOK_BYTES, Header, LatentCode
from noisebook.coding.entropy import SymbolReader, SymbolWriter
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError, CorruptStream, UnsupportedStream, WrongCodebook
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook


def segment_decoder(
    header: Header, timeline: Timeline, backend: Backend, codebook: LatentCodebook, on_step: OnStep | None = None
) -> Callable[[bytes, int], torch.Tensor]:
    """From the payload and index of a segment to its latent `[channels, C, frames, F']`.

    Raises:
        WrongCodebook: another codebook than the stream's.
    """
    code = latent_of(header)
    own, wanted, rule = codebook.fingerprint[:CODEBOOK_BYTES], code.codebook, code.rule.name.lower()
    if own != wanted:
        raise WrongCodebook(f"the stream was made with codebook {wanted.hex()}, and the one given is {own.hex()}")
    codebook.check_fits(backend.info)
    try:
        codebook.stages(rule)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error

    def decode(payload: bytes, index: int) -> torch.Tensor:
        first, end = timeline.segment(index)
        codes = read_codes(container.unsized(payload), codebook, timeline.channels, end - first, rule)
        try:
            latent = codebook.decode([code.to(backend.device) for code in codes], end - first, rule)
        except ConfigError as error:
            raise CorruptStream(f"the codes are not what an encoder writes: {error}") from error
        if on_step is not None:
            on_step(index + 1, timeline.segment_count)
        return latent

    return decode


def write_codes(codes: Sequence[torch.Tensor], codebook: LatentCodebook, rule: str) -> bytes:
    """The bytes of codes `[channels, positions]`, one tensor a stage: stage by stage, channel by channel, entropy coded
    by the counts that the codebook was fitted with."""
    writer = SymbolWriter()
    for stage, written in zip(codebook.stages(rule), codebook.written(codes, rule), strict=True):
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
        present = codebook.present(codes, rule)
        if present is None:
            present = torch.ones_like(code, dtype=torch.bool)
        code[present] = torch.from_numpy(reader.read(int(present.sum()), stage.counts))
        codes.append(code)
    reader.finish()
    return codes


def latent_of(header: Header) -> LatentCode:
    """What the header says of a quantised latent; UnsupportedStream where it holds none."""
    if header.latent is None:
        raise UnsupportedStream("the stream holds the noise of a diffusion and not a quantised latent")
    return header.latent
