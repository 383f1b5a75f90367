"""`bench`: how fast a model codes on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, json_option, loading_options
from noisebook.cli._shared import report, wrong_usage

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.benchmark.runs import Options

__all__ = ["bench"]

_PIECE = 2.0  # seconds of a file of the corpus, at most
_BUNDLED = Path(__file__).parents[1] / "assets" / "demo.flac"


@click.command()
@click.argument("source", metavar="[IN]", required=False, type=FILE)
@click.option("--presets", metavar="NAMES", help="Time only these presets, separated by commas.")
@click.option("--seconds", type=click.FloatRange(1, 3600), help="Length of sound for each preset.")
@click.option("--runs", type=click.IntRange(1), help="Runs, of which the median counts; 3 by default.")
@click.option("--quick", is_flag=True, help="Two presets, short sounds, one run.")
@click.option(
    "--full", is_flag=True, help="Up to an hour of sound, and the published codecs whole: half an hour or more."
)
@click.option(
    "--corpus", type=click.IntRange(2), metavar="FILES",
    help="Also code so many pieces of IN as `batch` does: one and two workers, batches of four, Ray where it is.",
)  # fmt: skip
@click.option("--check", "strict", is_flag=True, help="Exit with status 1 if a check is missed; on an idle machine.")
@json_option
@loading_options
def bench(
    source: str | None,
    presets: str | None,
    seconds: float | None,
    runs: int | None,
    quick: bool,
    full: bool,
    corpus: int | None,
    strict: bool,
    **options: Any,
) -> int:
    """Time the codec by stage, preset and duration, beside DDCM and Turbo-DDCM as published.

    IN is a sound of your own in place of the bundled one. Times are medians; "real time" is seconds for a second of
    sound. The report ends with checks against the limits of an idle machine. A busy machine may miss some and has
    measured all the same; only with --check is a missed check a failure.

    \b
    noisebook bench --quick
    noisebook bench --threads 2 --presets 300,3000 --json > bench.json
    noisebook bench --model audioldm2-music --device cuda
    """
    if quick and full:
        raise wrong_usage("--quick and --full do not go together")
    from noisebook.benchmark.runs import Options, benchmark

    chosen = Options.quick() if quick else Options.full() if full else Options()
    chosen = _changed(chosen, presets, seconds, runs)
    sound = _files.read_sound(source or str(_BUNDLED))
    backend = ModelOptions.among(options).load()
    results = benchmark(
        sound, backend=backend, options=chosen, tell=lambda what: click.echo(f"timing {what}", err=True)
    )
    results["machine"]["dtype"] = str(getattr(backend, "dtype", options["dtype"])).removeprefix("torch.")
    results["corpus"] = [] if corpus is None else _corpus(sound, corpus, options)
    if options["as_json"]:
        report(results, "")
    else:
        _show(results)
    return int(strict and not all(check["ok"] for check in results["checks"]))


def _corpus(sound: Waveform, files: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Seconds of sound a second that `batch compress` codes of pieces of a sound, at preset 300."""
    from importlib.util import find_spec

    from noisebook.audio.waveform import Waveform
    from noisebook.batch.timing import throughput
    from noisebook.batch.verbs import Settings

    size = min(sound.sample_count // files, round(_PIECE * sound.sample_rate))
    if not size:
        raise wrong_usage(f"the sound is too short for {files} pieces")
    pieces = [Waveform(sound.samples[:, i * size : (i + 1) * size].copy(), sound.sample_rate) for i in range(files)]
    settings = Settings("compress", {"preset": "300"}, ModelOptions.among(options).replaced(threads=1))
    ways = [("local", 1, 1), ("local", 1, 4), ("local", 2, 1), *([("ray", 2, 1)] if find_spec("ray") else [])]
    rows = []
    for executor, workers, batch_size in ways:
        click.echo(f"timing a corpus: {executor}, {workers} workers, {batch_size} files together", err=True)
        found = throughput(pieces, settings, executor=executor, workers=workers, batch_size=batch_size)
        rows.append(vars(found))
    return rows


def _changed(options: Options, presets: str | None, seconds: float | None, runs: int | None) -> Options:
    names = presets and tuple(name.strip() for name in presets.split(","))
    wanted: dict[str, Any] = {"presets": names, "seconds": seconds, "runs": runs}
    return replace(options, **{name: value for name, value in wanted.items() if value is not None})


def _show(results: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if Console().is_terminal else 140)
    model, machine = results["model"], results["machine"]
    console.print(
        f"{model['name']} {model['fingerprint'][:4]} ({machine['dtype']}) on {machine['device']}, {machine['threads']} "
        f"of {machine['cores']} threads; {machine['processor']}; torch {machine['torch']}; "
        f"median of {results['runs']}",
        highlight=False,
    )
    presets = results["presets"]
    tables = (
        ("Encoding", presets, _by_stage(presets, "encode")),
        ("Decoding", presets, _by_stage(presets, "decode")),
        ("By duration", results["durations"], _BY_DURATION),
        ("Published codecs, same model", results["rivals"], _BY_BASELINE),
        ("A corpus", results["corpus"], _BY_WORKERS),
        ("Checks (limits of an idle machine)", results["checks"], _BY_CHECK),
    )
    for title, rows, columns in tables:
        if rows:
            table = Table(title=title, title_justify="left")
            for index, (head, _, _) in enumerate(columns):
                table.add_column(head, justify="right" if index else "left")
            for row in rows:
                table.add_row(*(_cell(row, key, form) for _, key, form in columns))
            console.print(table)


# Columns of a table: heading, key of a row (or keys, one in the other; see `_cell`), format.
Columns = tuple[tuple[str, str, str], ...]
_BY_DURATION: Columns = (
    ("preset", "preset", ""), ("sound s", "seconds", "g"), ("encode s", "encode_seconds", ".2f"),
    ("decode s", "decode_seconds", ".2f"), ("encode, of real time", "encode_real_time", ".4f"),
    ("decode, of real time", "decode_real_time", ".4f"), ("MiB", "memory", ""),
)  # fmt: skip
_BY_BASELINE: Columns = (
    ("codec", "codec", ""), ("bit/s", "bit_per_second", ".0f"), ("steps", "steps", ""),
    ("of them run", "measured_steps", ""), ("encode s", "encode_seconds", ".2f"),
    ("denoiser", "encode denoiser", ".2f"), ("choices", "encode choices", ".2f"),
    ("of real time", "encode_real_time", ".2f"), ("decode s", "decode_seconds", ".2f"),
    ("denoiser", "decode denoiser", ".2f"), ("choices", "decode choices", ".2f"),
    ("of real time", "decode_real_time", ".2f"), ("times slower", "faster", ".1f"), ("NMSE dB", "nmse_db", ".1f"),
    ("MiB", "memory", ""),
)  # fmt: skip
_BY_WORKERS: Columns = (
    ("executor", "executor", ""), ("workers", "workers", ""), ("files together", "batch_size", ""),
    ("files", "files", ""),
    ("sound s", "audio_seconds", ".1f"), ("start s", "start_seconds", ".1f"), ("then s", "seconds", ".1f"),
    ("sound s a second", "rate", ".2f"),
)  # fmt: skip
_BY_CHECK: Columns = (
    ("", "name", ""), ("measured", "value", ".3g"), ("limit", "limit", ""), ("", "kept", ""),
)  # fmt: skip


def _by_stage(rows: list[dict[str, Any]], way: str) -> Columns:
    """Seconds of every stage of encoding or decoding, preset by preset."""
    stages = dict.fromkeys(stage for row in rows for stage in row[way])
    columns = [("preset", "preset", ""), (f"{way} s", f"{way}_seconds", ".3f")]
    columns += [(stage, f"{way} {stage}", ".3f") for stage in stages]
    columns += [("of real time", f"{way}_real_time", ".3f")]
    if way == "encode":
        columns += [("calls", "calls", ""), ("of its calls", "share", ".2f"), ("bit/s", "bit_per_second", ".0f"),
                    ("NMSE dB", "nmse_db", ".1f"), ("MiB", "memory", "")]  # fmt: skip
    return tuple(columns)


def _cell(row: dict[str, Any], key: str, form: str) -> str:
    """One value as text; empty for None."""
    value: Any
    match key:
        case "memory":
            sizes = [size for size in (row["resident"], row["reserved"]) if size is not None]
            value = " + ".join(f"{size / 2**20:.0f}" for size in sizes) or "-"
        case "share":
            value = row["encode_seconds"] / row["allowance"]
        case "limit":
            value = f"{'at most' if row['at_most'] else 'at least'} {row['limit']:g}"
        case "kept":
            value = "ok" if row["ok"] else "missed"
        case _:
            value = row
            for name in key.split():
                value = value[name]
    return "" if value is None else format(value, form)
