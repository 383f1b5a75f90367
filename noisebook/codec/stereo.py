"""The two channels of a sound that one latent carries: an image beside it says what of it is where.

sound --measure_image--> image --encode_image--> first payload of the stream
latent --synthesise--> mono --high-pass, spread by the image--> left and right

Spreading goes block by block with a margin, so that an hour needs no more memory than a block, and a part of a sound
comes out as of the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import ceil

import numpy as np

from noisebook.audio.high_pass import SETTLED_SECONDS, high_passed_blocks
from noisebook.audio.image import (
    SPREAD_MARGIN_SECONDS,
    StereoImage,
    image_shape,
    measure_image,
    spread,
)
from noisebook.audio.waveform import Sound
from noisebook.codec import imaging
from noisebook.codec.imaging import encode_image, image_budget
from noisebook.codec.layout import Layout, Timeline
from noisebook.codec.pausing import hushed
from noisebook.codec.presets import HIGHEST, LOWEST, by_wire_id, engine_bitrate
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError, TruncatedStream

__all__ = [
    "Heard",
    "coded_image",
    "equal_channels",
    "heard_margin",
    "image_bitrate",
    "image_payload",
    "image_share",
    "measured_image",
    "opened_image",
    "payload_sizes",
    "rate_of_latent",
    "read_image",
    "salvaged_image",
]

_WORTH_AN_IMAGE = 20.0  # bit/s of a file


def equal_channels(sound: Sound) -> bool:
    """Whether all samples of left and right are the same."""
    return all(np.array_equal(left, right) for left, right in sound.blocks())


def measured_image(samples: np.ndarray, info: BackendInfo) -> StereoImage:
    """The image of `[2, N']` at the model's rate."""
    return measure_image(samples, info.sample_rate)


def image_share(bitrate: float) -> float:
    """bit/s of the image in a file of so many; near the lowest rates nothing can be spared for it."""
    return image_budget(bitrate) if bitrate >= _WORTH_AN_IMAGE else 0.0


def rate_of_latent(bitrate: float, mode: ChannelMode) -> float:
    """Of bit/s of a file what is left for the choices of each latent.

    Raises:
        ConfigError: less or more than two latents can have.
    """
    if mode.latents > 1 and not LOWEST <= bitrate / mode.latents <= HIGHEST:
        raise ConfigError(
            f"a bitrate of {bitrate:g} bit/s for two channels: {2 * LOWEST} to {2 * HIGHEST} are possible"
        )
    return (bitrate - (image_share(bitrate) if mode is ChannelMode.IMAGE else 0)) / mode.latents


def image_bitrate(header: Header, info: BackendInfo) -> float:
    """bit/s that the image of a stream of noise choices may take, beside what these take."""
    if header.engine is None:
        return by_wire_id(header.preset).image_bitrate
    values, rate = info.frame_values, info.frames_per_second
    return image_share(engine_bitrate(header.engine, frame_values=values, frames_per_second=rate))


def coded_image(sound: Sound, header: Header, info: BackendInfo, bitrate: float) -> tuple[bytes, ...]:
    """The payload of a sound's image within so many bit/s; none where the channel mode has none."""
    from noisebook.codec.signal import levelled  # needs torch, which reading a header does not

    if header.channel_mode is not ChannelMode.IMAGE:
        return ()
    return image_payload(measured_image(levelled(sound, header, info), info), header, bitrate)


def image_payload(image: StereoImage | None, header: Header, bitrate: float) -> tuple[bytes, ...]:
    """The payload of an image within so many bit/s; none where the channel mode has none."""
    if image is None or header.channel_mode is not ChannelMode.IMAGE:
        return ()
    return (container.sized(encode_image(image, bitrate * header.sample_count / header.sample_rate)[0]),)


def payload_sizes(data: bytes, header: Header, header_size: int, sizes: Iterable[int]) -> Iterator[int]:
    """Bytes of each payload of a stream, for `container.split`: of its image, where there is one, and `sizes`."""
    if header.channel_mode is not ChannelMode.IMAGE:
        return iter(sizes)
    return chain(container.sized_payloads(data, header_size, 1), sizes)


def opened_image(header: Header, payloads: tuple[bytes, ...]) -> tuple[bytes | None, tuple[bytes, ...]]:
    """The message of a stream's image, None where its channel mode has none, and the payloads that follow it."""
    if header.channel_mode is not ChannelMode.IMAGE:
        return None, payloads
    return container.unsized(payloads[0]), payloads[1:]


def read_image(message: bytes | None, timeline: Timeline) -> StereoImage | None:
    """The image of a message; time and memory follow the length of the sound, so bound it first.

    Raises:
        CorruptStream: the message is not what an encoder writes.
    """
    if message is None:
        return None
    return imaging.read_image(message, *image_shape(timeline.sample_count, timeline.info.sample_rate))


def salvaged_image(data: bytes, header: Header, header_size: int, layout: Layout) -> tuple[bytes | None, int, bool]:
    """The message of the image of a stream that may be damaged, that of equal channels where its checksum fails; where
    the choices begin; and whether the image is intact.

    An image whose size cannot be trusted ends where the rest of a stream that is not cut short begins.

    Raises:
        TruncatedStream: the stream ends within the image.
    """
    if header.channel_mode is not ChannelMode.IMAGE:
        return None, header_size, True
    size = next(container.sized_payloads(data, header_size, 1))
    if container.verified(data, header_size, [size]):
        image = container.unsized(data[header_size : header_size + size])
        return image, header_size + size + container.CRC_SIZE, True
    first = len(data) - layout.payload_size - container.CRC_SIZE * layout.payload_count
    if first <= header_size + container.CRC_SIZE:
        first = header_size + size + container.CRC_SIZE
    if first >= len(data):
        raise TruncatedStream("the stream ends within its stereo image")
    return b"", first, False


def heard_margin(header: Header, info: BackendInfo) -> int:
    """Samples at the model's rate beyond which what is `Heard` no longer notices a cut."""
    settled = ceil(SETTLED_SECONDS * info.sample_rate)
    return settled + _spread_margin(info) if header.channel_mode is ChannelMode.IMAGE else settled


def _spread_margin(info: BackendInfo) -> int:
    """Samples at the model's rate beyond which left and right no longer notice a cut."""
    return ceil(SPREAD_MARGIN_SECONDS * info.sample_rate)


@dataclass(frozen=True, eq=False)
class Heard:
    """What a model makes of the latents of a sound, as it is heard: a `Sound` at the model's rate.

    Attributes:
        pieces: of the model, `[latents or audio channels, n]`, in order; called anew for each listening.
        header: of the sound.
        image: of a sound with the channel mode IMAGE.
        info: of the model.
        sample_count: of all pieces.
        start: sample of the timeline with which the pieces begin.
    """

    pieces: Iterable[np.ndarray]
    header: Header
    image: StereoImage | None
    info: BackendInfo
    sample_count: int
    start: int = 0

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.info.sample_rate

    @property
    def channels(self) -> int:
        """C."""
        return self.header.channel_mode.channels

    def blocks(self) -> Iterator[np.ndarray]:
        """`[C, n]` without what lies below hearing, held no longer than the margin asks for; pauses of the header are
        silence."""
        return hushed(self._sounding(), self.header, self.info, self.start) if self.header.pauses else self._sounding()

    def _sounding(self) -> Iterator[np.ndarray]:
        pieces = high_passed_blocks(self.pieces, self.sample_rate)
        if self.image is not None:
            return self._spread(pieces, self.image)
        if self.header.channel_mode is ChannelMode.EQUAL:
            return (np.repeat(piece, 2, axis=0) for piece in pieces)
        return pieces

    def _spread(self, pieces: Iterable[np.ndarray], image: StereoImage) -> Iterator[np.ndarray]:
        """Of what is held only that which is a margin away from where it breaks off."""
        rate, margin = self.info.sample_rate, _spread_margin(self.info)
        held, start, done = np.empty(0, np.float32), self.start, self.start
        for piece in pieces:
            held = np.concatenate([held, piece[0]])
            ready = start + len(held) - margin
            if ready <= done:
                continue
            yield spread(held, image, rate, start=start)[:, done - start : ready - start]
            drop = max(0, ready - margin - start)
            held, start, done = held[drop:], start + drop, ready
        if start + len(held) > done:
            yield spread(held, image, rate, start=start)[:, done - start :]
