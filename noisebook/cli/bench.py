"""`bench`: how fast a model codes on this machine."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, WORDS, json_option, loading_options
from noisebook.cli._shared import number, report, table, wrong_usage

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform

__all__ = ["bench"]

_PIECE = 2.0  # seconds of a file of the corpus, at most
_BUNDLED = Path(__file__).parents[1] / "assets" / "demo.flac"


@click.command()
@click.argument("source", metavar="[IN]", required=False, type=FILE)
@click.option("--presets", type=WORDS, metavar="NAMES", help="Time only these presets, separated by commas.")
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
def bench(source: str | None, quick: bool, full: bool, corpus: int | None, strict: bool, **options: Any) -> int:
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

    extent = Options.quick() if quick else Options.full() if full else Options()
    given = {name: options[name] for name in ("presets", "seconds", "runs") if options[name] is not None}
    chosen = replace(extent, **given)
    sound = _files.read_sound(source or str(_BUNDLED))
    backend = ModelOptions.among(options).load()
    results = benchmark(
        sound, backend=backend, options=chosen, tell=lambda what: click.echo(f"timing {what}", err=True)
    )
    results["machine"]["dtype"] = str(getattr(backend, "dtype", options["dtype"])).removeprefix("torch.")
    results["corpus"] = [] if corpus is None else _corpus(sound, corpus, options)
    report(results, _text(results))
    return int(strict and not all(check["ok"] for check in results["checks"]))


def _corpus(sound: Waveform, files: int, options: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Seconds of sound a second that `batch compress` codes of pieces of a sound, at preset 300."""
    from importlib.util import find_spec

    from noisebook.audio.waveform import Waveform
    from noisebook.batch.runs import throughput
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
        rows.append(throughput(pieces, settings, executor=executor, workers=workers, batch_size=batch_size))
    return rows


# Title, key of the results, and columns: keys of a row (encode.x is x in its `encode`), and what `_cells` adds.
_TABLES = (
    ("Encoding", "presets",
     "preset encode_seconds encode.* encode_real_time calls share bit_per_second nmse_db memory"),
    ("Decoding", "presets", "preset decode_seconds decode.* decode_real_time"),
    ("By duration", "durations",
     "preset seconds encode_seconds decode_seconds encode_real_time decode_real_time memory"),
    ("Published codecs, same model", "rivals",
     "codec bit_per_second steps measured_steps encode_seconds encode.denoiser encode.choices encode_real_time "
     "decode_seconds decode.denoiser decode.choices decode_real_time faster nmse_db memory"),
    ("A corpus", "corpus", "executor workers batch_size files audio_seconds start_seconds seconds rate"),
    ("Checks (limits of an idle machine)", "checks", "name value limit kept"),
)  # fmt: skip


def _text(results: dict[str, Any]) -> str:
    model, machine = results["model"], results["machine"]
    lines = [
        f"{model['name']} {model['fingerprint'][:4]} ({machine['dtype']}) on {machine['device']}, {machine['threads']} "
        f"of {machine['cores']} threads; {machine['processor']}; torch {machine['torch']}; median of {results['runs']}"
    ]
    for title, key, columns in _TABLES:
        rows = [_cells(row) for row in results[key]]
        if rows:
            names = [name for pattern in columns.split() for name in fnmatch.filter(rows[0], pattern)]
            heads = [name.replace("_", " ").replace(".", " ") for name in names]
            lines += ["", title, table([heads, *([row[name] for name in names] for row in rows)], right_from=1)]
    return "\n".join(lines)


def _cells(row: dict[str, Any]) -> dict[str, str]:
    """What a row can show, by the name of the column; empty for None."""
    values: dict[str, Any] = {}
    for name, value in row.items():
        inner = value.items() if isinstance(value, dict) else ()
        values |= {f"{name}.{key}": one for key, one in inner} or {name: value}
    if "resident" in row:
        sizes = [size for size in (row["resident"], row["reserved"]) if size is not None]
        values["memory"] = " + ".join(f"{size / 2**20:.0f} MiB" for size in sizes) or "-"
    if "allowance" in row:
        values["share"] = row["encode_seconds"] / row["allowance"]
    if "at_most" in row:
        values["limit"] = f"{'at most' if row['at_most'] else 'at least'} {row['limit']:g}"
        values["kept"] = "ok" if row["ok"] else "missed"
    texts = {name: number(value, 3) if isinstance(value, float) else str(value) for name, value in values.items()}
    return {name: "" if values[name] is None else text for name, text in texts.items()}
