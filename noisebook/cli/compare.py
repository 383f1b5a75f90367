"""`compare` and `tally`: sounds through many methods, and what listeners said of them."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click

from noisebook.api.models import ModelOptions
from noisebook.cli._options import POSITIVE, WORDS, Parsed, json_option, loading_options, quiet_option
from noisebook.cli._shared import progress, report, table, wrong_usage

if TYPE_CHECKING:
    from noisebook.comparison.methods import Method

__all__ = ["compare", "tally"]


_SETTINGS = ("methods", "rates", "metrics", "prompt", "limit_seconds", "timeout")  # that the manifest records


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(f"{text!r} is not numbers with commas between, such as 300,1500") from None


@click.command()
@click.argument("sources", metavar="IN...", nargs=-1, type=click.Path(path_type=Path))
@click.option("-o", "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder of the results; needed.")
@click.option(
    "-m", "--methods", type=WORDS, metavar="NAMES",
    help="Ids, patterns of ids (opus-*), series, families or all; by default ceiling,ddcm,codec,control.",
)  # fmt: skip
@click.option(
    "--rates", type=Parsed(_rates, "rates"), metavar="RATES", help="Rates of ddcm in bit/s; by default all presets."
)
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
@quiet_option
@json_option
@loading_options
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
@json_option
def tally(sheets: tuple[Path, ...], key: Path, **_: Any) -> None:
    """Say what listeners of a blind test heard, from the sheets that its page saved.

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
    report(values, _text(values, results))
    return int(all(row["error"] for row in rows))


def _catalogue(options: Mapping[str, Any]) -> tuple[Method, ...]:
    from noisebook.comparison.catalogue import catalogue

    chosen = {name: options[name] for name in ("prompt", "weights", "seed", "model")}
    return catalogue(rates=options["rates"] or (), **chosen)


def _text(values: Mapping[str, Any], results: Mapping[str, Any]) -> str:
    from noisebook.report.results import in_words, names

    head = f"{values['out']}: {values['inputs']} inputs, {values['methods']} methods; {', '.join(values['written'])}"
    lines = [head, indent(_ranking(results), "  ")]
    by_first_metric = [row for row in results["delta_rates"] if row["metric"] == results["metrics"][0]["name"]]
    lines += [f"  at equal {row['metric']} {in_words(row, names(dict(results)))}" for row in by_first_metric]
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
        rows.append(
            [method["id"], _rate(method["bit_per_second"]), *("-" if cell is None else f"{cell:.2f}" for cell in cells)]
        )
    return table(rows, right_from=1)


def _list(options: Mapping[str, Any]) -> None:
    rows, cells = [], [["method", "family", "bit/s", "here"]]
    for m in _catalogue(options):
        rows.append({
            "id": m.id, "family": m.family, "bit_per_second": m.bit_per_second, "generative": m.generative,
            "available": m.missing is None, "reason": m.missing, "command": m.command,
        })  # fmt: skip
        cells.append([m.id, m.family, _rate(m.bit_per_second), m.missing or "yes"])
    report({"methods": rows}, table(cells))


def _rate(bit_per_second: float | None) -> str:
    return "" if bit_per_second is None else f"{bit_per_second:.0f}"


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
        lines.append(f"  left out, for they did not hear the hidden reference: {', '.join(excluded)}")
    return "\n".join(lines)
