"""`bench`: how fast a model codes on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.cli import _files
from noisebook.cli._shared import backend_from, engine_options, json_option

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.benchmark import Options

__all__ = ["bench"]

_PIECE = 2.0  # seconds of a file of the corpus, at most
_BUNDLED = Path(__file__).parents[1] / "assets" / "demo.flac"


@click.command()
@click.argument("source", metavar="[IN]", required=False)
@click.option("--presets", metavar="NAMES", help="Time only these presets, separated by commas.")
@click.option("--seconds", type=click.FloatRange(1, 3600), help="Of sound, for each preset.")
@click.option("--runs", type=click.IntRange(1), help="Of which the median is taken; 3 by default.")
@click.option("--quick", is_flag=True, help="Two presets, short sounds, one run.")
@click.option(
    "--full", is_flag=True, help="Up to an hour of sound, and the published engines whole: half an hour or more."
)
@click.option(
    "--corpus", type=click.IntRange(2), metavar="FILES",
    help="Also code so many pieces of IN as `batch` does: one and two workers, batches of four, Ray where it is.",
)  # fmt: skip
@click.option("--check", "strict", is_flag=True, help="Exit with status 1 if a check is missed; on an idle machine.")
@json_option
@engine_options
def bench(
    source: str | None,
    presets: str | None,
    seconds: float | None,
    runs: int | None,
    quick: bool,
    full: bool,
    corpus: int | None,
    strict: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Time the codec by stage, preset and duration, beside the engines of DDCM and Turbo-DDCM as published.

    IN is a sound of your own in place of the bundled one. Times are medians; "real time" is seconds for a second of
    sound. Behind the results stand checks, with the limits that an idle machine keeps to: a busy one may miss some and
    has measured all the same. Only with --check is one that is missed a failure.

    \b
    noisebook bench --quick
    noisebook bench --threads 2 --presets 300,3000 --json > bench.json
    noisebook bench --model audioldm2-music --device cuda
    """
    if quick and full:
        raise click.UsageError("--quick and --full do not go together", click.get_current_context())
    from noisebook.benchmark import Options, benchmark

    chosen = Options.quick() if quick else Options.full() if full else Options()
    chosen = _changed(chosen, presets, seconds, runs)
    sound = _files.read_sound(source or str(_BUNDLED))
    backend = backend_from(options)
    results = benchmark(
        sound, backend=backend, options=chosen, tell=lambda what: click.echo(f"timing {what}", err=True)
    )
    results["machine"]["dtype"] = str(getattr(backend, "dtype", options["dtype"])).removeprefix("torch.")
    results["corpus"] = [] if corpus is None else _corpus(sound, corpus, options)
    if as_json:
        import json

        click.echo(json.dumps(results, indent=2))
    else:
        _show(results)
    return int(strict and not all(check["ok"] for check in results["checks"]))


def _corpus(sound: Waveform, files: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Seconds of sound a second that `batch compress` codes of pieces of a sound, at preset 300."""
    from importlib.util import find_spec

    from noisebook.audio.waveform import Waveform
    from noisebook.batch.throughput import throughput
    from noisebook.batch.verbs import Engine, Settings

    size = min(sound.sample_count // files, round(_PIECE * sound.sample_rate))
    if not size:
        raise click.UsageError(f"the sound is too short for {files} pieces", click.get_current_context())
    pieces = [Waveform(sound.samples[:, i * size : (i + 1) * size].copy(), sound.sample_rate) for i in range(files)]
    names = ("model", "device", "dtype", "offload", "offline")
    settings = Settings("compress", {"preset": "300"}, Engine(**{name: options[name] for name in names}, threads=1))
    ways = [("local", 1, 1), ("local", 1, 4), ("local", 2, 1), *([("ray", 2, 1)] if find_spec("ray") else [])]
    rows = []
    for engine, workers, together in ways:
        click.echo(f"timing a corpus: {engine}, {workers} workers, {together} files together", err=True)
        found = throughput(pieces, settings, engine=engine, workers=workers, together=together)
        rows.append(found.to_dict())
    return rows


def _by_workers(rows: list[dict[str, Any]]) -> list[list[str]]:
    heads = ["engine", "workers", "files together", "files", "sound s", "start s", "then s", "sound s a second"]
    return [heads] + [
        [
            row["engine"],
            *(str(row[name]) for name in ("workers", "together", "files")),
            *(f"{row[name]:.1f}" for name in ("audio_seconds", "start_seconds", "seconds")),
            f"{row['rate']:.2f}",
        ]
        for row in rows
    ]


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
    tables = (
        ("Encoding", _stages(results["presets"], "encode")),
        ("Decoding", _stages(results["presets"], "decode")),
        ("By duration", _by_duration(results["durations"])),
        ("Published engines, same model", _by_engine(results["rivals"])),
        ("A corpus", _by_workers(results["corpus"])),
        ("Checks (limits of an idle machine)", _by_check(results["checks"])),
    )
    for title, rows in tables:
        if len(rows) > 1:
            table = Table(title=title, title_justify="left")
            for index, head in enumerate(rows[0]):
                table.add_column(head, justify="right" if index else "left")
            for row in rows[1:]:
                table.add_row(*row)
            console.print(table)


def _stages(rows: list[dict[str, Any]], way: str) -> list[list[str]]:
    """Seconds of every stage of encoding or decoding, preset by preset."""
    names = list(dict.fromkeys(stage for row in rows for stage in row[way]))
    heads = ["preset", f"{way} s", *names, "of real time"]
    if way == "encode":
        heads += ["calls", "of its calls", "bit/s", "NMSE dB", "MiB"]
    return [heads] + [
        [
            row["preset"],
            f"{row[f'{way}_seconds']:.3f}",
            *(f"{row[way][stage]:.3f}" for stage in names),
            f"{row[f'{way}_real_time']:.3f}",
            *(_of_encoding(row) if way == "encode" else ()),
        ]
        for row in rows
    ]


def _of_encoding(row: dict[str, Any]) -> list[str]:
    share = row["encode_seconds"] / row["allowance"]
    return [str(row["calls"]), f"{share:.2f}", f"{row['bit_per_second']:.0f}", f"{row['nmse_db']:.1f}", _mebibytes(row)]


def _by_duration(rows: list[dict[str, Any]]) -> list[list[str]]:
    heads = ["preset", "sound s", "encode s", "decode s", "encode, of real time", "decode, of real time", "MiB"]
    return [heads] + [
        [
            row["preset"],
            f"{row['seconds']:g}",
            f"{row['encode_seconds']:.2f}",
            f"{row['decode_seconds']:.2f}",
            f"{row['encode_real_time']:.4f}",
            f"{row['decode_real_time']:.4f}",
            _mebibytes(row),
        ]
        for row in rows
    ]


def _by_engine(rows: list[dict[str, Any]]) -> list[list[str]]:
    heads = ["engine", "bit/s", "steps", "of them run", "encode s", "denoiser", "choices", "of real time"]
    heads += ["decode s", "denoiser", "choices", "of real time", "times slower", "NMSE dB", "MiB"]
    return [heads] + [
        [
            row["engine"],
            f"{row['bit_per_second']:.0f}",
            str(row["steps"]),
            str(row["measured_steps"]),
            *(cell for way in ("encode", "decode") for cell in _way_of_engine(row, way)),
            "" if row["faster"] is None else f"{row['faster']:.1f}",
            "" if row["nmse_db"] is None else f"{row['nmse_db']:.1f}",
            _mebibytes(row),
        ]
        for row in rows
    ]


def _way_of_engine(row: dict[str, Any], way: str) -> list[str]:
    seconds = (row[f"{way}_seconds"], row[way]["denoiser"], row[way]["choices"], row[f"{way}_real_time"])
    return [f"{value:.2f}" for value in seconds]


def _by_check(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [["", "measured", "limit", ""]] + [
        [
            row["name"],
            f"{row['value']:.3g}",
            f"{'at most' if row['at_most'] else 'at least'} {row['limit']:g}",
            "ok" if row["ok"] else "missed",
        ]
        for row in rows
    ]


def _mebibytes(row: dict[str, Any]) -> str:
    sizes = [row["resident"], row["reserved"]]
    return " + ".join(f"{size / 2**20:.0f}" for size in sizes if size is not None) or "-"
