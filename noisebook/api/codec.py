"""Sound to stream and back: from arrays to bytes, from file to file, whole or block by block; and what a stream says.

The models and the codec load torch, so they are imported where they are called.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.api.arguments import checked
from noisebook.api.codebooks import codebook_by_fingerprint, codebook_of
from noisebook.api.models import load_backend, model_of
from noisebook.api.recommend import auto_preset
from noisebook.audio.level import PeakGuard, guard_margin, guarded
from noisebook.audio.waveform import MAX_SAMPLES, Sound, Waveform, as_sound, downmix
from noisebook.codec.options import AUTO, CodebookOptions, EncodeOptions
from noisebook.coding import container
from noisebook.errors import AudioError, ConfigError, CorruptStream, TruncatedStream
from noisebook.options import OnStep, Options, option

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.codec.decoder import Decoder
    from noisebook.codec.stream import Stream
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook

MAX_SECONDS = 24 * 3600.0  # of sound that is made of a stream in one piece
MAX_WORK = 10.0  # times the most expensive preset, of explicit coding parameters


@dataclass(frozen=True)
class DecodeOptions(Options):
    """What may be chosen about decoding; `help` of each is in its field."""

    start: float | None = option(None, "Decode only from here; fast at any place.", low=0, metavar="SECONDS")
    end: float | None = option(None, "Decode only up to here.", low=0, metavar="SECONDS")
    damaged: bool = option(
        False, "Play what is left of a stream that is cut short or damaged; the sound may end early."
    )
    # Three bytes can hold 64 s, and no preset and no bitrate asks for more than 2.2 times the work.
    max_seconds: float = option(
        MAX_SECONDS, "Refuse to make a longer sound; for streams of strangers.", above=0, metavar="SECONDS"
    )
    max_work: float = option(
        MAX_WORK, "Refuse coding parameters that ask for more than so many times the work of the most expensive "
        "preset.", above=0, metavar="TIMES",
    )  # fmt: skip
    tail_steps: int | None = option(
        None, "Denoising steps after the coded ones; by default 3 from some 300 bit/s on, else 6.", low=1, high=100
    )
    peak_guard: bool = option(
        True, "Hold what is beyond full scale within it, as an integer format needs it.", command_line=False
    )

    @property
    def whole(self) -> bool:
        """All of an undamaged stream is asked for."""
        return self.start is None and self.end is None and not self.damaged


@dataclass(frozen=True)
class Decoding:
    """A sound that is being decoded.

    Attributes:
        sample_rate: Hz.
        channels: of the sound.
        sample_count: per channel, of all blocks.
        blocks: the sound in order, each block when it is decoded.
        guard: that holds it within full scale; None where nothing does.
    """

    sample_rate: int
    channels: int
    sample_count: int
    blocks: Iterator[Waveform]
    guard: PeakGuard | None = None

    @property
    def held(self) -> int:
        """Samples beyond full scale of the blocks so far."""
        return 0 if self.guard is None else self.guard.held

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate


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
    """Compress a sound file, and write its .ddcm stream whole or not at all.

    Args:
        source: any file that libsndfile reads, or ffmpeg where that is installed.
        target: the stream; by default beside the source, with the suffix .ddcm.
        backend: from `load_backend`; None: the model inside the package, loaded for this call.
        overwrite: whether an existing target is replaced.
        options, on_step: as of `compress`.

    Returns:
        Where the stream is.

    Raises:
        AudioError: a sound that cannot be read or coded, or a target that exists or cannot be written.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
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
    decoder, first, last = _opened(data, backend, codebook, options, on_step, most_seconds=options.max_seconds)
    if (last - first) * decoder.channels > MAX_SAMPLES:
        seconds, longest = (n / decoder.sample_rate for n in (last - first, MAX_SAMPLES / decoder.channels))
        raise AudioError(
            f"{seconds:g} s of sound, and at most {longest:g} are possible: decode it in parts (start, end)"
        )
    if options.whole:
        return guarded(decoder.sound())[0] if options.peak_guard else decoder.sound()
    guard = PeakGuard(decoder.sample_rate) if options.peak_guard else None
    return _held(decoder, first, last, guard)


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
        seconds: of a block, at most 60, for a sound that is heard while it is decoded; None: as is fastest.
        data, backend, codebook, options, on_step: as of `decompress`.

    Raises:
        StreamError, AudioError, ConfigError, ModelError: as `decompress`; those of the choices themselves come with the
            blocks.
    """
    decoder, first, last = _opened(data, backend, codebook, options, on_step, most_seconds=options.max_seconds)
    guard = PeakGuard(decoder.sample_rate) if options.peak_guard else None
    if seconds is not None or not options.whole:
        blocks = _blocks(decoder, first, last, seconds or 60, guard)
    elif guard is None:
        blocks = decoder.stream()
    else:
        held = guard.blocks(block.samples for block in decoder.stream())
        blocks = (Waveform(samples, decoder.sample_rate) for samples in held)
    return Decoding(decoder.sample_rate, decoder.channels, last - first, blocks, guard)


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

    Args:
        seconds: of a block, at most 60.
        data, backend, codebook, options, on_step: as of `decompress`; no length is too long.

    Raises:
        StreamError, AudioError, ConfigError, ModelError: as `decompress`; before the first block.
    """
    decoder, first, last = _opened(data, backend, codebook, options, on_step)
    return _blocks(decoder, first, last, seconds, PeakGuard(decoder.sample_rate) if options.peak_guard else None)


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
    """Turn the file of a .ddcm stream back into a sound file, written whole or not at all.

    Args:
        source: the stream.
        target: the sound, in the format of its suffix; by default beside the stream, with the suffix .wav.
        backend: the model it was made with; None: the one that `find_model` finds, loaded for this call.
        bits: of a sample, "16" (the default), "24" or "float", which keeps what is beyond full scale.
        overwrite: whether an existing target is replaced.
        options, on_step: as of `decompress`.

    Returns:
        Where the sound is.

    Raises:
        StreamError: the file is not a whole, undamaged stream of this model.
        AudioError: a file that cannot be read, a target that exists or cannot be written, or a format that cannot hold
            the sound.
        ConfigError, ModelError: as `decompress`.
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
    from noisebook.codec.presets import by_wire_id, params_of
    from noisebook.codec.stream import Stream, image_size

    header, header_size = parsed = container.parse_header(data)
    latent, duration = header.latent, header.sample_count / header.sample_rate
    params = None if latent else params_of(header)
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
        image_bytes=image_size(data, header, header_size),
        file_bytes=len(data),
        bitrate=8 * len(data) / duration if duration else 0.0,
    )
    return shown if info is None else replace(shown, **_measured(Stream(data, info, parsed), shown.image_bytes))


def _measured(stream: Stream, image_bytes: int) -> dict[str, Any]:
    """The fields of a `StreamInfo` that need a model."""
    from noisebook.codec.timeline import Layout

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


def _blocks(decoder: Decoder, first: int, last: int, seconds: float, guard: PeakGuard | None) -> Iterator[Waveform]:
    """`Decoder.blocks`, through a peak guard that hears beyond each: the same as of the whole."""
    blocks = decoder.blocks(first, last, seconds=seconds)  # with the errors
    if guard is None:
        return blocks
    size = round(seconds * decoder.sample_rate)
    return (_held(decoder, start, min(start + size, last), guard) for start in range(first, last, size))


def _held(decoder: Decoder, start: int, end: int, guard: PeakGuard | None) -> Waveform:
    """Samples `start` to `end`, within full scale where there is a guard."""
    if guard is None:
        return decoder.samples(start, end)
    margin = guard_margin(decoder.sample_rate)
    left = max(0, start - margin)
    wider = decoder.samples(left, min(decoder.sample_count, end + margin))
    samples = np.concatenate(list(guard.blocks([wider.samples])), axis=1)
    return Waveform(samples[:, start - left : end - left].copy(), decoder.sample_rate)


def _opened(
    data: bytes,
    backend: Backend | None,
    codebook: LatentCodebook | Path | str | None,
    options: DecodeOptions,
    on_step: OnStep | None,
    *,
    most_seconds: float | None = None,
) -> tuple[Decoder, int, int]:
    """The stream, opened with the model that was given or the one that made it, and the samples that are asked for.

    Raises:
        AudioError: it asks for more work, or holds a longer sound, than is wanted.
        ConfigError: a part that the sound does not have.
    """
    from noisebook.codec.decoder import Decoder

    parsed = container.parse_header(data)
    decoder = Decoder(
        data, backend=backend or load_backend(model_of(parsed[0].fingerprint)), tail_steps=options.tail_steps,
        damaged=options.damaged, on_step=on_step, parsed=parsed,
        codebook_for=codebook_by_fingerprint if codebook is None else lambda _: codebook_of(codebook),
    )  # fmt: skip
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
    if most_seconds is not None and (last - first) / rate > most_seconds:
        raise AudioError(
            f"{(last - first) / rate:g} s of sound, and at most {most_seconds:g} are allowed (max_seconds): decode it "
            "in parts (start, end)"
        )
    return decoder, first, last
