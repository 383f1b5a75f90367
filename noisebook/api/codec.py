"""Sound to stream and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.codec.ddcm import Settings
    from noisebook.diffusion.backend import Backend, BackendInfo

__all__ = ["CHANNEL_MODES", "OnStep", "StreamInfo", "as_waveform", "compress", "decompress", "read_info"]

CHANNEL_MODES = ("auto", "dual", "mid-side", "mono")
OnStep = Callable[[int, int], None]


def compress(
    waveform: Waveform | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    preset: str | None = None,
    bitrate: float | None = None,
    quality: str = "balanced",
    channels: str = "auto",
    seed: int = 0,
    tag: str | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """Compress a sound into the bytes of a .ddcm stream.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        preset: name of a preset: its bitrate for each coded channel.
        bitrate: bit/s of all channels together, in place of a preset.
        quality: "fast", "balanced" or "high": over how many steps the bits are spread. A preset is balanced; with
            another quality its bitrate is coded with explicit parameters, which take some ten bytes more.
        channels: "auto" (mono, or mid and side for stereo), "dual", "mid-side", or "mono" (mix down).
        seed: 0..255, of the codebooks.
        tag: a conditioning tag of the model ("music", ...), one byte more in the stream.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range.
    """
    from noisebook.codec.ddcm import compress as compress_waveform

    sound = as_waveform(waveform, sample_rate)
    if channels == "mono":
        from noisebook.audio.channels import downmix

        sound = downmix(sound)
    settings = _settings(sound, backend.info, preset, bitrate, quality, channels, seed, tag)
    return compress_waveform(sound, backend=backend, settings=settings, on_step=on_step)


def decompress(
    data: bytes, *, backend: Backend, tail_steps: int | None = None, on_step: OnStep | None = None
) -> Waveform:
    """The sound of a .ddcm stream, with the original's sample rate, channels and exact length.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        tail_steps: denoising steps after the last coded one; the default if None.
        on_step: called with (steps done, steps in all).

    Raises:
        StreamError: the bytes are not a whole, undamaged stream of this model.
    """
    from noisebook.codec import ddcm

    steps = ddcm.TAIL_STEPS if tail_steps is None else tail_steps
    return ddcm.decompress(data, backend=backend, tail_steps=steps, on_step=on_step)


@dataclass(frozen=True)
class StreamInfo:
    """What a stream says about itself. The last four are None where the model is not at hand.

    Attributes:
        model: fingerprint, hexadecimal.
        preset: name, or None for explicit parameters.
        sample_rate: Hz.
        channel_mode: "mono", "dual" or "mid-side".
        sample_count: per channel.
        duration: seconds.
        gain_db: applied before encoding, taken back at decoding.
        seed, tag: as given to `compress`; tag 0 is none.
        engine: coding parameters.
        file_bytes: size of the whole stream.
        bitrate: of the whole file, bit/s.
        segments, payload_bytes, coded_steps: of the layout.
        intact: whether sizes and checksums agree.
    """

    model: str
    preset: str | None
    sample_rate: int
    channel_mode: str
    sample_count: int
    duration: float
    gain_db: float
    seed: int
    tag: int
    engine: dict[str, int | str]
    file_bytes: int
    bitrate: float
    segments: int | None = None
    payload_bytes: int | None = None
    coded_steps: int | None = None
    intact: bool | None = None

    @property
    def channels(self) -> int:
        """Of the decoded sound."""
        return 1 if self.channel_mode == "mono" else 2


def read_info(data: bytes, *, info: BackendInfo | None = None) -> StreamInfo:
    """What a stream says about itself; with the `info` of its backend also whether it is whole.

    Raises:
        StreamError: the header cannot be read, or holds what this build cannot decode.
        WrongModel: `info` belongs to another model.
    """
    from noisebook.codec.ddcm import open_stream
    from noisebook.codec.layout import layout_of
    from noisebook.codec.presets import by_wire_id, engine_of
    from noisebook.coding import container

    header = container.parse_header(data)[0]
    engine = engine_of(header)
    duration = header.sample_count / header.sample_rate
    shown = StreamInfo(
        model=header.fingerprint.hex(),
        preset=by_wire_id(header.preset).name if header.preset else None,
        sample_rate=header.sample_rate,
        channel_mode=header.channel_mode.name.lower().replace("_", "-"),
        sample_count=header.sample_count,
        duration=duration,
        gain_db=header.gain_half_db / 2,
        seed=header.seed,
        tag=header.tag or 0,
        engine={key: value.name.lower() if hasattr(value, "name") else value for key, value in vars(engine).items()},
        file_bytes=len(data),
        bitrate=8 * len(data) / duration if duration else 0.0,
    )
    if info is None:
        return shown
    try:
        open_stream(data, info)
        intact = True
    except (TruncatedStream, CorruptStream):
        intact = False
    layout = layout_of(header, info)
    return replace(
        shown,
        segments=layout.segment_count,
        payload_bytes=layout.payload_size,
        coded_steps=layout.steps,
        intact=intact,
    )


def as_waveform(waveform: Waveform | ArrayLike, sample_rate: int | None) -> Waveform:
    """A `Waveform`, from an array `[N]` or `[C, N]` with its `sample_rate` in Hz where it is not one yet.

    Raises:
        ConfigError: an array without a rate, or a rate that disagrees with the waveform's.
    """
    if isinstance(waveform, Waveform):
        if sample_rate not in (None, waveform.sample_rate):
            raise ConfigError(f"sample_rate {sample_rate} disagrees with the waveform's {waveform.sample_rate}")
        return waveform
    if sample_rate is None:
        raise ConfigError("an array needs its sample_rate in Hz")
    return Waveform.of(waveform, sample_rate)


def _settings(
    sound: Waveform,
    info: BackendInfo,
    preset: str | None,
    bitrate: float | None,
    quality: str,
    channels: str,
    seed: int,
    tag: str | None,
) -> Settings:
    from noisebook.codec.ddcm import Settings
    from noisebook.codec.presets import DEFAULT, by_name, engine_for
    from noisebook.coding.container import ChannelMode

    if channels not in CHANNEL_MODES:
        raise ConfigError(f"channels {channels!r}: {', '.join(CHANNEL_MODES)} are possible")
    if preset is not None and bitrate is not None:
        raise ConfigError("give a preset or a bitrate, not both")
    if tag is not None and tag not in info.tags:
        raise ConfigError(f"tag {tag!r}: {info.name} knows {', '.join(info.tags)}")
    name = DEFAULT if preset is None else preset
    rate = by_name(name).bitrate if bitrate is None else bitrate / sound.channels
    return Settings(
        preset=name,
        engine=None if bitrate is None and quality == "balanced" else engine_for(rate, quality=quality),
        seed=seed,
        tag=0 if tag is None else 1 + info.tags.index(tag),
        channel_mode={"dual": ChannelMode.DUAL, "mid-side": ChannelMode.MID_SIDE}.get(channels),
    )
