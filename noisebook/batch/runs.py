"""A batch: beforehand its time and size from one short trial, then the loop over the corpus: plan, hand out, write
down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noisebook import api
from noisebook._version import __version__
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.batch.executors import executor_of, hand_out
from noisebook.batch.manifest import Manifest, Record, opened
from noisebook.batch.planning import Batch, Plan, RunOptions, Task, check_folders, planned
from noisebook.batch.storage import OutOfSpace, Storage
from noisebook.batch.verbs import STREAM_SUFFIX, Settings, suffix_of
from noisebook.batch.worker import Outcome, Worker
from noisebook.errors import Error
from noisebook.options import OnStep

_TRIAL_SECONDS = 3.0


@dataclass(frozen=True)
class Estimate:
    """What a batch will take, about."""

    files: int  # to do
    unknown: int  # those among them whose length only decoding would tell; the rest leaves them out
    source_bytes: int  # of all files to do
    audio_seconds: float  # of sound to do
    trial: tuple[str, float] | None = None  # the file that was tried, and how much of it: None if none could be
    seconds: float | None = None  # of work, without loading models
    bytes: int | None = None  # of what will be written; 0 for a verb that writes nothing


@dataclass
class Summary:
    """How a run ended."""

    done: int = 0  # files that were done
    skipped: int = 0  # files that were done before
    left_out: int = 0  # files that the verb does not take
    failed: list[tuple[str, str]] = field(default_factory=list)  # source and reason of the others
    bytes: int = 0  # of what was written
    audio_seconds: float = 0.0  # of sound that was done
    loading_seconds: float = 0.0  # until every worker had its model
    seconds: float = 0.0  # of the whole run


def run(batch: Batch, *, on_file: OnStep | None = None) -> Summary:
    """Do a batch. Failures of single files are in the summary and the manifest; `on_file` is called after each file.

    Error if nothing can be done at all, or nothing more, as on a full disk. After an interrupt what was done stays,
    nothing is half written, and resume goes on.
    """
    started = time.perf_counter()
    target = batch.results
    check_folders(batch.sources, target)
    batch.settings.check()
    key = batch.settings.key()
    target.make()
    with opened(target, batch.settings.manifest) as manifest:
        plan = planned(batch, manifest, key)
        if target.is_local:
            target.sweep()
        summary = Summary(skipped=plan.skipped, left_out=plan.left_out)
        if plan.todo or plan.refused:
            manifest.append({
                "state": "run", "noisebook": __version__, "began": _now(), "from": batch.source, "settings": key,
                **batch.settings.record(),
            })  # fmt: skip
        for task, error in plan.refused:
            _take(Outcome(task, {}, error), summary, manifest, key)
        if plan.todo:
            _work(batch, plan, summary, manifest, key, on_file)
    summary.seconds = time.perf_counter() - started
    return summary


def dry_run(batch: Batch) -> Plan:
    """What a batch would do; writes nothing, errors as of `run`."""
    check_folders(batch.sources, batch.results)
    batch.settings.check()
    return planned(batch, Manifest(batch.results, batch.settings.manifest), batch.settings.key())


def estimate(batch: Batch, plan: Plan) -> Estimate:
    """Read the headers, try the first seconds of the first file that can be done, and scale."""
    lengths = {task: length for task in plan.todo if (length := _length(batch.sources, task.source)) is not None}
    total = sum(seconds for seconds, _ in lengths.values())
    sizes = sum(plan.sizes[task.source] for task in plan.todo)
    known = Estimate(len(plan.todo), len(plan.todo) - len(lengths), sizes, round(total, 3))
    if not lengths:
        return known
    worker = Worker(batch)
    for task, (_, tried_channels) in lengths.items():
        try:
            tried, took = worker.trial(task, _TRIAL_SECONDS)
        except Error:  # it will be in the list of failures
            continue
        # The size of a stream does not depend on channels, that of a sound does.
        of_sounds = batch.settings.target_suffix != STREAM_SUFFIX
        written = sum(seconds * (channels if of_sounds else 1) for seconds, channels in lengths.values())
        tried_seconds = tried.audio_seconds * (tried_channels if of_sounds else 1)
        return replace(
            known,
            trial=(task.source, round(tried.audio_seconds, 3)),
            seconds=round(total / tried.audio_seconds * took / batch.options.workers, 3),
            bytes=round(written / tried_seconds * len(tried.data or b"")),
        )
    return known


def throughput(sounds: Sequence[Waveform], settings: Settings, options: RunOptions) -> dict[str, Any]:
    """Do a verb on sounds, a 16-bit WAV file each, as `noisebook batch` does, and take the time.

    Error for a sound that cannot be done. Of the times, `start_seconds` is until every worker had its model, `seconds`
    the rest, and `rate` seconds of sound a second.
    """
    with TemporaryDirectory() as folder:
        for index, sound in enumerate(sounds):
            io.write(Path(folder, f"{index}.wav"), sound)
        summary = run(Batch(folder, str(Path(folder, "results")), settings, options))
    if summary.failed:
        raise Error(f"{len(summary.failed)} of {len(sounds)} sounds failed, the first so: {summary.failed[0][1]}")
    seconds = summary.seconds - summary.loading_seconds
    return {
        "verb": settings.verb, "executor": options.executor, "workers": options.workers,
        "batch_size": options.batch_size, "files": len(sounds), "audio_seconds": summary.audio_seconds,
        "start_seconds": summary.loading_seconds, "seconds": seconds, "rate": summary.audio_seconds / seconds,
    }  # fmt: skip


def _work(batch: Batch, plan: Plan, summary: Summary, manifest: Manifest, key: str, on_file: OnStep | None) -> None:
    executor, tasks, together = executor_of(batch), plan.todo, batch.options.batch_size
    if together > 1 or batch.options.workers > 1:
        # The longest first, so that like goes with like and no worker is left with a long one at the end.
        tasks = sorted(tasks, key=lambda task: -plan.sizes[task.source])
    groups = [tasks[i : i + together] for i in range(0, len(tasks), together)]
    try:
        began = time.perf_counter()
        executor.start()
        summary.loading_seconds = time.perf_counter() - began
        for count, outcome in enumerate(hand_out(executor, groups, lambda task: manifest.append(_line(task, key))), 1):
            if outcome.fatal:
                raise OutOfSpace(f"{outcome.error}; make room, and --resume goes on")
            _take(outcome, summary, manifest, key)
            if on_file is not None:
                on_file(count, len(tasks))
    finally:
        executor.stop()
        if batch.results.is_local:
            batch.results.sweep()  # what a worker was writing when it was ended


def _take(outcome: Outcome, summary: Summary, manifest: Manifest, key: str) -> None:
    state = "done" if outcome.error is None else "failed"
    manifest.append({**_line(outcome.task, key, state), **outcome.values, "error": outcome.error, "ended": _now()})
    if outcome.error is not None:
        summary.failed.append((outcome.task.source, outcome.error))
        return
    summary.done += 1
    summary.bytes += outcome.values.get("bytes", 0)
    summary.audio_seconds += outcome.values["audio_seconds"]


def _line(task: Task, key: str, state: str = "started") -> Record:
    return {"state": state, **vars(task), "settings": key}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _length(source: Storage, name: str) -> tuple[float, int] | None:
    """Seconds and channels from the file's header; None where libsndfile does not know it, or it is damaged."""
    import soundfile

    try:
        if suffix_of(name) == STREAM_SUFFIX:
            info = api.read_info(source.read(name))
            return info.duration, info.channels
        with source.open(name) as file, soundfile.SoundFile(file) as sound:
            return sound.frames / sound.samplerate, sound.channels
    except (Error, soundfile.LibsndfileError):
        return None
