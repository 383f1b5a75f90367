"""Whether a file holds as much sound as its header says: one that was cut short reads like a shorter sound."""

from __future__ import annotations

import os
import struct
from typing import IO

__all__ = ["missing_share"]

_DATA = {b"WAVE": ("<", b"data"), b"AIFF": (">", b"SSND"), b"AIFC": (">", b"SSND")}
_UNKNOWN = 0x7FFFF000  # bytes from which a size stands for "not known yet", as in what was written to a pipe


def missing_share(file: IO[bytes]) -> float:
    """What a WAV or AIFF file lacks of the sound that its header announces, over what it holds; 0 for other files.

    The chunks are those of EA IFF 85 and of RIFF: four letters, a size of four bytes, that many bytes, and one to make
    them even.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"FORM") or head[8:12] not in _DATA:
        return 0.0
    order, name = _DATA[head[8:12]]
    position = 12
    while position + 8 < size:
        file.seek(position)
        found, length = struct.unpack(f"{order}4sI", file.read(8))
        position += 8
        if found == name:
            held = size - position
            return (length - held) / held if 0 < held < length < _UNKNOWN else 0.0
        position += length + length % 2
    return 0.0
