"""Make the codebooks inside the package, and measure them on held-out sound.

    python -m noisebook.recipes.codebooks fit PACKED [--hours 2] [--only frame-residual ...]
    python -m noisebook.recipes.codebooks measure CLIPS [--limit N] [--json PATH]

PACKED is a folder made by `recipes.data pack`, CLIPS a folder of sounds. Fitting reads random crops of 20.48 s, each
kind of sound equally often, and takes a few minutes on one core; it must be done again for every new autoencoder or
denoiser, because a codebook serves the one model it was fitted for.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.sound import to_latent
from noisebook.diffusion.backend import Backend
from noisebook.quantizers.codebook import LatentCodebook, load
from noisebook.quantizers.files import FOLDER, shipped_names, shipped_path
from noisebook.quantizers.fitting import fit, measure
from noisebook.recipes._clips import AUDIO_SUFFIXES, PackedAudio, read_mono
from noisebook.recipes._tables import table

# All together at most 6 MB. The seeds' sizes: 1024 atoms of 8 values (position) and of a whole clip.
BOOKS: dict[str, dict[str, Any]] = {
    "frame-gaussian": {"size": 1024},
    "frame-uniform": {"size": 1024},
    "frame-kmeans": {"size": 1024},
    "frame-ema": {"size": 1024},
    "frame-residual": {"size": 1024, "stages": 8},
    "frame-product": {"size": 1024, "groups": 8},
    "frame-hierarchical": {"size": 1024, "stages": 4, "block_frames": 8},
    "frame-adaptive": {"size": 256, "stages": 12, "bits_per_frame": 40.0},
    "position-kmeans": {"size": 1024},
    "clip-gaussian": {"size": 1024},
    "clip-kmeans": {"size": 8},
}
_CROP_FRAMES = 512  # 20.48 s: two clips
_BUDGETS = (200, 500, 1000, 2000)  # bit/s, at which an adaptive codebook is measured
_TEMPERATURES = (0.1, 1.0)  # the seeds' two, at which flat codebooks are measured with the soft rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    fitting = verbs.add_parser("fit", help="make the codebooks of the package")
    fitting.add_argument("packed", type=Path, help="folder of packed sound")
    fitting.add_argument("--out", type=Path, default=FOLDER)
    fitting.add_argument("--hours", type=float, default=2.0)
    fitting.add_argument("--only", nargs="+", choices=BOOKS, default=list(BOOKS))
    measuring = verbs.add_parser("measure", help="rate and distortion on held-out sound")
    measuring.add_argument("clips", type=Path, help="folder of sounds")
    measuring.add_argument("--limit", type=int, help="clips")
    measuring.add_argument("--json", type=Path)
    for each in (fitting, measuring):
        each.add_argument("--model", default=api.EMBEDDED)
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu")
    if args.verb == "fit":
        fit_all(crops(args.packed, args.hours, backend), args.only, args.out, backend)
        return
    rows = list(measure_all(latents_of(args.clips, args.limit, backend), backend.info.frames_per_second))
    print(as_table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def crops(packed: Path, hours: float, backend: Backend) -> list[torch.Tensor]:
    """Latents `[1, C, 512, F']` of random crops."""
    audio, rng = PackedAudio(packed, backend.info.sample_rate), np.random.default_rng(0)
    samples = _CROP_FRAMES * backend.info.frame_samples
    count = max(1, round(hours * 3600 * backend.info.sample_rate / samples))
    latents = []
    for index in range(count):
        if index % 50 == 0:
            print(f"encoding {index}/{count}", flush=True)
        sound = Waveform(audio.sample(1, samples, rng)[0], audio.sample_rate)
        latents.append(to_latent(sound, backend=backend)[0])
    return latents


def latents_of(folder: Path, limit: int | None, backend: Backend) -> list[torch.Tensor]:
    """Latents `[1, C, L, F']` of a folder's sounds, mono."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)[:limit]
    rate = backend.info.sample_rate
    return [to_latent(Waveform(read_mono(path, rate)[None], rate), backend=backend)[0] for path in paths]


def fit_all(latents: list[torch.Tensor], names: list[str], out: Path, backend: Backend) -> None:
    """Write `out/NAME.safetensors` for each name in `BOOKS`."""
    out.mkdir(parents=True, exist_ok=True)
    for name in names:
        unit, method = name.split("-")
        started, path = time.perf_counter(), out / f"{name}.safetensors"
        model = backend.info.autoencoder.hex()
        fit(latents, unit=unit, method=method, model=model, **BOOKS[name]).save(path)
        seconds = time.perf_counter() - started
        print(f"{path}: {path.stat().st_size} bytes, {seconds:.0f} s", flush=True)


def measure_all(latents: list[torch.Tensor], frames_per_second: float) -> Iterator[dict[str, Any]]:
    """A row for each codebook of the package, rule and budget."""
    for name in shipped_names():
        path = shipped_path(name)
        assert path is not None
        book = load(path)
        for how, options in _ways(book, frames_per_second):
            measured = measure(book, latents, **options)
            yield {
                "codebook": name,
                "how": how,
                "bitrate": measured["bits_per_frame"] * frames_per_second,
                "fixed_bitrate": measured["fixed_bits_per_frame"] * frames_per_second,
                **measured,
            }


def _ways(book: LatentCodebook, frames_per_second: float) -> Iterator[tuple[str, dict[str, Any]]]:
    if book.method == "adaptive":
        for bitrate in _BUDGETS:
            yield f"budget {bitrate} bit/s", {"bits_per_frame": bitrate / frames_per_second}
        return
    yield "hard", {}
    if book.config.flat:
        for temperature in _TEMPERATURES:
            soft = {"rule": "soft", "temperature": temperature}
            yield f"soft, T = {temperature}", soft
        yield f"soft, T = {temperature}, energy as averaged", {**soft, "preserve_variance": False}


def as_table(rows: list[dict[str, Any]]) -> str:
    """The rows in Markdown; perplexity is of the first table's codes, and the mean over all tables."""
    heads = ["codebook", "rule", "bit/s", "fixed bit/s", "error dB", "energy dB", "perplexity", "mean"]
    return table(heads, [_cells(row) for row in rows])


def _cells(row: dict[str, Any]) -> list[str]:
    rates = [f"{row['bitrate']:.4g}", f"{row['fixed_bitrate']:.4g}"]
    errors = [f"{row['nmse_db']:.2f}", f"{row['energy_db']:.2f}"]
    perplexity = [f"{row['perplexity'][0]:.0f}", f"{np.mean(row['perplexity']):.0f}"]
    return [row["codebook"], row["how"], *rates, *errors, *perplexity]


if __name__ == "__main__":
    main()
