"""Sound to stream and back: from arrays to bytes, from file to file, whole or block by block.

The models and the codec load torch, so they are imported where they are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.api.arguments import checked
from noisebook.api.codebooks import codebook_by_fingerprint, codebook_of
from noisebook.api.models import load_backend, model_of
from noisebook.api.recommend import auto_preset
from noisebook.audio.level import PeakGuard, guard_margin
from noisebook.audio.waveform import MAX_SAMPLES, Sound, Waveform, as_sound, downmix
from noisebook.codec.options import AUTO, CodebookOptions, DecodeOptions, EncodeOptions
from noisebook.codec.stream import StreamInfo, stream_info
from noisebook.coding import container
from noisebook.errors import AudioError, ConfigError
from noisebook.options import OnStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.codec.decoder import Decoder
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook


@dataclass(frozen=True)
class Decoding:
    """A sound that is being decoded."""

    sample_rate: int  # Hz
    channels: int
    sample_count: int  # per channel, of all blocks
    blocks: Iterator[Waveform]  # the sound in order, each block when it is decoded
    guard: PeakGuard | None = None  # that holds it within full scale

    @property
    def held(self) -> int:
        """Samples beyond full scale of the blocks so far."""
        return 0 if self.guard is None else self.guard.held

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate


@checked
def compress(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> bytes:
    """Compress a sound into the bytes of a .ddcm stream.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword: `preset="300"`, `bitrate=500`.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
    """
    from noisebook.codec import encoder

    sound = as_sound(waveform, sample_rate)
    sound = downmix(sound) if options.channels == "mono" else sound
    if options.preset == AUTO:
        options = options.replaced(preset=auto_preset(sound)[0])
    return encoder.compress(sound, backend=backend, options=options, on_step=on_step)


@checked
def compress_with_codebook(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str,
    sample_rate: int | None = None,
    options: CodebookOptions = CodebookOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> bytes:
    """Compress a sound into a .ddcm stream that holds its latent in the words of a codebook.

    Args:
        waveform, backend, sample_rate, options: as of `compress`.
        codebook: fitted for that model: the name of one inside the package, a file, or from `load_codebook`. The
            decoder needs it too.
        on_step: called with (segments done, segments in all).

    Raises:
        AudioError, ConfigError: as `compress`, or an option that the codebook does not have.
        ModelError: no such codebook, or one of another model.
    """
    from noisebook.codec import encoder

    book, sound = codebook_of(codebook), as_sound(waveform, sample_rate)
    sound = downmix(sound) if options.channels == "mono" else sound
    return encoder.compress_with_codebook(sound, backend=backend, codebook=book, options=options, on_step=on_step)


@checked
def compress_file(
    source: Path | str,
    target: Path | str | None = None,
    *,
    backend: Backend | None = None,
    overwrite: bool = False,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Path:
    """Compress a sound file, write its .ddcm stream whole or not at all, and say where it is.

    Args:
        source: any file that libsndfile reads, or ffmpeg where that is installed.
        target: the stream; by default beside the source, with the suffix .ddcm.
        backend: from `load_backend`; None: the model inside the package, loaded for this call.
        overwrite: whether an existing target is replaced.
        options, on_step: as of `compress`.

    Raises:
        AudioError: a sound that cannot be read or coded, or a target that exists or cannot be written.
        ConfigError: as `compress`.
    """
    from noisebook.audio import io

    path = _target(source, target, ".ddcm", overwrite)
    with io.Recording(source) as sound:
        data = compress(sound, backend=backend or load_backend(), options=options, on_step=on_step)
    io.write_bytes_atomic(path, data, overwrite=overwrite)
    return path


@checked
def decompress(
    data: bytes,
    *,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    options: DecodeOptions = DecodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Waveform:
    """The sound of a .ddcm stream, with the original's sample rate, channels and exact length.

    Args:
        data: the whole stream.
        backend: the model it was made with; None: the one that `find_model` finds, loaded for this call.
        codebook: that a quantised latent was made with; those inside the package are found without.
        options: what may be chosen; each can also be given as a keyword.
        on_step: called with (steps done, steps in all).

    Raises:
        StreamError: the bytes are not a whole, undamaged stream of this model and codebook.
        AudioError: a sound of more than `max_seconds`, or of more samples than a `Waveform` has; or more work.
        ConfigError: a part that the sound does not have.
        ModelError: the codebook or the model cannot be read.
    """
    from noisebook.codec.signal import joined

    decoding = _decoding(data, backend, codebook, options, on_step)
    longest = MAX_SAMPLES // decoding.channels
    if decoding.sample_count > longest:
        raise AudioError(
            f"{decoding.duration:g} s of sound, and at most {longest / decoding.sample_rate:g} are possible: decode it "
            "in parts (start, end)"
        )
    samples = joined((block.samples for block in decoding.blocks), decoding.sample_count)
    return Waveform(samples, decoding.sample_rate)


@checked
def decompress_to_blocks(
    data: bytes,
    *,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    seconds: float | None = None,
    options: DecodeOptions = DecodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Decoding:
    """`decompress`, to the bit, a minute of sound at a time: what an hour needs when it goes to a file.

    Args:
        seconds: of a block, at most 60, for a sound that is played while it is decoded; None: as is fastest.
        data, backend, codebook, options, on_step: as of `decompress`.

    Raises:
        StreamError, AudioError, ConfigError, ModelError: as `decompress`; those of the choices themselves come with the
            blocks.
    """
    return _decoding(data, backend, codebook, options, on_step, seconds)


@checked
def play(
    data: bytes,
    *,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    seconds: float = 8.0,
    options: DecodeOptions = DecodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Iterator[Waveform]:
    """The sound of a .ddcm stream block by block, each as soon as it is decoded, in memory that does not grow with it.

    Arguments and errors are those of `decompress_to_blocks`, but no length is too long.
    """
    return _decoding(data, backend, codebook, options.replaced(max_seconds=inf), on_step, seconds).blocks


@checked
def decompress_file(
    source: Path | str,
    target: Path | str | None = None,
    *,
    backend: Backend | None = None,
    bits: str | None = None,
    overwrite: bool = False,
    options: DecodeOptions = DecodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Path:
    """Turn the file of a .ddcm stream back into a sound file, written whole or not at all, and say where it is.

    Args:
        source: the stream.
        target: the sound, in the format of its suffix; by default beside the stream, with the suffix .wav.
        bits: of a sample, "16" (the default), "24" or "float", which keeps what is beyond full scale.
        overwrite: whether an existing target is replaced.
        backend, options, on_step: as of `decompress`.

    Raises:
        StreamError, ConfigError, ModelError: as `decompress`.
        AudioError: as `decompress`; a file that cannot be read, a target that exists or cannot be written, or a format
            that cannot hold the sound.
    """
    from noisebook.audio import io
    from noisebook.audio.formats import WRITABLE, encode_blocks, subtype_of

    path = _target(source, target, ".wav", overwrite)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise AudioError(f"cannot write {path}: its suffix is none of {' '.join(WRITABLE)}")
    subtype = subtype_of(suffix, bits)
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {source}: {error.strerror}") from error
    options = options.replaced(peak_guard=options.peak_guard and bits != "float")
    sound = decompress_to_blocks(data, backend=backend, options=options, on_step=on_step)
    blocks, shape = (block.samples for block in sound.blocks), (sound.channels, sound.sample_count)
    io.write_atomic(
        path,
        lambda file: encode_blocks(file, blocks, shape, sound.sample_rate, WRITABLE[suffix][0], subtype),
        overwrite=overwrite,
    )
    return path


@checked
def read_info(data: bytes, *, info: BackendInfo | None = None) -> StreamInfo:
    """What a stream says about itself; with the `info` of its backend also whether it is whole.

    Raises:
        StreamError: the header cannot be read, or holds what this build cannot decode.
        WrongModel: `info` belongs to another model.
    """
    return stream_info(data, info)


def _target(source: Path | str, target: Path | str | None, suffix: str, overwrite: bool) -> Path:
    """Where the result goes; refused before the work begins."""
    path = Path(source).with_suffix(suffix) if target is None else Path(target)
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise AudioError(f"{path} is the input itself: name another target")
    if path.is_file() and not overwrite:
        raise AudioError(f"{path} exists already: name another target, or give overwrite=True")
    if not path.parent.is_dir():
        raise AudioError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    return path


def _decoding(
    data: bytes,
    backend: Backend | None,
    codebook: LatentCodebook | Path | str | None,
    options: DecodeOptions,
    on_step: OnStep | None,
    seconds: float | None = None,
) -> Decoding:
    """The sound or part that is asked for, of the stream opened with the model that was given or that made it."""
    from noisebook.codec.decoder import Decoder

    parsed = container.parse_header(data)
    decoder = Decoder(
        data, backend=backend or load_backend(model_of(parsed[0].fingerprint)), tail_steps=options.tail_steps,
        damaged=options.damaged, on_step=on_step, parsed=parsed,
        codebook_for=codebook_by_fingerprint if codebook is None else lambda _: codebook_of(codebook),
    )  # fmt: skip
    first, last = _span(decoder, options)
    rate, guard = decoder.sample_rate, PeakGuard(decoder.sample_rate) if options.peak_guard else None
    if options.whole and seconds is None:
        blocks = decoder.stream()
        if guard is not None:
            blocks = (Waveform(held, rate) for held in guard.blocks(block.samples for block in blocks))
    else:
        blocks = _blocks(decoder, first, last, 60 if seconds is None else seconds, guard)
    return Decoding(rate, decoder.channels, last - first, blocks, guard)


def _span(decoder: Decoder, options: DecodeOptions) -> tuple[int, int]:
    """First and end sample that are asked for.

    Raises:
        AudioError: the stream asks for more work, or the part is longer, than is allowed.
        ConfigError: a part that the sound does not have.
    """
    work = decoder.timeline.effort
    if work > options.max_work:
        raise AudioError(
            f"the coding parameters of the stream ask for {work:.1f} times the work of the dearest preset, and "
            f"{options.max_work:g} times are allowed (max_work)"
        )
    rate, duration = decoder.sample_rate, decoder.sample_count / decoder.sample_rate
    start, end = options.start or 0.0, duration if options.end is None else min(options.end, duration)
    first, last = round(start * rate), round(end * rate)
    if not (0 <= start < end and first < last):
        until = "the end" if options.end is None else f"{options.end:g} s"
        raise ConfigError(f"from {start:g} s to {until}: the sound has {duration:.3f} s")
    if (last - first) / rate > options.max_seconds:
        raise AudioError(
            f"{(last - first) / rate:g} s of sound, and at most {options.max_seconds:g} are allowed (max_seconds): "
            "decode it in parts (start, end)"
        )
    return first, last


def _blocks(decoder: Decoder, first: int, last: int, seconds: float, guard: PeakGuard | None) -> Iterator[Waveform]:
    """`Decoder.blocks`, through a peak guard that looks beyond each: the same as of the whole."""
    blocks = decoder.blocks(first, last, seconds=seconds)  # with the errors
    if guard is None:
        return blocks
    margin, size = guard_margin(decoder.sample_rate), round(seconds * decoder.sample_rate)

    def held(start: int) -> Waveform:
        left, end = max(0, start - margin), min(start + size, last)
        wider = decoder.samples(left, min(decoder.sample_count, end + margin))
        samples = np.concatenate(list(guard.blocks([wider.samples])), axis=1)
        return Waveform(samples[:, start - left : end - left].copy(), decoder.sample_rate)

    return map(held, range(first, last, size))
