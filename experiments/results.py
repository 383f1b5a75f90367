"""Measure the codec on held-out clips at 48 kHz, beside other codecs: docs/results.md, docs/codecs.md, README's table.

    python -m experiments.results CLIPS REPORT [--jobs 2] [--model FOLDER] [--limit 16] [--seconds 6]

CLIPS is a folder of sounds named by kind, `music-...`, `speech-...`, `sfx-...` (`training.data build --held-out` makes
one), of which `--limit` of each kind are taken, evenly spread over packages and names, one channel each. REPORT is the
folder of a comparison (docs/comparison.md): what is there of the same model is not made again. All that the pages say
lies in `results.json` beside them.

    compared   every method on every clip: quality, tuning, treble, sizes
    steady     tones that stand still, through some of the methods
    controls   latent error of another clip's stream and of random indices, on some clips
    drift      the same stream with one and two threads, in float32 and bfloat16
    time       the share of encoding that is not spent in networks
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments import codecs
from experiments.steady import through, worst
from experiments.tables import first_table, render
from noisebook import api
from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.codec import ddcm
from noisebook.codec.layout import layout_of
from noisebook.coding import container
from noisebook.comparison import publishing
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.methods import Method, choose
from noisebook.comparison.runs import Run, planned
from noisebook.diffusion.backend import Backend
from training.clips import PREFIX_OF_KIND
from training.packages import HELD_OUT

RATES = ("100", "300", "1500", "3000", "6000")
METHODS = (
    "ceiling", "ddcm", "opus-6k", "opus-12k", "opus-24k", "mp3-8k", "codec2-700c", "codec2-3200", "speex-2k",
    "pink-noise", "another-clip",
)  # fmt: skip
METRICS = (
    "mel_db_mae", "treble_level_db", "tuning_10", "tuning_25", "tuning_50", "tuning_cents", "tuning_grid", "estoi",
    "pesq_wb", "zimtohrli", "visqol",
)  # fmt: skip
STEADY = ("autoencoder", "ddcm-300", "ddcm-1500", "ddcm-3000", "opus-6k", "opus-12k", "mp3-8k", "codec2-3200")
_KINDS = tuple(PREFIX_OF_KIND.values())


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("report", type=Path, help="folder of the comparison; made where it is not there")
    parser.add_argument("--docs", type=Path, default=Path("docs"), help="where the pages are")
    parser.add_argument("--readme", type=Path, help="a page whose first table is replaced by that of results.md")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=16, help="clips of each kind")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each clip")
    parser.add_argument("--controls", type=int, default=12, help="clips in all that random streams are made of")
    parser.add_argument("--jobs", type=int, default=1, help="processes that compare")
    args = parser.parse_args(argv)

    spent = [time.perf_counter()]
    comparison = Comparison(clip_paths(args.clips, args.limit), args.report, args.model, args.seconds)
    results = comparison.results(args.jobs)
    spent.append(time.perf_counter())
    backend = comparison.run.backend
    results |= {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "seconds": args.seconds,
        "steady": measure_steady(backend, args.model),
        "controls": list(measure_controls(comparison, args.controls)),
        "drift": measure_drift(comparison, args.model),
        "time": measure_time(comparison.run.inputs[0].sound, backend),
    }
    write_pages(results, args.docs, args.readme)
    print(f"wrote {args.docs}: {spent[1] - spent[0]:.0f} s to compare, {time.perf_counter() - spent[1]:.0f} s more")


def write_pages(results: dict[str, Any], docs: Path, readme: Path | None) -> None:
    """results.json and the pages of it."""
    (docs / "results.json").write_text(_one_row_a_line(results), encoding="utf-8")
    (docs / "codecs.md").write_text(codecs.page(results), encoding="utf-8")
    stereo = docs / "stereo.md"
    page = render(results, stereo.read_text(encoding="utf-8") if stereo.is_file() else "")
    (docs / "results.md").write_text(page, encoding="utf-8")
    if readme is not None:
        text = readme.read_text(encoding="utf-8")
        readme.write_text(text.replace(first_table(text), first_table(page)), encoding="utf-8")


def _one_row_a_line(results: dict[str, Any]) -> str:
    rows = ",\n".join(f"  {json.dumps(row)}" for row in results["rows"])
    rest = json.dumps({key: value for key, value in results.items() if key != "rows"}, indent=1)
    return f'{rest[:-2]},\n "rows": [\n{rows}\n ]\n}}\n'


def clip_paths(folder: Path, limit: int) -> list[Path]:
    """`limit` files of each kind, as many of each package as there are, evenly spread over their names; all where there
    are fewer."""
    chosen: list[Path] = []
    for kind in _KINDS:
        by_package: dict[str, list[Path]] = {}
        for path in sorted(folder.glob(f"{kind}-*")):
            package = next((one.name for one in HELD_OUT if f"-{one.name}-" in path.name), "")
            by_package.setdefault(package, []).append(path)
        left = limit
        for rest, paths in zip(range(len(by_package), 0, -1), sorted(by_package.values(), key=len), strict=True):
            count = min(len(paths), left // rest)
            chosen += [paths[i * len(paths) // count] for i in range(count)]
            left -= count
    return sorted(chosen, key=lambda path: (_KINDS.index(path.name.split("-")[0]), path.name))


class Comparison:
    """Every method on every clip, as `noisebook compare` has it.

    Args:
        paths: of the clips.
        folder: of the results.
        model: as `api.load_backend` takes it.
        seconds: of the beginning of each clip.
    """

    def __init__(self, paths: Sequence[Path], folder: Path, model: str, seconds: float) -> None:
        self.options = (tuple(paths), folder, model, seconds)
        self.run = _run(*self.options)
        self._streams: dict[tuple[str, str], Path] = {}

    def results(self, jobs: int) -> dict[str, Any]:
        """What the pages need, after the work, which is shared by some processes."""
        if jobs > 1:
            with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
                list(pool.map(_compare_one, [self.options] * len(self.run.inputs), range(len(self.run.inputs))))
        rows = self.run.rows(lambda done, steps: print(f"compared {done} of {steps}", end="\r", flush=True))
        print()
        about = publishing.manifest(self.run, command="experiments.results", seed=0, settings={})
        whole = publishing.results_of(self.run, rows, about=about)
        self._streams = {
            (row["input"], row["method"]): self.run.store.folder / row["stream"] for row in rows if row["stream"]
        }
        for row in rows:
            if row["error"]:
                print(f"failed: {row['method']} on {row['input']}: {row['error']}", flush=True)
        return {
            "model": self.run.backend.info.fingerprint.hex()[:4],
            "manifest": {"programs": about["programs"]},
            "inputs": [{key: one[key] for key in ("id", "kind", "sample_rate", "channels")} for one in whole["inputs"]],
            "methods": [{key: one[key] for key in ("id", "family", "label", "generative")} for one in whole["methods"]],
            "rows": [self._short(row) for row in rows],
        }

    def stream(self, source: str, rate: str) -> bytes:
        """The file that the codec made of an input."""
        return self._streams[source, f"ddcm-{rate}"].read_bytes()

    def _short(self, row: dict[str, Any]) -> dict[str, Any]:
        """What the pages need of a row; of a stream the latent error in dB, and the size that its header predicts."""
        metrics = {name: None if value is None else round(value, 4) for name, value in row["metrics"].items()}
        kept = {key: row[key] for key in ("input", "method", "bytes", "bit_per_second")} | {"metrics": metrics}
        if not row["residuals_db"]:
            return kept
        header = container.parse_header((self.run.store.folder / row["stream"]).read_bytes())[0]
        predicted = container.overhead(header, 1) + layout_of(header, self.run.backend.info).payload_size
        return kept | {"nmse_db": row["residuals_db"][-1], "predicted_bytes": predicted}


@lru_cache(maxsize=1)
def _run(paths: Sequence[Path], folder: Path, model: str, seconds: float) -> Run:
    return planned(
        paths, folder, catalogue=_methods(model), load_backend=lambda: api.load_backend(model, device="cpu"),
        methods=METHODS, metrics=METRICS, limit_seconds=seconds, mono=True, verdicts=False,
    )  # fmt: skip


def _compare_one(options: tuple[tuple[Path, ...], Path, str, float], index: int) -> None:
    torch.set_num_threads(1)
    list(_run(*options).rows_of(index))


def _methods(model: str) -> tuple[Method, ...]:
    return catalogue(rates=[float(rate) for rate in RATES], model=model)


def measure_steady(backend: Backend, model: str) -> list[dict[str, Any]]:
    """How steady tones fare through each of `STEADY` that can run here, at worst; and as they are."""
    chosen = [method for method in choose(_methods(model), STEADY) if not method.missing]
    rows = [{"method": "as they are", **worst(lambda tone: tone.samples)}]
    return rows + [{"method": m.label, **worst(partial(through, m, backend=backend))} for m in chosen]


def measure_controls(comparison: Comparison, count: int) -> Iterator[dict[str, Any]]:
    """Of clips evenly spread over all: latent error in dB of the stream of another clip, and of random indices."""
    run = comparison.run
    inputs = run.inputs
    for index in range(0, len(inputs), max(1, len(inputs) // count)):
        source, other = inputs[index], inputs[(index + 1) % len(inputs)]
        for rate in RATES:
            header = ddcm.analysed(container.parse_header(comparison.stream(source.id, rate))[0], source.sound)
            target = ddcm.target_latent(source.sound, header, backend=run.backend)
            random = api.random_stream(header, run.backend.info, seed=header.preset)
            for system, stream in (("another clip", comparison.stream(other.id, rate)), ("random indices", random)):
                latent = ddcm.decode_latent(stream, backend=run.backend)[1]
                yield {"input": source.id, "rate": rate, "system": system, "nmse_db": _nmse_db(latent, target)}


def _nmse_db(latent: torch.Tensor, target: torch.Tensor) -> float:
    """Squared error relative to the target in dB, over what both are long; -inf where they are the same."""
    frames = min(latent.shape[2], target.shape[2])
    latent, target = latent[:, :, :frames], target[:, :, :frames]
    return float(10 * torch.log10((latent - target).square().mean() / target.square().mean()))


def measure_drift(comparison: Comparison, model: str) -> list[dict[str, Any]]:
    """How far other ways of computing move the decoded latent of the same streams: the largest difference in dB."""
    inputs = comparison.run.inputs[:: max(1, len(comparison.run.inputs) // 3)][:3]
    reference, low = comparison.run.backend, api.load_backend(model, device="cpu", dtype="bfloat16")
    threads = torch.get_num_threads()
    other = 1 if threads > 1 else 2
    rows = []
    for rate in RATES:
        streams = [comparison.stream(source.id, rate) for source in inputs]
        latents = _decode_all(streams, reference)
        again, in_bfloat16 = _decode_all(streams, reference), _decode_all(streams, low)
        torch.set_num_threads(other)
        threaded = _decode_all(streams, reference)
        torch.set_num_threads(threads)
        rows.append({
            "preset": rate,
            "decoded again": _largest_difference(again, latents),
            f"{other} instead of {threads} threads": _largest_difference(threaded, latents),
            "bfloat16": _largest_difference(in_bfloat16, latents),
        })  # fmt: skip
    return rows


def _decode_all(streams: list[bytes], backend: Backend) -> list[torch.Tensor]:
    return [ddcm.decode_latent(stream, backend=backend)[1] for stream in streams]


def _largest_difference(latents: list[torch.Tensor], references: list[torch.Tensor]) -> float | None:
    """In dB relative to the reference; None where all are the same to the bit."""
    pairs = list(zip(latents, references, strict=True))
    return max((_nmse_db(a, b) for a, b in pairs if not torch.equal(a, b)), default=None)


class _Timed:
    """A backend that adds up the time spent in its networks."""

    def __init__(self, backend: Backend) -> None:
        self._backend, self.seconds = backend, 0.0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._backend, name)
        if name not in ("to_latent", "to_waveform", "denoise", "decode"):
            return attribute

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = attribute(*args, **kwargs)
            self.seconds += time.perf_counter() - started
            return result

        return timed


def measure_time(sound: Waveform, backend: Backend, *, runs: int = 3) -> list[dict[str, Any]]:
    """Median seconds to encode and decode a sound at each rate, and the share outside the networks."""
    rows = []
    for preset in RATES:
        stream = api.compress(sound, backend=backend, preset=preset)  # warm
        encodes, decodes = [], []
        for _ in range(runs):
            encodes.append(_timed_share(lambda b, p=preset: api.compress(sound, backend=b, preset=p), backend))
            decodes.append(_timed_share(lambda b, s=stream: api.decompress(s, backend=b), backend))
        encode, encode_share = np.median(encodes, axis=0)
        decode, decode_share = np.median(decodes, axis=0)
        rows.append({"preset": preset, "encode_seconds": encode, "encode_share": encode_share,
                     "decode_seconds": decode, "decode_share": decode_share})  # fmt: skip
    return rows


def _timed_share(run: Any, backend: Backend) -> tuple[float, float]:
    """Seconds of one run, and the share of them outside the networks."""
    timed = _Timed(backend)
    started = time.perf_counter()
    run(timed)
    total = time.perf_counter() - started
    return total, 1 - timed.seconds / total


@dataclass(frozen=True)
class Clip:
    """One held-out sound for the other studies: 10 s, mono, 16 kHz."""

    name: str
    kind: str
    sound: Waveform


def load_clips(folder: Path, limit: int, *, seconds: float = 10.0, sample_rate: int = 16_000) -> list[Clip]:
    """`limit` clips of each kind, evenly spread over their names; kinds take turns; short ones end in silence."""
    by_kind = [[path for path in clip_paths(folder, limit) if path.name.startswith(kind)] for kind in _KINDS]
    paths = [path for group in zip(*by_kind, strict=False) for path in group]
    return [_load(path, round(seconds * sample_rate), sample_rate) for path in paths]


def _load(path: Path, count: int, sample_rate: int) -> Clip:
    sound = resample(downmix(io.read(path)), sample_rate).samples[:, :count]
    samples = np.pad(sound, ((0, 0), (0, count - sound.shape[1])))
    return Clip(path.stem, path.stem.split("-")[0], Waveform(samples, sample_rate))


if __name__ == "__main__":
    main()
