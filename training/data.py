"""Make the sound to train on and the sound to judge on from Debian packages.

python -m training.data build train --hours 12    packages -> FLAC pieces + manifest.jsonl
python -m training.data build judge --held-out    the other packages -> 10 s clips
python -m training.data pack train packed         clips -> audio.i16 + index.json (mono, 48 kHz)
python -m training.data opus train small          clips -> Opus files of so many MiB, for a narrow way
python -m training.data licences                  which package is under which licence
"""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click

from noisebook.errors import ConfigError, Error
from training.building import build_package, fetch
from training.clips import FULL_RATE, KINDS, pack_folder, sound_files, write_opus
from training.packages import HELD_OUT, TRAIN, Package, choose, is_held_out_name

STATE = ".state"  # OUT/.state/PACKAGE.json: one record per finished package


# ---------------------------------------------------------------- what is done already


def _records(out: Path) -> dict[str, dict[str, Any]]:
    paths = sorted((out / STATE).glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _save(out: Path, name: str, record: dict[str, Any]) -> None:
    """Keep a package's record; it appears only when complete, so that a stopped build starts it again."""
    path = out / STATE / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record), encoding="utf-8")
    os.replace(part, path)


def write_manifest(out: Path) -> int:
    """manifest.jsonl from every finished package, in order of names; the number of its rows."""
    rows = [row for record in _records(out).values() for row in record["rows"]]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (out / "manifest.jsonl").write_text(text, encoding="utf-8")
    return len(rows)


def refuse_mixture(out: Path, *, held_out: bool) -> None:
    """ConfigError when `out` already holds packages of the other table."""
    for name, record in _records(out).items():
        if record["held_out"] != held_out:
            table = "held-out" if record["held_out"] else "training"
            raise ConfigError(f"{out} holds {name} of the {table} table; the two never mix; give another folder")


def _refuse_mixed_clips(folder: Path) -> None:
    names = [path.name for path in sound_files(folder)]
    held_out = [name for name in names if is_held_out_name(name)]
    if held_out and len(held_out) < len(names):
        raise ConfigError(
            f"{folder}: {held_out[0]} is from a held-out package and others are not; "
            "the two never mix; move the held-out clips to a folder of their own"
        )


# ---------------------------------------------------------------- build


def _build_one(package: Package, out: Path, cache: Path, *, kind: str, hours: float | None, held_out: bool) -> str:
    """Build one package unless its record says that it is done; a line that says what came of it."""
    old = _records(out).get(package.name)
    kinds = package.kinds if kind == "all" else (kind,)
    if old is not None and set(kinds) <= set(old["kinds"]) and old["hours"] == hours:
        return f"{package.name}: done before"
    for row in old["rows"] if old else []:
        (out / row["file"]).unlink(missing_ok=True)
    kinds = tuple(dict.fromkeys((*(old["kinds"] if old else ()), *kinds)))
    record = build_package(fetch(package, cache), package, out, kinds=kinds, hours=hours, held_out=held_out)
    _save(out, package.name, record)
    return _summary(package, record)


def _summary(package: Package, record: dict[str, Any]) -> str:
    words = []
    for kind in record["kinds"]:
        seconds = [row["seconds"] for row in record["rows"] if row["kind"] == kind]
        words.append(f"{kind} {sum(seconds) / 60:.1f} min in {len(seconds)}" if seconds else f"{kind} NOTHING FOUND")
    if record["unreadable"]:
        words.append(f"{len(record['unreadable'])} files did not decode, first {record['unreadable'][0]}")
    return f"{package.name}: {', '.join(words)}"


@click.group(help=__doc__.split("\n", 1)[0] if __doc__ else None)
def cli() -> None:
    """What can be done."""


@cli.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--kind", type=click.Choice([*KINDS, "all"]), default="all", show_default=True)
@click.option("--packages", metavar="A,B", help="Only these packages of the table.")
@click.option("--hours", type=click.FloatRange(min=0, min_open=True), help="About this much sound in all.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Packages at a time.")
@click.option("--cache", type=click.Path(path_type=Path), help="Where .deb files are kept [OUT/.debs].")
@click.option("--dry-run", is_flag=True, help="Print the plan and the download sizes, and stop.")
@click.option("--held-out", is_flag=True, help="Make 10 s clips from the packages to judge on.")
def build(
    out: Path,
    kind: str,
    packages: str | None,
    hours: float | None,
    jobs: int,
    cache: Path | None,
    dry_run: bool,
    held_out: bool,
) -> None:
    """Make a folder of FLAC pieces (48 kHz, stereo where the source is) and its manifest.jsonl; resumable."""
    chosen = choose(packages, kind, held_out=held_out)
    if dry_run:
        for package in chosen:
            click.echo(f"{package.name:34} {package.megabytes:7.1f} MB  {', '.join(package.kinds)}")
        click.echo(f"{len(chosen)} packages, {sum(p.megabytes for p in chosen):.1f} MB to download, kind {kind}")
        return
    refuse_mixture(out, held_out=held_out)
    # Every kind of every package gets the same share, so that one large package cannot fill the set.
    shares = sum(len(package.kinds) if kind == "all" else 1 for package in chosen)
    quota = None if hours is None else hours / max(shares, 1)
    one = partial(_build_one, out=out, cache=cache or out / ".debs", kind=kind, hours=quota, held_out=held_out)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        for line in pool.map(one, chosen):
            click.echo(line)
            write_manifest(out)


# ---------------------------------------------------------------- pack and licences


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--kind", type=click.Choice(KINDS), help="Kind of files whose name and folder do not tell it.")
@click.option("--rate", type=click.IntRange(8000, 192_000), default=FULL_RATE, show_default=True,
              help="Hz; models of mel bands want 16000.")  # fmt: skip
def pack(folder: Path, out: Path, kind: str | None, rate: int) -> None:
    """Decode every sound of FOLDER into OUT/audio.i16 (mono int16) with OUT/index.json."""
    _refuse_mixed_clips(folder)
    index = pack_folder(folder, out, sample_rate=rate, default_kind=kind)
    hours = sum(clip["length"] for clip in index["clips"]) / rate / 3600
    click.echo(f"{len(index['clips'])} clips, {hours:.2f} h, fingerprint {index['fingerprint'][:16]}")


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--mib", type=click.FloatRange(min=0, min_open=True), default=58.0, show_default=True, help="Of all files."
)
@click.option("--bitrate", type=click.IntRange(16, 256), default=64, show_default=True, help="kbit/s of a file.")
def opus(folder: Path, out: Path, mib: float, bitrate: int) -> None:
    """Write clips of FOLDER, evenly spread over kinds and names, as Opus into OUT until it holds so many MiB."""
    _refuse_mixed_clips(folder)
    hours, count = write_opus(folder, out, size=int(mib * 2**20), bitrate=1000 * bitrate)
    click.echo(f"{count} clips, {hours:.2f} h")


@cli.command()
def licences() -> None:
    """Print package, table, licence, and whether its copyright file was read for this table."""
    for table, packages in (("train", TRAIN), ("held out", HELD_OUT)):
        for package in packages:
            read = "read" if package.licence_read else "not read"
            click.echo(f"{package.name:34} {table:9} {read:9} {package.licence}")


def main() -> None:
    """Run the command line; a deliberate error is one line on stderr and exit status 1."""
    try:
        cli(prog_name="python -m training.data")
    except Error as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
