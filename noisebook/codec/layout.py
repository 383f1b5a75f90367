"""The arithmetic of a stream: from the number of samples to frames, segments, parts, steps and bits. No tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat

from noisebook.audio.resample import resampled_count
from noisebook.codec.presets import engine_of
from noisebook.coding.container import Codebook, Engine, Header, Rule
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Plan, coded_plan, kl_matched_timesteps, uniform_timesteps
from noisebook.errors import ConfigError

__all__ = [
    "MAX_DENSE_VALUES",
    "MAX_STACKS",
    "SEGMENT_FRAMES",
    "Layout",
    "Timeline",
    "check_engine",
    "check_order",
    "layout_of",
    "part_size",
    "plan_of",
    "timeline_of",
]

MAX_STACKS = 64  # structured atoms to a value of a part
MAX_DENSE_VALUES = 2**28  # 1 GiB of float32 for the atoms of one step
SEGMENT_FRAMES = 1600  # eight windows of 256 frames that overlap by 64: 64 s at 25 frames/s
_SHORTEST_SEGMENT = 256  # a shorter rest joins the segment before it
_LEAST_STEP_BITS = 16  # of a segment in a progressive stream: as many as a checksum takes of one in the usual order


def part_size(engine: Engine, frame_values: int) -> int:
    """d: the values of a part; the whole unit for the rules that do not partition."""
    return 2**engine.log2_part if engine.rule == Rule.PARTITIONED else engine.unit_frames * frame_values


def check_engine(engine: Engine, info: BackendInfo, start: int | None = None) -> None:
    """Refuse coding parameters that no codebook can serve, or only with absurd memory; `start` as of `plan_of`.

    Raises:
        ConfigError: says what is allowed.
    """
    part, size = part_size(engine, info.frame_values), 2**engine.log2_K
    if engine.codebook == Codebook.STRUCTURED:
        if part & (part - 1) or not 2 <= part <= 2**15:
            raise ConfigError(f"parts of {part} values: a structured codebook has powers of two from 2 to 32768")
        if not 2 <= size <= MAX_STACKS * part:
            raise ConfigError(
                f"{size} structured atoms of {part} values: 2 to {MAX_STACKS} times the values are allowed"
            )
    elif part * size > MAX_DENSE_VALUES:
        raise ConfigError(f"{size} dense atoms of {part} values: at most {MAX_DENSE_VALUES} values in all are allowed")
    plan_of(engine, info, start)


def check_order(layout: Layout) -> None:
    """Refuse a progressive order of which few bytes could stand for very many segments.

    Raises:
        ConfigError: says what is allowed.
    """
    bits = layout.step_bits(SEGMENT_FRAMES)
    if layout.progressive and bits < _LEAST_STEP_BITS:
        raise ConfigError(
            f"a step of a segment takes {bits} bits, and a progressive stream needs {_LEAST_STEP_BITS}: give shorter "
            "parts or more atoms"
        )


def plan_of(engine: Engine, info: BackendInfo, start: int | None = None) -> Plan:
    """The coded steps from timestep `start`, or the noisiest: matched to the model's curve, or uniform for kappa 0.

    Raises:
        ConfigError: more uniform steps than timesteps.
    """
    if engine.kappa_percent == 0:
        return coded_plan(info.schedule, uniform_timesteps(info.schedule, steps=engine.steps, start=start))
    # Bits of one step over a whole unit, so that a last unit that is not full does not change the plan.
    values = engine.unit_frames * info.frame_values
    bits = -(-values // part_size(engine, info.frame_values)) * engine.choice_bits
    timesteps = kl_matched_timesteps(
        info.schedule,
        info.curve,
        steps=engine.steps,
        bits_per_value=bits / values,
        kappa=engine.kappa_percent / 100,
        start=start,
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

    @property
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

    @property
    def segment_count(self) -> int:
        return 1 + max(0, (self.frames - _SHORTEST_SEGMENT) // SEGMENT_FRAMES)


@dataclass(frozen=True, kw_only=True)
class Layout(Timeline):
    """A timeline on which noise is chosen, and what the choices cost.

    Attributes:
        engine: coding parameters.
        steps: coded steps (those of the plan; at most `engine.steps`).
        progressive: payloads of the stream are steps of all segments; else segments.
    """

    engine: Engine
    steps: int
    progressive: bool = False

    @property
    def payload_kind(self) -> str:
        """What a payload of the stream holds, for messages."""
        return "step" if self.progressive else "segment"

    def payload_bits(self, frames: int) -> int:
        """Bits of a segment of `frames` latent frames."""
        return self.steps * self.step_bits(frames)

    def step_bits(self, frames: int) -> int:
        """Bits of one step of a segment of `frames` latent frames."""
        whole, rest = divmod(frames, self.engine.unit_frames)
        parts = whole * self._unit_parts(self.engine.unit_frames) + self._unit_parts(rest)
        return self.channels * parts * self.engine.choice_bits

    def whole_steps(self, frames: int, size: int) -> int:
        """Coded steps that lie whole in the first `size` bytes of the payload of a segment of `frames` frames."""
        bits = self.payload_bits(frames)
        return min(self.steps, 8 * size * self.steps // bits) if bits else self.steps  # one of one is no choice

    def payload_sizes(self) -> Iterator[int]:
        """Bytes of each payload of the stream, in order; lazily, since a damaged header can promise a great many."""
        if self.progressive:
            yield from repeat(self._step_size, self.steps)
            return
        for start, end in self.segments():
            yield _ceil(self.payload_bits(end - start), 8)

    @property
    def payload_size(self) -> int:
        """Bytes of all payloads, without walking over them."""
        if self.progressive:
            return self.steps * self._step_size
        whole = _ceil(self.payload_bits(SEGMENT_FRAMES), 8)
        return (self.segment_count - 1) * whole + _ceil(self.payload_bits(self._last_frames), 8)

    @property
    def _step_size(self) -> int:
        """Bytes of one step of all segments."""
        bits = (self.segment_count - 1) * self.step_bits(SEGMENT_FRAMES) + self.step_bits(self._last_frames)
        return _ceil(bits, 8)

    @property
    def _last_frames(self) -> int:
        return self.frames - (self.segment_count - 1) * SEGMENT_FRAMES

    def _unit_parts(self, frames: int) -> int:
        values = self.info.frame_values
        return _ceil(frames * values, part_size(self.engine, values))


def _ceil(a: int, b: int) -> int:
    return -(-a // b)
