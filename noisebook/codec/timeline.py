"""Where the latent frames of a sound are: frames, and segments that are coded and decoded by themselves. No tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, Self

from noisebook.audio.resample import resampled_count
from noisebook.coding.blocks import Spans
from noisebook.coding.container import ChannelMode
from noisebook.diffusion.backend import BackendInfo

__all__ = ["SEGMENT_FRAMES", "SoundFormat", "Timeline"]

SEGMENT_FRAMES = 1600  # eight windows of 256 frames that overlap by 64: 64 s at 25 frames/s
_SHORTEST_SEGMENT = 256  # a shorter rest joins the segment before it


class SoundFormat(Protocol):
    """What the latents of a sound do not say about it; a stream's header does."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def channel_mode(self) -> ChannelMode:
        """How many channels there are, and in which latents."""

    @property
    def sample_count(self) -> int:
        """Per channel."""

    @property
    def gain_half_db(self) -> int:
        """Applied before encoding and taken back after decoding."""


@dataclass(frozen=True)
class Timeline:
    """Where the latent frames are, for a sound of `sample_count` samples at the model's rate.

    Attributes:
        info: of the model.
        channels: coded channels, each with a latent of its own.
        sample_count: per channel, at the model's sample rate.
        joint: a coded channel is left and right together.
        pauses: where a decoder puts silence, (first, end) in cells (see `codec.allocation`).
    """

    info: BackendInfo
    channels: int
    sample_count: int
    joint: bool = False
    pauses: Spans = ()

    @classmethod
    def of(cls, sound: SoundFormat, info: BackendInfo, **own: Any) -> Self:
        """The timeline of a sound; `own` are the fields that a subclass has beside."""
        count, mode = resampled_count(sound.sample_count, sound.sample_rate, info.sample_rate), sound.channel_mode
        return cls(info, mode.latents, count, mode.channels > mode.latents, **own)

    @cached_property
    def frames(self) -> int:
        """Latent frames of the timeline."""
        frames, multiple = -(-self.sample_count // self.info.frame_samples), self.info.frame_multiple
        return -(-frames // multiple) * multiple

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
