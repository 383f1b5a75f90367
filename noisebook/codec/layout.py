"""The arithmetic of a stream: from the number of samples to frames, segments, parts, steps and bits. No tensors."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat

import numpy as np

from noisebook.audio.resample import resampled_count
from noisebook.codec.presets import engine_of
from noisebook.coding.container import Engine, Header
from noisebook.coding.stretches import CELL_FRAMES, Stretches
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Plan, coded_plan, kl_matched_timesteps, uniform_timesteps

__all__ = [
    "SEGMENT_FRAMES",
    "Layout",
    "Timeline",
    "layout_of",
    "plan_of",
    "timeline_of",
]

SEGMENT_FRAMES = 1600  # eight windows of 256 frames that overlap by 64: 64 s at 25 frames/s
_SHORTEST_SEGMENT = 256  # a shorter rest joins the segment before it

Runs = list[tuple[int, int]]  # of units: first and end of each, rising and apart


def plan_of(engine: Engine, info: BackendInfo) -> Plan:
    """The coded steps: matched to the model's curve, or uniform for kappa 0.

    Raises:
        ConfigError: more uniform steps than timesteps.
    """
    if engine.kappa_percent == 0:
        return coded_plan(info.schedule, uniform_timesteps(info.schedule, steps=engine.steps))
    # Bits of one step over a whole unit, so that a last unit that is not full does not change the plan.
    values = engine.unit_frames * info.frame_values
    bits = _ceil(values, engine.part) * engine.choice_bits
    timesteps = kl_matched_timesteps(
        info.schedule,
        info.curve,
        steps=engine.steps,
        bits_per_value=bits / values,
        kappa=engine.kappa_percent / 100,
    )
    return coded_plan(info.schedule, timesteps)


def timeline_of(header: Header, info: BackendInfo) -> Timeline:
    """Frames and segments of a stream."""
    count = resampled_count(header.sample_count, header.sample_rate, info.sample_rate)
    mode = header.channel_mode
    return Timeline(info, mode.latents, count, joint=mode.channels > mode.latents)


def layout_of(header: Header, info: BackendInfo) -> Layout:
    """Segments and payload sizes of a stream of noise choices.

    Raises:
        UnsupportedStream: a preset that this build does not know, or a stream of another codec.
    """
    engine, timeline = engine_of(header), timeline_of(header, info)
    steps = len(plan_of(engine, info))
    return Layout(
        info,
        timeline.channels,
        timeline.sample_count,
        timeline.joint,
        engine=engine,
        steps=steps,
        progressive=header.progressive,
        pauses=header.pauses,
    )


@dataclass(frozen=True)
class Timeline:
    """Where the latent frames are, for a sound of `sample_count` samples at the model's rate.

    Attributes:
        info: of the model.
        channels: coded channels, each with a latent of its own.
        sample_count: per channel, at the model's sample rate.
        joint: a coded channel is left and right together.
    """

    info: BackendInfo
    channels: int
    sample_count: int
    joint: bool = False

    @cached_property
    def frames(self) -> int:
        """Latent frames of the timeline."""
        frames = _ceil(self.sample_count, self.info.frame_samples)
        return _ceil(frames, self.info.frame_multiple) * self.info.frame_multiple

    def segment(self, index: int) -> tuple[int, int]:
        """First and end frame of an independently decodable segment."""
        start = index * SEGMENT_FRAMES
        return start, self.frames if index == self.segment_count - 1 else start + SEGMENT_FRAMES

    def segments(self) -> Iterator[tuple[int, int]]:
        """All segments; lazily, since a damaged header can promise a great many."""
        return (self.segment(index) for index in range(self.segment_count))

    @cached_property
    def segment_count(self) -> int:
        return 1 + max(0, (self.frames - _SHORTEST_SEGMENT) // SEGMENT_FRAMES)


@dataclass(frozen=True, kw_only=True)
class Layout(Timeline):
    """A timeline on which noise is chosen, and what the choices cost.

    Attributes:
        engine: coding parameters.
        steps: coded steps (those of the plan; at most `engine.steps`).
        progressive: payloads of the stream are steps of all segments; else segments.
        pauses: of the header: units that lie in them carry no choices.
    """

    engine: Engine
    steps: int
    progressive: bool = False
    pauses: Stretches = ()

    @property
    def payload_kind(self) -> str:
        """What a payload of the stream holds, for messages."""
        return "step" if self.progressive else "segment"

    @property
    def payload_count(self) -> int:
        """Payloads of the stream."""
        return self.steps if self.progressive else self.segment_count

    def payload_bits(self, frames: int) -> int:
        """Bits of a segment of `frames` latent frames without pauses."""
        return self.steps * self.step_bits(frames)

    def step_bits(self, frames: int) -> int:
        """Bits of one step of a segment of `frames` latent frames without pauses."""
        return self.channels * self._parts_of(frames) * self.engine.choice_bits

    def segment_bits(self, index: int) -> int:
        """Bits of one step of a segment; 0 where all of it is a pause."""
        start, end = self.segment(index)
        bits = self.step_bits(end - start)
        return bits - self._paused_bits(*self._units_of(index)) if self.pauses else bits

    def paused(self, index: int | None = None) -> np.ndarray | None:
        """`[channels, units]` of a segment, or of the sound: true where all frames of a unit lie in a pause; None where
        none does."""
        first, end = self._units_of(index)
        units = np.zeros((self.channels, end - first), bool)
        for channel in range(self.channels):
            for low, high in _within(self._paused[channel], first, end):
                units[channel, low - first : high - first] = True
        return units if units.any() else None

    def whole_steps(self, index: int, size: int) -> int:
        """Coded steps of a segment that lie whole in the first `size` bytes of its choices."""
        bits = self.steps * self.segment_bits(index)
        return min(self.steps, 8 * size * self.steps // bits) if bits else self.steps  # nothing is to choose

    def payload_sizes(self) -> Iterator[int]:
        """Bytes of each payload of the stream, in order; lazily, since a damaged header can promise a great many."""
        if self.progressive:
            yield from repeat(self.step_size, self.steps)
            return
        for index in range(self.segment_count):
            yield _ceil(self.steps * self.segment_bits(index), 8)

    @property
    def payload_size(self) -> int:
        """Bytes of all payloads; without walking over them, but where pauses make them differ in the usual order."""
        if self.progressive:
            return self.steps * self.step_size
        if self.pauses:
            return sum(self.payload_sizes())
        whole = _ceil(self.payload_bits(SEGMENT_FRAMES), 8)
        return (self.segment_count - 1) * whole + _ceil(self.payload_bits(self._last_frames), 8)

    @property
    def step_size(self) -> int:
        """Bytes of one step of all segments: a payload of a progressive stream."""
        bits = (self.segment_count - 1) * self.step_bits(SEGMENT_FRAMES) + self.step_bits(self._last_frames)
        return _ceil(bits - self._paused_bits(*self._units_of(None)), 8)

    @property
    def _last_frames(self) -> int:
        return self.frames - (self.segment_count - 1) * SEGMENT_FRAMES

    @property
    def _segment_units(self) -> int:
        """Units of any segment but the last."""
        return _ceil(SEGMENT_FRAMES, self.engine.unit_frames)

    def _units_of(self, index: int | None) -> tuple[int, int]:
        """First and end unit of a segment, or of the sound, of any channel."""
        if index is None:
            return 0, self._units_until(self.frames)
        start, end = self.segment(index)
        first = index * self._segment_units
        return first, first + _ceil(end - start, self.engine.unit_frames)

    @cached_property
    def _paused(self) -> tuple[Runs, ...]:
        """Of each channel its units that lie whole in pauses."""
        return tuple(self._units_in_pauses(channel) for channel in range(self.channels))

    def _units_in_pauses(self, channel: int) -> Runs:
        """Units of a channel all of whose frames are paused; the work is in the number of pauses, not their length."""
        offset, runs = channel * _ceil(self.frames, CELL_FRAMES), []
        for pause in self.pauses:
            low, high = (min(max(0, CELL_FRAMES * (cell - offset)), self.frames) for cell in pause)
            first, end = self._units_until(low, begun=True), self._units_until(high)
            if low < high and first < end:
                runs.append((first, end))
        return runs

    def _units_until(self, frame: int, *, begun: bool = False) -> int:
        """Units of a channel that begin before a frame (`begun`), or end there or before."""
        index = min(frame // SEGMENT_FRAMES, self.segment_count - 1)
        rest, unit = frame - index * SEGMENT_FRAMES, self.engine.unit_frames
        return index * self._segment_units + (_ceil(rest, unit) if begun or frame == self.frames else rest // unit)

    def _paused_bits(self, first: int, end: int) -> int:
        """Bits that pauses take from a step of some units of all channels."""
        runs = (run for channel in self._paused for run in _within(channel, first, end))
        return sum(self._parts_before(high) - self._parts_before(low) for low, high in runs) * self.engine.choice_bits

    def _parts_before(self, unit: int) -> int:
        index = min(unit // self._segment_units, self.segment_count - 1)
        start, end = self.segment(index)
        frames = min((unit - index * self._segment_units) * self.engine.unit_frames, end - start)
        return index * self._parts_of(SEGMENT_FRAMES) + self._parts_of(frames)

    def _parts_of(self, frames: int) -> int:
        """Parts of one channel of a segment, or of what begins it, of so many frames."""
        whole, rest = divmod(frames, self.engine.unit_frames)
        return whole * self._unit_parts(self.engine.unit_frames) + self._unit_parts(rest)

    def _unit_parts(self, frames: int) -> int:
        return _ceil(frames * self.info.frame_values, self.engine.part)


def _within(runs: Runs, first: int, end: int) -> Iterator[tuple[int, int]]:
    """What lies between two units of runs."""
    index = max(0, bisect_right(runs, (first,)) - 1)
    while index < len(runs) and runs[index][0] < end:
        low, high = max(runs[index][0], first), min(runs[index][1], end)
        if low < high:
            yield low, high
        index += 1


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
