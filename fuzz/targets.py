"""What must hold for any bytes: each function takes some, and raises only if a promise of the formats is broken.

A sound, or an error of `noisebook.errors`; one spelling; sizes bounded by the bytes that are there. Run by
`tests/fuzz` on the corpus and on mutations of it, and by `python -m fuzz TARGET` under a coverage-guided fuzzer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import torch

from fuzz.toy import INFO, ToyBackend
from noisebook import api
from noisebook.codec.presets import params_of
from noisebook.codec.stereo import image_bytes, parse_image
from noisebook.codec.stream import Stream, by_step
from noisebook.codec.timeline import SEGMENT_FRAMES, Layout, Timeline
from noisebook.coding import container
from noisebook.coding.bitio import BitReader, ByteReader, varint
from noisebook.coding.container import CodingParams, Header
from noisebook.coding.entropy import SymbolReader
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError, Error, ModelError, StreamError
from noisebook.quantizers.codebook import LatentCodebook, load
from noisebook.quantizers.fitting import fit

__all__ = [
    "TARGETS",
    "books_of_toy",
    "codebook",
    "container_stream",
    "decode",
    "image",
    "info_for",
    "integers",
    "resealed",
    "symbols",
]

SECONDS = 20.0  # of sound, that `decode` is ready to make
VALUES = 2**21  # of random values that it is ready to draw
STREAM_BYTES_A_SEGMENT = 2  # a checksum: no segment is shorter
PROGRESSIVE_BITS_A_SEGMENT = 1  # a choice: no segment of a step is shorter


def container_stream(data: bytes) -> None:
    """Headers have one spelling; what is whole is as long as its header says; segments are bounded by the bytes."""
    try:
        header, size = container.parse_header(data)
        api.read_info(data)
    except StreamError:
        return
    assert container.pack(header, [b""])[:size] == data[:size]
    assert container.overhead(header, 0) == size
    for stream in (data, resealed(data)):
        try:
            opened = Stream(stream, info_for(stream))
            payloads, message, _ = opened.contents()
        except StreamError:
            continue
        timeline = opened.timeline
        assert opened.header == header
        most = 8 * len(stream) // (PROGRESSIVE_BITS_A_SEGMENT if header.progressive else 8 * STREAM_BYTES_A_SEGMENT)
        assert len(payloads) == timeline.segment_count <= most
        ordered = by_step(payloads, timeline) if isinstance(timeline, Layout) and timeline.progressive else payloads
        images = [] if message is None else [container.sized(message)]
        assert container.pack(header, [*images, *ordered]) == stream
        assert api.read_info(stream, info=info_for(stream)).intact


def decode(data: bytes) -> None:
    """A stream whose checksums are right, whatever it holds, is a sound of the header's shape or a named error."""
    try:
        header, _ = container.parse_header(data)
    except StreamError:
        return
    info = info_for(data)
    if not _affordable(header, info):
        return
    book = _book(header)
    if book is not None and header.latent is not None:
        latent = replace(header.latent, codebook=book.fingerprint[: len(header.latent.codebook)])
        data = container.pack(replace(header, latent=latent), [b""])[:-2] + data[container.parse_header(data)[1] :]
    for stream in (data, resealed(data)):
        try:
            sound = api.decompress(stream, backend=ToyBackend(info), codebook=book, tail_steps=1)
        except Error:
            continue
        assert sound.samples.shape == (header.channel_mode.channels, header.sample_count)
        assert np.isfinite(sound.samples).all()


def symbols(data: bytes) -> None:
    """What is read as entropy-coded symbols is written as the same bytes. The first bytes make the table."""
    if len(data) < 2:
        return
    size, number = 1 + data[0] % 40, data[1]
    counts = [1 + byte**3 for byte in data[2 : 2 + size]]
    if not counts:
        return
    reader = SymbolReader(data[2 + size :])
    try:
        read = reader.read(number, counts)
        reader.finish()
    except StreamError:
        return
    assert read.shape == (number,)
    assert not number or 0 <= read.min() <= read.max() < len(counts)


def image(data: bytes) -> None:
    """What is read as a stereo image is within its ranges, and written as the same bytes. The first two bytes are its
    numbers of bands and frames."""
    if len(data) < 2:
        return
    bands, frames = 1 + data[0] % 40, 1 + data[1] % 60
    try:
        level, coherence = parse_image(data[2:], bands, frames)
    except StreamError:
        return
    assert level.shape == coherence.shape == (bands, frames)
    assert image_bytes(level, coherence) == data[2:]


def integers(data: bytes) -> None:
    """Varints and packed integers have one spelling each."""
    cursor = ByteReader(data)
    try:
        value = cursor.varint()
        assert varint(value) == data[: cursor.position]
        width = cursor.u8() % 63
    except StreamError:
        return
    rest = data[cursor.position :]
    try:
        reader = BitReader(rest)
        count = reader.bits_left // max(width, 1)
        assert reader.read_array(count, width).max(initial=0) < 2**width
        reader.finish()
    except StreamError:
        return


def codebook(data: bytes) -> None:
    """A codebook file is whole and as it was written, or a `ModelError`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "book.safetensors")
        path.write_bytes(data)
        try:
            book = load(path)
        except ModelError:
            return
    assert {table.shape[0] for table in book.tables} == {book.config.size}


TARGETS: dict[str, Callable[[bytes], None]] = {
    "codebook": codebook,
    "container": container_stream,
    "decode": decode,
    "image": image,
    "integers": integers,
    "symbols": symbols,
}


def info_for(data: bytes) -> BackendInfo:
    """A model with the fingerprint that the stream asks for, so that no fuzzer has to guess it; odd ones are stereo."""
    fingerprint = data[2:4] + INFO.fingerprint[2:]
    return replace(INFO, fingerprint=fingerprint, audio_channels=1 + fingerprint[0] % 2)


def resealed(data: bytes) -> bytes:
    """The stream with right checksums, as far as its payloads are there; as it is where its header is wrong."""
    info = info_for(data)
    try:
        header, size = container.parse_header(data)
        payloads = container.salvage(data, size, Stream(data, info).payload_sizes())
        return container.pack(header, payloads)
    except (StreamError, ConfigError):  # ConfigError: no payload
        return data


def _affordable(header: Header, info: BackendInfo) -> bool:
    """Whether a decoder that is called millions of times may decode it."""
    frames = Timeline.of(header, info).frames
    if frames > SEGMENT_FRAMES or header.sample_count > SECONDS * header.sample_rate:
        return False
    if header.latent is not None:
        return True
    try:
        params = params_of(header)
    except StreamError:
        return True
    return params.steps * _values(params, frames, info) <= VALUES


def _values(params: CodingParams, frames: int, info: BackendInfo) -> int:
    """Random values of one step: the signs of each part."""
    return -(-2 * frames * info.frame_values // params.part) * max(2**params.log2_K, params.part)


def _book(header: Header) -> LatentCodebook | None:
    """The codebook of a stream of a quantised latent: where none has its fingerprint, any."""
    if header.latent is None:
        return None
    named, books = header.latent.codebook, books_of_toy()
    return next((book for book in books if book.fingerprint.startswith(named)), books[named[0] % len(books)])


@cache
def books_of_toy() -> list[LatentCodebook]:
    """Three small codebooks for the toy's latents, fitted once."""
    latents = [torch.randn(1, 2, 64, 4, generator=torch.Generator().manual_seed(0))]
    kinds = (
        {"unit": "frame", "method": "kmeans", "size": 8},
        {"unit": "position", "method": "residual", "size": 4, "stages": 3},
        {"unit": "frame", "method": "adaptive", "size": 4, "stages": 2, "bits_per_frame": 3.0},
    )
    return [fit(latents, model=INFO.autoencoder.hex(), **kind) for kind in kinds]  # type: ignore[arg-type]
