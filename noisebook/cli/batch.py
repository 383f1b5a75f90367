"""`batch`: compress, decompress, reconstruct and verify, over a tree of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from noisebook.api import DecodeOptions, ModelOptions, ReconstructOptions
from noisebook.audio.formats import WRITABLE
from noisebook.batch.planning import Batch, RunOptions
from noisebook.batch.runs import dry_run, estimate, run
from noisebook.batch.verbs import Settings
from noisebook.cli import _options
from noisebook.cli._options import FILE, options_of
from noisebook.cli._shared import progress, report
from noisebook.cli.codec import codec_options, coding

_LISTED = 20  # failures on the terminal; all are in the manifest


@click.group()
def batch() -> None:
    """Do a whole tree of files.

    SRC and DST are folders, or URLs of folders that fsspec knows (s3://bucket/folder). A result lies where its source
    lies, with another suffix: a/b.wav becomes a/b.ddcm. Where two sources would get one name both keep their suffix:
    a/b.wav.ddcm and a/b.mp3.ddcm. DST/manifest.jsonl says what became of each file; a file that fails does not end
    the run. --resume continues an interrupted run.

    \b
    noisebook batch compress recordings streams --preset 1500 --workers 2
    noisebook batch decompress streams sounds --format flac

    Exit status: 0 if all files are done, 1 if one is not, 130 when interrupted.
    """


def _run_options(loading: _options.Decorator) -> _options.Decorator:
    """What all four take, before the options of their model."""
    return _options.together(
        click.argument("source", metavar="SRC", type=FILE),
        click.argument("target", metavar="DST", type=FILE),
        options_of(RunOptions),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and about how long it would take."),
        _options.quiet_option,
        _options.json_option,
        loading,
    )


_formats = [suffix[1:] for suffix in WRITABLE if suffix != ".aif"]  # another spelling of .aiff
_sound_format = _options.together(
    click.option(
        "--format",
        "suffix",
        type=click.Choice(_formats),
        default="wav",
        show_default=True,
        help="Format of the sounds.",
    ),
    _options.bits_option,
)


@batch.command()
@codec_options
@_run_options(_options.loading_options)
def compress(**options: Any) -> int:
    """Compress every sound below SRC to a .ddcm stream below DST.

    \b
    noisebook batch compress recordings streams --preset 1500
    noisebook batch compress recordings streams --preset 1500 --resume --workers 4
    noisebook batch compress recordings s3://bucket/streams --dry-run
    """
    return _do("compress", {**coding(options).to_dict(), **_given(options, "codebook")}, options)


@batch.command()
@options_of(DecodeOptions, without=("start", "end", "damaged"))
@_options.codebook_option
@_sound_format
@_run_options(_options.stream_loading_options)
def decompress(**options: Any) -> int:
    """Turn every .ddcm stream below SRC back into a sound below DST.

    \b
    noisebook batch decompress streams sounds --format flac
    """
    return _do("decompress", {**DecodeOptions.among(options).to_dict(), **_given(options, "codebook", "bits")}, options)


@batch.command()
@options_of(ReconstructOptions)
@_sound_format
@_run_options(_options.loading_options)
def reconstruct(**options: Any) -> int:
    """Pass every sound below SRC through the autoencoder and a vocoder, without bits.

    \b
    noisebook batch reconstruct recordings ceilings --preset matched
    """
    chosen = ReconstructOptions.among(options).to_dict()
    return _do("reconstruct", {**chosen, **_given(options, "bits")}, options)


@batch.command()
@_options.metrics_option
@click.option(
    "--lag", type=int, metavar="SAMPLES", help="By how many samples at 16 kHz results are late; found if absent."
)
@click.option("--no-controls", is_flag=True, help="Without controls and ceilings; the verdict keeps its own.")
@_options.codebook_option
@_run_options(_options.stream_loading_options)
def verify(**options: Any) -> int:
    """Compare every sound below SRC with the sound or stream of its name below DST.

    DST/verification.jsonl gets metrics and verdict of each file, as verify has them.

    \b
    noisebook batch verify recordings streams --metrics mel_db_mae,si_sdr_db
    """
    controls = not options["no_controls"]
    given = _given(options, "lag", "codebook", "metrics")
    return _do("verify", {**given, "controls": controls, "ceilings": controls}, options)


def _given(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those options that were given, as JSON has them."""
    values = {name: options[name] for name in names if options[name] is not None}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _do(verb: str, verb_options: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    settings = Settings(verb, verb_options, ModelOptions.among(options), f".{options.get('suffix', 'wav')}")
    batch = Batch(options["source"], options["target"], settings, RunOptions.among(options))
    if options["dry_run"]:
        _report_plan(batch)
        return 0
    with progress(f"{verb}: files") as work:
        summary = run(batch, on_file=work.on_step)
    counts = [f"{summary.done} done", f"{summary.skipped} done before", f"{len(summary.failed)} failed"]
    if summary.left_out:
        counts.append(f"{summary.left_out} of other kinds left out")
    size = f", {summary.bytes} bytes" if summary.bytes else ""
    amount = f"{summary.audio_seconds:.1f} s of sound{size}, {summary.seconds:.1f} s"
    lines = [*_failures(summary.failed), f"files: {', '.join(counts)}; {amount}"]
    report({**vars(summary), "failed": _reasons(summary.failed)}, "\n".join(lines))
    if options["quiet"] and summary.failed:
        count = _count(len(summary.failed), "file")
        click.echo(f"noisebook: {count} failed: {settings.manifest} says why", err=True)
    return 1 if summary.failed else 0


def _report_plan(batch: Batch) -> None:
    plan = dry_run(batch)
    expected, refused = estimate(batch, plan), [(task.source, error) for task, error in plan.refused]
    values = {
        **vars(expected), "skipped": plan.skipped, "left_out": plan.left_out, "refused": _reasons(refused),
        "todo": list(map(vars, plan.todo)),
    }  # fmt: skip
    lines = _first([f"{task.source} -> {task.target or task.other or ''}" for task in plan.todo], "more file")
    counts = f"{expected.files} to do, {plan.skipped} done before, {len(refused)} refused"
    lines += _failures(refused)
    lines.append(f"files: {counts}; {expected.source_bytes} bytes, {expected.audio_seconds:.1f} s of sound")
    if expected.unknown:
        lines.append(f"{_count(expected.unknown, 'file')} of unknown length: not in these numbers")
    if expected.trial is not None and expected.seconds is not None:
        name, seconds = expected.trial
        cost = f"about {expected.seconds:.1f} s of work and {expected.bytes} bytes"
        lines.append(f"{cost}, after a trial with {seconds:.1f} s of {_printable(name)}")
    report(values, "\n".join(lines))


def _reasons(failed: Sequence[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"source": source, "error": error} for source, error in failed]


def _failures(failed: Sequence[tuple[str, str]]) -> list[str]:
    width = max((len(_printable(source)) for source, _ in failed), default=0)
    return _first([f"{_printable(source):{width}}  {error}" for source, error in failed], "more failure")


def _first(lines: list[str], more: str) -> list[str]:
    """As many lines as a terminal shows, and how many there are besides."""
    left = len(lines) - _LISTED
    return [*map(_printable, lines[:_LISTED]), *([f"and {_count(left, more)}"] if left > 0 else [])]


def _printable(text: str) -> str:
    """In one line of the terminal, which must not obey it: what cannot be printed is escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
