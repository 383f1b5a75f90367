"""What all studies share: the clips, the model, rows that are measured once, and pages with tables between markers.

A study is a table of settings and a function that measures one of them: `Bench.rows` runs what is missing, in several
processes, and keeps every row as soon as it is there. Of the rows a study makes parts of a page in Markdown, and `fill`
puts each between its markers:

    <!-- numbers level loudness -->
    ...
    <!-- end -->
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cached_property, lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook import api
from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.diffusion.backend import Backend, FeatureBackend, with_features
from noisebook.errors import ConfigError
from training.clips import AUDIO_SUFFIXES, PREFIX_OF_KIND
from training.packages import HELD_OUT

ROOT = Path(__file__).parents[1]
KINDS = tuple(PREFIX_OF_KIND.values())  # how the names of held-out clips begin
Row = dict[str, Any]
Parts = dict[str, str]  # name of a part of a page -> Markdown


@dataclass(frozen=True)
class Study:
    """One of the measurements of the documentation."""

    name: str  # on the command line and in the markers
    title: str  # what it measures, in a line
    run: Callable[[Bench], Parts]  # the part "about" is the beginning of a sentence that says what was measured
    pages: tuple[str, ...]  # that show the parts, from the root of the repository
    limit: int  # clips of each kind
    minutes: float  # of one core, with `limit`


@dataclass(frozen=True)
class Options:
    """Of a run of a study; a worker process makes the same bench of them."""

    study: str  # its name
    clips: Path  # folder of held-out sounds named by kind: `music-...`, `speech-...`, `sfx-...`
    model: str  # as `api.load_backend` takes it
    report: Path  # folder of what is measured; what is there of the same model and limit is not measured again
    limit: int  # clips of each kind
    jobs: int = 1  # processes


@dataclass(frozen=True)
class Clip:
    """One held-out sound, of one channel."""

    name: str
    kind: str
    sound: Waveform


class Bench:
    """Clips and model of a run, and the rows that it has measured."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._clips: dict[tuple[Any, ...], list[Clip]] = {}

    @cached_property
    def backend(self) -> Backend:
        return api.load_backend(self.options.model, device="cpu")

    @cached_property
    def features(self) -> FeatureBackend:
        return with_features(self.backend)

    @cached_property
    def model(self) -> str:
        """The first four digits of the model's fingerprint."""
        return api.model_info(self.options.model).fingerprint.hex()[:4]

    def clips(self, *, seconds: float = 10.0, sample_rate: int = 16_000) -> list[Clip]:
        """`limit` beginnings of each kind; kinds take turns; short ones end in silence."""
        key = (seconds, sample_rate)
        if key not in self._clips:
            paths = clip_paths(self.options.clips, self.options.limit)
            by_kind = [[path for path in paths if path.name.startswith(kind)] for kind in KINDS]
            count = round(seconds * sample_rate)
            turns = [path for group in zip(*by_kind, strict=False) for path in group]
            self._clips[key] = [_load(path, count, sample_rate) for path in turns]
        return self._clips[key]

    def rows(self, measure: Callable[..., Row], settings: Iterable[Row]) -> list[Row]:
        """`setting | measure(bench, **setting)` of each setting, in order; `measure` is a function of a module."""
        wanted = [dict(setting) for setting in settings]
        file = self.options.report / "studies" / f"{self.options.study}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        found = self._kept(file)
        keys = [json.dumps([self.model, self.options.limit, measure.__name__, setting]) for setting in wanted]
        missing = [(key, setting) for key, setting in zip(keys, wanted, strict=True) if key not in found]
        with file.open("a", encoding="utf-8") as kept:
            for done, (key, row, seconds) in enumerate(self._measured(measure, missing), 1):
                found[key] = row
                kept.write(json.dumps({"key": key, "row": row}, default=float) + "\n")
                kept.flush()
                print(f"{self.options.study}: {done} of {len(missing)}, {seconds:.0f} s", end="\r", flush=True)
        return [setting | found[key] for key, setting in zip(keys, wanted, strict=True)]

    def _measured(
        self, measure: Callable[..., Row], missing: Sequence[tuple[str, Row]]
    ) -> Iterable[tuple[str, Row, float]]:
        if self.options.jobs == 1 or len(missing) < 2:
            for key, setting in missing:
                yield key, *_timed(self, measure, setting)
            return
        with ProcessPoolExecutor(self.options.jobs, mp_context=get_context("spawn")) as pool:
            waiting = {pool.submit(_in_worker, self.options, measure, setting): key for key, setting in missing}
            for future in as_completed(waiting):
                yield waiting[future], *future.result()

    def _kept(self, file: Path) -> dict[str, Row]:
        """Rows by their keys; a line that was cut off, as by a loss of power, is none."""
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        if text and not text.endswith("\n"):
            text = text[: text.rfind("\n") + 1]
            file.write_text(text, encoding="utf-8")
        return {entry["key"]: entry["row"] for entry in map(json.loads, text.splitlines())}


@lru_cache(maxsize=1)
def _bench(options: Options) -> Bench:
    torch.set_num_threads(1)
    return Bench(options)


def _in_worker(options: Options, measure: Callable[..., Row], setting: Row) -> tuple[Row, float]:
    return _timed(_bench(options), measure, setting)


def _timed(bench: Bench, measure: Callable[..., Row], setting: Row) -> tuple[Row, float]:
    started = time.perf_counter()
    return measure(bench, **setting), time.perf_counter() - started


def clip_paths(
    folder: Path, limit: int, *, kinds: Sequence[str] = KINDS, fits: Callable[[Path], bool] = lambda _: True
) -> list[Path]:
    """`limit` files of each kind that fit, as many of each package, evenly spread over their names; all where there are
    fewer, ConfigError where there are none."""
    chosen: list[Path] = []
    for kind in kinds:
        by_package: dict[str, list[Path]] = {}
        for path in sorted(folder.glob(f"{kind}-*")):
            if path.suffix.lower() in AUDIO_SUFFIXES and fits(path):
                package = next((one.name for one in HELD_OUT if f"-{one.name}-" in path.name), "")
                by_package.setdefault(package, []).append(path)
        left = limit
        for rest, paths in zip(range(len(by_package), 0, -1), sorted(by_package.values(), key=len), strict=True):
            count = min(len(paths), left // rest)
            chosen += [paths[i * len(paths) // count] for i in range(count)]
            left -= count
    if not chosen:
        raise ConfigError(f"{folder}: no clips that fit; files are named {', '.join(f'{kind}-...' for kind in kinds)}")
    return sorted(chosen, key=lambda path: (KINDS.index(path.name.split("-")[0]), path.name))


def _load(path: Path, count: int, sample_rate: int) -> Clip:
    sound = resample(downmix(io.read(path)), sample_rate).samples[:, :count]
    samples = np.pad(sound, ((0, 0), (0, count - sound.shape[1])))
    return Clip(path.stem, path.stem.split("-")[0], Waveform(samples, sample_rate))


def parts_of(study: Study, options: Options) -> Parts:
    """Run a study: its parts, named for the markers, each page with the model that it was measured with."""
    bench = Bench(options)
    parts = study.run(bench)
    about = parts.pop("about", "Measured")
    model = "embedded model" if options.model == api.EMBEDDED else "model"
    parts["about"] = (
        f"{about}, {model} `{bench.model}`, by `python -m experiments {study.name} CLIPS` "
        f"(some {study.minutes:g} minutes of a core)."
    )
    return {f"{study.name} {name}": text for name, text in parts.items()}


def fill(pages: Iterable[Path], parts: Mapping[str, str]) -> None:
    """Put each part between its markers, on every page that has them; ConfigError if no page has a place for it."""
    missing = set(parts)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for name, part in parts.items():
            marked = re.compile(rf"(<!-- numbers {re.escape(name)} -->\n).*?(<!-- end -->)", re.S)
            text, count = marked.subn(lambda match, part=part: f"{match[1]}\n{part.strip()}\n\n{match[2]}", text)  # type: ignore[misc]
            missing -= {name} if count else set()
        page.write_text(text, encoding="utf-8")
    if missing:
        raise ConfigError(f"no page has markers for {', '.join(sorted(missing))}")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, all columns but the first to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def columns(rows: Iterable[Row], shown: Mapping[str, str]) -> str:
    """A table of rows, whose columns are format strings with the keys of a row, by their titles."""
    return table(list(shown), ([form.format_map(row) for form in shown.values()] for row in rows))


def nmse_db(estimate: torch.Tensor, target: torch.Tensor) -> float:
    """Squared error of a latent over the energy of its target in dB, over what both are long; -inf for none."""
    frames = min(estimate.shape[2], target.shape[2])
    estimate, target = estimate[:, :, :frames], target[:, :, :frames]
    return float(10 * torch.log10((estimate - target).square().mean() / target.square().mean()))


def mean_of(rows: Iterable[Row], key: str) -> float:
    """The mean of a column."""
    return float(np.mean([row[key] for row in rows]))
