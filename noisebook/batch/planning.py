"""What is to do of a tree, what is done already, and what is refused before any work."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from noisebook.batch.manifest import History, Record
from noisebook.batch.naming import SOUND_SUFFIXES, STREAM_SUFFIX, counterparts, suffix_of, targets
from noisebook.batch.places import Place
from noisebook.batch.verbs import Settings
from noisebook.batch.worker import MAX_BYTES, Task, Work, inputs_of
from noisebook.errors import ConfigError

__all__ = ["Batch", "Plan", "check_places", "planned"]


@dataclass(frozen=True)
class Batch:
    """A verb over a tree.

    Attributes:
        source, target: folders, or URLs that fsspec knows.
        settings: what is done to each file.
        engine, workers: as of `crews.crew_of`.
        together: files that go through the denoiser in one batch.
        resume: skip what is done with the same settings and source.
        force: overwrite what this command did not write, and do anew what it did (with resume, only the former).
    """

    source: str
    target: str
    settings: Settings
    engine: str = "local"
    workers: int = 1
    together: int = 1
    resume: bool = False
    force: bool = False

    @property
    def work(self) -> Work:
        """What a worker needs of it."""
        return Work(self.settings, self.source, self.target)


@dataclass(frozen=True)
class Plan:
    """The files of a tree.

    Attributes:
        todo: files to do.
        sizes: bytes of their sources, by name.
        skipped: how many are done already.
        refused: files that cannot be done, and why.
        left_out: files of SRC that the verb does not take.
    """

    todo: list[Task]
    sizes: Mapping[str, int]
    skipped: int
    refused: list[tuple[Task, str]]
    left_out: int

    def groups(self, size: int, *, by_length: bool) -> list[list[Task]]:
        """The files to do, `size` at a time; by length, the longest first, so that like goes with like and no worker
        is left with a long one at the end."""
        tasks = sorted(self.todo, key=lambda task: -self.sizes[task.source]) if by_length else self.todo
        return [tasks[i : i + size] for i in range(0, len(tasks), size)]


def check_places(source: Place, target: Place) -> None:
    """Refuse places that are no two folders.

    Raises:
        ConfigError, AudioError.
    """
    if source.is_file():
        raise ConfigError(f"{source.url} is a file: name a folder, or use the command of the same name without batch")
    if not source.exists():
        raise ConfigError(f"there is no folder {source.url}")
    if target.is_file():
        raise ConfigError(f"{target.url} is a file: name a folder for the results")
    if source.contains(target) and target.contains(source):
        raise ConfigError(f"{target.url} is the folder of the sources: name another one for the results")


def planned(batch: Batch, history: History, key: str) -> Plan:
    """Go through SRC and DST.

    Args:
        batch: what is asked for.
        history: of the manifest.
        key: of the settings.

    Raises:
        ConfigError: the manifest holds a batch, and neither resume nor force is asked for.
        AudioError: a folder that cannot be listed.
    """
    if history.last and not (batch.resume or batch.force):
        name = batch.settings.manifest
        raise ConfigError(
            f"{batch.target} holds a batch ({name}): --resume does what is missing, --force everything anew"
        )
    source, target = batch.work.places()
    found = source.files(without=target)
    wanted = {STREAM_SUFFIX} if batch.settings.verb == "decompress" else SOUND_SUFFIXES
    sizes = {name: size for name, size in found.items() if suffix_of(name) in wanted}
    existing = target.files() if target.exists() else {}
    todo, refused, skipped = [], [], 0
    for task, error in _tasks(batch.settings, sizes, existing):
        if error is None and sizes[task.source] > MAX_BYTES:
            error = f"it has {sizes[task.source]} bytes, and a batch takes {MAX_BYTES} at most: cut it"
        if error is None and batch.resume and _is_done(task, history, key, (source, target), existing):
            skipped += 1
        elif error is None and not batch.force and _is_foreign(task, history, target, existing):
            refused.append(
                (task, f"{target.shown(task.target or '')} exists, and no batch wrote it: --force overwrites")
            )
        elif error is None:
            todo.append(task)
        else:
            refused.append((task, error))
    return Plan(todo, sizes, skipped, refused, len(found) - len(sizes))


def _tasks(settings: Settings, sources: Collection[str], existing: Collection[str]) -> list[tuple[Task, str | None]]:
    """Each source with its target, or counterpart; and what is wrong with that."""
    if settings.target_suffix is not None:
        return [(Task(source, target), None) for source, target in targets(sources, settings.target_suffix).items()]
    return [_pair(source, existing) for source in sources]


def _pair(source: str, existing: Collection[str]) -> tuple[Task, str | None]:
    others = counterparts(source, existing)
    if not others:
        return Task(source, None), "no sound and no stream of that name is in the folder of results"
    if len(others) > 1:
        return Task(source, None), f"several are of that name: {', '.join(others)}; keep one"
    return Task(source, None, others[0]), None


def _is_done(task: Task, history: History, key: str, places: tuple[Place, Place], existing: Mapping[str, int]) -> bool:
    record = history.last.get(task.source)
    if record is None or (record["state"], record.get("settings")) != ("done", key):
        return False
    if (record["target"], record.get("other")) != (task.target, task.other):
        return False
    if task.target is not None and existing.get(task.target) != record["bytes"]:
        return False
    return _same_inputs(task, record, places)


def _same_inputs(task: Task, record: Record, places: tuple[Place, Place]) -> bool:
    inputs = inputs_of(task, *places)
    if "+".join(place.state(name) for place, name in inputs) == record["source_state"]:
        return True
    return "+".join(place.digest(name) for place, name in inputs) == record["source_sha256"]  # copied, or touched


def _is_foreign(task: Task, history: History, target: Place, existing: Mapping[str, int]) -> bool:
    """Whether there is a file in the place of the result that no batch wrote, or that was changed since."""
    if task.target is None or task.target not in existing:
        return False
    if task.target not in history.owned:
        return True
    digest = history.owned[task.target]  # None: a batch began it and was killed before it could say how it ended
    return digest is not None and target.digest(task.target) != digest
