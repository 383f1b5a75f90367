"""The codebooks inside the package as a codec, beside chosen noise at the same rates, on held-out clips.

    books   every codebook and rule, and ddcm at the bit/s of its files
    index   the seeds' 32000:1, one index a clip, beside the lowest ddcm preset, with controls: the stream of another
            clip, a random one, and the mean latent, which takes no bits at all

Rates are those of the files, header and all. The latent error is relative to the energy of the latent, and the energy
column says how much of that energy the decoded latent has; the mel error is of the finished sound.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from experiments.study import Bench, Parts, Row, Study, mean_of, nmse_db, table
from noisebook import api
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import Decoder
from noisebook.codec.encoder import target_latent
from noisebook.codec.presets import HIGHEST, LOWEST
from noisebook.codec.signal import sound_of
from noisebook.codec.vq import write_codes
from noisebook.coding import container
from noisebook.diffusion.backend import Backend
from noisebook.metrics import evaluate
from noisebook.quantizers.codebook import LatentCodebook
from noisebook.quantizers.files import shipped_names
from noisebook.quantizers.fitting import measure as measure_codebook

# Options beside `hard` of a codebook: the seeds' soft rule for the flat ones, and budgets of the adaptive one.
_WAYS: dict[str, tuple[dict[str, Any], ...]] = {
    "frame-kmeans": ({}, {"rule": "soft"}),
    "position-kmeans": ({}, {"rule": "soft"}),
    "frame-adaptive": ({"bitrate": 500.0}, {"bitrate": 1000.0}, {"bitrate": 2000.0}),
}
_CLIP_BOOKS = ("clip-gaussian", "clip-kmeans")
_RATE, _SECONDS = 16000, 5.0
_ERRORS = {"nmse": "{:.2f}", "energy": "{:+.2f}", "mel": "{:.2f}"}
_HEADS = ("latent NMSE dB", "energy dB", "mel dB")


def run(bench: Bench) -> Parts:
    """The tables of part B of docs/systems.md."""
    ways = [{"book": book, "options": options} for book in shipped_names() for options in _WAYS.get(book, ({},))]
    books = sorted(bench.rows(measure, ways), key=lambda row: row["rate"])
    (index,) = bench.rows(measure_index, [{}])
    lines = [
        [" ".join([row["book"], *_shown(row["options"])]), f"{row['bytes']:.1f}", f"{row['rate']:.0f}",
         *_cells(row), f"{row['perplexity']:.0f}", *(_cells(row["ddcm"])[::2] if row["ddcm"] else ["", ""])]
        for row in books
    ]  # fmt: skip
    return {
        "about": f"{len(_targets(bench))} held-out clips of {_SECONDS:g} s, means",
        "books": table(["", "bytes", "bit/s", *_HEADS, "perplexity", "ddcm: latent NMSE dB", "ddcm: mel dB"], lines),
        "index": table(["", "bytes", *_HEADS], ([name, f"{row['bytes']:.1f}", *_cells(row)]
                                                for name, row in index.items())),
    }  # fmt: skip


def _shown(options: dict[str, Any]) -> list[str]:
    return [f"{value:g} bit/s" if name == "bitrate" else str(value) for name, value in options.items()]


def _cells(row: Row) -> list[str]:
    return [form.format(row[key]) for key, form in _ERRORS.items()]


@cache
def _targets(bench: Bench) -> list[tuple[Waveform, container.Header, torch.Tensor]]:
    """Sounds, a header for rate and level, and their latents."""
    found = []
    for clip in bench.clips(seconds=_SECONDS, sample_rate=_RATE):
        header = container.parse_header(api.compress(clip.sound, backend=bench.backend, preset="8"))[0]
        header = replace(header, gain_half_db=coding_gain_of(clip.sound))
        found.append((clip.sound, header, target_latent(clip.sound, header, backend=bench.backend)))
    return found


def errors(bench: Bench, place: int, size: int, latent: torch.Tensor) -> Row:
    """Errors of a decoded latent `[1, C, L, F']` of a clip that took `size` bytes."""
    sound, header, target = _targets(bench)[place]
    decoded = sound_of(latent, header, bench.backend)
    judged = evaluate(sound.samples[0], decoded.samples[0], sample_rate=_RATE, names=["mel_db_mae"])
    return {
        "bytes": size,
        "rate": 8 * size / sound.duration,
        "nmse": nmse_db(latent, target),
        "energy": float(10 * torch.log10(latent.square().mean() / target.square().mean())),
        "mel": judged["mel_db_mae"],
    }


def decoded(stream: bytes, book: LatentCodebook | None, backend: Backend) -> torch.Tensor:
    """The latent of a stream of a codebook, or of one of chosen noise."""
    return Decoder(stream, backend=backend, codebook_for=(lambda _: book) if book else None).latent()


def means(rows: Iterable[Row]) -> Row:
    """Of every column."""
    found = list(rows)
    return {key: mean_of(found, key) for key in found[0]}


def measure(bench: Bench, book: str, options: dict[str, Any]) -> Row:
    """A codebook with these options, and ddcm at its mean rate, where it can be had."""
    codebook, backend = api.load_codebook(book), bench.backend
    rows = []
    for place, (sound, _, _) in enumerate(_targets(bench)):
        stream = api.compress_with_codebook(sound, backend=backend, codebook=codebook, **options)
        latent = decoded(stream, codebook, backend)
        rows.append(errors(bench, place, len(stream), latent))
    found = means(rows)
    used = measure_codebook(codebook, [target for _, _, target in _targets(bench)])["perplexity"][0]
    return found | {"perplexity": used, "ddcm": _matched(bench, found["rate"])}


def _matched(bench: Bench, rate: float) -> Row:
    """ddcm at a bit/s of whole files, as near as it can be chosen; nothing where that is out of its reach."""
    rows = []
    for place, (sound, header, target) in enumerate(_targets(bench)):
        overhead = 8 * container.overhead(header, 1) + 48  # explicit coding parameters take six bytes
        bitrate = (rate * sound.duration - overhead) * bench.backend.info.frames_per_second / target.shape[2]
        if LOWEST <= bitrate <= HIGHEST:
            stream = api.compress(sound, backend=bench.backend, bitrate=bitrate)
            rows.append(errors(bench, place, len(stream), decoded(stream, None, bench.backend)))
    return means(rows) if rows else {}


def measure_index(bench: Bench) -> Row:
    """One index a clip and ddcm's lowest preset, with their controls: means by system and variant."""
    backend, targets, generator = bench.backend, _targets(bench), np.random.default_rng(0)
    books = {name: api.load_codebook(name) for name in _CLIP_BOOKS}
    mean = api.load_codebook("frame-gaussian").tensors["mean"]
    rows: dict[str, list[Row]] = {}
    for place, (sound, _, target) in enumerate(targets):
        other = targets[(place + 1) % len(targets)][0]
        by_frame = mean.view(1, target.shape[1], 1, -1).expand_as(target)
        rows.setdefault("mean latent", []).append(errors(bench, place, 0, by_frame))
        streams = {}
        for name, book in books.items():
            own, another = (api.compress_with_codebook(one, backend=backend, codebook=book) for one in (sound, other))
            streams[name] = (own, another, random_index(own, book, target.shape[2], generator))
        own, another = (api.compress(one, backend=backend, preset="8") for one in (sound, other))
        streams["ddcm 8"] = (own, another, random_choices(own, generator))
        for name, variants in streams.items():
            for title, stream in zip(("", ", another clip", ", random"), variants, strict=True):
                latent = decoded(stream, books.get(name), backend)
                rows.setdefault(name + title, []).append(errors(bench, place, len(stream), latent))
    return {name: means(of) for name, of in rows.items()}


def random_index(stream: bytes, book: LatentCodebook, frames: int, generator: np.random.Generator) -> bytes:
    """A stream with the same header and any atoms."""
    header = container.parse_header(stream)[0]
    stage = book.stages()[0]
    code = torch.from_numpy(generator.integers(0, stage.size, (1, stage.positions(frames))))
    return container.pack(header, [container.sized(write_codes([code], book, "hard"))])


def random_choices(stream: bytes, generator: np.random.Generator) -> bytes:
    """A stream with the same header and random bits; those of the lowest preset fill their bytes."""
    header, size = container.parse_header(stream)
    return container.pack(header, [generator.bytes(len(stream) - size - 2)])


STUDY = Study("codebooks", "quantised latents beside chosen noise", run, ("docs/systems.md",), limit=1, minutes=5)
