"""The loop over a corpus: plan, hand out, write down."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from noisebook._version import __version__
from noisebook.batch.executors import executor_of, hand_out
from noisebook.batch.manifest import Manifest, Record, opened
from noisebook.batch.planning import Batch, Plan, check_folders, planned
from noisebook.batch.storage import OutOfSpace
from noisebook.batch.worker import Outcome, Task

__all__ = ["OnFile", "Summary", "dry_run", "run"]

OnFile = Callable[[int, int], None]  # (files done, files to do)


@dataclass
class Summary:
    """How a run ended.

    Attributes:
        done: files that were done.
        skipped: files that were done before.
        left_out: files that the verb does not take.
        failed: source and reason of the others.
        bytes: of what was written.
        audio_seconds: of sound that was done.
        seconds: of the run.
    """

    done: int = 0
    skipped: int = 0
    left_out: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    bytes: int = 0
    audio_seconds: float = 0.0
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        failed = [{"source": source, "error": error} for source, error in self.failed]
        return {**vars(self), "failed": failed}


def run(batch: Batch, *, on_file: OnFile | None = None) -> Summary:
    """Do a batch. Failures of single files are in the summary and the manifest.

    Args:
        batch: what is asked for.
        on_file: called after each file.

    Raises:
        Error: nothing can be done at all, or nothing more: the disk is full.
        KeyboardInterrupt: what was done stays, nothing is half written, and resume goes on.
    """
    started = time.perf_counter()
    source, target = batch.work.storages()
    check_folders(source, target)
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
    """What a batch would do; writes nothing.

    Raises:
        Error: as `run`.
    """
    source, target = batch.work.storages()
    check_folders(source, target)
    batch.settings.check()
    return planned(batch, Manifest(target, batch.settings.manifest), batch.settings.key())


def _work(batch: Batch, plan: Plan, summary: Summary, manifest: Manifest, key: str, on_file: OnFile | None) -> None:
    executor = executor_of(batch.work, batch.executor, batch.workers)
    groups = plan.groups(batch.batch_size, by_length=batch.batch_size > 1 or batch.workers > 1)
    try:
        executor.start()
        for count, outcome in enumerate(hand_out(executor, groups, lambda task: manifest.append(_line(task, key))), 1):
            if outcome.fatal:
                raise OutOfSpace(f"{outcome.error}; make room, and --resume goes on")
            _take(outcome, summary, manifest, key)
            if on_file is not None:
                on_file(count, len(plan.todo))
    finally:
        executor.stop()
        target = batch.work.storages()[1]
        if target.is_local:
            target.sweep()  # what a worker was writing when it was ended


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
