"""What bfloat16 costs and saves at either end of the codec.

    python -m experiments.precision CLIPS [--presets 300,3000] [--limit 4] [--seconds 3]

The error of the decoded latent over the energy of the target that float32 gives, means over clips in dB: float32 at
both ends, and the differences from that with bfloat16 at one end and at both. And processor time of one call of the
denoiser, and of autoencoder and vocoder for 10.24 s, at either precision: medians of five.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np
import torch

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend

ENDS = tuple(product(("float32", "bfloat16"), repeat=2))  # encoder, decoder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--presets", default="300,3000")
    parser.add_argument("--limit", type=int, default=4, help="clips of each kind")
    parser.add_argument("--seconds", type=float, default=3, help="of each clip")
    args = parser.parse_args()

    backends = {dtype: api.load_backend(args.model, device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")}
    clips = [clip.sound.samples[:, : round(args.seconds * 16000)] for clip in load_clips(args.clips, args.limit)]
    sounds = [Waveform(samples.copy(), 16000) for samples in clips]
    rows = []
    for preset in args.presets.split(","):
        found = np.array([errors(sound, preset, backends) for sound in sounds])
        apart = (found - found[:, :1]).mean(0)
        rows.append([preset, f"{found[:, 0].mean():.2f}", *(f"{value:+.3f}" for value in apart[1:])])
    print(table(["preset", "float32, dB", "decoder", "encoder", "both"], rows), end="\n\n")
    rows = [[dtype, *(f"{1000 * seconds:.0f}" for seconds in times(backend))] for dtype, backend in backends.items()]
    print(table(["", "a call, ms", "a window of a batch of 8, ms", "autoencoder and vocoder, ms"], rows))


def errors(sound: Waveform, preset: str, backends: dict[str, Backend]) -> list[float]:
    """dB of the decoded latent, for each pair of `ENDS`."""
    header = ddcm.header_of(sound, EncodeOptions(preset=preset), backends["float32"].info)
    targets = {dtype: ddcm.target_latent(sound, header, backend=backend) for dtype, backend in backends.items()}
    reference = targets["float32"]
    streams = {dtype: _stream(targets[dtype], header, backend) for dtype, backend in backends.items()}
    found = []
    for encoder, decoder in ENDS:
        latent = ddcm.decode_latent(streams[encoder], backend=backends[decoder])[1]
        found.append(float(10 * torch.log10((latent - reference).square().mean() / reference.square().mean())))
    return found


def _stream(target: torch.Tensor, header: Header, backend: Backend) -> bytes:
    return ddcm.compress_towards(lambda start, end: target[:, :, start:end], header, backend=backend)


def times(backend: Backend) -> list[float]:
    """Processor seconds of one call on a window, of a window of eight in one call, and of the way to sound."""
    info = backend.info
    x = torch.randn(8, info.latent_channels, info.window_frames, info.latent_bins)
    middle = len(info.schedule) // 2
    return [
        _median(lambda: backend.denoise(x[:1], middle)),
        _median(lambda: backend.denoise(x, middle)) / 8,
        _median(lambda: backend.to_waveform(x[:1])),
    ]


def _median(run: Callable[[], object], runs: int = 5) -> float:
    run()
    taken = []
    for _ in range(runs):
        start = process_time()
        run()
        taken.append(process_time() - start)
    return median(taken)


if __name__ == "__main__":
    main()
