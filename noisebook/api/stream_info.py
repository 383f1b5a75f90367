"""What a stream says about itself."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import checked
from noisebook.errors import CorruptStream, TruncatedStream

if TYPE_CHECKING:
    from noisebook.coding.container import Header
    from noisebook.diffusion.backend import BackendInfo

__all__ = ["StreamInfo", "read_info"]


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself. The last six are None where the model is not at hand.

    Attributes:
        codec: "ddcm", chosen noise, or "vq", a quantised latent.
        model: fingerprint, hexadecimal.
        preset: name, or None for explicit parameters.
        sample_rate: Hz.
        channel_mode: "mono"; "image", one channel and where of left and right what of it is; "equal", one channel that
            is heard twice; "dual", left and right apart; or "joint", left and right by a model of stereo sound.
        sample_count: per channel.
        duration: seconds.
        gain_db: taken back at decoding: what was applied before encoding, and what a decode would lack of the loudness.
        seed, tag: as given to `compress`; tag 0 is none.
        params: coding parameters of the chosen noise; None where there is none.
        codebook: vq: first bytes of its fingerprint, hexadecimal.
        rule: vq: "hard" or "soft".
        order: "segments", one after the other, or "steps" of all segments: what begins such a stream, a progressive
            one, is the whole sound, less exactly.
        pauses: stretches of silence that carry no choices.
        image_bytes: of the file, for the image of channel mode "image"; 0 where there is none.
        file_bytes: size of the whole stream.
        bitrate: of the whole file, bit/s.
        segments, payload_bytes, coded_steps: of the layout.
        work: of decoding a second of it, in time or memory, over that of the dearest preset; `max_work` bounds it.
        intact: whether sizes and checksums agree.
        verified: of that order, how many segments or steps from the start are there and pass their checksum; None of
            vq.
    """

    codec: str
    model: str
    preset: str | None
    sample_rate: int
    channel_mode: str
    sample_count: int
    duration: float
    gain_db: float
    seed: int
    tag: int
    params: dict[str, int] | None
    codebook: str | None
    rule: str | None
    order: str
    pauses: int
    image_bytes: int
    file_bytes: int
    bitrate: float
    segments: int | None = None
    payload_bytes: int | None = None
    coded_steps: int | None = None
    work: float | None = None
    intact: bool | None = None
    verified: int | None = None

    @property
    def channels(self) -> int:
        """Of the decoded sound."""
        return 1 if self.channel_mode == "mono" else 2

    def _repr_html_(self) -> str:
        """What a notebook shows: a sentence, and a table of what is known."""
        state = {True: ", whole", False: ", damaged", None: ""}[self.intact]
        told = (
            f"{self.file_bytes} bytes, {self.bitrate:.0f} bit/s, {self.duration:.2f} s at {self.sample_rate} Hz{state}"
        )
        rows = ((name.replace("_", " "), escape(str(value))) for name, value in vars(self).items() if value is not None)
        lines = "".join(f'<tr><th style="text-align: left">{name}</th><td>{value}</td></tr>' for name, value in rows)
        return f"<div>{told}<table>{lines}</table></div>"


@checked
def read_info(data: bytes, *, info: BackendInfo | None = None) -> StreamInfo:
    """What a stream says about itself; with the `info` of its backend also whether it is whole.

    Raises:
        StreamError: the header cannot be read, or holds what this build cannot decode.
        WrongModel: `info` belongs to another model.
    """
    from noisebook.codec.opening import image_size
    from noisebook.coding.container import parse_header

    header, header_size = parse_header(data)
    shown = _shown(header, image_size(data, header, header_size), len(data))
    return shown if info is None else replace(shown, **_measured(data, shown.image_bytes, info))


def _shown(header: Header, image_bytes: int, file_bytes: int) -> StreamInfo:
    from noisebook.codec.presets import by_wire_id, params_of

    latent = header.latent
    params = None if latent else params_of(header)
    duration = header.sample_count / header.sample_rate
    return StreamInfo(
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
        file_bytes=file_bytes,
        bitrate=8 * file_bytes / duration if duration else 0.0,
    )


def _measured(data: bytes, image_bytes: int, info: BackendInfo) -> dict[str, Any]:
    """The fields of a `StreamInfo` that need a model."""
    from noisebook.codec.allocation import Layout
    from noisebook.codec.effort import effort_of
    from noisebook.codec.opening import Stream

    stream = Stream(data, info)
    there = None
    with suppress(TruncatedStream, CorruptStream):
        there = image_bytes + sum(map(len, stream.contents().choices))
    layout = stream.timeline
    measured = {"segments": layout.segment_count, "intact": there is not None, "work": round(effort_of(layout), 3)}
    if not isinstance(layout, Layout):
        return measured | {"payload_bytes": there, "coded_steps": 0}
    walked = layout.pauses and not layout.progressive  # the sizes of these: only a whole stream is worth it
    size = there if walked else image_bytes + layout.payload_size
    return measured | {"payload_bytes": size, "coded_steps": layout.steps, "verified": stream.verified()}
