"""One segment of the timeline to payload bits and back: `reverse` with noise that is chosen, or read.

What the choices lead to is a target: one latent for all steps, or an `Aim`, which gives each step its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch

from noisebook.codec.timeline import Layout
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import CodingParams
from noisebook.ddcm import Key, Partition, StructuredCodebook, choose
from noisebook.diffusion.backend import AudibleBackend, Backend, BackendInfo
from noisebook.diffusion.noise import gaussian_noise, start_noise
from noisebook.diffusion.plan import Denoise, Plan, Schedule, Step, reverse, tail_plan

TAIL_STEPS = 6
SHORT_TAIL_STEPS = 3  # where the bits end near the sound: there more steps are heard as worse (ViSQOL, Zimtohrli)
_NEAR_SNR = 0.2
_SHARE = 0.9  # of `shaped`; measured: flat from 0.7 to 1
_SNR_MARGIN = 3.0  # of where the denoiser looks, over the ratio at which the bits end; measured, flat from 1 to 3
_AUDIBLE_SNR = 4.0  # from which on `audible` counts (docs/training.md)

Aim = Callable[[Step, torch.Tensor], torch.Tensor]  # (step, x0_hat) -> target, all shaped as the latent
Target = torch.Tensor | Aim


class Coder(Protocol):
    """What encoder and decoder of a latent share: they differ only in where a choice comes from. See `SegmentCoder`."""

    @property
    def plan(self) -> Plan: ...

    def choose(self, residual: torch.Tensor, step: int) -> Any: ...

    def write(self, choice: Any, writer: BitWriter) -> None: ...

    def read(self, reader: BitReader) -> Any: ...

    def noise(self, choice: Any, step: int) -> torch.Tensor: ...

    def clamped(self, denoise: Denoise) -> Denoise: ...


@dataclass(frozen=True)
class SegmentCoder:
    """A `Coder` of one segment of a stream. A choice is `[parts]` int64, as of `ddcm.choose`."""

    params: CodingParams
    plan: Plan  # the coded steps
    info: BackendInfo
    channels: int  # of the segment's latent
    frames: int
    seed: int  # of the stream
    segment: int = 0  # its index
    paused: np.ndarray | None = None  # `[channels, units]` bool, the units that choose nothing and stay at `silence`
    silence: torch.Tensor | None = None  # `[1, C, 1, F']`, the latent of silence, where units are paused

    @classmethod
    def of(cls, layout: Layout, segment: int, seed: int, backend: Backend) -> SegmentCoder:
        """That of a segment of a stream."""
        (first, end), paused = layout.segment(segment), layout.paused(segment)
        silence = None if paused is None else silence_of(backend)
        return cls(
            layout.params, layout.plan, layout.info, layout.channels, end - first, seed, segment, paused, silence
        )

    @cached_property
    def partition(self) -> Partition:
        shape = (self.channels, self.info.latent_channels, self.frames, self.info.latent_bins)
        return Partition(shape, self.params.unit_frames, self.params.part, self.seed)

    @cached_property
    def codebook(self) -> StructuredCodebook:
        return StructuredCodebook(self.params.part, 2**self.params.log2_K)

    def choose(self, residual: torch.Tensor, step: int) -> torch.Tensor:
        """The atoms that lead from x0_hat towards the target, for `residual = target - x0_hat`; parts of paused units
        take atom 0 as it is."""
        return choose(self.correlations(residual, step)) * self._coded.to(residual.device)

    def correlations(self, residual: torch.Tensor, step: int) -> torch.Tensor:
        """Inner products of each part with each of its atoms, `[parts, K]`."""
        return self.codebook.correlate(self.partition.split(residual, step), self._key(step))

    def write(self, choice: torch.Tensor, writer: BitWriter) -> None:
        """Append the index and sign (1 for minus) of the parts that choose."""
        writer.write_array(choice.cpu()[self._coded].numpy(), self.params.choice_bits)

    def read(self, reader: BitReader) -> torch.Tensor:
        """The choice of all parts, as `write` left it; on the CPU. StreamError if no encoder writes this."""
        choice = torch.zeros(len(self._coded), dtype=torch.int64)
        values = reader.read_array(int(self._coded.sum()), self.params.choice_bits)
        choice[self._coded] = torch.from_numpy(values)
        return choice

    @cached_property
    def _coded(self) -> torch.Tensor:
        """`[parts]` bool: which choose."""
        if self.paused is None:
            return torch.ones(self.partition.parts, dtype=torch.bool)
        return ~self.partition.parts_in(torch.from_numpy(self.paused))

    def noise(self, choice: torch.Tensor, step: int) -> torch.Tensor:
        """The noise that a choice stands for, `[channels, C, frames, F']`."""
        return self.partition.join(self.codebook.synthesize(choice, self._key(step)), step)

    def clamped(self, denoise: Denoise) -> Denoise:
        """The denoiser, which knows that paused units are silence: of these it says so, and so `reverse` ends there."""
        if self.paused is None or self.silence is None:
            return denoise
        frames = torch.from_numpy(self.paused).repeat_interleave(self.params.unit_frames, dim=1)[:, : self.frames]
        silence = self.silence

        def knowing(x: torch.Tensor, t: int) -> torch.Tensor:
            return torch.where(frames[:, None, :, None].to(x.device), silence, denoise(x, t))

        return knowing

    def start_noise(self, device: torch.device) -> torch.Tensor:
        """x_T: Gaussian, from the seed and the segment alone."""
        return start_noise(self.partition.shape, seed=self.seed, segment=self.segment, device=device)

    def _key(self, step: int) -> Key:
        return Key(self.seed, self.segment, step)


def silence_of(backend: Backend) -> torch.Tensor:
    """`[1, C, 1, F']`: a latent frame of digital silence, out of reach of either end."""
    info = backend.info
    frames = -(-(2 * info.margin_frames + 1) // info.frame_multiple) * info.frame_multiple
    latent = backend.to_latent(torch.zeros(1, info.audio_channels, frames * info.frame_samples, device=backend.device))
    return latent[:, :, frames // 2 : frames // 2 + 1]


def encode_segment(
    target: Target, coder: Coder, denoise: Denoise, tail: Plan, start: torch.Tensor
) -> tuple[bytes, torch.Tensor]:
    """The payload that leads the diffusion from `start` to a target, and the latent that a decoder of it has.

    Args:
        target: the latent `[channels, C, frames, F']`, or an `Aim`.
        coder, denoise, tail, start: as of `decode_segment`.
    """
    aim, writer, steps = _aim_of(target), BitWriter(), count()

    def choose_noise(at: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        step = next(steps)
        choice = coder.choose(aim(at, x0_hat) - x0_hat, step)
        coder.write(choice, writer)
        return coder.noise(choice, step)

    latent = reverse(coder.clamped(denoise), coder.plan + tail, start, choose_noise)
    return writer.getvalue(), latent


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
        payload, coder, denoise: of the segment.
        tail: steps without noise from where the coded ones end.
        start: noise shaped as the latent.
        coded_steps: take only so many of the coded steps, of a payload that may end behind them.

    Raises:
        StreamError: the payload is not what an encoder writes.
    """
    reader, steps = BitReader(payload), count()

    def look_up(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        return coder.noise(coder.read(reader).to(x0_hat.device), next(steps))

    latent = reverse(coder.clamped(denoise), coder.plan[:coded_steps] + tail, start, look_up)
    if coded_steps is None:
        reader.finish()
    return latent


def tail_after(last: int | None, schedule: Schedule, steps: int | None = None) -> Plan:
    """The steps without bits from timestep `last` (None: clean data) on: `steps`, or 3 from where the bits end near the
    sound, as they do from some 300 bit/s on, and 6 from where they end in noise, which the model has to fill."""
    start = last or 0
    return tail_plan(schedule, start, steps or (SHORT_TAIL_STEPS if schedule.snr(start) >= _NEAR_SNR else TAIL_STEPS))


def shaped(latent: torch.Tensor, denoise: Denoise, schedule: Schedule, last: int, *, share: float = _SHARE) -> Aim:
    """A target whose residual is in part the latent's, and to `share` what the denoiser sees of it.

    With one noise n for all steps and `D(u) = denoise(sqrt(alpha) u + sqrt(1 - alpha) n)`, the residual is
    `(1 - share) (latent - x0_hat) + share (D(latent) - D(x0_hat))`. Of a Gaussian source D is a Wiener filter: it
    takes away what lies below its noise, where the bits of a stream do not reach (reverse water-filling, Cover &
    Thomas 2006, 10.3). Its noise is a little below that at which the bits end, at timestep `last`. One more call of the
    denoiser a step.
    """
    wanted = _SNR_MARGIN * schedule.snr(last)
    t = next((t for t in range(last, 0, -1) if schedule.snr(t) >= wanted), 0)
    noise = gaussian_noise(latent.shape, seed=0, step=0, device=latent.device)

    def seen(x: torch.Tensor) -> torch.Tensor:
        return denoise(schedule.add_noise(x, noise, t), t)

    goal = seen(latent)

    def aim(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        return x0_hat + (1 - share) * (latent - x0_hat) + share * (goal - seen(x0_hat))

    return aim


def audible(aim: Aim, features: torch.Tensor, backend: AudibleBackend) -> Aim:
    """The aim with its residual moved towards the audible error: to the residual is added, as long as it is, the
    gradient of the error of the decoded features. The first steps leave out too much of a sound for its features,
    `[channels, 1, T, bins]`, to mean anything; there the aim stays."""
    residual_of = backend.audible_residual(features)

    def audible_aim(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        plain = aim(step, x0_hat)
        if backend.info.schedule.snr(step.t) < _AUDIBLE_SNR:
            return plain
        residual = residual_of(x0_hat)
        return plain + (plain - x0_hat).norm() / residual.norm().clamp_min(1e-9) * residual

    return audible_aim


def weighted(target: Target, weights: torch.Tensor) -> Aim:
    """The target with its residual times weights `[L, F']`."""
    aim = _aim_of(target)
    return lambda step, x0_hat: x0_hat + weights * (aim(step, x0_hat) - x0_hat)


def _aim_of(target: Target) -> Aim:
    return (lambda step, x0_hat: target) if isinstance(target, torch.Tensor) else target
