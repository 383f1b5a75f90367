"""Time and size of a batch beforehand: lengths from the headers of the files, speed and rate from one short trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noisebook import api
from noisebook.batch.naming import STREAM_SUFFIX, suffix_of
from noisebook.batch.places import Place
from noisebook.batch.planning import Batch, Plan
from noisebook.batch.worker import Task, Worker
from noisebook.errors import Error

__all__ = ["Estimate", "estimate"]

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
    trial: tuple[str, float] | None
    seconds: float | None
    bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return dict(vars(self))


@dataclass(frozen=True)
class _Length:
    seconds: float
    channels: int

    def written(self, channels: bool) -> float:
        """Seconds, of each channel where what is written has them: a stream's size does not depend on them."""
        return self.seconds * (self.channels if channels else 1)


def estimate(batch: Batch, plan: Plan) -> Estimate:
    """Read the headers, try the first seconds of the first file that can be done, and scale.

    Raises:
        Error: the model cannot be loaded.
    """
    source = batch.work.places()[0]
    lengths = {task: length for task in plan.todo if (length := _length(source, task.source)) is not None}
    sizes = sum(plan.sizes[task.source] for task in plan.todo)
    total = sum(length.seconds for length in lengths.values())
    counts = (len(plan.todo), len(plan.todo) - len(lengths), sizes, round(sum(a.seconds for a in lengths.values()), 3))
    tried = _tried(batch, lengths)
    if tried is None:
        return Estimate(*counts, None, None, None)
    task, audio_seconds, seconds, size = tried
    sound = batch.work.settings.target_suffix != STREAM_SUFFIX
    written = sum(length.written(sound) for length in lengths.values())
    share = written * lengths[task].seconds / (audio_seconds * lengths[task].written(sound))
    trial = (task.source, round(audio_seconds, 3))
    took = total / audio_seconds * seconds
    return Estimate(*counts, trial, round(took / batch.workers, 3), round(share * size))


def _tried(batch: Batch, lengths: dict[Task, _Length]) -> tuple[Task, float, float, int] | None:
    """The file that could be done first, how much of it was, in how many seconds, to how many bytes."""
    if not lengths:
        return None
    worker = Worker(batch.work)
    for task in lengths:
        try:
            coded, seconds = worker.trial(task, _TRIAL_SECONDS)
        except Error:  # it will be in the list of failures
            continue
        return task, coded.audio_seconds, seconds, len(coded.data or b"")
    return None


def _length(source: Place, name: str) -> _Length | None:
    """From the file's header; None where libsndfile does not know it, or the header is damaged."""
    import soundfile

    try:
        if suffix_of(name) == STREAM_SUFFIX:
            shown = api.read_info(source.read(name))
            return _Length(shown.duration, shown.channels)
        with source.open(name) as file, soundfile.SoundFile(file) as sound:
            return _Length(sound.frames / sound.samplerate, sound.channels)
    except (Error, soundfile.LibsndfileError):
        return None
