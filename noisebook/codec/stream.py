"""A stream, taken apart and checked before any network runs, and the order of the choices in it. No torch.

    segment 0   s0 s1 s2          progressive   step 0   s0 s0 s0
    segment 1   s0 s1 s2   <-->                 step 1   s1 s1 s1
    segment 2   s0 s1 s2                        step 2   s2 s2 s2

What begins a progressive stream is the whole sound, less exactly (docs/format.md, 5.6). A segment is coded and decoded
from its own choices, step after step; in a progressive stream they only lie elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from itertools import chain, islice
from typing import Any, NamedTuple

import numpy as np

from noisebook.audio.waveform import check_sample_rate
from noisebook.codec.presets import by_wire_id, params_of
from noisebook.codec.timeline import Layout, Timeline
from noisebook.coding import container
from noisebook.coding.container import FINGERPRINT_BYTES, ChannelMode, Header
from noisebook.diffusion import released
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream, UnsupportedStream, WrongModel


class Contents(NamedTuple):
    """The payloads of a stream."""

    choices: tuple[bytes, ...]  # of each segment; of quantised latents their codes
    image: bytes | None  # message of a sound with the channel mode IMAGE, for `read_image`
    coded_steps: tuple[int, ...] | None = None  # of each segment how many there are, in a damaged stream; None: all


class Stream:
    """A stream of the model with that info. The model is checked at once, the rest when it is asked for.

    Args:
        data: the whole stream.
        info: of the model.
        parsed: as `parse_header` returned it, where the header is read already.

    Raises:
        StreamError: in its kinds, for a header that cannot be read, or is of another model or codec.
    """

    def __init__(self, data: bytes, info: BackendInfo, parsed: tuple[Header, int] | None = None) -> None:
        self.data = data
        self.header, self._header_size = parsed or container.parse_header(data)
        self._has_image = self.header.channel_mode is ChannelMode.IMAGE
        _check_header(self.header, info)
        self.timeline: Timeline  # of noise choices their `Layout`
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
            f"the stream was made with {released.described(header.fingerprint)}, and {info.name} is {own.hex()}; "
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


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself; the last six are None without its model.

    `channel_mode` is "mono"; "image", one channel and how it spreads over left and right; "equal", one channel twice;
    "dual", left and right apart; or "joint", left and right by a model of stereo sound. `order` is "segments", one
    after the other, or in a progressive stream "steps" of all segments: any beginning of it is the whole sound, less
    exactly.
    """

    codec: str  # "ddcm", chosen noise, or "vq", a quantised latent
    model: str  # fingerprint, hexadecimal
    preset: str | None  # name; None for explicit parameters
    sample_rate: int  # Hz
    channel_mode: str
    sample_count: int  # per channel
    duration: float  # seconds
    gain_db: float  # taken back at decoding: what was applied before, and what a decode would lack of the loudness
    seed: int
    tag: int  # 0 is none
    params: dict[str, int] | None  # coding parameters of the chosen noise
    codebook: str | None  # of vq: first bytes of its fingerprint, hexadecimal
    rule: str | None  # of vq: "hard" or "soft"
    order: str
    pauses: int  # spans of silence that carry no choices
    image_bytes: int  # of the file, for the image of that channel mode
    file_bytes: int
    bitrate: float  # of the whole file, bit/s
    segments: int | None = None
    payload_bytes: int | None = None
    coded_steps: int | None = None
    work: float | None = None  # of decoding a second, over that of the most expensive preset; `max_work` bounds it
    intact: bool | None = None  # whether sizes and checksums agree
    verified: int | None = None  # segments or steps from the start that pass their checksum; None of vq

    @property
    def channels(self) -> int:
        """Of the decoded sound."""
        return 1 if self.channel_mode == "mono" else 2

    def in_words(self) -> dict[str, str]:
        """Every attribute as people read it, by its name; "-" for what is not known."""
        return {name.replace("_", " "): _in_words(value) for name, value in vars(self).items()}

    def _repr_html_(self) -> str:
        """What a notebook shows: a sentence, and a table of what is known."""
        state = {True: ", whole", False: ", damaged", None: ""}[self.intact]
        size = f"{self.file_bytes} bytes, {self.bitrate:.0f} bit/s"
        rows = ((name, escape(text)) for name, text in self.in_words().items() if text != "-")
        lines = "".join(f'<tr><th style="text-align: left">{name}</th><td>{value}</td></tr>' for name, value in rows)
        return f"<div>{size}, {self.duration:.2f} s at {self.sample_rate} Hz{state}<table>{lines}</table></div>"


def _in_words(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def stream_info(data: bytes, info: BackendInfo | None = None) -> StreamInfo:
    """What a stream says about itself; with the info of its model also whether it is whole.

    Raises:
        StreamError: as `Stream`, for a header that cannot be read, or is of another model or codec.
    """
    header, header_size = parsed = container.parse_header(data)
    latent, duration = header.latent, header.sample_count / header.sample_rate
    params = None if latent else params_of(header)
    image_bytes = 0
    if header.channel_mode is ChannelMode.IMAGE:  # as far as it is there
        there = len(data) - header_size
        with suppress(TruncatedStream):
            there = min(there, next(container.sized_payloads(data, header_size, 1)))
        image_bytes = there
    shown = StreamInfo(
        codec="vq" if latent else "ddcm",
        model=header.fingerprint.hex(),
        preset=by_wire_id(header.preset).name if header.preset else None,
        sample_rate=header.sample_rate,
        channel_mode=header.channel_mode.name.lower(),
        sample_count=header.sample_count,
        duration=duration,
        gain_db=header.gain_half_db / 2,
        seed=header.seed,
        tag=header.tag or 0,
        params=dict(vars(params)) if params else None,
        codebook=latent.codebook.hex() if latent else None,
        rule=latent.rule.name.lower() if latent else None,
        order="steps" if header.progressive else "segments",
        pauses=len(header.pauses),
        image_bytes=image_bytes,
        file_bytes=len(data),
        bitrate=8 * len(data) / duration if duration else 0.0,
    )
    return shown if info is None else replace(shown, **_measured(Stream(data, info, parsed), image_bytes))


def _measured(stream: Stream, image_bytes: int) -> dict[str, Any]:
    """The fields of a `StreamInfo` that need a model."""
    there = None
    with suppress(TruncatedStream, CorruptStream):
        there = image_bytes + sum(map(len, stream.contents().choices))
    layout = stream.timeline
    measured = {"segments": layout.segment_count, "intact": there is not None, "work": round(layout.effort, 3)}
    if not isinstance(layout, Layout):
        return measured | {"payload_bytes": there, "coded_steps": 0}
    walked = layout.pauses and not layout.progressive  # the sizes of these: only a whole stream is worth it
    size = there if walked else image_bytes + layout.payload_size
    return measured | {"payload_bytes": size, "coded_steps": layout.steps, "verified": stream.verified()}
