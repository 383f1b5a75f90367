"""`verify`, `compare`, `tally`, `recommend`: sounds and methods beside each other, and which suits a sound."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from noisebook import api
from noisebook.api import ModelOptions, Recommendation
from noisebook.cli import _files, _options
from noisebook.cli._options import FILE, POSITIVE, WORDS, Parsed
from noisebook.cli._shared import STREAM_SUFFIX, finite, progress, report, table, wrong_usage
from noisebook.comparison.inputs import sound_files
from noisebook.report.results import in_words, rate
from noisebook.report.results import names as series_names

if TYPE_CHECKING:
    from noisebook.comparison.methods import Method
    from noisebook.verification.sets import SetComparison
    from noisebook.verification.sounds import Comparison, ImageComparison, Verification
    from noisebook.verification.verdict import Verdict

_NOT_RELATED = 3  # exit status
_CHANNELS = {1: "mono", 2: "stereo"}
_ARROWS = {"higher": "up", "lower": "down", "zero": "0"}
_SETTINGS = ("methods", "rates", "metrics", "prompt", "limit_seconds", "timeout")  # that the manifest records
_LAG = Parsed(lambda text: None if text == "auto" else int(text), "lag", "a whole number of samples at 16 kHz, or auto")
_RATES = Parsed(
    lambda text: tuple(map(float, text.split(","))), "rates", "numbers with commas between, such as 300,1500"
)


@click.command()
@click.argument("reference", metavar="REF", type=FILE)
@click.argument("estimate", metavar="EST", type=FILE)
@click.option(
    "--lag", type=_LAG, metavar="SAMPLES|auto", default="auto", show_default=True,
    help="By how many samples at 16 kHz EST is late; auto searches, but takes 0 for a stream.",
)  # fmt: skip
@_options.metrics_option
@click.option("--no-model", is_flag=True, help="Without ceilings and random indices, which need the model.")
@click.option("--no-controls", is_flag=True, help="Without controls and ceilings; the verdict keeps its own.")
@_options.codebook_option
@click.option(
    "--html", metavar="FILE", type=FILE, help="Write a page too: the verdict, both sounds in step, and every metric."
)
@click.option("-f", "--force", is_flag=True, help="Overwrite the page if it exists.")
@click.option("--require-related", is_flag=True, help="Exit with status 3 if the verdict is: not related.")
@_options.json_option
@_options.stream_loading_options
def verify(reference: str, estimate: str, require_related: bool, **options: Any) -> int:
    """Say whether EST is related to REF, and how near it is.

    Both are any sound files; EST may be a .ddcm stream, which is decoded. They are compared in mono and aligned in
    time; metrics work at 48 kHz where one sound has more than 16, the verdict at 16 kHz. In stereo, left and right are
    compared too, with a warning where they differ. Every number is shown beside what other sounds get: another clip, a
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
    if Path(reference).is_dir() or Path(estimate).is_dir():
        if require_related or options["html"]:
            raise wrong_usage("--require-related and --html are for sounds, not for folders")
        sounds = ((_files.read_sound(str(path)) for path in sound_files([Path(one)])) for one in (reference, estimate))
        sets = api.verify_sets(*sounds)
        report(sets.to_dict(), _sets_text(sets))
        return 0
    page = options["html"]
    for source in (reference, estimate) if page is not None else ():
        _files.check_target(page, source, force=options["force"])
    is_stream = Path(estimate).suffix.lower() == STREAM_SUFFIX
    sound = _files.read_sound(reference)
    other = _files.read_bytes(estimate) if is_stream else _files.read_sound(estimate)
    with _files.naming(estimate), progress("verifying") as work:
        wanted = ModelOptions.among(options)
        model = wanted.model_of(other) if isinstance(other, bytes) else None
        backend = None if options["no_model"] and not is_stream else wanted.load(model)
        found = api.verify(
            sound, other, backend=backend, codebook=options["codebook"], lag=options["lag"], metrics=options["metrics"],
            controls=not options["no_controls"], ceilings=not options["no_model"], on_step=work.on_step,
        )  # fmt: skip
        if page is not None:
            from noisebook.report.page import write_verification

            if isinstance(other, bytes):
                other = api.decompress(other, backend=backend, codebook=options["codebook"])
            names = (Path(reference).name, Path(estimate).name)
            write_verification(found.to_dict(), sound, other, Path(page), names=names, overwrite=options["force"])
    report(found.to_dict(), _text(found))
    return _NOT_RELATED if require_related and not found.verdict.related else 0


def _text(found: Verification) -> str:
    image = [] if found.image is None else [_sides(found.image)]
    scores = [_scores(found)] if found.metrics else []
    return "\n".join([*_compared(found.alignment), *scores, *image, *found.notes, _verdict_text(found.verdict)])


def _sides(image: ImageComparison) -> str:
    """Left and right beside each other."""
    return (
        f"left and right: image_level_db {image.image_level_db:.2f} (both alike {image.alike_level_db:.2f}, exchanged "
        f"{image.exchanged_level_db:.2f}), image_coherence {image.image_coherence:.2f} (mean coherence of REF "
        f"{image.coherences[0]:.2f}, of EST {image.coherences[1]:.2f})"
    )


def _sets_text(sets: SetComparison) -> str:
    """A line for each distance."""
    head = f"REF {sets.references} sounds, EST {sets.estimates} sounds; 0 is alike; behind the interval stand controls"
    rows = [["", "EST", "95 %", *sets.distances[0].controls]]
    for one in sets.distances:
        controls = [f"{value:.3g}" for value in one.controls.values()]
        rows.append([one.name, f"{one.value:.3g}", f"{one.low:.3g} to {one.high:.3g}", *controls])
    return f"{head}\n{table(rows)}"


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


def _scores(found: Verification) -> str:
    """A row for each metric and composite score: EST, the ceilings, and the controls."""
    above, beside = list(found.ceilings), list(found.metrics[0].controls)
    rows = [["", "better", "EST", *above, *beside]]
    for row in found.metrics:
        cells = [*(found.ceilings[name][row.name] for name in above), *(row.controls[name] for name in beside)]
        name = f"{row.name} ({row.unit})" if row.unit and row.unit.lower() not in row.name else row.name
        rows.append([name, _ARROWS[row.direction], *(f"{value:.2f}" for value in (row.value, *cells))])
    for name, score in found.composites.items():
        cells = [*(score.ceilings[other] for other in above), *(score.controls[other] for other in beside)]
        rows.append([f"composite: {name}", "up", *(f"{value:.2f}" for value in (score.score, *cells))])
    return table(rows, right_from=2)


def _verdict_text(verdict: Verdict) -> str:
    word = click.style("related", fg="green") if verdict.related else click.style("not related", fg="red")
    if verdict.families:
        word += (
            f" (similarity {verdict.score:.3f}, threshold {verdict.threshold:.3f}, p {verdict.p_value:.3f}, "
            f"controls {verdict.n_controls})"
        )
    return f"verdict: {word}: {verdict.reason}"


@click.command()
@click.argument("source", metavar="IN", required=False, type=FILE)
@click.option(
    "--need", metavar="NEED",
    help="compress (default), smallest, highest-quality or production: to store the sound; reconstruct, quick-test or "
    "high-frequency-music: through the model, without bits; transformation or research: to change it.",
)  # fmt: skip
@click.option(
    "--sound-kind", metavar="KIND",
    help="voice, classical, electronic, ambience or short-effect; by default found by listening.",
)  # fmt: skip
@click.option("--rules", "listing", is_flag=True, help="Show the table of rules, as without IN.")
@_options.json_option
def recommend(source: str | None, need: str | None, sound_kind: str | None, listing: bool, **_: Any) -> None:
    """Listen to a sound and name the method and preset that suit it.

    Shows the whole command, what the sound is like, and the rule behind each choice, with the second best and the
    number that was measured. `compress --preset auto` goes by the same rules. Without IN it shows the rules for a need
    and a kind of sound, or all of them.

    \b
    noisebook recommend song.flac
    noisebook recommend talk.wav --need smallest
    noisebook recommend rain.wav --need transformation --sound-kind ambience
    noisebook recommend --need research
    noisebook recommend --sound-kind voice
    """
    if listing or source is None:
        rows = [
            {"aspect": rule.aspect, "need": ", ".join(rule.needs) or "any", "sound": ", ".join(rule.sounds) or "any",
             "condition": rule.condition, "advice": rule.advice or "-", "second": rule.second or "-", "why": rule.why}
            for rule in api.recommendation_rules(need, sound_kind)
        ]  # fmt: skip
        report({"rules": rows}, table([[*rows[0]], *([*row.values()] for row in rows)]))
        return
    found = api.recommend(_files.read_sound(source), need=need or "compress", sound_kind=sound_kind, name=source)
    values = vars(found) | {"features": {name: finite(value) for name, value in found.features.items()}}
    report(values, _recommendation_text(found))


def _recommendation_text(found: Recommendation) -> str:
    features = found.features
    likeness = ", ".join(f"{kind} {share:.2f}" for kind, share in features["likeness"].items())
    heard = (
        f"{features['seconds']:.2f} s, {_channels(features['channels'], features['side_db'])}, "
        f"up to {features['bandwidth']:.0f} Hz, {likeness}, {features['onsets']:.1f} onsets/s, "
        f"tonality {features['tonality']:.2f}, silence {features['silence']:.0%}"
    )
    return "\n".join([found.command, *(f"  {reason}" for reason in found.reasons), f"  heard: {heard}"])


def _channels(count: int, side_db: float | None) -> str:
    if side_db is None:
        return "mono"
    if not isfinite(side_db):
        return f"{count} channels, the first two {'equal' if side_db < 0 else 'opposite'}"
    return f"{count} channels, side {side_db:.0f} dB"


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the results; needed.")
@click.option(
    "-m", "--methods", type=WORDS, metavar="NAMES",
    help="Ids, patterns of ids (opus-*), series, families or all; by default ceiling,ddcm,codec,control.",
)  # fmt: skip
@click.option("--rates", type=_RATES, metavar="RATES", help="Rates of ddcm in bit/s; by default all presets.")
@click.option(
    "--metrics", type=WORDS, metavar="NAMES",
    help="Metrics, or all that are installed; by default the usual ones.",
)  # fmt: skip
@click.option("--prompt", metavar="PROMPT", help="Prompt of the transformations, which need one.")
@click.option(
    "--weights", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder with encodec_24khz, dac_16khz or snac_24khz; nothing is ever downloaded.",
)  # fmt: skip
@click.option(
    "--limit-seconds", type=POSITIVE, default=30.0, show_default=True, metavar="S",
    help="Length of each input; the rest is cut off, and the report says so.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0, 255), default=0, show_default=True, help="Seed of all random choices.")
@click.option(
    "--timeout", type=POSITIVE, default=600.0, show_default=True, metavar="S",
    help="Time limit of an external program for one sound.",
)  # fmt: skip
@click.option("--no-verdict", is_flag=True, help="Do not judge whether results are related to their inputs.")
@click.option("--no-figures", is_flag=True, help="Draw no figures.")
@click.option("--no-page", is_flag=True, help="Write no index.html.")
@click.option("--blind", type=click.Choice(["mushra", "abx"]), help="Write a kit for a blind listening test too.")
@click.option("--blind-methods", type=WORDS, metavar="NAMES", help="Those to listen to; by default all but controls.")
@click.option("-f", "--force", is_flag=True, help="Do again what is done already.")
@click.option("--list", "listing", is_flag=True, help="Show all methods and whether they can run here, nothing else.")
@_options.quiet_option
@_options.json_option
@_options.loading_options
def compare(sources: tuple[Path, ...], listing: bool, **options: Any) -> int:
    """Compare methods on the same sounds: one report, one page, every number with its command.

    IN are files, or folders of sounds. Every method is given the same sound at 48 kHz, mono or stereo, and is judged
    alike; whole files are counted. A second run does only what is missing or has changed. The first word of a file's
    name, music, speech or sfx, says what it is. A method that fails is reported and does not end the run; exit status 1
    if none did anything.

    \b
    noisebook compare song.wav talk.wav --out report
    noisebook compare clips -o report --methods ddcm,opus-*,control --rates 300,1500
    noisebook compare clips -o report --methods all --prompt "a calm piano" --metrics all
    noisebook compare talk.wav -o report -m ddcm-1500,opus-6k,codec2-1300 --blind mushra
    noisebook compare --list
    """
    if listing:
        _list(options)
        return 0
    if not sources:
        raise wrong_usage("Missing argument 'IN...'")
    if options["out"] is None:
        raise wrong_usage("Missing option '--out'")
    return _compare(sources, options)


@click.command()
@click.argument("sheets", metavar="SHEET...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--key", metavar="FILE", required=True, type=click.Path(path_type=Path), help="key.json of the test.")
@_options.json_option
def tally(sheets: tuple[Path, ...], key: Path, **_: Any) -> None:
    """Sum up what listeners of a blind test answered, from the sheets that its page saved.

    \b
    noisebook tally anna.csv ben.csv --key report/mushra/key.json
    """
    from noisebook.report.blind import tally as count

    counted = count(sheets, key)
    report(counted, _tally_text(counted))


def _compare(sources: Sequence[Path], options: Mapping[str, Any]) -> int:
    """Everything; the exit status is 1 if no method did anything."""
    from noisebook.comparison import publishing
    from noisebook.comparison.methods import choose
    from noisebook.comparison.runs import DEFAULT_METHODS, Run

    if not options["no_figures"]:
        from noisebook.report.figures import check_installed

        check_installed()
    run = Run(
        sources, options["out"], catalogue=_catalogue(options), load_backend=ModelOptions.among(options).load,
        methods=options["methods"] or DEFAULT_METHODS, metrics=options["metrics"],
        limit_seconds=options["limit_seconds"], verdicts=not options["no_verdict"],
        dtype=options["dtype"], timeout=options["timeout"], force=options["force"],
    )  # fmt: skip
    listened = options["blind_methods"]
    blind_methods = None if listened is None else [method.id for method in choose(run.methods, listened)]
    with progress("comparing") as work:
        rows = run.rows(work.on_step)
    command, settings = shlex.join(["noisebook", *sys.argv[1:]]), {name: options[name] for name in _SETTINGS}
    results = publishing.results_of(run, rows, command=command, seed=options["seed"], settings=settings)
    written = publishing.publish(
        results, run.store, with_figures=not options["no_figures"], with_page=not options["no_page"],
        blind_design=options["blind"], blind_methods=blind_methods, seed=options["seed"],
    )  # fmt: skip
    values = {
        "out": str(options["out"]),
        "written": written,
        "inputs": len(results["inputs"]),
        "methods": len(results["methods"]),
        "skipped": results["skipped"],
        "failed": [{key: row[key] for key in ("input", "method", "error")} for row in rows if row["error"]],
        "cut": {source["id"]: source["cut_seconds"] for source in results["inputs"] if source["cut_seconds"]},
    }
    report(values, _comparison_text(values, results))
    return int(all(row["error"] for row in rows))


def _catalogue(options: Mapping[str, Any]) -> tuple[Method, ...]:
    from noisebook.comparison.catalogue import catalogue

    chosen = {name: options[name] for name in ("prompt", "weights", "seed", "model")}
    return catalogue(rates=options["rates"] or (), **chosen)


def _comparison_text(values: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    head = f"{values['out']}: {values['inputs']} inputs, {values['methods']} methods; {', '.join(values['written'])}"
    lines = [head, indent(_ranking(results), "  ")]
    by_first_metric = [row for row in results["delta_rates"] if row["metric"] == results["metrics"][0]["name"]]
    lines += [f"  at equal {row['metric']} {in_words(row, series_names(dict(results)))}" for row in by_first_metric]
    if values["cut"]:
        lines.append(f"  the ends of {len(values['cut'])} inputs were cut off, see --limit-seconds")
    lines += [f"  skipped {skipped['method']}: {skipped['reason']}" for skipped in values["skipped"]]
    lines += [f"  failed {row['method']} on {row['input']}: {row['error']}" for row in values["failed"]]
    return "\n".join(lines)


def _ranking(results: Mapping[str, Any]) -> str:
    """A line for each method, with its rate and the mean of every metric."""
    names = [metric["name"] for metric in results["metrics"]]
    means = {(line["method"], line["metric"]): line["mean"] for line in results["ranking"]}
    rows = [["", "bit/s", *names]]
    for method in results["methods"]:
        cells = [means.get((method["id"], name)) for name in names]
        shown = ("-" if cell is None else f"{cell:.2f}" for cell in cells)
        rows.append([method["id"], rate(method["bit_per_second"]), *shown])
    return table(rows, right_from=1)


def _list(options: Mapping[str, Any]) -> None:
    rows, cells = [], [["method", "family", "bit/s", "here"]]
    for m in _catalogue(options):
        rows.append({
            "id": m.id, "family": m.family, "bit_per_second": m.bit_per_second, "generative": m.generative,
            "available": m.missing is None, "reason": m.missing, "command": m.command,
        })  # fmt: skip
        cells.append([m.id, m.family, rate(m.bit_per_second), m.missing or "yes"])
    report({"methods": rows}, table(cells))


def _tally_text(counted: Mapping[str, Any]) -> str:
    """MUSHRA: means with intervals; ABX: right answers with p-values; then the listeners."""
    lines = [f"{counted['design']}, {len(counted['listeners'])} listeners"]
    for row in counted.get("conditions", ()):
        interval = "no ratings"
        if row["mean"] is not None:
            interval = f"{row['mean']:5.1f}  [{row['low']:.1f}, {row['high']:.1f}]  n = {row['n']}"
        lines.append(f"  {row['label']:32}{interval}")
    for row in counted.get("methods", ()):
        lines.append(f"  {row['label']:32}{row['correct']} of {row['n']} right, p = {row['p_value']:.3g}")
    excluded = [row["listener"] for row in counted["listeners"] if row.get("excluded")]
    if excluded:
        lines.append(f"  left out, since they rated the hidden reference too low: {', '.join(excluded)}")
    return "\n".join(lines)
