"""How many seconds of sound go through a verb in a second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.batch.crews import crew_of, hand_out
from noisebook.batch.verbs import Settings
from noisebook.batch.worker import Task, Work
from noisebook.errors import Error

__all__ = ["Throughput", "throughput"]


@dataclass(frozen=True)
class Throughput:
    """What was measured.

    Attributes:
        verb, engine, workers, together: what ran.
        files: how many.
        audio_seconds: of sound in them.
        start_seconds: until every worker had its model.
        seconds: from then until the last file was done.
    """

    verb: str
    engine: str
    workers: int
    together: int
    files: int
    audio_seconds: float
    start_seconds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Seconds of sound a second."""
        return self.audio_seconds / self.seconds

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {**vars(self), "rate": self.rate}


def throughput(
    sounds: Sequence[Waveform], settings: Settings, *, engine: str = "local", workers: int = 1, together: int = 1
) -> Throughput:
    """Do a verb on sounds as `noisebook batch` does, files and digests included, and take the time.

    Args:
        sounds: one file each, as 16-bit WAV.
        settings: compress or reconstruct, with their options.
        engine, workers: as of `crews.crew_of`.
        together: files that go through the denoiser in one batch.

    Raises:
        Error: a sound that cannot be done.
    """
    with TemporaryDirectory() as source, TemporaryDirectory() as target:
        tasks = [Task(f"{index}.wav", f"{index}{settings.target_suffix}") for index in range(len(sounds))]
        for task, sound in zip(tasks, sounds, strict=True):
            io.write(Path(source, task.source), sound)
        crew = crew_of(Work(settings, source, target), engine, workers)
        try:
            began = time.perf_counter()
            crew.start()
            started = time.perf_counter()
            groups = [tasks[i : i + together] for i in range(0, len(tasks), together)]
            failures = [outcome.error for outcome in hand_out(crew, groups) if outcome.error is not None]
            ended = time.perf_counter()
        finally:
            crew.stop()
    if failures:
        raise Error(f"{len(failures)} of {len(sounds)} sounds failed, the first so: {failures[0]}")
    audio_seconds = sum(sound.duration for sound in sounds)
    return Throughput(
        settings.verb, engine, workers, together, len(sounds), audio_seconds, started - began, ended - started
    )
