"""A stream, taken apart and checked, before a network is asked: what `info` shows of it. No torch."""

from __future__ import annotations

from typing import NamedTuple

from noisebook.audio.waveform import check_sample_rate
from noisebook.codec import ordering
from noisebook.codec.layout import Layout, Timeline, layout_of, timeline_of
from noisebook.codec.pausing import check_stretches
from noisebook.codec.stereo import opened_image, payload_sizes
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header, LatentCode
from noisebook.diffusion import released
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import AudioError, ConfigError, CorruptStream, UnsupportedStream, WrongModel

__all__ = ["FINGERPRINT_BYTES", "Opened", "check_header", "checked_layout", "latent_of", "open_stream"]

FINGERPRINT_BYTES = 2


class Opened(NamedTuple):
    """A stream, taken apart.

    Attributes:
        header: as parsed.
        timeline: of its latents; of noise choices their `Layout`.
        choices: of each segment; of quantised latents their codes.
        image: message of a sound with the channel mode IMAGE, for `read_image`.
    """

    header: Header
    timeline: Timeline
    choices: tuple[bytes, ...]
    image: bytes | None = None


def open_stream(data: bytes, info: BackendInfo) -> Opened:
    """A stream of the model with that info; all is checked but codes and image.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header, header_size = container.parse_header(data)
    has_image = header.channel_mode is ChannelMode.IMAGE
    if header.latent is not None:
        check_header(header, info)
        timeline = timeline_of(header, info)
        sizes = container.sized_payloads(data, header_size, has_image + timeline.segment_count)
        image, codes = opened_image(header, container.split(data, header_size, sizes, image=has_image))
        return Opened(header, timeline, codes, image)
    layout = checked_layout(header, info)
    sizes = payload_sizes(data, header, header_size, layout.payload_sizes())
    payloads = container.split(data, header_size, sizes, what=layout.payload_kind, image=has_image)
    image, payloads = opened_image(header, payloads)
    return Opened(header, layout, ordering.of_segments(payloads, layout), image)


def checked_layout(header: Header, info: BackendInfo) -> Layout:
    """The layout of a stream with that header, for the model with that info.

    Raises:
        StreamError: another model's, or coding parameters that it cannot have.
    """
    check_header(header, info)
    try:
        layout = layout_of(header, info)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error
    check_stretches(header, info)
    return layout


def check_header(header: Header, info: BackendInfo) -> None:
    """Refuse a stream of another model, of a tag or channels that the model does not have, of a rate that no sound has
    here, and one without samples.

    Raises:
        WrongModel, UnsupportedStream, CorruptStream.
    """
    own = info.fingerprint[:FINGERPRINT_BYTES]
    if header.fingerprint != own:
        raise WrongModel(
            f"the stream was made with {released.told(header.fingerprint)}, and {info.name} is {own.hex()}; "
            "pass the model it was made with"
        )
    if (header.tag or 0) > len(info.tags):
        raise UnsupportedStream(f"tag {header.tag}: {info.name} has tags 0 (none) to {len(info.tags)}")
    if header.channel_mode is ChannelMode.JOINT and info.audio_channels == 1:
        raise UnsupportedStream(f"left and right are coded jointly, and {info.name} is a model of mono sound")
    if header.channel_mode in (ChannelMode.IMAGE, ChannelMode.EQUAL) and info.audio_channels != 1:
        raise UnsupportedStream(f"left and right are coded as one channel, and {info.name} is a model of stereo sound")
    if header.sample_count == 0:
        raise CorruptStream("the stream has no samples")
    try:
        check_sample_rate(header.sample_rate)
    except AudioError as error:
        raise UnsupportedStream(str(error)) from error


def latent_of(header: Header) -> LatentCode:
    """What the header says of a quantised latent; UnsupportedStream where it holds none."""
    if header.latent is None:
        raise UnsupportedStream("the stream holds the noise of a diffusion and not a quantised latent")
    return header.latent
