"""`bench`, `doctor`, `completion` and `studio`: noisebook on this machine."""

from __future__ import annotations

import fnmatch
import os
import signal
import webbrowser
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from noisebook.api import EMBEDDED, ModelOptions, Waveform
from noisebook.batch.planning import RunOptions
from noisebook.batch.runs import throughput
from noisebook.batch.verbs import Settings
from noisebook.benchmark.doctor import Check, diagnose, diagnose_model
from noisebook.cli import _files
from noisebook.cli._options import FILE, WORDS, json_option, loading_options, options_of, stream_loading_options
from noisebook.cli._shared import number, report, table, wrong_usage
from noisebook.errors import ConfigError
from noisebook.studio.files import Limits

_PIECE = 2.0  # seconds of a file of the corpus, at most
_BUNDLED = Path(__file__).parents[1] / "assets" / "demo.flac"

_COLOURS = {"ok": "green", "missing": "yellow", "failed": "red"}
# What a shell runs when it starts, and what it has to run before the script; fish finds the script by itself.
_STARTS = {
    "bash": ("~/.bashrc", ""),
    "zsh": ("~/.zshrc", "(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }; "),
    "fish": None,
}


@click.command()
@click.option("--model", metavar="MODEL", help="Check this model: a name, an id of the hub, or a folder.")
@click.option("--device", metavar="DEVICE", default="auto", show_default=True, help="Whose memory to compare with.")
@json_option
def doctor(model: str | None, device: str, **_: Any) -> int:
    """Check that noisebook works here; exit status 1 if it does not.

    With --model: what of it is here, what is missing and how to get it, and in what precision it fits into memory.

    \b
    noisebook doctor
    noisebook doctor --model audioldm2-music --device cuda
    noisebook doctor --json
    """
    checks = diagnose() if model is None else diagnose_model(model, device)
    report({"checks": [vars(check) for check in checks]}, "\n".join(map(_line, checks)))
    return int(any(check.state == "failed" for check in checks))


def _line(check: Check) -> str:
    state = click.style(f"{check.state:8}", fg=_COLOURS[check.state])  # click takes the colour out for files and pipes
    return f"{state}{check.name:18}{check.detail}"


@click.command()
@click.argument("shell", type=click.Choice([*_STARTS]), required=False)
@click.option("--install", is_flag=True, help="Set it up for every new shell, and not just show it.")
def completion(shell: str | None, install: bool) -> None:
    """Show the script that lets bash, zsh or fish complete commands, options and files; by default for your own shell.

    \b
    noisebook completion --install
    noisebook completion zsh > _noisebook
    """
    from click.shell_completion import get_completion_class

    shell = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell)
    if shell not in _STARTS or kind is None:
        raise ConfigError(f"the shell {shell!r} is not known: noisebook completion {'|'.join(_STARTS)}")
    script = kind(click.get_current_context().find_root().command, {}, "noisebook", "_NOISEBOOK_COMPLETE").source()
    if install:
        click.echo(f"noisebook: {_install(shell, script)}; new shells complete noisebook's words")
    else:
        click.echo(script)


def _install(shell: str, script: str) -> str:
    """Write the script, and have the shell run it at its start; gives a sentence that says where it is."""
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    place = folder / "fish/completions/noisebook.fish" if shell == "fish" else folder / f"noisebook/completion.{shell}"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(script, encoding="utf-8")
        start = _STARTS[shell]
        if start is None:
            return f"{place} is written"
        path, line = Path(start[0]).expanduser(), f'{start[1]}. "{place}"'
        text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
        if line not in text.splitlines():
            with path.open("a", encoding="utf-8") as file:
                file.write(("" if not text or text.endswith("\n") else "\n") + line + "\n")
        return f"{place} is written, and {path} runs it"
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename}: {error.strerror}") from error


@click.command()
@click.option("--host", metavar="HOST", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 takes any free one.")
@options_of(Limits)
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True, help="Jobs at once; others wait.")
@click.option("--no-open", is_flag=True, help="Open no browser.")
@stream_loading_options
def studio(host: str, port: int, jobs: int, no_open: bool, **options: Any) -> None:
    """Open a page on which all of noisebook can be tried: drop a sound, choose a method, hear the difference.

    The page is for this machine alone unless --host says otherwise; it has no password. It loads nothing from anywhere
    and keeps nothing: all files are in one temporary folder, which goes when the command ends (Ctrl-C).

    \b
    noisebook studio
    noisebook studio --port 8000 --no-open
    noisebook studio --model audioldm2 --device cuda --limit-seconds 20
    """
    from noisebook.studio.runner import JobRunner
    from noisebook.studio.server import application, listen, serve, url_of

    with listen(host, port) as listener, TemporaryDirectory(prefix="noisebook-studio-") as folder:
        results, uploads = Path(folder, "results"), Path(folder, "uploads")
        results.mkdir()
        uploads.mkdir()
        backend_of = cache(lambda model: ModelOptions.among(options).load(model))
        runner = JobRunner(
            backend_of(options["model"] or EMBEDDED), results, limits=Limits.among(options), jobs=jobs,
            backend_for=lambda data: backend_of(ModelOptions.among(options).model_of(data)),
        )  # fmt: skip
        app = application(runner, uploads, host=host)
        click.echo(f"noisebook studio: {url_of(listener)} (Ctrl-C ends it)")
        if not no_open:
            webbrowser.open(url_of(listener))
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does, with the folder removed
        with suppress(KeyboardInterrupt):
            serve(app, listener, runner.end)
        click.echo("noisebook studio: ended")


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
    size = min(sound.sample_count // files, round(_PIECE * sound.sample_rate))
    if not size:
        raise wrong_usage(f"the sound is too short for {files} pieces")
    pieces = [Waveform(sound.samples[:, i * size : (i + 1) * size].copy(), sound.sample_rate) for i in range(files)]
    settings = Settings("compress", {"preset": "300"}, ModelOptions.among(options).replaced(threads=1))
    ways = [RunOptions(), RunOptions(batch_size=4), RunOptions(workers=2)]
    ways += [RunOptions("ray", workers=2)] if find_spec("ray") else []
    rows = []
    for way in ways:
        what = f"{way.executor}, {way.workers} workers, {way.batch_size} files together"
        click.echo(f"timing a corpus: {what}", err=True)
        rows.append(throughput(pieces, settings, way))
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
