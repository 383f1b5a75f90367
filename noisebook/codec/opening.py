"""A stream, taken apart and checked, before a network is asked: what `info` shows of it. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from noisebook.audio.waveform import check_sample_rate
from noisebook.codec import ordering
from noisebook.codec.allocation import Layout
from noisebook.codec.timeline import Timeline
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion import released
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream, UnsupportedStream, WrongModel

__all__ = ["FINGERPRINT_BYTES", "Contents", "Stream", "image_size"]

FINGERPRINT_BYTES = 2


class Contents(NamedTuple):
    """The payloads of a stream.

    Attributes:
        choices: of each segment; of quantised latents their codes.
        image: message of a sound with the channel mode IMAGE, for `read_image`; None of others.
        coded_steps: of each segment how many there are, in a damaged stream; None: all.
    """

    choices: tuple[bytes, ...]
    image: bytes | None
    coded_steps: tuple[int, ...] | None = None


class Stream:
    """A stream of the model with that info. The model is checked; what else there is when it is asked for.

    Attributes:
        data: the whole of it.
        header: as parsed.
        timeline: of its latents; of noise choices their `Layout`.

    Raises:
        StreamError: in its kinds, for a header that cannot be read, or is of another model or codec.
    """

    def __init__(self, data: bytes, info: BackendInfo) -> None:
        self.data = data
        self.header, self._header_size = container.parse_header(data)
        self._has_image = self.header.channel_mode is ChannelMode.IMAGE
        self._check_header(info)
        self.timeline: Timeline
        if self.header.latent is not None:
            self.timeline = Timeline.of(self.header, info)
            return
        try:
            layout = Layout.of_header(self.header, info)
        except ConfigError as error:
            raise UnsupportedStream(str(error)) from error
        self.timeline = layout

    def contents(self) -> Contents:
        """All payloads, their sizes and checksums checked; all is checked then but codes and image.

        Raises:
            TruncatedStream, CorruptStream: as `container.split`; filling that is not 0; or a sound that cannot be.
        """
        self._check_sound()
        kind = self.timeline.payload_kind if isinstance(self.timeline, Layout) else "segment"
        payloads = container.split(self.data, self._header_size, self.payload_sizes(), what=kind, image=self._has_image)
        image = container.unsized(payloads[0]) if self._has_image else None
        choices = payloads[self._has_image :]
        if isinstance(self.timeline, Layout):
            choices = ordering.of_segments(choices, self.timeline)
        return Contents(choices, image)

    def salvaged(self) -> tuple[Contents, bool]:
        """What is there of a stream that is cut short or damaged, without a look at the checksums of the choices; and
        whether the image is intact. One that is not is that of equal channels.

        Raises:
            CorruptStream: a stream of quantised latents, or of a sound that cannot be.
            TruncatedStream: there is nothing that could be played.
        """
        self._check_sound()
        if not isinstance(layout := self.timeline, Layout):
            raise CorruptStream(
                "of a damaged stream of quantised latents nothing can be played: its codes hang together"
            )
        image, first, intact = self._salvaged_image(layout)
        there = container.salvage(self.data, first, layout.payload_sizes())
        left = ordering.what_is_left(there, layout, most=8 * len(self.data))
        if not left:
            raise TruncatedStream("the stream ends before the first step of its first segment does")
        return Contents(tuple(data for data, _ in left), image, tuple(steps for _, steps in left)), intact

    def verified(self) -> int:
        """How many payloads of choices, from the first on, are there and pass their checksum, and the image before
        them."""
        try:
            whole = container.verified(self.data, self._header_size, self.payload_sizes())
        except TruncatedStream:
            return 0
        return max(0, whole - self._has_image)

    def payload_sizes(self) -> Iterator[int]:
        """Bytes of each payload: of its image, where there is one, and of all segments or steps."""
        timeline, images = self.timeline, int(self._has_image)
        if isinstance(timeline, Layout):
            image = container.sized_payloads(self.data, self._header_size, images)
            return chain(image, timeline.payload_sizes())
        return container.sized_payloads(self.data, self._header_size, images + timeline.segment_count)

    def _salvaged_image(self, layout: Layout) -> tuple[bytes | None, int, bool]:
        """The message of the image; where the choices begin; and whether the image is intact.

        An image whose size cannot be trusted ends where the rest of a stream that is not cut short begins.
        """
        if not self._has_image:
            return None, self._header_size, True
        size = next(container.sized_payloads(self.data, self._header_size, 1))
        end = self._header_size + size
        if container.verified(self.data, self._header_size, [size]):
            return container.unsized(self.data[self._header_size : end]), end + container.CRC_SIZE, True
        first = len(self.data) - layout.payload_size - container.CRC_SIZE * layout.payload_count
        if first <= self._header_size + container.CRC_SIZE:
            first = end + container.CRC_SIZE
        if first >= len(self.data):
            raise TruncatedStream("the stream ends within its stereo image")
        return b"", first, False

    def _check_sound(self) -> None:
        if self.header.sample_count == 0:
            raise CorruptStream("the stream has no samples")
        if isinstance(self.timeline, Layout):
            self.timeline.check_pauses(self.header)

    def _check_header(self, info: BackendInfo) -> None:
        """Refuse a stream of another model, of a tag or channels that the model does not have, and of a rate that
        no sound has here."""
        header, own = self.header, info.fingerprint[:FINGERPRINT_BYTES]
        if header.fingerprint != own:
            raise WrongModel(
                f"the stream was made with {released.told(header.fingerprint)}, and {info.name} is {own.hex()}; "
                "pass the model it was made with, with its noisebook-curve.json if it was calibrated"
            )
        if (header.tag or 0) > len(info.tags):
            raise UnsupportedStream(f"tag {header.tag}: {info.name} has tags 0 (none) to {len(info.tags)}")
        if header.channel_mode is ChannelMode.JOINT and info.audio_channels == 1:
            raise UnsupportedStream(f"left and right are coded jointly, and {info.name} is a model of mono sound")
        if header.channel_mode in (ChannelMode.IMAGE, ChannelMode.EQUAL) and info.audio_channels != 1:
            raise UnsupportedStream(
                f"left and right are coded as one channel, and {info.name} is a model of stereo sound"
            )
        try:
            check_sample_rate(header.sample_rate)
        except AudioError as error:
            raise UnsupportedStream(str(error)) from error


def image_size(data: bytes, header: Header, header_size: int) -> int:
    """Bytes of the image's payload, as far as they are there; 0 where there is none."""
    if header.channel_mode is not ChannelMode.IMAGE:
        return 0
    try:
        size = next(container.sized_payloads(data, header_size, 1))
    except TruncatedStream:
        size = len(data)
    return min(size, len(data) - header_size)
