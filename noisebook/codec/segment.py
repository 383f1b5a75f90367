"""One segment of the timeline to payload bits and back: `reverse` with noise that is chosen, or read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch

from noisebook.codec.layout import plan_of
from noisebook.codec.noise import start_noise
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import Engine
from noisebook.ddcm import choices
from noisebook.ddcm.choices import Choice
from noisebook.ddcm.codebooks import Key, StructuredCodebook
from noisebook.ddcm.partition import Partition
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Denoise, Plan, Step, reverse

__all__ = ["Coder", "SegmentCoder", "Target", "decode_segment", "encode_segment", "encode_with_state", "ended"]

Target = torch.Tensor | Callable[[Step, torch.Tensor], torch.Tensor]  # of the latent; or (step, x0_hat) -> target


class Coder(Protocol):
    """What encoder and decoder of a latent share: they differ only in where a choice comes from."""

    @property
    def plan(self) -> Plan:
        """Its coded steps."""

    def choose(self, residual: torch.Tensor, step: int) -> Any:
        """The atoms that lead from x0_hat towards the target, for `residual = target - x0_hat`."""

    def write(self, choice: Any, writer: BitWriter) -> None:
        """Append what a decoder cannot know of a choice."""

    def read(self, reader: BitReader) -> Any:
        """The choice, as `write` left it; on the CPU."""

    def noise(self, choice: Any, step: int) -> torch.Tensor:
        """The noise that a choice stands for, shaped as the latent."""

    def rested(self, denoise: Denoise) -> Denoise:
        """The denoiser, which knows what paused units are."""


@dataclass(frozen=True)
class SegmentCoder:
    """A `Coder` of one segment of a stream.

    Attributes:
        engine: coding parameters.
        info: of the model.
        channels, frames: of the segment's latent.
        seed: of the stream.
        segment: index of the segment.
        paused: `[channels, units]` bool of numpy, the units that carry no choices and rest at `silence`; None if none.
        silence: `[1, C, 1, F']`, the latent of silence, where units are paused.
    """

    engine: Engine
    info: BackendInfo
    channels: int
    frames: int
    seed: int
    segment: int
    paused: np.ndarray | None = None
    silence: torch.Tensor | None = None

    @cached_property
    def plan(self) -> Plan:
        return plan_of(self.engine, self.info)

    @cached_property
    def partition(self) -> Partition:
        shape = (self.channels, self.info.latent_channels, self.frames, self.info.latent_bins)
        return Partition(shape, self.engine.unit_frames, self.engine.part, self.seed)

    @cached_property
    def codebook(self) -> StructuredCodebook:
        return StructuredCodebook(self.engine.part, 2**self.engine.log2_K)

    def choose(self, residual: torch.Tensor, step: int) -> Choice:
        """The atoms that lead from x0_hat towards the target, for `residual = target - x0_hat`."""
        choice = choices.choose(self.correlations(residual, step))
        return choice if self._coded is None else choice.of(self._coded).among(self._coded)

    def correlations(self, residual: torch.Tensor, step: int) -> torch.Tensor:
        """Inner products of each part with each of its atoms, `[parts, K]`."""
        return self.codebook.correlate(self.partition.split(residual, step), self._key(step))

    def write(self, choice: Choice, writer: BitWriter) -> None:
        """Append what a decoder cannot know of a choice."""
        told = choice if self._coded is None else choice.of(self._coded)
        choices.write(told, self.engine.choice_bits, writer)

    def read(self, reader: BitReader) -> Choice:
        """The choice of all parts, as `write` left it; on the CPU.

        Raises:
            StreamError: no encoder writes this.
        """
        parts = self.partition.parts if self._coded is None else int(self._coded.sum())
        told = choices.read(parts, self.engine.choice_bits, reader)
        return told if self._coded is None else told.among(self._coded)

    def rested(self, denoise: Denoise) -> Denoise:
        """The denoiser, which knows that paused units are silence: of these it says so, and so `reverse` ends there."""
        if self.paused is None or self.silence is None:
            return denoise
        frames = torch.from_numpy(self.paused).repeat_interleave(self.engine.unit_frames, dim=1)[:, : self.frames]
        assert self.silence is not None
        silence = self.silence

        def knowing(x: torch.Tensor, t: int) -> torch.Tensor:
            return torch.where(frames[:, None, :, None].to(x.device), silence, denoise(x, t))

        return knowing

    @cached_property
    def _coded(self) -> torch.Tensor | None:
        """`[parts]` bool: which choose; None where all do."""
        return None if self.paused is None else ~self.partition.parts_in(torch.from_numpy(self.paused))

    def noise(self, choice: Choice, step: int) -> torch.Tensor:
        """The noise that a choice stands for, `[channels, C, frames, F']`."""
        return self.partition.join(self.codebook.synthesize(choice.indices, choice.signs, self._key(step)), step)

    def start(self, device: torch.device) -> torch.Tensor:
        """x_T: Gaussian, from the seed and the segment alone."""
        return start_noise(self.partition.shape, seed=self.seed, segment=self.segment, device=device)

    def _key(self, step: int) -> Key:
        return Key(self.seed, self.segment, step)


def encode_segment(target: Target, coder: Coder, denoise: Denoise, start: torch.Tensor) -> bytes:
    """The payload that leads the diffusion from `start` to `target`.

    Args:
        target: `[channels, C, frames, F']`, or for each step the one that is nearest to its x0_hat.
        coder: of the segment.
        denoise: of its timeline.
        start: shaped alike; `coder.start` is noise.
    """
    return encode_with_state(target, coder, denoise, start)[0]


def encode_with_state(
    target: Target, coder: Coder, denoise: Denoise, start: torch.Tensor
) -> tuple[bytes, torch.Tensor]:
    """`encode_segment`, and the x that a decoder of the payload has after its coded steps, before its tail."""
    writer, steps = BitWriter(), count()

    def choose(at: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        step = next(steps)
        aim = target if isinstance(target, torch.Tensor) else target(at, x0_hat)
        choice = coder.choose(aim - x0_hat, step)
        coder.write(choice, writer)
        return coder.noise(choice, step)

    x = reverse(coder.rested(denoise), coder.plan, start, choose)
    return writer.getvalue(), x


def ended(x: torch.Tensor, coder: Coder, denoise: Denoise, tail: Plan) -> torch.Tensor:
    """The latent that a decoder has after its tail, from the x of `encode_with_state`."""
    return reverse(coder.rested(denoise), tail, x, lambda _, x0_hat: torch.zeros_like(x0_hat))


def decode_segment(
    payload: bytes,
    coder: Coder,
    denoise: Denoise,
    tail: Plan,
    start: torch.Tensor,
    *,
    coded_steps: int | None = None,
) -> torch.Tensor:
    """The latent `[channels, C, frames, F']` of a payload: the coded steps from the encoder's `start`, then `tail`.

    Args:
        payload: of the segment.
        coder: of the segment.
        denoise: of its timeline.
        tail: steps without noise from where the coded ones end.
        start: shaped as the latent.
        coded_steps: take only so many of the coded steps, of a payload that may end behind them.

    Raises:
        StreamError: the payload is not what an encoder writes.
    """
    reader, steps = BitReader(payload), count()
    plan = coder.plan[:coded_steps]

    def look_up(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        return coder.noise(coder.read(reader).to(x0_hat.device), next(steps))

    latent = reverse(coder.rested(denoise), plan + tail, start, look_up)
    if coded_steps is None:
        reader.finish()
    return latent
