"""Rate and distortion of the codebooks of the package on held-out sound.

    python -m experiments.codebooks CLIPS [--limit N] [--json PATH]

CLIPS is a folder of sounds.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.tables import table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend
from noisebook.quantizers.codebook import LatentCodebook, load
from noisebook.quantizers.files import shipped_names, shipped_path
from noisebook.quantizers.fitting import measure
from noisebook.synthesis.sound import to_latent
from training.clips import AUDIO_SUFFIXES, read_mono

_BUDGETS = (200, 500, 1000, 2000)  # bit/s, at which an adaptive codebook is measured
_TEMPERATURES = (0.1, 1.0)  # the seeds' two, at which flat codebooks are measured with the soft rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of sounds")
    parser.add_argument("--limit", type=int, help="clips")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--model", default=api.EMBEDDED)
    args = parser.parse_args()
    backend = api.load_backend(args.model, device="cpu")
    rows = list(measure_all(latents_of(args.clips, args.limit, backend), backend.info.frames_per_second))
    print(as_table(rows))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def latents_of(folder: Path, limit: int | None, backend: Backend) -> list[torch.Tensor]:
    """Latents `[1, C, L, F']` of a folder's sounds, mono."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in AUDIO_SUFFIXES)[:limit]
    rate = backend.info.sample_rate
    return [to_latent(Waveform(read_mono(path, rate)[None], rate), backend=backend)[0] for path in paths]


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
