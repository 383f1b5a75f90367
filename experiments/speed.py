"""Time by stage and duration, with the published codecs beside: `noisebook bench`, one thread."""

from __future__ import annotations

import torch

from experiments.study import ROOT, Bench, Parts, Row, Study, table
from noisebook.audio import io
from noisebook.benchmark.runs import Options, benchmark

_OPTIONS = Options(
    presets=("30", "300", "1500", "3000", "6000"), seconds=5.0, durations=(("3000", 5.0), ("3000", 20.0)), runs=1
)
_STAGES = ("signal", "features", "autoencoder", "denoiser", "choices", "vocoder")


def run(bench: Bench) -> Parts:
    """The tables of docs/speed.md."""
    (times,) = bench.rows(measure_bench, [{}])
    machine = times["machine"]
    return {
        "about": f"One run on one thread of {machine['processor']}, torch {machine['torch']}, float32",
        "encode": _stages(times["presets"], "encode"),
        "decode": _stages(times["presets"], "decode"),
        "durations": table(
            ["preset", "sound", "encode, s a second", "decode, s a second", "most memory, MiB"],
            ([row["preset"], f"{row['seconds']:g} s", f"{row['encode_real_time']:.3f}",
              f"{row['decode_real_time']:.3f}", f"{(row['resident'] or 0) / 2**20:.0f}"] for row in times["durations"]),
        ),
        "rivals": table(
            ["codec", "bit/s", "steps", "encode s", "of that choices", "times slower", "latent NMSE dB"],
            ([row["codec"], f"{row['bit_per_second']:.0f}", str(row["steps"]), f"{row['encode_seconds']:.2f}",
              f"{row['encode']['choices']:.2f}", f"{row['faster']:.1f}" if row["faster"] else "",
              f"{row['nmse_db']:.1f}" if row["nmse_db"] is not None else ""] for row in times["rivals"]),
        ),
    }  # fmt: skip


def measure_bench(bench: Bench) -> Row:
    """What `noisebook bench` measures of the bundled music, with one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    sound = io.read(ROOT / "noisebook" / "assets" / "demo.flac")
    found = benchmark(sound, backend=bench.backend, options=_OPTIONS, tell=lambda what: print(what, flush=True))
    torch.set_num_threads(threads)
    return found


def _stages(rows: list[Row], way: str) -> str:
    names = [name for name in _STAGES if any(name in row[way] for row in rows)]
    lines = []
    for row in rows:
        more = [f"{row['encode_seconds'] / row['allowance']:.2f}"] if way == "encode" else []
        cells = (f"{row[way].get(name, 0):.3f}" for name in names)
        lines.append([row["preset"], f"{row[f'{way}_seconds']:.2f}", *cells, *more])
    return table(["preset", f"{way} s", *names, *(["of its calls"] if way == "encode" else [])], lines)


STUDY = Study("speed", "time and memory", run, ("docs/speed.md",), limit=1, minutes=4)
