"""Time and size of a batch beforehand, and how many seconds of sound go through a verb in a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from noisebook import api
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.batch.executors import executor_of, hand_out
from noisebook.batch.planning import Batch, Plan
from noisebook.batch.storage import Storage
from noisebook.batch.verbs import STREAM_SUFFIX, Settings, suffix_of
from noisebook.batch.worker import Task, Work, Worker
from noisebook.errors import Error

__all__ = ["Estimate", "Throughput", "estimate", "throughput"]

_TRIAL_SECONDS = 3.0


@dataclass(frozen=True)
class Estimate:
    """What a batch will take, about.

    Attributes:
        files: to do.
        unknown: those among them whose length only decoding would tell; the rest leaves them out.
        source_bytes: of all files to do.
        audio_seconds: of sound to do.
        trial: the file that was tried, and how much of it: None if none could be.
        seconds: of work, without loading models.
        bytes: of what will be written; 0 for a verb that writes nothing.
    """

    files: int
    unknown: int
    source_bytes: int
    audio_seconds: float
    trial: tuple[str, float] | None = None
    seconds: float | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Throughput:
    """What was measured.

    Attributes:
        verb, executor, workers, batch_size: what ran.
        files: how many.
        audio_seconds: of sound in them.
        start_seconds: until every worker had its model.
        seconds: from then until the last file was done.
        rate: seconds of sound a second.
    """

    verb: str
    executor: str
    workers: int
    batch_size: int
    files: int
    audio_seconds: float
    start_seconds: float
    seconds: float
    rate: float


def estimate(batch: Batch, plan: Plan) -> Estimate:
    """Read the headers, try the first seconds of the first file that can be done, and scale.

    Raises:
        Error: the model cannot be loaded.
    """
    source = batch.work.storages()[0]
    lengths = {task: length for task in plan.todo if (length := _length(source, task.source)) is not None}
    total = sum(seconds for seconds, _ in lengths.values())
    sizes = sum(plan.sizes[task.source] for task in plan.todo)
    known = Estimate(len(plan.todo), len(plan.todo) - len(lengths), sizes, round(total, 3))
    if not lengths:
        return known
    worker = Worker(batch.work)
    for task in lengths:
        try:
            tried, took = worker.trial(task, _TRIAL_SECONDS)
        except Error:  # it will be in the list of failures
            continue
        # The size of a stream does not depend on channels, that of a sound does.
        of_sounds = batch.settings.target_suffix != STREAM_SUFFIX
        written = sum(seconds * (channels if of_sounds else 1) for seconds, channels in lengths.values())
        tried_seconds = tried.audio_seconds * (lengths[task][1] if of_sounds else 1)
        return Estimate(
            known.files, known.unknown, known.source_bytes, known.audio_seconds,
            trial=(task.source, round(tried.audio_seconds, 3)),
            seconds=round(total / tried.audio_seconds * took / batch.workers, 3),
            bytes=round(written / tried_seconds * len(tried.data or b"")),
        )  # fmt: skip
    return known


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


def throughput(
    sounds: Sequence[Waveform], settings: Settings, *, executor: str = "local", workers: int = 1, batch_size: int = 1
) -> Throughput:
    """Do a verb on sounds as `noisebook batch` does, files and digests included, and take the time.

    Args:
        sounds: one file each, as 16-bit WAV.
        settings: compress or reconstruct, with their options.
        executor, workers, batch_size: as of `Batch`.

    Raises:
        Error: a sound that cannot be done.
    """
    with TemporaryDirectory() as source, TemporaryDirectory() as target:
        tasks = [Task(f"{index}.wav", f"{index}{settings.target_suffix}") for index in range(len(sounds))]
        for task, sound in zip(tasks, sounds, strict=True):
            io.write(Path(source, task.source), sound)
        running = executor_of(Work(settings, source, target), executor, workers)
        try:
            began = time.perf_counter()
            running.start()
            started = time.perf_counter()
            groups = [tasks[i : i + batch_size] for i in range(0, len(tasks), batch_size)]
            failures = [outcome.error for outcome in hand_out(running, groups) if outcome.error is not None]
            seconds = time.perf_counter() - started
        finally:
            running.stop()
    if failures:
        raise Error(f"{len(failures)} of {len(sounds)} sounds failed, the first so: {failures[0]}")
    audio_seconds = sum(sound.duration for sound in sounds)
    return Throughput(
        settings.verb, executor, workers, batch_size, len(sounds), audio_seconds, started - began, seconds,
        audio_seconds / seconds,
    )  # fmt: skip
