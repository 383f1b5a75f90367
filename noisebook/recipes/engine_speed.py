"""Time an engine: each network on 10.24 s of sound, a whole round trip, and the memory that it took.

    python -m noisebook.recipes.engine_speed [--model MODEL] [--device cuda] [--dtypes float32,bfloat16] [--compile]

Random weights take the time of trained ones. Medians over `--runs`, after one run to warm up; one round trip, and the
memory that was reserved at most on a GPU, or the resident set of the process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from statistics import median

import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend
from noisebook.recipes._tables import table

_SECONDS = 10.24


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtypes", default="float32", help="of the denoiser, by commas")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--preset", default="3000")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()

    rows = []
    for dtype in args.dtypes.split(","):
        for compiled in (False, True) if args.compile else (False,):
            backend = api.load_backend(args.model, device=args.device, dtype=dtype, offline=True)
            name = dtype + (", compiled" if compiled else "")
            print(f"timing {name} on {backend.device}", file=sys.stderr, flush=True)
            denoise = torch.compile(backend.denoise) if compiled else backend.denoise
            rows.append([name, *_times(backend, denoise, args.preset, args.runs)])
    heads = ["denoiser", "to latent s", "one call s", "to sound s", "compress s", "decompress s", "memory GB"]
    print(table(heads, rows))


def _times(backend: Backend, denoise: Callable[..., torch.Tensor], preset: str, runs: int) -> list[str]:
    """Seconds of each network and of a round trip, and GB."""
    info = backend.info
    if backend.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backend.device)
    count = round(_SECONDS * info.sample_rate / info.frame_samples / info.frame_multiple) * info.frame_multiple
    sound = 0.1 * torch.randn(1, info.audio_channels, count * info.frame_samples, device=backend.device)
    latent = torch.randn(1, info.latent_channels, count, info.latent_bins, device=backend.device)
    waveform = Waveform(sound[0, :1].cpu().numpy(), info.sample_rate)
    encode = _median(lambda: backend.to_latent(sound), backend, runs)
    call = _median(lambda: denoise(latent, 500), backend, runs)
    decode = _median(lambda: backend.to_waveform(latent), backend, runs)
    data, there = _timed(lambda: api.compress(waveform, backend=backend, preset=preset), backend)
    _, back = _timed(lambda: api.decompress(data, backend=backend), backend)
    return [*(f"{seconds:.3g}" for seconds in (encode, call, decode, there, back)), f"{_memory(backend):.2f}"]


def _median(run: Callable[[], object], backend: Backend, runs: int) -> float:
    run()
    return median(_timed(run, backend)[1] for _ in range(runs))


def _timed(run: Callable[[], object], backend: Backend):  # type: ignore[no-untyped-def]
    started = time.perf_counter()
    result = run()
    if backend.device.type == "cuda":
        torch.cuda.synchronize(backend.device)
    return result, time.perf_counter() - started


def _memory(backend: Backend) -> float:
    if backend.device.type == "cuda":
        return torch.cuda.max_memory_reserved(backend.device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
