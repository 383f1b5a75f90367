"""What is to do of a tree, what is done already, and what is refused before any work.

A result lies where its source lies and has its name with another suffix: a/b.wav -> a/b.ddcm. Where two sources would
get one name, both keep their suffix: a/b.wav and a/b.mp3 -> a/b.wav.ddcm and a/b.mp3.ddcm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from noisebook.batch.manifest import Manifest
from noisebook.batch.storage import Storage
from noisebook.batch.verbs import STREAM_SUFFIX, Settings, suffix_of
from noisebook.batch.worker import MAX_BYTES, Task, Work
from noisebook.errors import ConfigError

__all__ = ["Batch", "Plan", "check_folders", "counterparts", "planned", "targets"]

# Of libsndfile, and of ffmpeg behind it (`audio.io`). Others are not tried: a corpus holds notes and covers too.
_KINDS = """
    wav flac ogg oga opus mp3 aiff aif aifc caf w64 au snd rf64 voc sph
    mpga mp2 m4a m4b aac wma ac3 amr ape wv tta mka mpc dsf tak shn 3gp mp4 mov mkv webm
"""
_SOUND_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())


@dataclass(frozen=True)
class Batch:
    """A verb over a tree.

    Attributes:
        source, target: folders, or URLs that fsspec knows.
        settings: what is done to each file.
        executor, workers: as of `executors.executor_of`.
        batch_size: files that go through the denoiser in one call.
        resume: skip what is done with the same settings and source.
        force: overwrite what this command did not write, and do anew what it did (with resume, only the former).
    """

    source: str
    target: str
    settings: Settings
    executor: str = "local"
    workers: int = 1
    batch_size: int = 1
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


def targets(sources: Iterable[str], suffix: str) -> dict[str, str]:
    """The name of the result of each source; no two are the same."""
    named = {source: str(PurePosixPath(source).with_suffix(suffix)) for source in sources}
    while True:
        often = Counter(named.values())
        clashing = [name for name, target in named.items() if often[target] > 1 and target != name + suffix]
        if not clashing:
            return named
        # A longer name may meet another one, which then is lengthened too.
        named.update((name, name + suffix) for name in clashing)


def counterparts(source: str, others: Collection[str]) -> list[str]:
    """Streams and sounds among `others` that can be the result of a source: of its name with or without its suffix."""
    stems = (str(PurePosixPath(source).with_suffix("")), source)
    suffixes = (STREAM_SUFFIX, *sorted(_SOUND_SUFFIXES))
    return [stem + suffix for stem in stems for suffix in suffixes if stem + suffix in others]


def check_folders(source: Storage, target: Storage) -> None:
    """Refuse what is no two folders.

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


def planned(batch: Batch, manifest: Manifest, key: str) -> Plan:
    """Go through SRC and DST.

    Args:
        batch: what is asked for.
        manifest: what was done before.
        key: of the settings.

    Raises:
        ConfigError: the manifest holds a batch, and neither resume nor force is asked for.
        AudioError: a folder that cannot be listed.
    """
    if manifest.last and not (batch.resume or batch.force):
        name = batch.settings.manifest
        raise ConfigError(
            f"{batch.target} holds a batch ({name}): --resume does what is missing, --force everything anew"
        )
    source, target = batch.work.storages()
    found = source.files(without=target)
    wanted = {STREAM_SUFFIX} if batch.settings.verb == "decompress" else _SOUND_SUFFIXES
    sizes = {name: size for name, size in found.items() if suffix_of(name) in wanted}
    existing = target.files() if target.exists() else {}
    todo, refused, skipped = [], [], 0
    for task, error in _tasks(batch.settings, sizes, existing):
        if error is None and sizes[task.source] > MAX_BYTES:
            error = f"it has {sizes[task.source]} bytes, and a batch takes {MAX_BYTES} at most: cut it"
        if error is None and batch.resume and _is_done(task, manifest, key, batch.work, existing):
            skipped += 1
            continue
        if error is None and not batch.force and _is_foreign(task, manifest, target, existing):
            error = f"{target.shown(task.target or '')} exists, and no batch wrote it: --force overwrites"
        if error is None:
            todo.append(task)
        else:
            refused.append((task, error))
    return Plan(todo, sizes, skipped, refused, len(found) - len(sizes))


def _tasks(settings: Settings, sources: Collection[str], existing: Collection[str]) -> list[tuple[Task, str | None]]:
    """Each source with its target, or counterpart; and what is wrong with that."""
    if settings.target_suffix is not None:
        return [(Task(source, target), None) for source, target in targets(sources, settings.target_suffix).items()]
    tasks: list[tuple[Task, str | None]] = []
    for source in sources:
        others = counterparts(source, existing)
        error = None
        if not others:
            error = "no sound and no stream of that name is in the folder of results"
        elif len(others) > 1:
            error = f"several are of that name: {', '.join(others)}; keep one"
        tasks.append((Task(source, None, None if error else others[0]), error))
    return tasks


def _is_done(task: Task, manifest: Manifest, key: str, work: Work, existing: Mapping[str, int]) -> bool:
    record = manifest.last.get(task.source)
    if record is None or (record["state"], record.get("settings")) != ("done", key):
        return False
    if (record["target"], record.get("other")) != (task.target, task.other):
        return False
    if task.target is not None and existing.get(task.target) != record["bytes"]:
        return False
    # Of another time, it may still be the same file: copied, or touched.
    return work.state(task) == record["source_state"] or work.digest(task) == record["source_sha256"]


def _is_foreign(task: Task, manifest: Manifest, target: Storage, existing: Mapping[str, int]) -> bool:
    """Whether there is a file in the place of the result that no batch wrote, or that was changed since."""
    if task.target is None or task.target not in existing:
        return False
    if task.target not in manifest.owned:
        return True
    digest = manifest.owned[task.target]  # None: a batch began it and was killed before it could say how it ended
    return digest is not None and target.digest(task.target) != digest
