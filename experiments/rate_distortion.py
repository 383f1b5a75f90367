"""Measure the codec of quantised latents against chosen noise at the same rates, on held-out clips.

    python -m experiments.rate_distortion CLIPS [--limit 2] [--books FOLDER] [--perceptual] [--json PATH]

CLIPS is a folder of sounds named by kind, as for `experiments.results`. The codebooks are those of the package; those
that FOLDER holds under the same names (`training.codebooks fit --out FOLDER`) take their place. Prints two tables:

    rates            every codebook and rule, each beside ddcm at the bit/s of its files
    one index a clip the seeds' 32000:1 beside the lowest ddcm preset, with controls: the stream of another clip, a
                     random one, and the mean latent, which takes no bits at all

Rates are those of the files, header and all. The latent error is relative to the energy of the latent, and the energy
column says how much of that energy the decoded latent has; the log-mel error is of the decoded latent, before the
vocoder; the mel error, and Zimtohrli with --perceptual, are of the finished sound.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.results import Clip, load_clips
from experiments.tables import table
from noisebook import api
from noisebook.codec import ddcm, latent_vq
from noisebook.codec.latent_codes import write_codes
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import HIGHEST, LOWEST
from noisebook.codec.signal import levelled
from noisebook.coding import container
from noisebook.diffusion.backend import FeatureBackend, with_features
from noisebook.metrics import evaluate, log_mel_l1_db
from noisebook.quantizers.codebook import LatentCodebook

#  codebook, and options of `api.compress_with_codebook`
_SYSTEMS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("clip-gaussian", {}),
    ("clip-kmeans", {}),
    ("frame-gaussian", {}),
    ("frame-kmeans", {}),
    ("frame-adaptive", {"bitrate": 500.0}),
    ("frame-hierarchical", {}),
    ("frame-adaptive", {"bitrate": 1000.0}),
    ("frame-kmeans", {"rule": "soft"}),
    ("frame-residual", {}),
    ("frame-product", {}),
    ("frame-adaptive", {"bitrate": 2000.0}),
    ("position-kmeans", {}),
    ("position-kmeans", {"rule": "soft"}),
)
_CLIP_BOOKS = ("clip-gaussian", "clip-kmeans")
#   key: title and format of a column
_MEASURES = {
    "bytes": ("bytes", "{:.1f}"), "rate": ("bit/s", "{:.1f}"), "nmse": ("latent NMSE dB", "{:.2f}"),
    "energy": ("energy dB", "{:+.2f}"), "log_mel": ("log-mel dB", "{:.2f}"), "mel": ("mel dB", "{:.2f}"),
    "zimtohrli": ("Zimtohrli", "{:.2f}"),
}  # fmt: skip
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=2, help="clips of each kind")
    parser.add_argument("--books", type=Path, default=Path(), help="folder of other codebooks")
    parser.add_argument("--perceptual", action="store_true", help="Zimtohrli too (minutes)")
    parser.add_argument("--json", type=Path, help="where to write the numbers of each clip")
    args = parser.parse_args()

    backend = with_features(api.load_backend(args.model, device="cpu"))
    books = {name: codebook(args.books, name) for name, _ in _SYSTEMS}
    names = ("zimtohrli",) if args.perceptual else ()
    references = [Reference.of(clip, backend, names) for clip in load_clips(args.clips, args.limit)]
    rates: list[Row] = []
    for name, options in _SYSTEMS:
        print(f"measuring {name} {options}", flush=True)
        rates += rates_of(name, books[name], options, references)
    clips = one_index({name: books[name] for name in _CLIP_BOOKS}, references)
    print(f"\n{len(references)} clips; means\n\n{means_table(rates)}\n\n{means_table(clips)}")
    if args.json:
        args.json.write_text(json.dumps({"rates": rates, "one index a clip": clips}, indent=1) + "\n", "utf-8")


@dataclass(frozen=True)
class Reference:
    """A clip and what its streams are measured against: `header` is of any of them, for rate and level.

    `metrics` are further ones of the finished sound.
    """

    clip: Clip
    backend: FeatureBackend
    header: container.Header
    target: torch.Tensor
    mel: torch.Tensor
    metrics: tuple[str, ...] = ()

    @classmethod
    def of(cls, clip: Clip, backend: FeatureBackend, metrics: tuple[str, ...] = ()) -> Reference:
        header = ddcm.header_of(clip.sound, EncodeOptions(preset="8"), backend.info)
        mel = backend.features(torch.from_numpy(levelled(clip.sound, header, backend.info)))
        return cls(clip, backend, header, ddcm.target_latent(clip.sound, header, backend=backend), mel, metrics)

    def row(self, system: str, variant: str, size: int, latent: torch.Tensor) -> Row:
        """Errors of a decoded latent `[1, C, L, F']` that took `size` bytes."""
        decoded = self.backend.decode(latent)[:, :, : self.mel.shape[2]]
        sound = ddcm.synthesise(latent, self.header, backend=self.backend)
        energy = self.target.square().mean()
        row = {
            "system": system, "variant": variant, "clip": self.clip.name, "kind": self.clip.kind, "bytes": size,
            "rate": 8 * size / self.clip.sound.duration,
            "nmse": float(10 * torch.log10((latent - self.target).square().mean() / energy)),
            "energy": float(10 * torch.log10(latent.square().mean() / energy)),
            "log_mel": log_mel_l1_db(self.mel.numpy(), decoded.numpy()),
        }  # fmt: skip
        names = ("mel_db_mae", *self.metrics)
        judged = evaluate(self.clip.sound.samples[0], sound.samples[0], sample_rate=16000, names=names)
        return row | {"mel": judged.pop("mel_db_mae"), **judged}

    def latent_row(self, system: str, variant: str, stream: bytes, book: LatentCodebook) -> Row:
        latent = latent_vq.decode_latent(stream, backend=self.backend, codebook=book)[1]
        return self.row(system, variant, len(stream), latent)

    def noise_row(self, system: str, variant: str, stream: bytes, tail_steps: int | None = None) -> Row:
        latent = ddcm.decode_latent(stream, backend=self.backend, tail_steps=tail_steps)[1]
        return self.row(system, variant, len(stream), latent)


def codebook(folder: Path, name: str) -> LatentCodebook:
    """The one in the folder, else that of the package."""
    path = folder / f"{name}.safetensors"
    return api.load_codebook(path if path.is_file() else name)


def rates_of(name: str, book: LatentCodebook, options: dict[str, Any], references: list[Reference]) -> list[Row]:
    """A codebook with these options, and ddcm at its mean rate."""
    title = " ".join([name, *(f"{value:g} bit/s" if key == "bitrate" else value for key, value in options.items())])
    rows: list[Row] = []
    for one in references:
        stream = api.compress_with_codebook(one.clip.sound, backend=one.backend, codebook=book, **options)
        rows.append(one.latent_row(title, "plain", stream, book))
    rate = float(np.mean([row["rate"] for row in rows]))
    return rows + [row for one in references for row in matched(title, rate, one)]


def matched(title: str, rate: float, one: Reference) -> Iterator[Row]:
    """ddcm at that rate, where it can be had, header and all, as near as its bit/s can be chosen.

    Decoded as usual, and in one step, which is nearest to the clean latent in the mean square.
    """
    frames = one.target.shape[2]
    overhead = 8 * container.overhead(one.header, 1) + 48  # an explicit engine takes six bytes
    bitrate = (rate * one.clip.sound.duration - overhead) * 25 / frames
    if LOWEST <= bitrate <= HIGHEST:
        stream = api.compress(one.clip.sound, backend=one.backend, bitrate=bitrate)
        yield one.noise_row(title, "ddcm at its rate", stream)
        yield one.noise_row(title, "ddcm at its rate, 1 tail step", stream, tail_steps=1)


def one_index(books: dict[str, LatentCodebook], references: list[Reference]) -> list[Row]:
    """One index a clip and ddcm's lowest preset, with their controls."""
    rows: list[Row] = []
    mean = api.load_codebook("frame-gaussian").tensors["mean"]
    generator = np.random.default_rng(0)
    for index, one in enumerate(references):
        other = references[(index + 1) % len(references)]
        frames = one.target.shape[2]
        by_frame = mean.view(1, one.target.shape[1], 1, -1).expand_as(one.target)
        rows.append(one.row("mean latent", "", 0, by_frame))
        for name in _CLIP_BOOKS:
            own, another = (
                api.compress_with_codebook(each.clip.sound, backend=one.backend, codebook=books[name])
                for each in (one, other)
            )
            streams = {"": own, "another clip": another, "random": random_index(own, books[name], frames, generator)}
            rows += [one.latent_row(name, variant, stream, books[name]) for variant, stream in streams.items()]
        own, another = (api.compress(each.clip.sound, backend=one.backend, preset="8") for each in (one, other))
        streams = {"": own, "another clip": another, "random": random_choices(own, generator)}
        rows += [one.noise_row("ddcm 8", variant, stream) for variant, stream in streams.items()]
    return rows


def random_index(stream: bytes, book: LatentCodebook, frames: int, generator: np.random.Generator) -> bytes:
    """A stream with the same header and any atoms."""
    header = container.parse_header(stream)[0]
    stage = book.stages()[0]
    code = torch.from_numpy(generator.integers(0, stage.size, (1, stage.positions(frames))))
    return container.pack(header, [container.sized(write_codes([code], book, frames, "hard"))])


def random_choices(stream: bytes, generator: np.random.Generator) -> bytes:
    """A stream with the same header and random bits; those of the lowest preset fill their bytes."""
    header, size = container.parse_header(stream)
    return container.pack(header, [generator.bytes(len(stream) - size - 2)])


def means_table(rows: list[Row]) -> str:
    """A line for each system and variant: means over the clips."""
    columns = {key: column for key, column in _MEASURES.items() if key in rows[0]}
    lines = []
    for system, variant in dict.fromkeys((row["system"], row["variant"]) for row in rows):
        own = [row for row in rows if (row["system"], row["variant"]) == (system, variant)]
        means = [form.format(np.mean([row[key] for row in own])) for key, (_, form) in columns.items()]
        lines.append([f"{system}, {variant}" if variant else system, *means])
    return table(["", *(title for title, _ in columns.values())], lines)


if __name__ == "__main__":
    main()
