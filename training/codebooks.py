"""Make the codebooks inside the package.

    python -m training.codebooks fit PACKED [--hours 2] [--only frame-residual ...]

PACKED is a folder made by `training.data pack`. Fitting reads random crops of 20.48 s, each kind of sound equally
often, and takes a few minutes on one core; it must be done again for every new autoencoder or denoiser, because a
codebook serves the one model it was fitted for.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend
from noisebook.quantizers.files import FOLDER
from noisebook.quantizers.fitting import fit
from noisebook.synthesis.sound import to_latent
from training.sounds import Sounds

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verb", choices=["fit"])
    parser.add_argument("packed", type=Path, help="folder of packed sound")
    parser.add_argument("--out", type=Path, default=FOLDER)
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", choices=BOOKS, default=list(BOOKS))
    parser.add_argument("--model", default=api.EMBEDDED)
    args = parser.parse_args()
    backend = api.load_backend(args.model, device="cpu")
    fit_all(crops(args.packed, args.hours, backend), args.only, args.out, backend)


def crops(packed: Path, hours: float, backend: Backend) -> list[torch.Tensor]:
    """Latents `[1, C, 512, F']` of random crops."""
    rate, samples = backend.info.sample_rate, _CROP_FRAMES * backend.info.frame_samples
    sounds = Sounds(packed, "cpu", [0], synthetic=0.0, sample_rate=rate)
    count = max(1, round(hours * 3600 * rate / samples))
    latents = []
    for index in range(count):
        if index % 50 == 0:
            print(f"encoding {index}/{count}", flush=True)
        sound = Waveform(sounds.crops(1, samples)[0].numpy(), rate)
        latents.append(to_latent(sound, backend=backend)[0])
    return latents


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


if __name__ == "__main__":
    main()
