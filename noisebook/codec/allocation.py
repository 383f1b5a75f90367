"""Which units of a stream carry choices, and how many bits each step of a segment takes. No tensors.

Each coded step of a segment chooses an atom for each part of each unit. Units all of whose frames lie in a pause of the
header choose nothing: encoder and decoder know their latent, that of silence (docs/format.md, 5.9). Pauses are counted
in cells of `CELL_FRAMES` latent frames, channel after channel, as (first, end).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat

import numpy as np

from noisebook.codec.presets import params_of
from noisebook.codec.timeline import Timeline
from noisebook.coding import container
from noisebook.coding.blocks import Spans
from noisebook.coding.container import CodingParams, Header
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Plan, coded_plan, kl_matched_timesteps, uniform_timesteps
from noisebook.errors import CorruptStream

__all__ = ["BELOW_DB", "CELL_FRAMES", "DIGITAL_DB", "Layout", "pauses_of", "plan_of"]

CELL_FRAMES = 8  # 0.32 s at 25 frames/s
BELOW_DB = 60.0  # under the peak of the sound: what a variable rate takes for silence
DIGITAL_DB = 110.0  # what is silence to all: no step of 16 bits, and what filters leave behind a sound
_NOTHING = 1e-9  # of the full scale of the codec: a sound of nothing but that is silence


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
    """A timeline on which noise is chosen, and what the choices cost.

    Attributes:
        params: coding parameters.
        plan: the coded steps.
        progressive: payloads of the stream are steps of all segments; else segments.
    """

    params: CodingParams
    plan: Plan
    progressive: bool = False

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
        """What a payload of the stream holds, for messages."""
        return "step" if self.progressive else "segment"

    @property
    def payload_count(self) -> int:
        """Payloads of the stream."""
        return self.steps if self.progressive else self.segment_count

    def payload_bits(self, frames: int) -> int:
        """Bits of a segment of `frames` latent frames without pauses."""
        return self.steps * self.channels * self._parts_of(frames) * self.params.choice_bits

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
        if self.pauses:
            return (self._segment_size(index) for index in range(self.segment_count))
        last = self.segment_count - 1
        return chain(repeat(self._segment_size(0), last), [self._segment_size(last)])

    @property
    def payload_size(self) -> int:
        """Bytes of all payloads; without walking over them, but where pauses make them differ in the usual order."""
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
        return min(self.steps, 8 * size * self.steps // bits) if bits else self.steps  # nothing is to choose

    def paused(self, index: int) -> np.ndarray | None:
        """`[channels, units]` of a segment: true where all frames of a unit lie in a pause; None where none does."""
        first, end = self._units_of(index)
        units = np.zeros((self.channels, end - first), bool)
        for channel, low, high in self._paused_between(first, end):
            units[channel, low - first : high - first] = True
        return units if units.any() else None

    def check_pauses(self, header: Header) -> None:
        """CorruptStream for pauses behind the end of the sound, and for too many segments of pauses (format.md 3.1)."""
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
        """Of each channel the runs of units that lie whole in pauses; the work is in the number of pauses, not their
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


def pauses_of(samples: np.ndarray, header: Header, layout: Layout, *, below_db: float = BELOW_DB) -> Spans:
    """The pauses of a sound that save more bytes of choices than they take of the header.

    None of them where they leave a progressive stream fewer bits than segments: hours of nothing but silence.

    Args:
        samples: of the sound, `[channels, N']` at the model's rate.
        header: of its stream.
        layout: of its stream, without pauses.
        below_db: so far under the peak of the sound is silence.
    """
    pauses = _silent_cells(samples, layout, below_db)
    paused, header_with = replace(layout, pauses=pauses), replace(header, pauses=pauses)
    added = container.overhead(header_with, 0) - container.overhead(header, 0)
    return pauses if added + paused.payload_size < layout.payload_size and paused._is_bounded(header_with) else ()


def _silent_cells(samples: np.ndarray, layout: Layout, below_db: float) -> Spans:
    """Runs of cells that are silent throughout, channel after channel, none shorter than a unit."""
    peaks = np.stack([_frame_peaks(channel, layout) for channel in samples])
    if layout.joint:
        peaks = peaks.max(0, keepdims=True)
    silent = peaks <= max(_NOTHING, peaks.max() * 10 ** (-below_db / 20))
    cells = np.pad(silent, ((0, 0), (0, -silent.shape[1] % CELL_FRAMES)), constant_values=True)
    changes = np.flatnonzero(np.diff(cells.reshape(-1, CELL_FRAMES).all(1).astype(np.int8), prepend=0, append=0))
    runs = ((int(first), int(end)) for first, end in changes.reshape(-1, 2))
    return tuple(run for run in runs if (run[1] - run[0]) * CELL_FRAMES >= layout.params.unit_frames)


def _frame_peaks(samples: np.ndarray, layout: Layout) -> np.ndarray:
    """`[frames]`: the peak of each latent frame and of its two neighbours, which its mel hears too."""
    starts = np.arange(0, len(samples), layout.info.frame_samples)
    highest, lowest = (pick.reduceat(samples, starts) for pick in (np.maximum, np.minimum))
    peaks = np.pad(np.maximum(highest, -lowest), (1, 1 + layout.frames - len(starts)))  # no copy of an hour
    return np.max([peaks[:-2], peaks[1:-1], peaks[2:]], axis=0)


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
