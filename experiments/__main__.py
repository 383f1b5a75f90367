"""The measurements of the documentation: `python -m experiments STUDY CLIPS`, `python -m experiments --list`."""

from __future__ import annotations

import argparse
import time
from importlib import import_module
from pathlib import Path

from experiments.study import ROOT, Options, Study, fill, parts_of
from noisebook import api

NAMES = (
    "results", "stereo", "level", "rate_limit", "verification", "metrics", "reconstruction", "codebooks", "generation",
    "transformation", "restoration", "picture", "speed", "mel_vocoders",
)  # fmt: skip


def main(argv: list[str] | None = None) -> None:
    """One study, or `numbers`: all of them."""
    parser = argparse.ArgumentParser(prog="python -m experiments", description=__doc__)
    parser.add_argument("study", nargs="?", choices=[*NAMES, "numbers"], metavar="STUDY",
                        help="a name, or `numbers` for all of them")  # fmt: skip
    parser.add_argument("clips", nargs="?", type=Path, default=Path("heldout"), help="folder of held-out sounds")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument(
        "--report", type=Path, default=Path("report"), help="folder of what is measured, kept for a next run"
    )
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, help="clips of each kind")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--print", action="store_true", help="print the tables, and leave the pages as they are")
    args = parser.parse_args(argv)

    if args.list or args.study is None:
        studies = [study_of(name) for name in NAMES]
        for one in studies:
            print(f"{one.name:15} {one.minutes:4g} min of a core  {', '.join(one.pages):45} {one.title}")
        print(f"{'numbers':15} {sum(one.minutes for one in studies):4g} min of a core")
        return
    for name in NAMES if args.study == "numbers" else (args.study,):
        study, started = study_of(name), time.perf_counter()
        options = Options(name, args.clips, args.model, args.report, args.limit or study.limit, args.jobs)
        parts = parts_of(study, options)
        if args.print:
            print("\n\n".join(f"## {key}\n\n{part}" for key, part in parts.items()))
        elif study.pages:  # the picture has none
            fill([ROOT / page for page in study.pages], parts)
        print(f"{name}: {(time.perf_counter() - started) / 60:.1f} minutes, {args.jobs} processes", flush=True)


def study_of(name: str) -> Study:
    """A study by its name."""
    study: Study = import_module(f"experiments.{name}").STUDY
    return study


if __name__ == "__main__":
    main()
