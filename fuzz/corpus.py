"""The seeds of the corpus, made by the encoders: `python -m fuzz.corpus` writes what is missing to `fuzz/corpus/`."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from fuzz.targets import books_of_toy
from fuzz.toy import ToyBackend
from noisebook.audio.waveform import Waveform
from noisebook.codec import encoder
from noisebook.codec.options import CodebookOptions, EncodeOptions
from noisebook.codec.stereo import image_bytes
from noisebook.coding import bitio
from noisebook.coding.container import CodingParams
from noisebook.coding.entropy import SymbolWriter
from noisebook.quantizers.fitting import fit

__all__ = ["FOLDER", "FOLDERS", "corpus_of", "seeds"]

FOLDER = Path(__file__).parent / "corpus"
FOLDERS = {
    "codebook": "codebooks",
    "container": "streams",
    "decode": "streams",
    "image": "images",
    "integers": "integers",
    "symbols": "symbols",
}  # of each target
PARAMS = {
    "partitioned": CodingParams(5, 6, 8, 3, 80),
    "one": CodingParams(15, 5, 4, 2, 0),  # a part a unit
    "many": CodingParams(4, 10, 4, 2, 120),
}


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """(folder, name, bytes)."""
    for name, stream in _streams():
        yield "streams", name, stream
    for name, book in _codebooks():
        yield "codebooks", name, book
    yield "symbols", "few", _symbols([70, 1, 9, 40, 20, 3], [0, 3, 3, 4, 1, 5, 5])
    yield "symbols", "one-symbol", _symbols([5], [0, 0, 0])
    yield "images", "sides", _image(3, 4)
    yield "images", "wide", _image(31, 40)
    yield "integers", "few", _integers([1, 2, 3], 5)


def corpus_of(target: str) -> list[bytes]:
    """The committed inputs of a target, seeds and finds."""
    return [path.read_bytes() for path in sorted((FOLDER / FOLDERS[target]).iterdir())]


def _streams() -> Iterator[tuple[str, bytes]]:
    rng, backend = np.random.default_rng(0), ToyBackend()
    mono = Waveform((0.2 * rng.standard_normal((1, 4000))).astype(np.float32), 16000)
    stereo = Waveform((0.2 * rng.standard_normal((2, 5000))).astype(np.float32), 44100)
    for name, params in PARAMS.items():
        options = EncodeOptions(params=params, seed=len(name), tag="music")
        yield name, encoder.compress(stereo if name == "partitioned" else mono, backend=backend, options=options)
    usual = EncodeOptions(params=PARAMS["partitioned"])
    long = Waveform(np.tile(mono.samples, 24), 1000)  # 96 s, two segments
    ordered = EncodeOptions(params=replace(PARAMS["partitioned"], log2_part=10, unit_frames=256), progressive=True)
    yield "progressive", encoder.compress(long, backend=backend, options=ordered)
    broken = Waveform(np.where(np.arange(16000) // 5500 % 2, 0, 0.2).astype(np.float32)[None], 16000)
    paused = EncodeOptions(params=PARAMS["partitioned"], variable_rate=True)
    yield "pauses", encoder.compress(broken, backend=backend, options=paused)
    longer = Waveform(np.repeat(broken.samples, 6, axis=1), 1000)
    yield "pauses-progressive", encoder.compress(longer, backend=backend, options=replace(ordered, variable_rate=True))
    longer = Waveform(np.repeat(mono.samples, 40, axis=1), 1000)
    yield "dual", encoder.compress(stereo, backend=backend, options=replace(usual, channels="dual"))
    equal = replace(stereo, samples=np.repeat(mono.samples, 2, axis=0))
    yield "equal", encoder.compress(equal, backend=backend, options=usual)
    beside = np.concatenate([longer.samples, np.roll(longer.samples, 9000) / 2])
    yield "image-progressive", encoder.compress(Waveform(beside, 1000), backend=backend, options=ordered)
    yield "preset", encoder.compress(mono, backend=backend, options=EncodeOptions(preset="3000"))
    odd = replace(mono, sample_rate=7777)
    yield "odd-rate", encoder.compress(odd, backend=backend, options=EncodeOptions(preset="8"))
    yield "latent-image", encoder.compress_with_codebook(stereo, backend=backend, codebook=books_of_toy()[0])
    for index, book in enumerate(books_of_toy()):
        rule = "soft" if not index else "hard"
        options = CodebookOptions(rule=rule)
        yield f"latent-{index}", encoder.compress_with_codebook(mono, backend=backend, codebook=book, options=options)


def _codebooks() -> Iterator[tuple[str, bytes]]:
    latents = [torch.randn(1, 2, 16, 2, generator=torch.Generator().manual_seed(1))]
    kinds = {
        "kmeans": {"unit": "frame", "method": "kmeans", "size": 2},
        "drawn": {"unit": "clip", "method": "gaussian", "size": 4, "clip_frames": 2},
        "adaptive": {"unit": "position", "method": "adaptive", "size": 2, "stages": 2, "bits_per_frame": 2.0},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in kinds.items():
            path = Path(folder, f"{name}.safetensors")
            fit(latents, model="abcd", **kind).save(path)  # type: ignore[arg-type]
            yield name, path.read_bytes()


def _symbols(counts: list[int], written: list[int]) -> bytes:
    writer = SymbolWriter()
    writer.write(written, [1 + byte**3 for byte in counts])
    return bytes([len(counts) - 1, len(written), *counts]) + writer.getvalue()


def _image(bands: int, frames: int) -> bytes:
    rng = np.random.default_rng(bands)
    level = np.repeat(rng.integers(-11, 12, (bands, -(-frames // 3))), 3, axis=1)[:, :frames]
    coherence = np.repeat(rng.integers(0, 11, (bands, -(-frames // 5))), 5, axis=1)[:, :frames]
    return bytes([bands - 1, frames - 1]) + image_bytes(level.astype(np.int8), coherence.astype(np.int8))


def _integers(values: list[int], width: int) -> bytes:
    writer = bitio.BitWriter()
    writer.write_array(np.array(values), width)
    return bitio.varint(300) + bytes([width]) + writer.getvalue()


def main() -> None:
    """Write the seeds that are not there."""
    for folder, name, data in seeds():
        path = FOLDER / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(data)


if __name__ == "__main__":
    main()
