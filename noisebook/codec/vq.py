"""The codec of quantised latents: sound to codes of a codebook to sound. Decoding is a look-up.

compress:   Waveform -> latent --codebook.encode--> codes --entropy coder--> payload
decoding:   payload -> codes --codebook.decode--> latent -> Waveform
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from noisebook.audio.image import measure_image
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Sound
from noisebook.codec.encoder import channel_mode_of, header_with, matched_header
from noisebook.codec.options import CodebookOptions
from noisebook.codec.presets import image_share, rate_of_latent
from noisebook.codec.signal import analyse, levelled
from noisebook.codec.stereo import image_payload
from noisebook.codec.timeline import Timeline
from noisebook.coding import container
from noisebook.coding.blocks import CODEBOOK_BYTES
from noisebook.coding.container import ChannelMode, Header, LatentCode, LatentRule
from noisebook.coding.entropy import SymbolReader, SymbolWriter
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError, CorruptStream, UnsupportedStream, WrongCodebook
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["compress", "latent_of", "read_codes", "segment_decoder", "write_codes"]


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
    info, rule = backend.info, options.rule
    codebook.stages(rule)  # the errors
    codebook.check_fits(info)
    method = codebook.config.method
    if options.bitrate is not None and method != "adaptive":
        raise ConfigError(f"a bitrate needs a codebook of method adaptive; this one, of {method}, has its own")
    mode = channel_mode_of(sound, options.channel_mode, info)
    code = LatentCode(LatentRule[rule.upper()], codebook.fingerprint[:CODEBOOK_BYTES])
    gain = coding_gain_of(sound)
    header = header_with(sound.sample_rate, sound.sample_count, mode, info, gain_half_db=gain, latent=code)
    budget = None if options.bitrate is None else rate_of_latent(options.bitrate, mode) / info.frames_per_second
    samples, timeline = levelled(sound, gain, info.sample_rate), Timeline.of(header, info)
    latent, payloads = analyse(samples, timeline, backend), []
    for index, (start, end) in enumerate(timeline.segments(), start=1):
        codes = codebook.encode(latent[:, :, start:end], rule, bits_per_frame=budget)
        payloads.append(container.sized(write_codes(codes, codebook, rule)))
        if on_step is not None:
            on_step(index, timeline.segment_count)
    bitrate = 8 * sum(map(len, payloads)) * sound.sample_rate / sound.sample_count
    image = measure_image(samples, info.sample_rate) if mode is ChannelMode.IMAGE else None
    images = image_payload(image, header, image_share(bitrate))
    decode = segment_decoder(header, timeline, backend, codebook)
    decoded = torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)
    return container.pack(matched_header(sound, header, decoded, images, backend), [*images, *payloads])


def segment_decoder(
    header: Header, timeline: Timeline, backend: Backend, codebook: LatentCodebook, on_step: OnStep | None = None
) -> Callable[[bytes, int], torch.Tensor]:
    """From the payload and index of a segment to its latent `[channels, C, frames, F']`.

    Raises:
        WrongCodebook: another codebook than the stream's.
    """
    code = latent_of(header)
    own, wanted, rule = codebook.fingerprint[:CODEBOOK_BYTES], code.codebook, code.rule.name.lower()
    if own != wanted:
        raise WrongCodebook(f"the stream was made with codebook {wanted.hex()}, and the one given is {own.hex()}")
    codebook.check_fits(backend.info)
    try:
        codebook.stages(rule)
    except ConfigError as error:
        raise UnsupportedStream(str(error)) from error

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


def write_codes(codes: Sequence[torch.Tensor], codebook: LatentCodebook, rule: str) -> bytes:
    """The bytes of codes `[channels, positions]`, one tensor a stage: stage by stage, channel by channel, entropy coded
    by the counts that the codebook was fitted with."""
    writer = SymbolWriter()
    for stage, written in zip(codebook.stages(rule), codebook.written(codes, rule), strict=True):
        writer.write(written.cpu().numpy(), stage.counts)
    return writer.getvalue()


def read_codes(data: bytes, codebook: LatentCodebook, channels: int, frames: int, rule: str) -> list[torch.Tensor]:
    """The inverse, `[channels, positions]` int64 on the CPU, one tensor a stage.

    Raises:
        CorruptStream: the bytes are not what `write_codes` writes.
    """
    reader = SymbolReader(data)
    codes: list[torch.Tensor] = []
    for stage in codebook.stages(rule):
        code = torch.zeros(channels, stage.positions(frames), dtype=torch.int64)
        present = codebook.present(codes, rule)
        if present is None:
            present = torch.ones_like(code, dtype=torch.bool)
        code[present] = torch.from_numpy(reader.read(int(present.sum()), stage.counts))
        codes.append(code)
    reader.finish()
    return codes


def latent_of(header: Header) -> LatentCode:
    """What the header says of a quantised latent; UnsupportedStream where it holds none."""
    if header.latent is None:
        raise UnsupportedStream("the stream holds the noise of a diffusion and not a quantised latent")
    return header.latent
