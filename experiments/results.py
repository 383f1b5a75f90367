"""The codec on held-out clips at 48 kHz, beside other codecs: docs/results.md, docs/codecs.md, README's table.

A folder of the report is that of a comparison (docs/howto/compare.md): what is there of the same model is not made
again, neither for these pages nor for other studies (`decodes`). All that the pages say lies in docs/results.json.

    compared   every method on every clip: quality, tuning, treble, sizes
    steady     steady tones, through some of the methods
    controls   latent error of another clip's stream and of random indices, on some clips
    drift      the same stream with one and two threads, in float32 and bfloat16
    time       the share of encoding that is not spent in networks
"""

from __future__ import annotations

import json
import platform
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import Any

import torch

from experiments import results_tables
from experiments.steady import through, worst
from experiments.study import ROOT, Bench, Options, Parts, Row, Study, clip_paths, nmse_db
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.benchmark.timing import trip
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.timeline import Layout
from noisebook.coding import container
from noisebook.comparison import publishing
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.inputs import Input
from noisebook.comparison.methods import Method, choose
from noisebook.comparison.runs import Run
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError

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
SECONDS = 6.0  # of each clip
RUNS = 3  # of which times are medians
CONTROLLED = 12  # clips of which random streams are made
FILE = ROOT / "docs" / "results.json"


def run(bench: Bench) -> Parts:
    """The parts of results.md, codecs.md and README.md."""
    results = measured(bench)
    FILE.write_text(_one_row_a_line(results), encoding="utf-8")
    return results_tables.parts(results)


def measured(bench: Bench) -> dict[str, Any]:
    """Every number of the pages."""
    inputs = len(_run(bench.options).inputs)
    steady = bench.rows(measure_steady, ({"method": method} for method in ("as they are", *STEADY)))
    results = compared(bench.options)
    places = [{"place": place} for place in range(0, inputs, max(1, inputs // CONTROLLED))]
    return results | {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "seconds": SECONDS,
        "steady": [row for row in steady if "cents" in row],
        "controls": [one for row in bench.rows(measure_controls, places) for one in row["rates"]],
        "drift": [measure_drift(bench, rate) for rate in RATES],
        "time": [measure_time(bench, rate) for rate in RATES],
    }


def _one_row_a_line(results: dict[str, Any]) -> str:
    rows = ",\n".join(f"  {json.dumps(row)}" for row in results["rows"])
    rest = json.dumps({key: value for key, value in results.items() if key != "rows"}, indent=1)
    return f'{rest[:-2]},\n "rows": [\n{rows}\n ]\n}}\n'


# ---------------------------------------------------------------- every method on every clip, as `noisebook compare`


def compared(options: Options) -> dict[str, Any]:
    """What the pages need of the comparison, after the work, which is shared by some processes."""
    run = _run(options)
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
            list(pool.map(_compare_one, [options] * len(run.inputs), range(len(run.inputs))))
    rows = run.rows(lambda done, steps: print(f"compared {done} of {steps}", end="\r", flush=True))
    whole = publishing.results_of(run, rows, command="python -m experiments results")
    for row in rows:
        if row["error"]:
            print(f"failed: {row['method']} on {row['input']}: {row['error']}", flush=True)
    return {
        "model": run.backend.info.fingerprint.hex()[:4],
        "manifest": {"programs": whole["manifest"]["programs"]},
        "inputs": [{key: one[key] for key in ("id", "kind", "sample_rate", "channels")} for one in whole["inputs"]],
        "methods": [{key: one[key] for key in ("id", "family", "label", "generative")} for one in whole["methods"]],
        "rows": [_short(row, run) for row in rows],
    }


def _short(row: Row, run: Run) -> Row:
    """What the pages need of a row; of a stream the latent error in dB, and the size that its header predicts."""
    metrics = {name: None if value is None else round(value, 4) for name, value in row["metrics"].items()}
    kept = {key: row[key] for key in ("input", "method", "bytes", "bit_per_second")} | {"metrics": metrics}
    if not row["residuals_db"]:
        return kept
    header = container.parse_header((run.store.folder / row["stream"]).read_bytes())[0]
    predicted = container.overhead(header, 1) + Layout.of_header(header, run.backend.info).payload_size
    return kept | {"nmse_db": row["residuals_db"][-1], "predicted_bytes": predicted}


@lru_cache(maxsize=4)
def _run(options: Options, methods: tuple[str, ...] | None = None) -> Run:
    """The comparison of all methods, or of some of them without any metrics."""
    options.report.mkdir(parents=True, exist_ok=True)
    return Run(
        clip_paths(options.clips, options.limit), options.report / "comparison", catalogue=_methods(options.model),
        load_backend=lambda: api.load_backend(options.model, device="cpu"), methods=methods or METHODS,
        metrics=() if methods else METRICS, limit_seconds=SECONDS, mono=True, verdicts=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Decode:
    """What a method made of a clip: its sound, and its file where it makes one."""

    sound: Waveform
    file: bytes


def decodes(bench: Bench, place: int, methods: tuple[str, ...]) -> tuple[Input, dict[str, Decode]]:
    """A clip of the comparison and what some methods made of it, by their ids; done now where it has not been done.
    ConfigError where a method failed."""
    run = _run(bench.options, methods)
    found = {}
    for row in run.rows_of(place):
        if row["error"]:
            raise ConfigError(f"{row['method']} on {row['input']}: {row['error']}")
        file = (run.store.folder / row["stream"]).read_bytes() if row["stream"] else b""
        found[row["method"]] = Decode(run.store.read_sound(row["input"], row["method"]), file)
    return run.inputs[place], found


def _compare_one(options: Options, index: int) -> None:
    torch.set_num_threads(1)
    list(_run(options).rows_of(index))


def _methods(model: str) -> tuple[Method, ...]:
    return catalogue(rates=[float(rate) for rate in RATES], model=model)


def _stream(bench: Bench, place: int, rate: str) -> bytes:
    """The file that the codec made of a clip."""
    return decodes(bench, place, (f"ddcm-{rate}",))[1][f"ddcm-{rate}"].file


# ---------------------------------------------------------------- what a comparison does not say


def measure_steady(bench: Bench, method: str) -> Row:
    """How steady tones fare through a method, at worst, or as they are; nothing where it cannot run here."""
    if method == "as they are":
        return {"label": method, **worst(lambda tone: tone.samples)}
    (chosen,) = choose(_methods(bench.options.model), [method])
    return {} if chosen.missing else {"label": chosen.label, **worst(partial(through, chosen, backend=bench.backend))}


def measure_controls(bench: Bench, place: int) -> Row:
    """Of a clip, at each rate: latent error in dB of the stream of another clip, and of random indices."""
    inputs = _run(bench.options).inputs
    source, other = inputs[place], (place + 1) % len(inputs)
    rows = []
    for rate in RATES:
        header = container.parse_header(_stream(bench, place, rate))[0]
        target = target_latent(source.sound, header, backend=bench.backend)
        random = api.random_stream(header, bench.backend.info, seed=header.preset)
        for system, stream in (("another clip", _stream(bench, other, rate)), ("random indices", random)):
            latent = decode_latent(stream, backend=bench.backend)[1]
            rows.append({"input": source.id, "rate": rate, "system": system, "nmse_db": nmse_db(latent, target)})
    return {"rates": rows}


def measure_drift(bench: Bench, rate: str) -> Row:
    """How far other ways of computing move the decoded latent of three streams: the largest difference in dB."""
    count = len(_run(bench.options).inputs)
    streams = [_stream(bench, place, rate) for place in range(0, count, max(1, count // 3))[:3]]
    threads = torch.get_num_threads()
    other = 1 if threads > 1 else 2
    latents = _decode_all(streams, bench.backend)
    again = _decode_all(streams, bench.backend)
    low = _decode_all(streams, api.load_backend(bench.options.model, device="cpu", dtype="bfloat16"))
    torch.set_num_threads(other)
    threaded = _decode_all(streams, bench.backend)
    torch.set_num_threads(threads)
    return {
        "preset": rate,
        "decoded again": _largest_difference(again, latents),
        f"{other} instead of {threads} threads": _largest_difference(threaded, latents),
        "bfloat16": _largest_difference(low, latents),
    }


def _decode_all(streams: list[bytes], backend: Backend) -> list[torch.Tensor]:
    return [decode_latent(stream, backend=backend)[1] for stream in streams]


def _largest_difference(latents: list[torch.Tensor], references: list[torch.Tensor]) -> float | None:
    """In dB relative to the reference; None where all are the same to the bit."""
    pairs = list(zip(latents, references, strict=True))
    return max((nmse_db(a, b) for a, b in pairs if not torch.equal(a, b)), default=None)


def measure_time(bench: Bench, rate: str) -> Row:
    """Median seconds to encode and decode the first clip at a rate, and the share outside the networks."""
    sound = _run(bench.options).inputs[0].sound
    timed = trip(sound, EncodeOptions(preset=rate), bench.backend, runs=RUNS).as_dict()
    row: Row = {"preset": rate}
    for way in ("encode", "decode"):
        outside = timed[way]["choices"] + timed[way]["signal"]
        row |= {f"{way}_seconds": timed[f"{way}_seconds"], f"{way}_share": outside / sum(timed[way].values())}
    return row


STUDY = Study(
    "results", "quality against bitrate, beside other codecs", run,
    ("docs/results.md", "docs/codecs.md", "README.md"), limit=16, minutes=100,
)  # fmt: skip
