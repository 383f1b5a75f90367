"""The facade: arrays and bytes in, bytes and arrays out."""

from noisebook.api.codec import StreamInfo, as_waveform, compress, decompress, read_info
from noisebook.api.models import EMBEDDED, load_backend, model_info
from noisebook.audio.waveform import Waveform

__all__ = [
    "EMBEDDED",
    "StreamInfo",
    "Waveform",
    "as_waveform",
    "compress",
    "decompress",
    "load_backend",
    "model_info",
    "read_info",
]
