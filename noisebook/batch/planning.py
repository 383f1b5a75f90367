"""What is to do of a tree, what is done already, and what is refused before any work.

A result lies where its source lies and has its name with another suffix: a/b.wav -> a/b.ddcm. Where two sources would
get one name, both keep their suffix: a/b.wav and a/b.mp3 -> a/b.wav.ddcm and a/b.mp3.ddcm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from noisebook.batch.manifest import Manifest
from noisebook.batch.storage import Storage
from noisebook.batch.verbs import STREAM_SUFFIX, Settings, suffix_of
from noisebook.errors import ConfigError
from noisebook.options import Options, option

MAX_BYTES = 2**31  # of a source, which is held in memory: 3 hours of 16-bit stereo at 48 kHz
# Of libsndfile, and of ffmpeg behind it (`audio.io`). Others are not tried: a corpus holds notes and covers too.
_KINDS = """
    wav flac ogg oga opus mp3 aiff aif aifc caf w64 au snd rf64 voc sph
    mpga mp2 m4a m4b aac wma ac3 amr ape wv tta mka mpc dsf tak shn 3gp mp4 mov mkv webm
"""
_SOUND_SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())


@dataclass(frozen=True)
class Task:
    """One file."""

    source: str  # its name in the folder of sources
    target: str | None  # the name of its result in the folder of results; None where nothing is written
    other: str | None = None  # verify: the name of what is compared with it, in the folder of results


@dataclass(frozen=True)
class RunOptions(Options):
    """How a batch runs."""

    executor: str = option(
        "local", "local: this machine. ray: actors of the cluster that RAY_ADDRESS names, or of one on this machine.",
        choices=("local", "ray"), flags=("--executor", "--engine"),
    )  # fmt: skip
    workers: int = option(1, "Models at work at once.", low=1)
    batch_size: int = option(
        1, "Files that go through the network in one call, where their lengths allow; for GPUs.",
        low=1, flags=("--batch",),
    )  # fmt: skip
    resume: bool = option(False, "Skip what is done already with these settings and sources.")
    force: bool = option(False, "Overwrite what is in DST.", flags=("-f", "--force"))


@dataclass(frozen=True)
class Batch:
    """A verb over a tree. Plain values: workers in other processes and on other machines begin with it."""

    source: str  # a folder, or a URL that fsspec knows
    target: str  # the same, for the results
    settings: Settings  # what is done to each file
    options: RunOptions = RunOptions()

    @property
    def sources(self) -> Storage:
        return Storage(self.source)

    @property
    def results(self) -> Storage:
        return Storage(self.target)

    def inputs(self, task: Task) -> list[tuple[Storage, str]]:
        """The files that a task reads, the source first."""
        return [(self.sources, task.source), *([] if task.other is None else [(self.results, task.other)])]

    def state(self, task: Task) -> str:
        """A short text that changes when a task's files do."""
        return "+".join(storage.state(name) for storage, name in self.inputs(task))

    def digest(self, task: Task) -> str:
        """SHA-256 of a task's files."""
        return "+".join(storage.digest(name) for storage, name in self.inputs(task))

    def with_model(self, **changes: Any) -> Batch:
        """The same with other options of the model."""
        return replace(self, settings=replace(self.settings, model=self.settings.model.replaced(**changes)))


@dataclass(frozen=True)
class Plan:
    """The files of a tree."""

    todo: list[Task]  # files to do
    sizes: Mapping[str, int]  # bytes of their sources, by name
    skipped: int  # how many are done already
    refused: list[tuple[Task, str]]  # files that cannot be done, and why
    left_out: int  # files of SRC that the verb does not take


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
    """Raise ConfigError for what is not two folders."""
    if source.is_file():
        raise ConfigError(f"{source.url} is a file: name a folder, or use the command of the same name without batch")
    if not source.is_folder():
        raise ConfigError(f"there is no folder {source.url}")
    if target.is_file():
        raise ConfigError(f"{target.url} is a file: name a folder for the results")
    if source.contains(target) and target.contains(source):
        raise ConfigError(f"{target.url} is the folder of the sources: name another one for the results")


def planned(batch: Batch, manifest: Manifest, key: str) -> Plan:
    """Go through SRC and DST, by what was done before and the key of the settings; ConfigError if the manifest holds a
    batch, and neither resume nor force is asked for."""
    if manifest.last and not (batch.options.resume or batch.options.force):
        name = batch.settings.manifest
        raise ConfigError(
            f"{batch.target} holds a batch ({name}): --resume does what is missing, --force everything anew"
        )
    source, target = batch.sources, batch.results
    found = source.files(without=target)
    wanted = {STREAM_SUFFIX} if batch.settings.verb == "decompress" else _SOUND_SUFFIXES
    sizes = {name: size for name, size in found.items() if suffix_of(name) in wanted}
    existing = target.files() if target.is_folder() else {}
    todo, refused, skipped = [], [], 0
    for task, error in _tasks(batch.settings, sizes, existing):
        if error is None and sizes[task.source] > MAX_BYTES:
            error = f"it has {sizes[task.source]} bytes, and a batch takes {MAX_BYTES} at most: cut it"
        if error is None and batch.options.resume and _is_done(task, manifest, key, batch, existing):
            skipped += 1
            continue
        if error is None and not batch.options.force and _is_foreign(task, manifest, target, existing):
            error = f"{target.shown(task.target or '')} exists, and no batch wrote it: --force overwrites"
        if error is None:
            todo.append(task)
        else:
            refused.append((task, error))
    return Plan(todo, sizes, skipped, refused, len(found) - len(sizes))


def _tasks(settings: Settings, sources: Collection[str], existing: Collection[str]) -> list[tuple[Task, str | None]]:
    """Each source with its target or counterpart, and what is wrong with that."""
    if settings.target_suffix is not None:
        return [(Task(source, target), None) for source, target in targets(sources, settings.target_suffix).items()]
    tasks: list[tuple[Task, str | None]] = []
    for source in sources:
        match counterparts(source, existing):
            case [other]:
                tasks.append((Task(source, None, other), None))
            case []:
                tasks.append((Task(source, None), "no sound and no stream of that name is in the folder of results"))
            case others:
                tasks.append((Task(source, None), f"several are of that name: {', '.join(others)}; keep one"))
    return tasks


def _is_done(task: Task, manifest: Manifest, key: str, batch: Batch, existing: Mapping[str, int]) -> bool:
    record = manifest.last.get(task.source)
    if record is None or (record["state"], record.get("settings")) != ("done", key):
        return False
    if (record["target"], record.get("other")) != (task.target, task.other):
        return False
    if task.target is not None and existing.get(task.target) != record["bytes"]:
        return False
    # With another time it may still be the same file: copied, or touched.
    return batch.state(task) == record["source_state"] or batch.digest(task) == record["source_sha256"]


def _is_foreign(task: Task, manifest: Manifest, target: Storage, existing: Mapping[str, int]) -> bool:
    """Whether there is a file in the place of the result that no batch wrote, or that was changed since."""
    if task.target is None or task.target not in existing:
        return False
    if task.target not in manifest.owned:
        return True
    digest = manifest.owned[task.target]  # None: a batch began it and was killed before it could say how it ended
    return digest is not None and target.digest(task.target) != digest
