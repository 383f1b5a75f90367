"""The file formats that can be written: what each of them holds, and its bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import IO

import numpy as np

from noisebook.audio.level import PeakGuard
from noisebook.audio.waveform import MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Waveform
from noisebook.errors import AudioError

_PCM = ("PCM_16", "PCM_24", "PCM_32", "FLOAT")
# suffix -> libsndfile's name of the container and of the sample formats it may hold, the default first
WRITABLE: dict[str, tuple[str, tuple[str, ...]]] = {
    ".wav": ("WAV", _PCM),
    ".flac": ("FLAC", ("PCM_16", "PCM_24")),
    ".ogg": ("OGG", ("VORBIS", "OPUS")),
    ".opus": ("OGG", ("OPUS",)),
    ".mp3": ("MP3", ("MPEG_LAYER_III",)),
    ".aiff": ("AIFF", _PCM),
    ".aif": ("AIFF", _PCM),
    ".caf": ("CAF", _PCM),
    ".w64": ("W64", _PCM),
}
BITS = {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"}
# subtype -> rates in Hz, most channels; checked here because libsndfile's Vorbis encoder crashes beyond
_LIMITS: dict[str, tuple[range | tuple[int, ...], int]] = {
    "VORBIS": (range(MIN_SAMPLE_RATE, 200_001), 255),
    "OPUS": ((8_000, 12_000, 16_000, 24_000, 48_000), 255),
    "MPEG_LAYER_III": ((8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000), 2),
}
_ANY_LIMIT = (range(MIN_SAMPLE_RATE, MAX_SAMPLE_RATE + 1), 1024)  # the channels that libsndfile knows
_FRAMES_PER_WRITE = 2**12  # libsndfile's Vorbis encoder overruns its stack on a long sound in one call
_32_BIT_SIZES = ("WAV", "AIFF")  # containers that end at 4 GiB


def subtype_of(suffix: str, bits: str | None) -> str:
    """The sample format of a key of `WRITABLE` for a key of `BITS`; its default for None. AudioError for other bits, or
    bits that the format does not have."""
    _, subtypes = WRITABLE[suffix]
    if bits is None:
        return subtypes[0]
    if bits not in BITS:
        raise AudioError(f"{bits} bits: {', '.join(BITS)} are possible")
    if BITS[bits] not in subtypes:
        own = [name for name, subtype in BITS.items() if subtype in subtypes]
        holds = f"holds samples of {' or '.join(own)} bits" if own else f"is {subtypes[0].lower()}, which has no bits"
        raise AudioError(f"{suffix} {holds}, not {bits}: write .wav, or leave the bits out")
    return BITS[bits]


def encode(waveform: Waveform, container: str, subtype: str) -> tuple[memoryview, int]:
    """`encode_blocks` of a whole sound: its bytes, and how many samples were held."""
    buffer, shape = BytesIO(), (waveform.channels, waveform.sample_count)
    held = encode_blocks(buffer, [waveform.samples], shape, waveform.sample_rate, container, subtype)
    return buffer.getbuffer(), held


def encode_blocks(
    file: IO[bytes],
    blocks: Iterable[np.ndarray],
    shape: tuple[int, int],
    sample_rate: int,
    container: str,
    subtype: str,
) -> int:
    """Write a sound in one of the pairs of container and subtype in `WRITABLE`.

    Integer subtypes round to the nearest step, without dither; a `PeakGuard` holds the sound of all subtypes but FLOAT
    within full scale; the result says how many samples lay beyond it. The file is empty, can seek, and is open for
    reading and writing; the blocks are `[C, n]` float32 in order, the shape `[C, N]` that of the whole sound.

    Raises:
        AudioError: a sample rate, channel count or length that the format cannot hold.
        OSError: the file cannot be written.
    """
    import soundfile

    _check_limits(shape, sample_rate, container, subtype)
    target, guard = Virtual(file), PeakGuard(sample_rate)
    within = blocks if subtype == "FLOAT" else guard.blocks(blocks)
    try:
        with soundfile.SoundFile(target, "w", sample_rate, shape[0], subtype=subtype, format=container) as sound:
            for piece in _pieces(within):
                sound.write(_quantise(piece, subtype))
                target.check()
    except soundfile.LibsndfileError as error:
        target.check()
        what = f"{shape[0]} channels at {sample_rate} Hz"
        raise AudioError(f"{container} {subtype} does not take {what}: {error.error_string}") from error
    target.check()
    return guard.held


def pipe_wav(
    write: Callable[[bytes], object],
    blocks: Iterable[np.ndarray],
    shape: tuple[int, int],
    sample_rate: int,
    subtype: str = "PCM_16",
) -> int:
    """`encode_blocks` as WAV for what cannot seek: `write` takes the bytes in order, each block as soon as it is there.

    `shape` has one or two channels.
    """
    _check_limits(shape, sample_rate, "WAV", subtype)
    is_float, guard = subtype == "FLOAT", PeakGuard(sample_rate)
    bits = 32 if is_float else int(subtype.removeprefix("PCM_"))
    width = bits // 8 * shape[0]  # bytes of a frame
    size = width * shape[1]
    write(struct.pack("<4sI4s4sI", b"RIFF", 36 + size + size % 2, b"WAVE", b"fmt ", 16))
    code = 3 if is_float else 1
    write(struct.pack("<HHIIHH4sI", code, shape[0], sample_rate, width * sample_rate, width, bits, b"data", size))
    for block in blocks if is_float else guard.blocks(blocks):
        frames = np.ascontiguousarray(_quantise(block.T, subtype))
        stored = frames.astype("<f4" if is_float else "<i4").view(np.uint8).reshape(*frames.shape, 4)
        write(stored[..., 4 - bits // 8 :].tobytes())  # little-endian: the upper bytes are the last
    if size % 2:
        write(b"\0")
    return guard.held


class Virtual:
    """A file for libsndfile, whose callbacks swallow errors: `check` raises the first of writing and seeking.

    It has no name, which libsndfile would judge by its suffix. A damaged header may ask for a seek before the start.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.read, self.tell = file, file.read, file.tell
        self._error: OSError | ValueError | None = None

    def write(self, data: bytes) -> int:
        self._attempt(lambda: self._file.write(data))
        return len(data)  # a short count is an assertion of soundfile's

    def seek(self, offset: int, whence: int = 0) -> int:
        done = self._attempt(lambda: self._file.seek(offset, whence))  # writes what is in the buffer
        return self.tell() if done else -1

    def _attempt(self, act: Callable[[], object]) -> bool:
        try:
            act()
        except (OSError, ValueError) as error:
            self._error = self._error or error
            return False
        return True

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _pieces(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """The samples of `[C, n]` blocks as frames `[n, C]`, as many at a time as are written at once."""
    rest: np.ndarray | None = None
    for block in blocks:
        frames = block.T if rest is None else np.concatenate([rest, block.T])
        whole = len(frames) // _FRAMES_PER_WRITE * _FRAMES_PER_WRITE
        for start in range(0, whole, _FRAMES_PER_WRITE):
            yield frames[start : start + _FRAMES_PER_WRITE]
        rest = frames[whole:]
    if rest is not None and len(rest):
        yield rest


def _check_limits(shape: tuple[int, int], sample_rate: int, container: str, subtype: str) -> None:
    rates, channels = _LIMITS.get(subtype, _ANY_LIMIT)
    if sample_rate not in rates:
        allowed = f"{rates[0]} to {rates[-1]}" if isinstance(rates, range) else ", ".join(map(str, rates))
        raise AudioError(f"{subtype} does not take {sample_rate} Hz: resample to {allowed} Hz")
    if shape[0] > channels:
        raise AudioError(f"{subtype} takes {channels} channels at most, not {shape[0]}: mix down")
    width = 2 if subtype == "PCM_16" else 4
    if container in _32_BIT_SIZES and shape[0] * shape[1] * width > 2**32 - 2**16:
        raise AudioError(f"{container} ends at 4 GiB: write .w64, .caf or .flac")


def _quantise(frames: np.ndarray, subtype: str) -> np.ndarray:
    """Samples within full scale as libsndfile shall store them: int32 with the value in the upper bits, or float32.

    Rounded here and not by libsndfile, which writes with a full scale of 32767 but reads with 32768.
    """
    if not subtype.startswith("PCM_"):
        return frames
    bits = int(subtype.removeprefix("PCM_"))
    scale = 2.0 ** (bits - 1)
    steps = np.clip(np.rint(frames.astype(np.float64) * scale), -scale, scale - 1)
    return steps.astype(np.int32) << (32 - bits)
