"""Sound to stream and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.audio.waveform import MAX_SAMPLES, Sound, Waveform
from noisebook.errors import AudioError, ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.codec.aiming import Priority
    from noisebook.codec.ddcm import Settings
    from noisebook.codec.layout import Timeline
    from noisebook.codec.player import Player
    from noisebook.coding.container import ChannelMode, Engine, Header
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook

__all__ = [
    "CHANNEL_MODES",
    "MAX_SECONDS",
    "MAX_WORK",
    "Decoding",
    "OnStep",
    "as_waveform",
    "coding_settings",
    "compress",
    "compress_with_codebook",
    "decompress",
    "decompress_to_blocks",
    "play",
]

CHANNEL_MODES = ("auto", "dual", "mid-side", "mono")
MAX_SECONDS = 24 * 3600.0  # of sound that is made of a stream in one piece
MAX_WORK = 10.0  # times the dearest preset, of explicit coding parameters
OnStep = Callable[[int, int], None]


def compress(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    preset: str | None = None,
    bitrate: float | None = None,
    quality: str = "balanced",
    channels: str = "auto",
    seed: int = 0,
    tag: str | None = None,
    target_mel_db: float | None = None,
    target_nmse: float | None = None,
    search: str | None = None,
    perceptual: float = 0.0,
    priorities: Sequence[Priority] = (),
    progressive: bool = False,
    variable_rate: bool = False,
    transients: bool = False,
    on_step: OnStep | None = None,
) -> bytes:
    """Compress a sound into the bytes of a .ddcm stream.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        preset: name of a preset: its bitrate for each coded channel; or "auto", by what the sound is like.
        bitrate: bit/s of all channels together, in place of a preset.
        quality: "fast", "balanced" or "high": over how many steps bits are spread; all but balanced add ten bytes.
        channels: "auto" (mono, or mid and side for stereo, which a model of stereo sound codes jointly), "dual",
            "mid-side", or "mono" (mix down).
        seed: 0..255, of the codebooks.
        tag: a conditioning tag of the model ("music", ...), one byte more in the stream; or "auto", the one with which
            the model knows the sound best (two calls of the denoiser a tag).
        target_mel_db, target_nmse: in place of preset and bitrate, the fewest bits with at most this error of the
            log-mel, or of the latent over its energy; dB, before the vocoder. Takes some six encodings.
        search: how the encoder looks for what to write, at the same bits: "none" is fast, "shaped" nearer in twice the
            time, "heard" in 2.5 times nearest to what is heard. None is "heard", for a model without a mel "shaped".
        perceptual: 0 to 1, how far latent channels count by what they move in the mel.
        priorities: of `noisebook.codec.aiming`: stretches of time and band in which errors count more.
        progressive: order by step and not by segment of 64 s: what begins the stream is the whole sound, less exactly.
        variable_rate: units of silence (60 dB below the peak) carry no bits and are decoded as silence.
        transients: up to a fifth of the units, those with the strongest onsets, carry twice the bits: for where onsets
            matter more than the rest. In the mean, as many bits for all of the sound come nearer.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
    """
    sound = _sound(waveform, sample_rate, channels)
    target = _target(target_mel_db, target_nmse, preset, bitrate)
    spread, named = "balanced" if target else quality, None if tag == "auto" else tag  # the encoder finds "auto"
    settings = coding_settings(sound, backend.info, preset, bitrate, spread, channels, seed, named)
    settings = replace(
        settings, tag=None if tag == "auto" else settings.tag, search=_search(search, backend.info),
        perceptual=perceptual, priorities=tuple(priorities), progressive=progressive, variable_rate=variable_rate,
        transients=transients,
    )  # fmt: skip
    return _compressed(sound, settings, target, quality, backend, on_step)


def _compressed(
    sound: Sound,
    settings: Settings,
    target: tuple[str, float] | None,
    quality: str,
    backend: Backend,
    on_step: OnStep | None,
) -> bytes:
    """The stream of the settings, or the smallest that reaches a target."""
    from noisebook.codec import ddcm, targeting

    if target is None:
        return ddcm.compress(sound, backend=backend, settings=settings, on_step=on_step)
    found = targeting.compress_to(sound, *target, backend=backend, settings=settings, quality=quality, on_step=on_step)
    return found.data


def _search(search: str | None, info: BackendInfo) -> str:
    """The search that is asked for, or the best that the model can have."""
    from noisebook.codec.ddcm import best_search

    return best_search(info) if search is None else search


def _target(
    mel_db: float | None, nmse: float | None, preset: str | None, bitrate: float | None
) -> tuple[str, float] | None:
    """The measure and value of a quality that is asked for in place of a preset or bitrate."""
    wanted = [(name, value) for name, value in (("mel-db", mel_db), ("nmse", nmse)) if value is not None]
    if wanted and len(wanted) + (preset is not None) + (bitrate is not None) > 1:
        raise ConfigError("give one of preset, bitrate, target_mel_db and target_nmse")
    return wanted[0] if wanted else None


def compress_with_codebook(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str,
    sample_rate: int | None = None,
    rule: str = "hard",
    bitrate: float | None = None,
    refine: float = 0.0,
    refine_bitrate: float | None = None,
    quality: str = "balanced",
    channels: str = "auto",
    seed: int = 0,
    tag: str | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """Compress a sound into a .ddcm stream that holds its latent in the words of a codebook.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        codebook: fitted for that model: the name of one inside the package, a file, or from `load_codebook`. The
            decoder needs it too.
        rule: "hard", the nearest atom, or "soft", a mean of the nearest ones.
        bitrate: budget of an adaptive codebook, bit/s of all channels together.
        refine: 0..1, how far into the diffusion the decoder noises the latent before it denoises it.
        refine_bitrate: bit/s of all channels together that choose the noise of that way, as `compress` does.
        quality: of `refine_bitrate`, as of `compress`.
        channels, seed, tag, on_step: as of `compress`.

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or one that the codebook does not have.
        ModelError: no such codebook, or one of another model.
    """
    from noisebook.codec import latent_vq

    sound = _sound(waveform, sample_rate, channels)
    book = _codebook(codebook)
    if bitrate is not None and book.method != "adaptive":
        raise ConfigError(f"a bitrate needs a codebook of method adaptive; this one, of {book.method}, has its own")
    if refine_bitrate is not None and not refine:
        raise ConfigError("a bitrate of the refinement needs a strength of the refinement above 0")
    latents = _latents(sound, channels, backend.info)
    settings = latent_vq.Settings(
        rule=rule,
        bits_per_frame=None if bitrate is None else bitrate / latents / backend.info.frames_per_second,
        strength=refine,
        steering=None if refine_bitrate is None else _engine(refine_bitrate / latents, quality, backend.info),
        seed=seed,
        tag=_tag_id(tag, backend.info),
        channel_mode=_channel_mode(channels),
    )
    return latent_vq.compress(sound, backend=backend, codebook=book, settings=settings, on_step=on_step)


def decompress(
    data: bytes,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str | None = None,
    start: float | None = None,
    end: float | None = None,
    damaged: bool = False,
    max_seconds: float = MAX_SECONDS,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    on_step: OnStep | None = None,
) -> Waveform:
    """The sound of a .ddcm stream, with the original's sample rate, channels and exact length.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        codebook: that a quantised latent was made with; those inside the package are found without.
        start, end: seconds: only this part of the sound, and only what it needs is decoded.
        damaged: decode what is there of a stream that is cut short or fails its checksums; the sound may end early.
        max_seconds: refuse to make a longer sound, before anything is decoded. Three bytes can hold 64 s: give what
            you have time and memory for where streams come from strangers.
        max_work: refuse a stream whose coding parameters ask for more than so many times the time or memory of the
            dearest preset (`StreamInfo.work`), before anything is decoded. No preset and no bitrate is above 2.2, twice
            that with transients.
        tail_steps: denoising steps after the last coded one; None is 3 where the bits end near the sound, as from some
            300 bit/s on, else 6.
        on_step: called with (steps done, steps in all).

    Raises:
        StreamError: the bytes are not a whole, undamaged stream of this model and codebook.
        AudioError: a sound of more than `max_seconds`, or of more samples than a `Waveform` has; or more work.
        ConfigError: a part that the sound does not have.
        ModelError: the codebook cannot be read.
    """
    if start is None and end is None and not damaged:
        from noisebook.codec import streams

        header, timeline, _ = streams.open_stream(data, backend.info)
        _check_work(header, timeline, max_work)
        _check_length(header.sample_count, header.sample_rate, header.channel_mode.channels, max_seconds)
        find = _codebook_for(codebook)
        return streams.decompress(data, backend=backend, codebook_for=find, tail_steps=tail_steps, on_step=on_step)
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    first, last = _samples_between(start, end, player)
    _check_length(last - first, player.sample_rate, player.channels, max_seconds)
    return player.play(first, last)


@dataclass(frozen=True)
class Decoding:
    """A sound that is being decoded.

    Attributes:
        sample_rate: Hz.
        channels: of the sound.
        sample_count: per channel, of all blocks.
        blocks: the sound in order, each block when it is decoded.
    """

    sample_rate: int
    channels: int
    sample_count: int
    blocks: Iterator[Waveform]

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate


def decompress_to_blocks(
    data: bytes,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str | None = None,
    start: float | None = None,
    end: float | None = None,
    damaged: bool = False,
    max_seconds: float = MAX_SECONDS,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    on_step: OnStep | None = None,
) -> Decoding:
    """`decompress`, to the bit, a minute of sound at a time: what an hour needs when it goes to a file.

    Args and errors are those of `decompress`; those of the choices themselves come with the blocks.
    """
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    first, last = _samples_between(start, end, player)
    _check_seconds((last - first) / player.sample_rate, max_seconds)
    whole = start is None and end is None and not damaged
    blocks = player.stream() if whole else player.blocks(first, last, seconds=60)
    return Decoding(player.sample_rate, player.channels, last - first, blocks)


def play(
    data: bytes,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str | None = None,
    start: float | None = None,
    end: float | None = None,
    seconds: float = 8.0,
    damaged: bool = False,
    max_work: float = MAX_WORK,
    tail_steps: int | None = None,
    on_step: OnStep | None = None,
) -> Iterator[Waveform]:
    """The sound of a .ddcm stream block by block, each as soon as it is decoded, in memory that does not grow with it.

    Args:
        seconds: of a block, at most 60.
        data, backend, codebook, start, end, damaged, max_work, tail_steps, on_step: as of `decompress`.

    Raises:
        StreamError, AudioError, ConfigError, ModelError: as `decompress`; before the first block.
    """
    player = _player(data, backend, codebook, damaged, max_work, tail_steps, on_step)
    return player.blocks(*_samples_between(start, end, player), seconds=seconds)


def _player(
    data: bytes,
    backend: Backend,
    codebook: LatentCodebook | Path | str | None,
    damaged: bool,
    max_work: float,
    tail_steps: int | None,
    on_step: OnStep | None,
) -> Player:
    from noisebook.codec.player import Player

    player = Player(
        data, backend=backend, codebook_for=_codebook_for(codebook), tail_steps=tail_steps,
        damaged=damaged, on_step=on_step,
    )  # fmt: skip
    _check_work(player.header, player.timeline, max_work)
    return player


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
        from noisebook.api.codebooks import codebook_by_fingerprint

        return codebook_by_fingerprint(fingerprint) if codebook is None else _codebook(codebook)

    return find


def as_waveform(waveform: Sound | ArrayLike, sample_rate: int | None) -> Waveform:
    """A `Waveform`: from a sound that is not held whole, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.

    Raises:
        ConfigError: an array without a rate, or a rate that disagrees with the sound's.
    """
    from noisebook.audio.resample import resample

    sound = as_sound(waveform, sample_rate)
    return resample(sound, sound.sample_rate)


def as_sound(sound: Sound | ArrayLike, sample_rate: int | None) -> Sound:
    """The sound as it is, or a `Waveform` of an array; arguments and errors as of `as_waveform`."""
    if isinstance(sound, Sound):
        if sample_rate not in (None, sound.sample_rate):
            raise ConfigError(f"sample_rate {sample_rate} disagrees with the waveform's {sound.sample_rate}")
        return sound
    if sample_rate is None:
        raise ConfigError("an array needs its sample_rate in Hz")
    return Waveform.of(sound, sample_rate)


def coding_settings(
    sound: Sound,
    info: BackendInfo,
    preset: str | None,
    bitrate: float | None,
    quality: str,
    channels: str,
    seed: int,
    tag: str | None,
) -> Settings:
    """What the options of `compress` are to the codec.

    Raises:
        ConfigError: as `compress`.
    """
    from noisebook.codec.ddcm import Settings
    from noisebook.codec.presets import DEFAULT, by_name

    if preset is not None and bitrate is not None:
        raise ConfigError("give a preset or a bitrate, not both")
    if preset == "auto":
        from noisebook.api.recommend import auto_preset

        preset, _ = auto_preset(sound)
    name = DEFAULT if preset is None else preset
    rate = by_name(name).bitrate if bitrate is None else bitrate / _latents(sound, channels, info)
    return Settings(
        preset=name,
        engine=None if bitrate is None and quality == "balanced" else _engine(rate, quality, info),
        seed=seed,
        tag=_tag_id(tag, info),
        channel_mode=_channel_mode(channels),
    )


def _sound(waveform: Sound | ArrayLike, sample_rate: int | None, channels: str) -> Sound:
    """The sound to be coded, mixed down where that is asked for."""
    sound = as_sound(waveform, sample_rate)
    if channels not in CHANNEL_MODES:
        raise ConfigError(f"channels {channels!r}: {', '.join(CHANNEL_MODES)} are possible")
    if channels != "mono":
        return sound
    from noisebook.audio.channels import Downmix, downmix

    return downmix(sound) if isinstance(sound, Waveform) else Downmix(sound)


def _codebook(codebook: LatentCodebook | Path | str) -> LatentCodebook:
    if not isinstance(codebook, Path | str):
        return codebook
    from noisebook.api.codebooks import load_codebook

    return load_codebook(codebook)


def _engine(bitrate: float, quality: str, info: BackendInfo) -> Engine:
    """Coding parameters for bit/s a coded channel."""
    from noisebook.codec.presets import engine_for

    values, rate = info.frame_values, info.frames_per_second
    return engine_for(bitrate, quality=quality, frame_values=values, frames_per_second=rate)


def _latents(sound: Sound, channels: str, info: BackendInfo) -> int:
    """Latents among which a bitrate is shared."""
    from noisebook.codec.ddcm import channel_mode_of

    return channel_mode_of(sound, _channel_mode(channels), info).latents


def _channel_mode(channels: str) -> ChannelMode | None:
    from noisebook.coding.container import ChannelMode

    return {"dual": ChannelMode.DUAL, "mid-side": ChannelMode.MID_SIDE}.get(channels)


def _tag_id(tag: str | None, info: BackendInfo) -> int:
    if tag is not None and tag not in info.tags:
        raise ConfigError(f"tag {tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    return 0 if tag is None else 1 + info.tags.index(tag)
