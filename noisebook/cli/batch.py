"""`batch`: compress, decompress, reconstruct and verify, over a tree of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.codec import DecodeOptions
from noisebook.api.models import ModelOptions
from noisebook.cli._options import (
    FILE,
    bits_option,
    codebook_option,
    json_option,
    loading_options,
    metrics_option,
    options_of,
    quiet_option,
    stream_loading_options,
    together,
)
from noisebook.cli._shared import aligned, progress, report
from noisebook.cli.codec import codec_options, coding
from noisebook.synthesis.options import ReconstructOptions

if TYPE_CHECKING:
    from noisebook.batch.planning import Plan
    from noisebook.batch.runs import Summary
    from noisebook.batch.timing import Estimate

__all__ = ["batch"]

_LISTED = 20  # failures on the terminal; all are in the manifest
_SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".caf", ".w64")


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


def _options(loading: Callable[..., Any]) -> Callable[..., Any]:
    """What all four take, before the options of their model."""
    return together(
        click.argument("source", metavar="SRC", type=FILE),
        click.argument("target", metavar="DST", type=FILE),
        click.option(
            "--executor", "--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True,
            help="local: this machine. ray: actors of the cluster that RAY_ADDRESS names, or of one on this machine.",
        ),
        click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Models at work at once."),
        click.option(
            "--batch", "batch_size", type=click.IntRange(1), default=1, show_default=True,
            help="Files that go through the network in one call, where their lengths allow; for GPUs.",
        ),
        click.option("--resume", is_flag=True, help="Skip what is done already with these settings and sources."),
        click.option("--dry-run", is_flag=True, help="Say what would be done, and about how long it would take."),
        click.option("-f", "--force", is_flag=True, help="Overwrite what is in DST."),
        quiet_option,
        json_option,
        loading,
    )  # fmt: skip


_format = click.option(
    "--format", "suffix", type=click.Choice([suffix[1:] for suffix in _SUFFIXES]), default="wav", show_default=True,
    help="Format of the sounds.",
)  # fmt: skip


@batch.command()
@codec_options
@_options(loading_options)
def compress(**options: Any) -> int:
    """Compress every sound below SRC to a .ddcm stream below DST.

    \b
    noisebook batch compress recordings streams --preset 1500
    noisebook batch compress recordings streams --preset 1500 --resume --workers 4
    noisebook batch compress recordings s3://bucket/streams --dry-run
    """
    codec = _given(options, "codec", "codebook")
    return _do("compress", {**coding(options).to_dict(), **codec}, options)


@batch.command()
@options_of(DecodeOptions, without=("start", "end", "damaged"))
@codebook_option
@_format
@bits_option
@_options(stream_loading_options)
def decompress(**options: Any) -> int:
    """Turn every .ddcm stream below SRC back into a sound below DST.

    \b
    noisebook batch decompress streams sounds --format flac
    """
    return _do("decompress", {**DecodeOptions.among(options).to_dict(), **_given(options, "codebook", "bits")}, options)


@batch.command()
@options_of(ReconstructOptions)
@_format
@bits_option
@_options(loading_options)
def reconstruct(**options: Any) -> int:
    """Pass every sound below SRC through the autoencoder and a vocoder, without bits.

    \b
    noisebook batch reconstruct recordings ceilings --preset matched
    """
    chosen = ReconstructOptions.among(options).to_dict()
    return _do("reconstruct", {**chosen, **_given(options, "bits")}, options)


@batch.command()
@metrics_option
@click.option(
    "--lag", type=int, metavar="SAMPLES", help="By how many samples at 16 kHz results are late; found if absent."
)
@click.option("--no-controls", is_flag=True, help="Without controls and ceilings; the verdict keeps its own.")
@codebook_option
@_options(stream_loading_options)
def verify(**options: Any) -> int:
    """Compare every sound below SRC with the sound or stream of its name below DST.

    DST/verification.jsonl gets metrics and verdict of each file, as verify has them.

    \b
    noisebook batch verify recordings streams --metrics mel_db_mae,si_sdr_db
    """
    given = _given(options, "lag", "codebook")
    if options["metrics"] is not None:
        given["metrics"] = list(options["metrics"])
    controls = not options["no_controls"]
    return _do("verify", {**given, "controls": controls, "ceilings": controls}, options)


def _given(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names if options[name] is not None}


def _do(verb: str, verb_options: Mapping[str, Any], options: Mapping[str, Any]) -> int:
    from noisebook.batch.planning import Batch
    from noisebook.batch.runs import dry_run, run
    from noisebook.batch.verbs import Settings

    model = ModelOptions.among(options)
    suffix = f".{options.get('suffix', 'wav')}"
    wanted = Batch(
        options["source"], options["target"], Settings(verb, verb_options, model, suffix),
        **{name: options[name] for name in ("executor", "workers", "batch_size", "resume", "force")},
    )  # fmt: skip
    if options["dry_run"]:
        from noisebook.batch.timing import estimate

        plan = dry_run(wanted)
        expected = estimate(wanted, plan)
        report(_plan_values(plan, expected), _plan_text(plan, expected))
        return 0
    with progress(f"{verb}: files") as work:
        summary = run(wanted, on_file=work.on_step)
    report(summary.to_dict(), _text(summary))
    if options["quiet"] and summary.failed:
        click.echo(
            f"noisebook: {_count(len(summary.failed), 'file')} failed: {wanted.settings.manifest} says why", err=True
        )
    return 1 if summary.failed else 0


def _text(summary: Summary) -> str:
    lines = _failures(summary.failed)
    counts = [f"{summary.done} done", f"{summary.skipped} done before", f"{len(summary.failed)} failed"]
    if summary.left_out:
        counts.append(f"{summary.left_out} of other kinds left out")
    size = f", {summary.bytes} bytes" if summary.bytes else ""
    return "\n".join([
        *lines, f"files: {', '.join(counts)}; {summary.audio_seconds:.1f} s of sound{size}, {summary.seconds:.1f} s"
    ])  # fmt: skip


def _failures(failed: list[tuple[str, str]]) -> list[str]:
    lines = aligned([(_shown(source), _shown(error)) for source, error in failed[:_LISTED]])
    more = len(failed) - _LISTED
    return [*lines, f"and {_count(more, 'more failure')}"] if more > 0 else lines


def _plan_values(plan: Plan, expected: Estimate) -> dict[str, Any]:
    refused = [{"source": task.source, "error": error} for task, error in plan.refused]
    files = [{"source": task.source, "target": task.target, "other": task.other} for task in plan.todo]
    counts = {"skipped": plan.skipped, "left_out": plan.left_out}
    return {**vars(expected), **counts, "refused": refused, "todo": files}


def _plan_text(plan: Plan, expected: Estimate) -> str:
    lines = [f"{_shown(task.source)} -> {_shown(task.target or task.other or '')}" for task in plan.todo[:_LISTED]]
    if len(plan.todo) > _LISTED:
        lines.append(f"and {_count(len(plan.todo) - _LISTED, 'more file')}")
    lines += _failures([(task.source, error) for task, error in plan.refused])
    counts = f"{expected.files} to do, {plan.skipped} done before, {len(plan.refused)} refused"
    lines.append(f"files: {counts}; {expected.source_bytes} bytes, {expected.audio_seconds:.1f} s of sound")
    if expected.unknown:
        lines.append(f"{_count(expected.unknown, 'file')} of unknown length: not in these numbers")
    if expected.trial is not None and expected.seconds is not None:
        name, seconds = expected.trial
        lines.append(
            f"about {expected.seconds:.1f} s of work and {expected.bytes} bytes, "
            f"after a trial with {seconds:.1f} s of {_shown(name)}"
        )
    return "\n".join(lines)


def _shown(name: str) -> str:
    """A name in one line of the terminal, which must not obey it: what cannot be printed is escaped."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
