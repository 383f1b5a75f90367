"""Where the latent frames of a sound are, which units of them carry choices, and how many bits each step takes.

A timeline is cut into segments, which are coded and decoded by themselves. Each coded step of a segment chooses an atom
for each part of each unit. A unit that lies in a pause chooses nothing: encoder and decoder know its latent, that of
silence (docs/format.md, 5.9). No tensors.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from typing import Any, Protocol, Self

import numpy as np

from noisebook.audio.resample import resampled_count
from noisebook.codec.presets import PRESETS, params_of
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams, Header, Spans
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Plan, coded_plan, kl_matched_timesteps, uniform_timesteps
from noisebook.errors import CorruptStream

SEGMENT_FRAMES = 1600  # eight windows of 256 frames that overlap by 64: 64 s at 25 frames/s
_SHORTEST_SEGMENT = 256  # a shorter rest joins the segment before it
CELL_FRAMES = 8  # in which pauses are counted, channel after channel: 0.32 s at 25 frames/s
BELOW_DB = 60.0  # under the peak of the sound: what a variable rate takes for silence
DIGITAL_DB = 110.0  # what is always silence: no step of 16 bits, and what filters leave behind a sound


class SoundFormat(Protocol):
    """What the latents of a sound do not say about it, as a stream's header does; members as of `Header`."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def channel_mode(self) -> ChannelMode: ...

    @property
    def sample_count(self) -> int: ...

    @property
    def gain_half_db(self) -> int: ...


@dataclass(frozen=True)
class Timeline:
    """Where the latent frames of a sound are."""

    info: BackendInfo
    channels: int  # coded channels, each with a latent of its own
    sample_count: int  # per channel, at the model's rate
    joint: bool = False  # a coded channel is left and right together
    pauses: Spans = ()  # where a decoder puts silence, (first, end) in cells, channel after channel

    @classmethod
    def of(cls, sound: SoundFormat, info: BackendInfo, **own: Any) -> Self:
        """The timeline of a sound; `own` are the fields that a subclass has beside."""
        count, mode = resampled_count(sound.sample_count, sound.sample_rate, info.sample_rate), sound.channel_mode
        return cls(info, mode.latents, count, mode.channels > mode.latents, **own)

    @property
    def payload_kind(self) -> str:
        """What a payload of the stream holds, for messages."""
        return "segment"

    @property
    def effort(self) -> float:
        """Of decoding, as of `Layout`; a quantised latent is looked up."""
        return 0.0

    @cached_property
    def frames(self) -> int:
        """Latent frames of the timeline."""
        multiple = self.info.frame_multiple
        return _ceil(_ceil(self.sample_count, self.info.frame_samples), multiple) * multiple

    @property
    def segment_frames(self) -> int:
        """Of each segment but the last."""
        return SEGMENT_FRAMES

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

    def margins(self, start: int, end: int) -> tuple[int, int]:
        """First and end frame of what autoencoder and vocoder have to see so that frames `start` to `end` come out as
        of the whole."""
        margin = self.info.margin_frames
        return max(0, start - margin), min(self.frames, end + margin)

    def check(self, header: Header) -> None:
        """Refuse a sound that no encoder writes.

        Raises:
            CorruptStream: no samples; with pauses see `Layout.check`.
        """
        if header.sample_count == 0:
            raise CorruptStream("the stream has no samples")


def plan_of(params: CodingParams, info: BackendInfo) -> Plan:
    """The coded steps: matched to the model's curve, or uniform for kappa 0.

    Raises:
        ConfigError: more uniform steps than timesteps.
    """
    if params.kappa_percent == 0:
        return coded_plan(info.schedule, uniform_timesteps(info.schedule, steps=params.steps))
    # Bits of one step over a whole unit, so that a last unit that is not full does not change the plan.
    values = params.unit_frames * info.frame_values
    timesteps = kl_matched_timesteps(
        info.schedule,
        info.curve,
        steps=params.steps,
        bits_per_value=params.parts(params.unit_frames, info.frame_values) * params.choice_bits / values,
        kappa=params.kappa_percent / 100,
    )
    return coded_plan(info.schedule, timesteps)


@dataclass(frozen=True, kw_only=True)
class Layout(Timeline):
    """A timeline on which noise is chosen, and what the choices cost."""

    params: CodingParams
    plan: Plan  # the coded steps
    progressive: bool = False  # payloads of the stream are steps of all segments; else segments

    @classmethod
    def of_header(cls, header: Header, info: BackendInfo) -> Layout:
        """The layout of a stream of noise choices.

        Raises:
            UnsupportedStream: a preset that this build does not know, or a stream of another codec.
            ConfigError: coding parameters that the model cannot have.
        """
        params = params_of(header)
        plan = plan_of(params, info)
        return cls.of(header, info, params=params, plan=plan, progressive=header.progressive, pauses=header.pauses)

    @property
    def steps(self) -> int:
        """Coded steps; at most `params.steps`."""
        return len(self.plan)

    @property
    def payload_kind(self) -> str:
        return "step" if self.progressive else "segment"

    @property
    def payload_count(self) -> int:
        """Payloads of the stream."""
        return self.steps if self.progressive else self.segment_count

    @property
    def effort(self) -> float:
        """How many times as expensive as the most expensive preset each second of a stream is, in time or in memory.

        The larger of v and s max(1, v): s is the number of coded steps over that of the preset with most, v what a step
        does for its atoms over that of the preset with most. The tail, autoencoder and vocoder cost the same for every
        stream and do not count.
        """
        frames = min(self.frames, SEGMENT_FRAMES)
        s = self.steps / max(preset.params.steps for preset in PRESETS)
        # A sound that is shorter than the denoiser's window costs what the window costs.
        window = max(frames, self.info.window_frames)
        v = self._step_values(self.params, frames) / max(self._step_values(row.params, window) for row in PRESETS)
        return max(v, s * max(1.0, v))

    def _step_values(self, params: CodingParams, frames: int) -> int:
        """Numbers that a decoder computes for the atoms of one step: one for each value of each part, and a hundredth
        for each atom, whose signs are drawn."""
        parts = self.channels * params.parts(frames, self.info.frame_values)
        return parts * (params.part + 2**params.log2_K // 100)

    def segment_bits(self, index: int) -> int:
        """Bits of one step of a segment; 0 where all of it is a pause."""
        start, end = self.segment(index)
        parts = self.channels * self._parts_of(end - start)
        if self.pauses:
            parts -= self._paused_parts(*self._units_of(index))
        return parts * self.params.choice_bits

    def payload_sizes(self) -> Iterator[int]:
        """Bytes of each payload of the stream, in order; lazily, since a damaged header can promise a great many."""
        if self.progressive:
            return repeat(self.step_size, self.steps)
        return map(self._segment_size, range(self.segment_count))

    @property
    def payload_size(self) -> int:
        """Bytes of all payloads; without walking over them, except where pauses make segments differ."""
        if self.progressive:
            return self.steps * self.step_size
        if self.pauses:
            return sum(self.payload_sizes())
        last = self.segment_count - 1
        return last * self._segment_size(0) + self._segment_size(last)

    @property
    def step_size(self) -> int:
        """Bytes of one step of all segments: a payload of a progressive stream."""
        units = self._units_until(self.frames)
        parts = self.channels * self._parts_before(units) - self._paused_parts(0, units)
        return _ceil(parts * self.params.choice_bits, 8)

    def whole_steps(self, index: int, size: int) -> int:
        """Coded steps of a segment that lie whole in the first `size` bytes of its choices."""
        bits = self.steps * self.segment_bits(index)
        return min(self.steps, 8 * size * self.steps // bits) if bits else self.steps

    def paused(self, index: int) -> np.ndarray | None:
        """`[channels, units]` of a segment: true where all frames of a unit lie in a pause; None where none does."""
        first, end = self._units_of(index)
        units = np.zeros((self.channels, end - first), bool)
        for channel, low, high in self._paused_between(first, end):
            units[channel, low - first : high - first] = True
        return units if units.any() else None

    def check(self, header: Header) -> None:
        """As of `Timeline`.

        Raises:
            CorruptStream: also a pause behind the end of the sound, or too many segments of pauses (format.md 3.1).
        """
        super().check(header)
        cells = self.channels * _ceil(self.frames, CELL_FRAMES)
        if self.pauses and self.pauses[-1][1] > cells:
            raise CorruptStream(f"a pause ends at cell {self.pauses[-1][1]}, the sound at {cells}")
        if self.pauses and not self._is_bounded(header):
            raise CorruptStream("header and first step of a progressive stream have fewer bits than there are segments")

    def _is_bounded(self, header: Header) -> bool:
        """Whether the bytes of a stream bound the number of its segments, those that are all pause too."""
        return not self.progressive or self.segment_count <= 8 * (container.overhead(header, 0) + self.step_size)

    # Units are counted from the start of the sound, alike for all channels; each segment begins a new one.

    @property
    def _segment_units(self) -> int:
        """Units of any segment but the last."""
        return _ceil(self.segment_frames, self.params.unit_frames)

    def _units_of(self, index: int) -> tuple[int, int]:
        """First and end unit of a segment."""
        start, end = self.segment(index)
        first = index * self._segment_units
        return first, first + _ceil(end - start, self.params.unit_frames)

    def _units_until(self, frame: int, *, begun: bool = False) -> int:
        """Units that begin before a frame (`begun`), or end there or before."""
        index = min(frame // self.segment_frames, self.segment_count - 1)
        rest, unit = frame - index * self.segment_frames, self.params.unit_frames
        return index * self._segment_units + (_ceil(rest, unit) if begun or frame == self.frames else rest // unit)

    @cached_property
    def _paused(self) -> tuple[list[tuple[int, int]], ...]:
        """Of each channel the runs of units that lie whole in pauses; time follows the number of pauses, not their
        length."""
        runs: tuple[list[tuple[int, int]], ...] = tuple([] for _ in range(self.channels))
        cells = _ceil(self.frames, CELL_FRAMES)
        for channel, own in enumerate(runs):
            for pause in self.pauses:
                low, high = (min(max(0, CELL_FRAMES * (cell - channel * cells)), self.frames) for cell in pause)
                first, end = self._units_until(low, begun=True), self._units_until(high)
                if low < high and first < end:
                    own.append((first, end))
        return runs

    def _paused_between(self, first: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(channel, first, end) of the paused units among some."""
        for channel, runs in enumerate(self._paused):
            index = max(0, bisect_right(runs, (first,)) - 1)
            while index < len(runs) and runs[index][0] < end:
                low, high = max(runs[index][0], first), min(runs[index][1], end)
                if low < high:
                    yield channel, low, high
                index += 1

    def _paused_parts(self, first: int, end: int) -> int:
        """Parts that choose nothing, of some units of all channels."""
        runs = self._paused_between(first, end)
        return sum(self._parts_before(high) - self._parts_before(low) for _, low, high in runs)

    def _parts_before(self, unit: int) -> int:
        """Parts of a channel before a unit."""
        index = min(unit // self._segment_units, self.segment_count - 1)
        start, end = self.segment(index)
        frames = min((unit - index * self._segment_units) * self.params.unit_frames, end - start)
        return index * self._parts_of(self.segment_frames) + self._parts_of(frames)

    def _parts_of(self, frames: int) -> int:
        """Parts of one channel of a segment, or of what begins it, of so many frames."""
        return self.params.parts(frames, self.info.frame_values)

    def _segment_size(self, index: int) -> int:
        return _ceil(self.steps * self.segment_bits(index), 8)


def with_pauses(header: Header, layout: Layout, silence: Spans) -> tuple[Header, Layout]:
    """Header and layout with pauses where a sound is silent, if they save more bytes of choices than they take of the
    header, and leave a progressive stream as many bits as segments; else without."""
    silence = tuple(span for span in silence if (span[1] - span[0]) * CELL_FRAMES >= layout.params.unit_frames)
    paused, longer = replace(layout, pauses=silence), replace(header, pauses=silence)
    added = container.overhead(longer, 0) - container.overhead(header, 0)
    pays = added + paused.payload_size < layout.payload_size and paused._is_bounded(longer)
    return (longer, paused) if pays else (header, layout)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
