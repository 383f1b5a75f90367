"""`verify`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli import _files
from noisebook.cli._options import FILE, codebook_option, json_option, metrics_option, stream_loading_options
from noisebook.cli._shared import aligned, progress, report, wrong_usage

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.verification.image import ImageComparison
    from noisebook.verification.sets import SetComparison
    from noisebook.verification.sounds import Comparison, Verification
    from noisebook.verification.verdict import Verdict

__all__ = ["verify"]

_NOT_RELATED = 3  # exit status
_WIDTH = 160  # columns of a table that no terminal limits
_CHANNELS = {1: "mono", 2: "stereo"}
_ARROWS = {"higher": "up", "lower": "down", "zero": "0"}


@click.command()
@click.argument("reference", metavar="REF", type=FILE)
@click.argument("estimate", metavar="EST", type=FILE)
@click.option(
    "--lag", metavar="SAMPLES|auto", default="auto", show_default=True,
    help="By how many samples at 16 kHz EST is late; auto searches, but takes 0 for a stream.",
)  # fmt: skip
@metrics_option
@click.option("--no-model", is_flag=True, help="Without ceilings and random indices, which need the model.")
@click.option("--no-controls", is_flag=True, help="Without controls and ceilings; the verdict keeps its own.")
@codebook_option
@click.option(
    "--html", metavar="FILE", type=FILE, help="Write a page too: the verdict, both sounds in step, and every metric."
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the page if it exists.")
@click.option("--require-related", is_flag=True, help="Exit with status 3 if the verdict is: not related.")
@json_option
@stream_loading_options
def verify(reference: str, estimate: str, require_related: bool, **options: Any) -> int:
    """Say whether EST is related to REF, and how near it is.

    Both are any sound files; EST may be a .ddcm stream, which is decoded. They are compared in mono and aligned in
    time; metrics hear 48 kHz where one sound has more than 16, the verdict hears 16 kHz. In stereo, left and right are
    compared too, with a warning where they differ. Every number stands beside what other sounds get: another clip, a
    shuffle of REF, pink noise, silence, random indices, and the best that the model could do. The verdict is "related"
    only where EST is nearer to REF than all but 5 % of unrelated controls.

    With two folders it says how far the sounds of one are from those of the other as a whole: Frechet and kernel
    distances of short pieces, beside those of the two halves of REF and of other sounds.

    \b
    noisebook verify song.flac song.ddcm
    noisebook verify song.flac back.wav --lag 0 --metrics mel_db_mae,si_sdr_db
    noisebook verify song.flac back.mp3 --no-model --json
    noisebook verify song.flac song.ddcm --html song.html
    noisebook verify recordings/ generated/
    """
    from noisebook import api

    if Path(reference).is_dir() or Path(estimate).is_dir():
        if require_related or options["html"]:
            raise wrong_usage("--require-related and --html are for sounds, not for folders")
        sounds = ((_files.read_sound(path) for path in _files.sounds_in([place])) for place in (reference, estimate))
        sets = api.verify_sets(*sounds)
        report(sets.to_dict(), _sets_text(sets))
        return 0
    lag, page = _lag(options["lag"]), options["html"]
    for source in (reference, estimate) if page is not None else ():
        _files.check_target(page, source, force=options["force"])
    is_stream = Path(estimate).suffix.lower() == _files.STREAM_SUFFIX
    sound = _files.read_sound(reference)
    other = _files.read_bytes(estimate) if is_stream else _files.read_sound(estimate)
    with _files.naming(estimate), progress("verifying") as work:
        wanted = ModelOptions.among(options)
        model = wanted.model_of(other) if isinstance(other, bytes) else None
        backend = None if options["no_model"] and not is_stream else wanted.load(model)
        found = api.verify(
            sound,
            other,
            backend=backend,
            codebook=options["codebook"],
            lag=lag,
            metrics=options["metrics"],
            controls=not options["no_controls"],
            ceilings=not options["no_model"],
            on_step=work.on_step,
        )
        if page is not None:
            if isinstance(other, bytes):
                other = api.decompress(other, backend=backend, codebook=options["codebook"])
            _write_page(page, found, sound, other, (reference, estimate), force=options["force"])
    report(found.to_dict(), _text(found))
    return _NOT_RELATED if require_related and not found.verdict.related else 0


def _write_page(
    page: str, found: Verification, sound: Waveform, other: Waveform, names: tuple[str, str], *, force: bool
) -> None:
    from noisebook.report.page import write_verification

    shown = (Path(names[0]).name, Path(names[1]).name)
    write_verification(found.to_dict(), sound, other, Path(page), names=shown, overwrite=force)


def _lag(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return int(text)
    except ValueError:
        raise wrong_usage(f"--lag {text}: give a whole number of samples at 16 kHz, or auto") from None


def _text(found: Verification) -> str:
    image = [] if found.image is None else [_sides(found.image)]
    table = [_table(found)] if found.metrics else []
    return "\n".join([*_compared(found.alignment), *table, *image, *found.notes, _told(found.verdict)])


def _sides(image: ImageComparison) -> str:
    """Left and right beside each other."""
    return (
        f"left and right: image_level_db {image.image_level_db:.2f} (both alike {image.alike_level_db:.2f}, exchanged "
        f"{image.exchanged_level_db:.2f}), image_coherence {image.image_coherence:.2f} (mean coherence of REF "
        f"{image.coherences[0]:.2f}, of EST {image.coherences[1]:.2f})"
    )


def _sets_text(sets: SetComparison) -> str:
    """A line for each distance."""
    controls = list(sets.distances[0].controls)
    heads = ["", "EST", "95 %", *controls]
    rows = [
        [
            distance.name,
            f"{distance.value:.3g}",
            f"{distance.low:.3g} to {distance.high:.3g}",
            *(f"{distance.controls[name]:.3g}" for name in controls),
        ]
        for distance in sets.distances
    ]
    first = f"REF {sets.references} sounds, EST {sets.estimates} sounds; 0 is alike; behind the interval stand controls"
    return "\n".join([first, *aligned([heads, *rows])])


def _compared(what: Comparison) -> list[str]:
    lines = []
    for name, side in (("REF", what.reference), ("EST", what.estimate)):
        channels = _CHANNELS.get(side.channels, f"{side.channels} channels")
        cut = f", {side.cut_seconds:.2f} s of it left out" if side.cut_seconds >= 0.005 else ""
        lines.append(f"{name}  {side.seconds:.2f} s, {side.sample_rate} Hz, {channels}{cut}")
    lag = f"EST {what.lag} samples late ({'found' if what.searched else 'given'})"
    gain = f"{what.gain_db:+.1f} dB" if isfinite(what.gain_db) else "one is silent"
    lines.append(f"compared: {what.seconds:.2f} s, mono, metrics at {what.metric_rate} Hz; {lag}; level of EST {gain}")
    return lines


def _table(found: Verification) -> str:
    from rich.console import Console
    from rich.table import Table

    above, beside = list(found.ceilings), list(found.metrics[0].controls)
    table = Table("", "better", "EST", *above, *beside, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[2:]:
        column.justify = "right"
    for row in found.metrics:
        cells = [*(found.ceilings[name][row.name] for name in above), *(row.controls[name] for name in beside)]
        name = f"{row.name} ({row.unit})" if row.unit and row.unit.lower() not in row.name else row.name
        table.add_row(name, _ARROWS[row.direction], *_cells([row.value, *cells]))
    for name, score in found.composites.items():
        cells = [*(score.ceilings[other] for other in above), *(score.controls[other] for other in beside)]
        table.add_row(f"composite: {name}", "up", *_cells([score.score, *cells]))
    # A terminal says how wide it is; a file takes the whole table.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with console.capture() as captured:
        console.print(table)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _cells(values: Sequence[float]) -> list[str]:
    return [f"{value:.2f}" if isfinite(value) else ("-inf" if value < 0 else "inf") for value in values]


def _told(verdict: Verdict) -> str:
    word = click.style("related", fg="green") if verdict.related else click.style("not related", fg="red")
    if not verdict.families:
        return f"verdict: {word}: {verdict.reason}"
    numbers: Mapping[str, str] = {
        "similarity": f"{verdict.score:.3f}",
        "threshold": f"{verdict.threshold:.3f}",
        "p": f"{verdict.p_value:.3f}",
        "controls": str(verdict.n_controls),
    }
    return f"verdict: {word} ({', '.join(f'{name} {value}' for name, value in numbers.items())}): {verdict.reason}"
