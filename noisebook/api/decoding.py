"""Stream to sound: whole, in parts, or block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.api.arguments import OnStep, checked
from noisebook.api.codebooks import codebook_by_fingerprint, codebook_of
from noisebook.audio.level import PeakGuard, guard_margin, guarded
from noisebook.audio.waveform import MAX_SAMPLES, Waveform
from noisebook.errors import AudioError, ConfigError
from noisebook.options import Options, option

if TYPE_CHECKING:
    from noisebook.codec.decoder import Decoder
    from noisebook.diffusion.backend import Backend
    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["MAX_SECONDS", "MAX_WORK", "DecodeOptions", "Decoding", "decompress", "decompress_to_blocks", "play"]

MAX_SECONDS = 24 * 3600.0  # of sound that is made of a stream in one piece
MAX_WORK = 10.0  # times the dearest preset, of explicit coding parameters


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
    decoder = _opened(data, backend, codebook, options, on_step)
    first, last = _samples_between(options, decoder)
    seconds, longest = (last - first) / decoder.sample_rate, MAX_SAMPLES / decoder.channels / decoder.sample_rate
    _check_seconds(seconds, options)
    if seconds > longest:
        raise AudioError(
            f"{seconds:g} s of sound, and at most {longest:g} are possible: decode it in parts (start, end)"
        )
    if options.whole:
        sound = decoder.sound()
        return guarded(sound)[0] if options.peak_guard else sound
    if not options.peak_guard:
        return decoder.samples(first, last)
    return _held(decoder, first, last, PeakGuard(decoder.sample_rate))


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
    decoder = _opened(data, backend, codebook, options, on_step)
    first, last = _samples_between(options, decoder)
    _check_seconds((last - first) / decoder.sample_rate, options)
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
    decoder = _opened(data, backend, codebook, options, on_step)
    guard = PeakGuard(decoder.sample_rate) if options.peak_guard else None
    return _blocks(decoder, *_samples_between(options, decoder), seconds, guard)


def _blocks(decoder: Decoder, first: int, last: int, seconds: float, guard: PeakGuard | None) -> Iterator[Waveform]:
    """`Decoder.blocks`, through a peak guard that hears beyond each: the same as of the whole."""
    blocks = decoder.blocks(first, last, seconds=seconds)  # with the errors
    if guard is None:
        return blocks
    size = round(seconds * decoder.sample_rate)
    return (_held(decoder, start, min(start + size, last), guard) for start in range(first, last, size))


def _held(decoder: Decoder, start: int, end: int, guard: PeakGuard) -> Waveform:
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
) -> Decoder:
    """The stream, opened with the model that was given or the one that made it; AudioError where it asks for more work
    than is wanted."""
    from noisebook.codec.decoder import Decoder
    from noisebook.codec.effort import effort_of

    if backend is None:
        from noisebook.api.models import find_model, load_backend

        backend = load_backend(find_model(data))
    decoder = Decoder(
        data, backend=backend, tail_steps=options.tail_steps, damaged=options.damaged, on_step=on_step,
        codebook_for=codebook_by_fingerprint if codebook is None else lambda _: codebook_of(codebook),
    )  # fmt: skip
    work = effort_of(decoder.timeline)
    if work > options.max_work:
        raise AudioError(
            f"the coding parameters of the stream ask for {work:.1f} times the work of the dearest preset, and "
            f"{options.max_work:g} times are allowed (max_work)"
        )
    return decoder


def _check_seconds(seconds: float, options: DecodeOptions) -> None:
    if seconds > options.max_seconds:
        raise AudioError(
            f"{seconds:g} s of sound, and at most {options.max_seconds:g} are allowed (max_seconds): decode it in "
            "parts (start, end)"
        )


def _samples_between(options: DecodeOptions, decoder: Decoder) -> tuple[int, int]:
    """Samples of a part in seconds; an end behind the sound's is the sound's."""
    rate, duration = decoder.sample_rate, decoder.sample_count / decoder.sample_rate
    first = options.start or 0.0
    last = duration if options.end is None else min(options.end, duration)
    if not (0 <= first < last and round(first * rate) < round(last * rate)):
        until = "the end" if options.end is None else f"{options.end:g} s"
        raise ConfigError(f"from {first:g} s to {until}: the sound has {duration:.3f} s")
    return round(first * rate), round(last * rate)
