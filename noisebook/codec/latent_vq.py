"""The codec of quantised latents: sound to codes of a codebook to sound; refined by the diffusion if wanted.

compress:   Waveform -> latent --codebook.encode--> codes --entropy coder--> payload
decompress: payload -> codes --codebook.decode--> latent [noised to t0, reverse()] -> Waveform

Refining is SDEdit (Meng et al. 2022) from the quantised latent. Steered, the noise of its steps is chosen as in `ddcm`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch

from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.ddcm import (
    FINGERPRINT_BYTES,
    TAIL_STEPS,
    as_loud_as,
    channel_mode_of,
    synthesise,
    target_latent,
)
from noisebook.codec.latent_codes import read_codes, write_codes
from noisebook.codec.layout import plan_of, timeline_of
from noisebook.codec.noise import start_noise
from noisebook.codec.opening import Opened, check_steering, coded_steps, latent_of, start_of
from noisebook.codec.opening import open_codes as open_stream
from noisebook.codec.segment import SegmentCoder, decode_segment, encode_segment
from noisebook.codec.steering import OnStep, counted, over_timeline
from noisebook.codec.stereo import coded_image, image_share
from noisebook.coding import container
from noisebook.coding.blocks import CODEBOOK_BYTES
from noisebook.coding.container import ChannelMode, Engine, Header, LatentCode, LatentRule
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import reverse, tail_plan
from noisebook.errors import ConfigError, CorruptStream, ModelError, UnsupportedStream, WrongCodebook
from noisebook.quantizers.codebook import LatentCodebook

__all__ = [
    "Settings",
    "coded_steps",
    "compress",
    "decode_latent",
    "decompress",
    "open_stream",
    "segment_decoder",
    "start_of",
]


@dataclass(frozen=True)
class Settings:
    """What an encoder may choose.

    Attributes:
        rule: "hard", the nearest atom, or "soft", a mean of the nearest ones with quantised weights.
        bits_per_frame: budget of a codebook that adapts; its own if None.
        strength: 0..1, how far into the diffusion the decoder noises the quantised latent before it denoises it; kept
            in steps of 1/255, and 0 leaves the latent as it is.
        steering: choose the noise of that way with these parameters.
        seed: 0..255, of the noise.
        tag: conditioning tag of the denoiser, 0 for none.
        channel_mode: as of `ddcm.Settings`.
    """

    rule: str = "hard"
    bits_per_frame: float | None = None
    strength: float = 0.0
    steering: Engine | None = None
    seed: int = 0
    tag: int = 0
    channel_mode: ChannelMode | None = None


def compress(
    sound: Sound,
    *,
    backend: Backend,
    codebook: LatentCodebook,
    settings: Settings = Settings(),
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream of the sound's latent in the words of a codebook.

    Raises:
        AudioError: more than two channels.
        ConfigError: settings outside their range, or a rule that the codebook does not have.
        ModelError: the codebook was fitted for another model.
    """
    codebook.stages(settings.rule)  # the errors
    _check_fits(codebook, backend.info)
    header = _header(sound, codebook, settings, backend.info)
    check_steering(header, backend.info)
    latent = target_latent(sound, header, backend=backend)
    way = _Way(header, codebook, backend, on_step)
    payloads = [
        way.encode(latent[:, :, start:end], index, settings.bits_per_frame)
        for index, (start, end) in enumerate(way.timeline.segments())
    ]
    bitrate = 8 * sum(map(len, payloads)) * sound.sample_rate / sound.sample_count
    image = coded_image(sound, header, backend.info, image_share(bitrate))
    decode = segment_decoder(header, backend, codebook, TAIL_STEPS)
    decoded = torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)
    return container.pack(as_loud_as(sound, header, decoded, image, backend), [*image, *payloads])


def decompress(
    data: bytes,
    *,
    backend: Backend,
    codebook: LatentCodebook,
    tail_steps: int = TAIL_STEPS,
    on_step: OnStep | None = None,
) -> Waveform:
    """The sound of a stream of `compress`, with the sample rate, channels and length of the original.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        codebook: the codebook it was made with.
        tail_steps: denoising steps without bits of a refined stream.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model and codebook.
    """
    stream = open_stream(data, backend.info)
    latent = _latent_of(stream, backend, codebook, tail_steps, on_step)
    return synthesise(latent, stream.header, image=stream.image, backend=backend)


def decode_latent(
    data: bytes,
    *,
    backend: Backend,
    codebook: LatentCodebook,
    tail_steps: int = TAIL_STEPS,
    on_step: OnStep | None = None,
) -> tuple[Header, torch.Tensor]:
    """The header of a stream and its decoded latent `[channels, C, L, F']`: `decompress` up to the autoencoder.

    Raises:
        StreamError: as `decompress`.
    """
    stream = open_stream(data, backend.info)
    return stream.header, _latent_of(stream, backend, codebook, tail_steps, on_step)


def _latent_of(
    stream: Opened, backend: Backend, codebook: LatentCodebook, tail_steps: int, on_step: OnStep | None
) -> torch.Tensor:
    decode = segment_decoder(stream.header, backend, codebook, tail_steps, on_step)
    return torch.cat([decode(payload, index) for index, payload in enumerate(stream.choices)], dim=2)


def segment_decoder(
    header: Header, backend: Backend, codebook: LatentCodebook, tail_steps: int, on_step: OnStep | None = None
) -> Callable[[bytes, int], torch.Tensor]:
    """From the payload and index of a segment to its latent `[channels, C, frames, F']`.

    Raises:
        WrongCodebook: another codebook than the stream's.
    """
    _check_codebook(header, codebook, backend.info)
    way = _Way(header, codebook, backend, on_step, tail_steps)

    def decode(payload: bytes, index: int) -> torch.Tensor:
        first, end = way.timeline.segment(index)
        return way.decode(payload, end - first, index)

    return decode


class _Way:
    """Between the latent of a segment and its payload, in both directions; a decoder has `tail_steps`."""

    def __init__(
        self,
        header: Header,
        codebook: LatentCodebook,
        backend: Backend,
        on_step: OnStep | None,
        tail_steps: int | None = None,
    ) -> None:
        info, self._latent = backend.info, latent_of(header)
        self.timeline = timeline_of(header, info)
        self._header, self._codebook, self._backend = header, codebook, backend
        self._rule = self._latent.rule.name.lower()
        self._start = start_of(header, info)
        plan = plan_of(self._latent.steering, info, self._start) if self._latent.steering else ()
        end = plan[-1].s or 0 if plan else self._start
        self._tail = tail_plan(info.schedule, end, tail_steps) if tail_steps and self._latent.strength else ()
        total = self.timeline.segment_count * (len(plan) + len(self._tail))
        self._denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, total)

    def encode(self, target: torch.Tensor, segment: int, bits_per_frame: float | None) -> bytes:
        """The payload of a latent `[channels, C, frames, F']`."""
        frames = target.shape[2]
        codes = self._codebook.encode(target, self._rule, bits_per_frame=bits_per_frame)
        written = write_codes(codes, self._codebook, frames, self._rule)
        if self._latent.steering is None:
            return container.sized(written)
        start = self._noised(self._codebook.decode(codes, frames, self._rule), segment)
        coder = self._coder(self._latent.steering, frames, segment)
        return container.sized(written, encode_segment(target, coder, self._denoise, start))

    def decode(self, payload: bytes, frames: int, segment: int) -> torch.Tensor:
        """The latent `[channels, C, frames, F']` of a payload."""
        written, choices = container.unsized(payload)
        device = self._backend.device
        codes = read_codes(written, self._codebook, self.timeline.channels, frames, self._rule)
        try:
            quantised = self._codebook.decode([code.to(device) for code in codes], frames, self._rule)
        except ConfigError as error:
            raise CorruptStream(f"the codes are not what an encoder writes: {error}") from error
        if not self._latent.strength:
            return quantised
        start = self._noised(quantised, segment)
        if self._latent.steering is None:
            return reverse(self._denoise, self._tail, start, lambda _, x0_hat: torch.zeros_like(x0_hat))
        coder = self._coder(self._latent.steering, frames, segment)
        return decode_segment(choices, coder, self._denoise, self._tail, start)

    def _noised(self, quantised: torch.Tensor, segment: int) -> torch.Tensor:
        """The quantised latent at t0."""
        channels, latent_channels, frames, bins = quantised.shape
        shape = (channels, latent_channels, frames, bins)
        alpha = self._backend.info.schedule.alpha(self._start)
        noise = start_noise(shape, seed=self._header.seed, segment=segment, device=quantised.device)
        return sqrt(alpha) * quantised + sqrt(1 - alpha) * noise

    def _coder(self, steering: Engine, frames: int, segment: int) -> SegmentCoder:
        info, channels = self._backend.info, self.timeline.channels
        return SegmentCoder(steering, info, channels, frames, self._header.seed, segment, self._start)


def _header(sound: Sound, codebook: LatentCodebook, settings: Settings, info: BackendInfo) -> Header:
    if not 0 <= settings.strength <= 1:
        raise ConfigError(f"a refinement of strength {settings.strength:g}: 0 to 1 are possible")
    rule, strength = LatentRule[settings.rule.upper()], round(255 * settings.strength)
    return Header(
        fingerprint=info.fingerprint[:FINGERPRINT_BYTES],
        preset=0,
        sample_rate=sound.sample_rate,
        channel_mode=channel_mode_of(sound, settings.channel_mode, info),
        sample_count=sound.sample_count,
        gain_half_db=coding_gain_of(sound),
        seed=settings.seed,
        tag=settings.tag or None,
        latent=LatentCode(rule, codebook.fingerprint[:CODEBOOK_BYTES], strength, settings.steering),
    )


def _check_codebook(header: Header, codebook: LatentCodebook, info: BackendInfo) -> None:
    own, wanted = codebook.fingerprint[:CODEBOOK_BYTES], latent_of(header).codebook
    if own != wanted:
        raise WrongCodebook(f"the stream was made with codebook {wanted.hex()}, and the one given is {own.hex()}")
    _check_fits(codebook, info)
    try:
        codebook.stages(latent_of(header).rule.name.lower())
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error


def _check_fits(codebook: LatentCodebook, info: BackendInfo) -> None:
    if codebook.model != info.autoencoder.hex():
        raise ModelError(
            f"the codebook was fitted for autoencoder {codebook.model[:4] or 'none'}, and that of {info.name} is "
            f"{info.autoencoder.hex()[:4]}; fit one for it"
        )
    shape = (codebook.config.channels, codebook.config.bins)
    if shape != (info.latent_channels, info.latent_bins):
        raise ModelError(f"the codebook is of latents of {shape[0]} channels and {shape[1]} bins, not the model's")
