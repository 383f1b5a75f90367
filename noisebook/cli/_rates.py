"""Why a stream has another bitrate than the one that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from noisebook.cli._numbers import number

if TYPE_CHECKING:
    from noisebook.api import StreamInfo
    from noisebook.diffusion.backend import BackendInfo

__all__ = ["rate_values"]

_NOTICED = 1.02  # times the bitrate that was asked for


def rate_values(shown: StreamInfo, asked: float | None, info: BackendInfo) -> dict[str, Any]:
    """What of a stream is payload and what is not, and, where the file has more than was asked for, why.

    Args:
        shown: of the stream, read with `info`.
        asked: bit/s, the preset's or that of --bitrate; None where a quality was asked for.
        info: of the model.
    """
    beside = shown.file_bytes - (shown.payload_bytes or 0)
    values = {"asked_bitrate": asked, "payload_bytes": shown.payload_bytes, "other_bytes": beside}
    if asked is None or shown.bitrate <= _NOTICED * asked:
        return {**values, "why_more": None}
    per_byte = 8 / shown.duration
    reasons = [f"{beside} bytes are not payload ({number(beside * per_byte, 3)} bit/s)"]
    more = (shown.payload_bytes or 0) * per_byte - asked
    if more > (_NOTICED - 1) * asked:
        reasons.append(f"{_of_payload(shown, info)} ({number(more, 3)} bit/s)")
    return {**values, "why_more": " and ".join(reasons)}


def _of_payload(shown: StreamInfo, info: BackendInfo) -> str:
    """Why the choices are more than the bitrate: they come in parts, and the last ones reach beyond the sound's end."""
    if shown.engine is None:
        return "the codebook has a bitrate of its own"
    values = 2 ** int(shown.engine["log2_part"])
    return f"choices come {number(values / info.frame_values / info.frames_per_second)} s of sound at a time"
