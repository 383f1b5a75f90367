"""An accelerator beside the CPU: what moves in a decode, how long encoding and decoding take, and in how much memory.

    python -m experiments.accelerator [--models mini,FOLDER] [--device cuda] [--dtypes float32,bfloat16,float16]
                                     [--presets 300,3000] [--compile]

The same stream, made on the CPU in float32, is decoded to its latent by the CPU in float32 and by the device in each
precision: "drift" is the difference over the energy, in dB. Times are medians over `--runs` after one run to warm up,
for 10.24 s of sound: of each network, and of `compress` and `decompress` by preset. Random weights take the time of
trained ones. Memory is what was reserved at most on a GPU, or the resident set of the process.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

import torch

from experiments.study import nmse_db, table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.diffusion.backend import Backend
from noisebook.errors import Error

_SECONDS = 10.24
_HEADS = ("model", "precision", "preset", "drift dB", "to latent s", "one call s", "to sound s", "compress s",
          "decompress s", "memory GB")  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", default=api.EMBEDDED, help="names or folders, by commas")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtypes", default="float32,bfloat16", help="by commas")
    parser.add_argument("--presets", default="300,3000", help="by commas")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args(argv)

    rows: list[list[str]] = []
    for model in args.models.split(","):
        reference = api.load_backend(model, device="cpu", offline=True)
        for dtype in args.dtypes.split(","):
            try:
                backend = api.load_backend(model, device=args.device, dtype=dtype, offline=True)
            except Error as error:  # a device that has no float16
                print(f"{model}, {dtype}: {error}", file=sys.stderr)
                continue
            for compiled in (False, True) if args.compile else (False,):
                print(f"timing {model} in {dtype} on {backend.device}", file=sys.stderr, flush=True)
                name = [backend.info.name, dtype + (", compiled" if compiled else "")]
                measured = _measured(backend, reference, args.presets.split(","), args.runs, compiled)
                rows += [[*name, *row] for row in measured]
    print(table(_HEADS, rows))


def _measured(
    backend: Backend, reference: Backend, presets: list[str], runs: int, compiled: bool
) -> Iterator[list[str]]:
    """A row of each preset, from "preset" on."""
    if backend.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backend.device)
    info = backend.info
    count = round(_SECONDS * info.frames_per_second / info.frame_multiple) * info.frame_multiple
    sound = 0.1 * torch.randn(1, info.audio_channels, count * info.frame_samples, device=backend.device)
    latent = torch.randn(1, info.latent_channels, count, info.latent_bins, device=backend.device)
    denoise = torch.compile(backend.denoise) if compiled else backend.denoise
    networks = [
        _median(lambda: backend.to_latent(sound), backend, runs),
        _median(lambda: denoise(latent, 500), backend, runs),
        _median(lambda: backend.to_waveform(latent), backend, runs),
    ]
    waveform = Waveform(sound[0, :1].cpu().numpy(), info.sample_rate)
    for preset in presets:
        data = api.compress(waveform, backend=reference, preset=preset)
        encode = _median(lambda p=preset: api.compress(waveform, backend=backend, preset=p), backend, runs)  # type: ignore[misc]
        decode = _median(lambda d=data: api.decompress(d, backend=backend), backend, runs)  # type: ignore[misc]
        times = (f"{seconds:.3g}" for seconds in (*networks, encode, decode))
        yield [preset, _drift(data, backend, reference), *times, f"{_memory(backend):.2f}"]


def _drift(data: bytes, backend: Backend, reference: Backend) -> str:
    """dB of the difference of two decoded latents over their energy."""
    ours, true = (decode_latent(data, backend=one)[1].float().cpu() for one in (backend, reference))
    if torch.equal(ours, true):
        return "none"
    return f"{nmse_db(ours, true):.1f}"


def _median(run: Callable[[], object], backend: Backend, runs: int) -> float:
    run()
    return median(_timed(run, backend) for _ in range(runs))


def _timed(run: Callable[[], object], backend: Backend) -> float:
    started = time.perf_counter()
    run()
    if backend.device.type == "cuda":
        torch.cuda.synchronize(backend.device)
    return time.perf_counter() - started


def _memory(backend: Backend) -> float:
    if backend.device.type == "cuda":
        return torch.cuda.max_memory_reserved(backend.device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()
