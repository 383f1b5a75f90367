"""Stream to sound: whole, in parts, or block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from noisebook.api.arguments import OnStep, checked
from noisebook.api.codebooks import codebook_by_fingerprint, codebook_of
from noisebook.audio.peak_guard import PeakGuard, guard_margin, guarded
from noisebook.audio.waveform import MAX_SAMPLES, Waveform
from noisebook.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from noisebook.codec.layout import Timeline
    from noisebook.codec.player import Player
    from noisebook.coding.container import Header
    from noisebook.diffusion.backend import Backend
    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["MAX_SECONDS", "MAX_WORK", "Decoding", "decompress", "decompress_to_blocks", "play"]

MAX_SECONDS = 24 * 3600.0  # of sound that is made of a stream in one piece
MAX_WORK = 10.0  # times the dearest preset, of explicit coding parameters


@checked
def decompress(
    data: bytes,
    *,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    start: float | None = None,
    end: float | None = None,
    damaged: bool = False,
    max_seconds: float = MAX_SECONDS,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    peak_guard: bool = True,
    on_step: OnStep | None = None,
) -> Waveform:
    """The sound of a .ddcm stream, with the original's sample rate, channels and exact length.

    Args:
        data: the whole stream.
        backend: the model it was made with; None: the one that `find_model` finds, loaded for this call.
        codebook: that a quantised latent was made with; those inside the package are found without.
        start, end: seconds: only this part of the sound, and only what it needs is decoded.
        damaged: decode what is there of a stream that is cut short or fails its checksums; the sound may end early.
        max_seconds: refuse to make a longer sound, before anything is decoded. Three bytes can hold 64 s: give what
            you have time and memory for where streams come from strangers.
        max_work: refuse a stream whose coding parameters ask for more than so many times the time or memory of the
            dearest preset (`StreamInfo.work`), before anything is decoded. No preset and no bitrate is above 2.2.
        tail_steps: denoising steps after the last coded one; None is 3 where the bits end near the sound, as from some
            300 bit/s on, else 6.
        peak_guard: hold what is beyond full scale within it, as an integer format needs it (`audio.peak_guard`).
        on_step: called with (steps done, steps in all).

    Raises:
        StreamError: the bytes are not a whole, undamaged stream of this model and codebook.
        AudioError: a sound of more than `max_seconds`, or of more samples than a `Waveform` has; or more work.
        ConfigError: a part that the sound does not have.
        ModelError: the codebook or the model cannot be read.
    """
    if start is None and end is None and not damaged:
        from noisebook.codec import streams

        backend = _backend_of(data, backend)
        header, timeline, *_ = streams.open_stream(data, backend.info)
        _check_work(header, timeline, max_work)
        _check_length(header.sample_count, header.sample_rate, header.channel_mode.channels, max_seconds)
        find = _codebook_for(codebook)
        sound = streams.decompress(data, backend=backend, codebook_for=find, tail_steps=tail_steps, on_step=on_step)
        return guarded(sound)[0] if peak_guard else sound
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    first, last = _samples_between(start, end, player)
    _check_length(last - first, player.sample_rate, player.channels, max_seconds)
    if not peak_guard:
        return player.play(first, last)
    return _held(player, first, last, PeakGuard(player.sample_rate))


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
    start: float | None = None,
    end: float | None = None,
    damaged: bool = False,
    max_seconds: float = MAX_SECONDS,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    peak_guard: bool = True,
    on_step: OnStep | None = None,
) -> Decoding:
    """`decompress`, to the bit, a minute of sound at a time: what an hour needs when it goes to a file.

    Args and errors are those of `decompress`; those of the choices themselves come with the blocks.
    """
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    first, last = _samples_between(start, end, player)
    _check_seconds((last - first) / player.sample_rate, max_seconds)
    whole = start is None and end is None and not damaged
    guard = PeakGuard(player.sample_rate) if peak_guard else None
    if guard is None:
        blocks = player.stream() if whole else player.blocks(first, last, seconds=60)
    elif whole:
        held = guard.blocks(block.samples for block in player.stream())
        blocks = (Waveform(samples, player.sample_rate) for samples in held)
    else:
        blocks = _guarded(player, first, last, 60, guard)
    return Decoding(player.sample_rate, player.channels, last - first, blocks, guard)


@checked
def play(
    data: bytes,
    *,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    start: float | None = None,
    end: float | None = None,
    seconds: float = 8.0,
    damaged: bool = False,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    peak_guard: bool = True,
    on_step: OnStep | None = None,
) -> Iterator[Waveform]:
    """The sound of a .ddcm stream block by block, each as soon as it is decoded, in memory that does not grow with it.

    Args:
        seconds: of a block, at most 60.
        data, backend, codebook, start, end, damaged, max_work, tail_steps, peak_guard, on_step: as of `decompress`.

    Raises:
        StreamError, AudioError, ConfigError, ModelError: as `decompress`; before the first block.
    """
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    first, last = _samples_between(start, end, player)
    if not peak_guard:
        return player.blocks(first, last, seconds=seconds)
    return _guarded(player, first, last, seconds, PeakGuard(player.sample_rate))


def _guarded(player: Player, first: int, last: int, seconds: float, guard: PeakGuard) -> Iterator[Waveform]:
    """`Player.blocks` through a peak guard, which hears beyond each: the same as of the whole."""
    player.blocks(first, last, seconds=seconds)  # the errors
    size = round(seconds * player.sample_rate)
    return (_held(player, start, min(start + size, last), guard) for start in range(first, last, size))


def _held(player: Player, start: int, end: int, guard: PeakGuard) -> Waveform:
    margin = guard_margin(player.sample_rate)
    left = max(0, start - margin)
    wider = player.play(left, min(player.sample_count, end + margin))
    samples = np.concatenate(list(guard.blocks([wider.samples])), axis=1)
    return Waveform(samples[:, start - left : end - left].copy(), player.sample_rate)


def _player(
    data: bytes,
    backend: Backend | None,
    codebook: LatentCodebook | Path | str | None,
    damaged: bool,
    max_work: float,
    tail_steps: int | None,
    on_step: OnStep | None,
) -> Player:
    from noisebook.codec.player import Player

    player = Player(
        data, backend=_backend_of(data, backend), codebook_for=_codebook_for(codebook), tail_steps=tail_steps,
        damaged=damaged, on_step=on_step,
    )  # fmt: skip
    _check_work(player.header, player.timeline, max_work)
    return player


def _backend_of(data: bytes, backend: Backend | None) -> Backend:
    """The model that was given, or the one that made the stream."""
    if backend is not None:
        return backend
    from noisebook.api.models import find_model, load_backend

    return load_backend(find_model(data))


def _check_work(header: Header, timeline: Timeline, max_work: float) -> None:
    """AudioError for coding parameters that ask for more than wanted."""
    from noisebook.codec.effort import effort_of

    work = effort_of(header, timeline)
    if work > max_work:
        raise AudioError(
            f"the coding parameters of the stream ask for {work:.1f} times the work of the dearest preset, and "
            f"{max_work:g} times are allowed (max_work)"
        )


def _check_length(sample_count: int, sample_rate: int, channels: int, max_seconds: float) -> None:
    """AudioError for a sound that is longer than wanted, or than a `Waveform` can be."""
    seconds, longest = sample_count / sample_rate, MAX_SAMPLES / channels / sample_rate
    _check_seconds(seconds, max_seconds)
    if seconds > longest:
        raise AudioError(
            f"{seconds:g} s of sound, and at most {longest:g} are possible: decode it in parts (start, end)"
        )


def _check_seconds(seconds: float, max_seconds: float) -> None:
    if seconds > max_seconds:
        raise AudioError(
            f"{seconds:g} s of sound, and at most {max_seconds:g} are allowed (max_seconds): decode it in parts "
            "(start, end)"
        )


def _samples_between(start: float | None, end: float | None, player: Player) -> tuple[int, int]:
    """Samples of a part in seconds; an end behind the sound's is the sound's."""
    duration = player.sample_count / player.sample_rate
    first = 0.0 if start is None else start
    last = duration if end is None else min(end, duration)
    if not (0 <= first < last and round(first * player.sample_rate) < round(last * player.sample_rate)):
        until = "the end" if end is None else f"{end:g} s"
        raise ConfigError(f"from {first:g} s to {until}: the sound has {duration:.3f} s")
    return round(first * player.sample_rate), round(last * player.sample_rate)


def _codebook_for(codebook: LatentCodebook | Path | str | None) -> Callable[[bytes], LatentCodebook]:
    """Finds the codebook of a stream: the one that was given, or one inside the package."""

    def find(fingerprint: bytes) -> LatentCodebook:
        return codebook_by_fingerprint(fingerprint) if codebook is None else codebook_of(codebook)

    return find
