"""A stream, taken apart and checked, before a network is asked: what `info` shows of it. No torch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, repeat
from typing import NamedTuple

from noisebook.audio.waveform import check_sample_rate
from noisebook.codec import ordering
from noisebook.codec.layout import Layout, Timeline, check_engine, layout_of, plan_of, timeline_of
from noisebook.codec.pausing import check_stretches
from noisebook.codec.presets import engine_of
from noisebook.codec.stereo import opened_image, payload_sizes
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, Header, LatentCode
from noisebook.diffusion import released
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import AudioError, ConfigError, CorruptStream, UnsupportedStream, WrongModel

__all__ = [
    "FINGERPRINT_BYTES",
    "Opened",
    "check_header",
    "check_steering",
    "checked_layout",
    "choice_sizes",
    "coded_steps",
    "latent_of",
    "open_codes",
    "open_noise",
    "open_stream",
    "start_of",
]

FINGERPRINT_BYTES = 2


class Opened(NamedTuple):
    """A stream, taken apart.

    Attributes:
        header: as parsed.
        timeline: of its latents; of noise choices their `Layout`.
        choices: of each segment.
        image: message of a sound with the channel mode IMAGE, for `read_image`.
    """

    header: Header
    timeline: Timeline
    choices: tuple[bytes, ...]
    image: bytes | None = None


def open_stream(data: bytes, info: BackendInfo) -> Opened:
    """A stream of the model with that info, everything checked that can be.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header, _ = container.parse_header(data)
    return open_noise(data, info) if header.latent is None else open_codes(data, info)


def open_noise(data: bytes, info: BackendInfo) -> Opened:
    """A stream of the model with that info; all is checked but the image.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header, header_size = container.parse_header(data)
    layout = checked_layout(header, info)
    sizes = payload_sizes(data, header, header_size, layout.payload_sizes())
    has_image = header.channel_mode is ChannelMode.IMAGE
    payloads = container.split(data, header_size, sizes, what=layout.payload_kind, image=has_image)
    image, payloads = opened_image(header, payloads)
    return Opened(header, layout, ordering.of_segments(payloads, layout), image)


def open_codes(data: bytes, info: BackendInfo) -> Opened:
    """A stream of the model with that info, its choices the payloads; all is checked but codes and image.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header, header_size = container.parse_header(data)
    latent_of(header)
    check_header(header, info)
    try:
        check_steering(header, info)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error
    timeline = timeline_of(header, info)
    has_image = header.channel_mode is ChannelMode.IMAGE
    choices = chain([0] * has_image, choice_sizes(header, timeline))
    payloads = container.split(data, header_size, container.sized_payloads(data, header_size, choices), image=has_image)
    image, payloads = opened_image(header, payloads)
    return Opened(header, timeline, payloads, image)


def checked_layout(header: Header, info: BackendInfo) -> Layout:
    """The layout of a stream with that header, for the model with that info.

    Raises:
        StreamError: another model's, or coding parameters that no codebook can serve.
    """
    check_header(header, info)
    try:
        check_engine(engine_of(header), info)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error
    check_stretches(header, info)
    return layout_of(header, info)


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


def start_of(header: Header, info: BackendInfo) -> int:
    """t0, the timestep to which the decoder noises the quantised latent; 0: it does not."""
    return (2 * latent_of(header).strength * (len(info.schedule) - 1) + 255) // 510  # rounded to the nearest


def coded_steps(header: Header, info: BackendInfo) -> int:
    """Steps whose noise is chosen; 0 where nothing is steered."""
    steering = latent_of(header).steering
    return len(plan_of(steering, info, start_of(header, info))) if steering else 0


def latent_of(header: Header) -> LatentCode:
    """What the header says of a quantised latent; UnsupportedStream where it holds none."""
    if header.latent is None:
        raise UnsupportedStream("the stream holds the noise of a diffusion and not a quantised latent")
    return header.latent


def check_steering(header: Header, info: BackendInfo) -> None:
    """ConfigError for coding parameters of the refinement that no codebook can serve."""
    steering = latent_of(header).steering
    if steering is not None:
        check_engine(steering, info, start_of(header, info))


def choice_sizes(header: Header, timeline: Timeline) -> Iterator[int]:
    """Bytes of the steering choices of each segment."""
    info, steering = timeline.info, latent_of(header).steering
    if steering is None:
        return repeat(0, timeline.segment_count)
    steps = coded_steps(header, info)
    layout = Layout(info, timeline.channels, timeline.sample_count, timeline.joint, engine=steering, steps=steps)
    return layout.payload_sizes()
