"""The codec of quantised latents: sound to codes of a codebook to sound. Decoding is a look-up.

compress:   Waveform -> latent --codebook.encode--> codes --entropy coder--> payload
decompress: payload -> codes --codebook.decode--> latent -> Waveform
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Sound, Waveform
from noisebook.codec.ddcm import FINGERPRINT_BYTES, as_loud_as, channel_mode_of, synthesise, target_latent
from noisebook.codec.latent_codes import read_codes, write_codes
from noisebook.codec.layout import timeline_of
from noisebook.codec.opening import Opened, latent_of, open_stream
from noisebook.codec.options import CodebookOptions
from noisebook.codec.steering import OnStep
from noisebook.codec.stereo import coded_image, image_share, rate_of_latent
from noisebook.coding import container
from noisebook.coding.blocks import CODEBOOK_BYTES
from noisebook.coding.container import Header, LatentCode, LatentRule
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.errors import ConfigError, CorruptStream, ModelError, UnsupportedStream, WrongCodebook
from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["compress", "decode_latent", "decoded_latent", "decompress", "segment_decoder"]


def compress(
    sound: Sound,
    *,
    backend: Backend,
    codebook: LatentCodebook,
    options: CodebookOptions = CodebookOptions(),
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream of the sound's latent in the words of a codebook; `on_step` is called for each segment.

    Raises:
        AudioError: more than two channels.
        ConfigError: a bitrate for a codebook that has its own, or a rule that the codebook does not have.
        ModelError: the codebook was fitted for another model.
    """
    codebook.stages(options.rule)  # the errors
    _check_fits(codebook, backend.info)
    if options.bitrate is not None and codebook.method != "adaptive":
        raise ConfigError(f"a bitrate needs a codebook of method adaptive; this one, of {codebook.method}, has its own")
    header = _header(sound, codebook, options, backend.info)
    latent, timeline = target_latent(sound, header, backend=backend), timeline_of(header, backend.info)
    bits_per_frame = None
    if options.bitrate is not None:
        bits_per_frame = rate_of_latent(options.bitrate, header.channel_mode) / backend.info.frames_per_second
    payloads = []
    for index, (start, end) in enumerate(timeline.segments(), start=1):
        piece = latent[:, :, start:end]
        codes = codebook.encode(piece, options.rule, bits_per_frame=bits_per_frame)
        payloads.append(container.sized(write_codes(codes, codebook, end - start, options.rule)))
        if on_step is not None:
            on_step(index, timeline.segment_count)
    bitrate = 8 * sum(map(len, payloads)) * sound.sample_rate / sound.sample_count
    image = coded_image(sound, header, backend.info, image_share(bitrate))
    decode = segment_decoder(header, backend, codebook)
    decoded = torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)
    return container.pack(as_loud_as(sound, header, decoded, image, backend), [*image, *payloads])


def decompress(data: bytes, *, backend: Backend, codebook: LatentCodebook, on_step: OnStep | None = None) -> Waveform:
    """The sound of a stream of `compress`, with the sample rate, channels and length of the original.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        codebook: the codebook it was made with.
        on_step: called for each segment.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model and codebook.
    """
    stream = open_stream(data, backend.info)
    latent = decoded_latent(stream, backend, codebook, on_step)
    return synthesise(latent, stream.header, image=stream.image, backend=backend)


def decode_latent(data: bytes, *, backend: Backend, codebook: LatentCodebook) -> tuple[Header, torch.Tensor]:
    """The header of a stream and its decoded latent `[channels, C, L, F']`: `decompress` up to the autoencoder.

    Raises:
        StreamError: as `decompress`.
    """
    stream = open_stream(data, backend.info)
    return stream.header, decoded_latent(stream, backend, codebook)


def decoded_latent(
    stream: Opened, backend: Backend, codebook: LatentCodebook, on_step: OnStep | None = None
) -> torch.Tensor:
    """The decoded latent `[channels, C, L, F']` of an opened stream."""
    decode = segment_decoder(stream.header, backend, codebook, on_step)
    return torch.cat([decode(payload, index) for index, payload in enumerate(stream.choices)], dim=2)


def segment_decoder(
    header: Header, backend: Backend, codebook: LatentCodebook, on_step: OnStep | None = None
) -> Callable[[bytes, int], torch.Tensor]:
    """From the payload and index of a segment to its latent `[channels, C, frames, F']`.

    Raises:
        WrongCodebook: another codebook than the stream's.
    """
    _check_codebook(header, codebook, backend.info)
    timeline, rule = timeline_of(header, backend.info), latent_of(header).rule.name.lower()

    def decode(payload: bytes, index: int) -> torch.Tensor:
        first, end = timeline.segment(index)
        codes = read_codes(container.unsized(payload), codebook, timeline.channels, end - first, rule)
        try:
            latent = codebook.decode([code.to(backend.device) for code in codes], end - first, rule)
        except ConfigError as error:
            raise CorruptStream(f"the codes are not what an encoder writes: {error}") from error
        if on_step is not None:
            on_step(index + 1, timeline.segment_count)
        return latent

    return decode


def _header(sound: Sound, codebook: LatentCodebook, options: CodebookOptions, info: BackendInfo) -> Header:
    return Header(
        fingerprint=info.fingerprint[:FINGERPRINT_BYTES],
        preset=0,
        sample_rate=sound.sample_rate,
        channel_mode=channel_mode_of(sound, options.channel_mode, info),
        sample_count=sound.sample_count,
        gain_half_db=coding_gain_of(sound),
        latent=LatentCode(LatentRule[options.rule.upper()], codebook.fingerprint[:CODEBOOK_BYTES]),
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
