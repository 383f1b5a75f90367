"""One segment of the timeline to payload bits and back: `reverse` with noise that is chosen, or read."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import count

import torch

from noisebook import rng
from noisebook.codec.layout import part_size, plan_of
from noisebook.coding import container
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import Engine
from noisebook.ddcm import rules
from noisebook.ddcm.codebooks import Codebook, DenseCodebook, Key, StructuredCodebook
from noisebook.ddcm.partition import Partition
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Denoise, Plan, Step, reverse

__all__ = ["SegmentCoder", "decode_segment", "encode_segment"]


@dataclass(frozen=True)
class SegmentCoder:
    """What encoder and decoder of one segment share: they differ only in where a choice comes from.

    Attributes:
        engine: coding parameters.
        info: of the model.
        channels, frames: of the segment's latent.
        seed: of the stream.
        segment: index of the segment.
    """

    engine: Engine
    info: BackendInfo
    channels: int
    frames: int
    seed: int
    segment: int

    @cached_property
    def plan(self) -> Plan:
        return plan_of(self.engine, self.info)

    @cached_property
    def partition(self) -> Partition:
        shape = (self.channels, self.info.latent_channels, self.frames, self.info.latent_bins)
        return Partition(shape, self.engine.unit_frames, self._part, self.seed)

    @cached_property
    def codebook(self) -> Codebook:
        structured = self.engine.codebook == container.Codebook.STRUCTURED
        return (StructuredCodebook if structured else DenseCodebook)(self._part, 2**self.engine.log2_K)

    def choose(self, residual: torch.Tensor, step: int) -> rules.Choice:
        """The atoms that lead from x0_hat towards the target, for `residual = target - x0_hat`."""
        correlations = self.codebook.correlate(self.partition.split(residual, step), self._key(step))
        return rules.choose(self.engine.rule, correlations, self.engine.M)

    def noise(self, choice: rules.Choice, step: int) -> torch.Tensor:
        """The noise that a choice stands for, `[channels, C, frames, F']`."""
        return self.partition.join(rules.noise_of(self.codebook, choice, self._key(step)), step)

    def start(self, device: torch.device) -> torch.Tensor:
        """x_T: Gaussian, from the seed and the segment alone."""
        channels, latent_channels, frames, bins = self.partition.shape
        size = channels * frames * latent_channels * bins
        drawn = rng.gaussian(size, seed=self.seed, purpose=rng.Purpose.START, segment=self.segment)
        values = torch.from_numpy(drawn).view(channels, frames, latent_channels, bins)
        return values.transpose(1, 2).contiguous().to(device)

    def _key(self, step: int) -> Key:
        return Key(self.seed, self.segment, step)

    @property
    def _part(self) -> int:
        return part_size(self.engine, self.info.frame_values)


def encode_segment(target: torch.Tensor, coder: SegmentCoder, denoise: Denoise) -> bytes:
    """The payload that leads the diffusion to `target`, `[channels, C, frames, F']`."""
    writer, steps = BitWriter(), count()

    def choose(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        step = next(steps)
        choice = coder.choose(target - x0_hat, step)
        rules.write(coder.engine.rule, choice, coder.codebook.size, writer)
        return coder.noise(choice, step)

    reverse(denoise, coder.plan, coder.start(target.device), choose)
    return writer.getvalue()


def decode_segment(
    payload: bytes, coder: SegmentCoder, denoise: Denoise, tail: Plan, device: torch.device
) -> torch.Tensor:
    """The latent `[channels, C, frames, F']` of a payload: the coded steps, then `tail`.

    Raises:
        StreamError: the payload is not what an encoder writes.
    """
    reader, steps = BitReader(payload), count()

    def look_up(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        engine = coder.engine
        choice = rules.read(engine.rule, coder.partition.parts, coder.codebook.size, engine.M, reader)
        return coder.noise(choice.to(x0_hat.device), next(steps))

    latent = reverse(denoise, coder.plan + tail, coder.start(device), look_up)
    reader.finish()
    return latent
