"""A stream, taken apart and checked before any network runs, and the order of the choices in it. No torch.

    segment 0   s0 s1 s2          progressive   step 0   s0 s0 s0
    segment 1   s0 s1 s2   <-->                 step 1   s1 s1 s1
    segment 2   s0 s1 s2                        step 2   s2 s2 s2

What begins a progressive stream is the whole sound, less exactly (docs/format.md, 5.6). A segment is coded and decoded
from its own choices, step after step; in a progressive stream they only lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from noisebook.audio.waveform import check_sample_rate
from noisebook.codec.timeline import Layout, Timeline
from noisebook.coding import container
from noisebook.coding.container import FINGERPRINT_BYTES, ChannelMode, Header
from noisebook.diffusion import released
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream, UnsupportedStream, WrongModel

__all__ = ["Contents", "Stream", "by_segment", "by_step", "image_size", "what_is_left"]


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
    """A stream of the model with that info. The model is checked at once, the rest when it is asked for.

    Args:
        data: the whole stream.
        info: of the model.
        parsed: as `parse_header` returned it, where the header is read already.

    Attributes:
        header: as parsed.
        timeline: of its latents; of noise choices their `Layout`.

    Raises:
        StreamError: in its kinds, for a header that cannot be read, or is of another model or codec.
    """

    def __init__(self, data: bytes, info: BackendInfo, parsed: tuple[Header, int] | None = None) -> None:
        self.data = data
        self.header, self._header_size = parsed or container.parse_header(data)
        self._has_image = self.header.channel_mode is ChannelMode.IMAGE
        _check_header(self.header, info)
        self.timeline: Timeline
        try:
            latent = self.header.latent is not None
            self.timeline = Timeline.of(self.header, info) if latent else Layout.of_header(self.header, info)
        except ConfigError as error:
            raise UnsupportedStream(str(error)) from error

    def contents(self) -> Contents:
        """All payloads; their sizes, checksums and filling are checked, so that only codes and image are not yet.

        Raises:
            TruncatedStream, CorruptStream: as `container.split`; filling that is not 0; or a sound that cannot be.
        """
        self.timeline.check(self.header)
        kind, has_image = self.timeline.payload_kind, self._has_image
        payloads = container.split(self.data, self._header_size, self.payload_sizes(), what=kind, image=has_image)
        image, choices = container.unsized(payloads[0]) if has_image else None, payloads[has_image:]
        if self.header.progressive and isinstance(self.timeline, Layout):
            choices = by_segment(choices, self.timeline)
        return Contents(choices, image)

    def salvaged(self) -> tuple[Contents, bool]:
        """What is there of a stream that is cut short or damaged, whatever the checksums of the choices; and whether
        the image is intact. In place of a damaged image there is that of equal channels.

        Raises:
            CorruptStream: a stream of quantised latents, or of a sound that cannot be.
            TruncatedStream: there is nothing that could be played.
        """
        self.timeline.check(self.header)
        if not isinstance(layout := self.timeline, Layout):
            raise CorruptStream(
                "of a damaged stream of quantised latents nothing can be played: its codes hang together"
            )
        image, first, intact = self._salvaged_image(layout)
        there = container.salvage(self.data, first, layout.payload_sizes())
        left = what_is_left(there, layout, most=8 * len(self.data))
        if not left:
            raise TruncatedStream("the stream ends before the first step of its first segment does")
        return Contents(tuple(data for data, _ in left), image, tuple(steps for _, steps in left)), intact

    def verified(self) -> int:
        """How many payloads of choices, from the first on, are there and pass their checksum, as does the image before
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


def _check_header(header: Header, info: BackendInfo) -> None:
    """Refuse a stream of another model, of a tag or channels that the model does not have, and of a rate that no sound
    has here."""
    own = info.fingerprint[:FINGERPRINT_BYTES]
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
        raise UnsupportedStream(f"left and right are coded as one channel, and {info.name} is a model of stereo sound")
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


def by_step(choices: Sequence[bytes], layout: Layout) -> list[bytes]:
    """The payloads of a progressive stream, from the choices of each segment."""
    pieces = [
        _bits(data)[: layout.steps * layout.segment_bits(index)].reshape(layout.steps, -1)
        for index, data in enumerate(choices)
    ]
    return [np.packbits(step).tobytes() for step in np.concatenate(pieces, axis=1)]


def by_segment(payloads: Sequence[bytes], layout: Layout) -> tuple[bytes, ...]:
    """The choices of each segment, from the payloads of a whole progressive stream.

    Raises:
        CorruptStream: bits of filling that are not 0.
    """
    steps = [_bits(payload) for payload in payloads]
    columns = list(_columns(layout, len(steps[0])))
    if any(step[columns[-1].stop :].any() for step in steps):
        raise CorruptStream("bits follow the last choice of a step: only 0 to 7 zero bits may")
    return tuple(_joined(steps, column) for column in columns)


def what_is_left(payloads: Sequence[bytes], layout: Layout, most: int) -> list[tuple[bytes, int]]:
    """The choices of each segment and how many of its steps they are, of a stream that may be cut short.

    Only segments of which there is a step at least, and none behind one of which there is none: a short stream of a
    long sound costs no more than its bytes. A segment that is all pause has all of its steps.

    Args:
        payloads: what is there of each.
        layout: of the stream.
        most: segments of a progressive stream, where pauses are longer than what is there of it vouches for.
    """
    if not layout.progressive:
        whole = [(data, layout.whole_steps(index, len(data))) for index, data in enumerate(payloads)]
        playable = [steps > 0 for _, steps in whole]
        return whole[: playable.index(False)] if False in playable else whole
    if not payloads:
        return []
    steps = [_bits(payload) for payload in payloads]
    left = []
    for column in islice(_columns(layout, len(steps[0])), most):
        there = [step for step in steps if column.stop <= len(step)]
        left.append((_joined(there, column), len(there) if column.stop > column.start else layout.steps))
    return left


def _columns(layout: Layout, bits: int) -> Iterator[slice]:
    """Where each segment lies in a step of so many bits, as far as it lies there whole."""
    start = 0
    for index in range(layout.segment_count):
        stop = start + layout.segment_bits(index)
        if stop > bits:
            return
        yield slice(start, stop)
        start = stop


def _joined(steps: Sequence[np.ndarray], column: slice) -> bytes:
    return np.packbits(np.concatenate([step[column] for step in steps])).tobytes()


def _bits(data: bytes) -> np.ndarray:
    return np.unpackbits(np.frombuffer(data, np.uint8))
