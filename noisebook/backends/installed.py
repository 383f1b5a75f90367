"""Models of our own on this machine, and which of them made a stream. No torch.

A model is a folder as `mini_files` describes it: inside the package; a folder in the user's folder of models; or one
that an installed Python package names by an entry point of the group `noisebook.models`, whose object is that folder (a
path), or a package that is it. Of a model only safetensors with JSON in them are read.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from noisebook.backends import mini_files
from noisebook.backends.cache import remembered
from noisebook.diffusion.released import RELEASED, described
from noisebook.errors import ModelError, WrongModel

GROUP = "noisebook.models"
_USER = "your folder of models"
_STREAM_ID = 4  # hexadecimal digits of a fingerprint that a stream carries
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class InstalledModel:
    """A model on this machine: the folder with its files, its hexadecimal fingerprint, and in words where it was
    found."""

    folder: Path
    fingerprint: str
    source: str

    @property
    def embedded(self) -> bool:
        """Whether it is the one inside the package."""
        return self.folder == mini_files.WEIGHTS

    @property
    def name(self) -> str:
        """Short, as `load_backend` takes it."""
        return "mini" if self.embedded else self.fingerprint[:8]


def models_folder() -> Path:
    """The user's: `$NOISEBOOK_MODELS`, or `noisebook/models` in the user's folder of data; it need not exist yet."""
    own, data = os.environ.get("NOISEBOOK_MODELS"), os.environ.get("XDG_DATA_HOME")
    return Path(own) if own else Path(data or Path.home() / ".local" / "share") / "noisebook" / "models"


def installed() -> Iterator[InstalledModel]:
    """Every installed model, the embedded one first; one that cannot be read is left out, with a warning in the log.
    ModelError where the embedded model cannot be read."""
    yield _read(mini_files.WEIGHTS, "inside the package")
    for folder, source in (*_of_user(), *_of_packages()):
        try:
            yield _read(folder, source)
        except ModelError as error:
            _warn(f"{source}: no model: {error}")


def find(stream_id: bytes) -> InstalledModel:
    """The model whose fingerprint begins so, as a stream says; the embedded one, if it fits, before all others.
    WrongModel where there is none, or several; ModelError where the embedded model cannot be read."""
    looked: list[InstalledModel] = []
    for model in installed():
        if model.embedded and model.fingerprint.startswith(stream_id.hex()):
            return model  # without a look at the others
        looked.append(model)
    fitting = {model.fingerprint: model for model in looked if model.fingerprint.startswith(stream_id.hex())}
    if len(fitting) == 1:
        return fitting.popitem()[1]
    begin = f"the stream was made with {described(stream_id)}"
    if fitting:
        raise WrongModel(f"{begin}, and several begin so: {_listed(fitting.values())}; name one of them with --model")
    raise WrongModel(
        f"{begin}, which is not here; looked at: {_listed(looked)}. Give a folder of it with --model, or install it: "
        "noisebook models --install FOLDER"
    )


def install(folder: Path) -> InstalledModel:
    """Copy a model into the user's folder, under its fingerprint; one that is installed already stays where it is.
    ModelError for no model, one that streams could not tell from another, or a place that cannot be written to."""
    fingerprint = mini_files.model_info(folder).fingerprint.hex()
    for model in installed():
        if model.fingerprint == fingerprint:
            return model
        _check_distinct(fingerprint, model.fingerprint, model.name)
    for released in RELEASED:
        _check_distinct(fingerprint, released.fingerprint, f"{released.name} of noisebook {released.version}")
    target = models_folder() / fingerprint[:16]
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        for path in _files(folder):
            shutil.copyfile(path, partial / path.name)
        if mini_files.fingerprint(partial).hex() != fingerprint:
            raise ModelError(f"{folder} changed while it was copied; try again")
        partial.replace(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return _read(target, _USER)


def _read(folder: Path, source: str) -> InstalledModel:
    """The model in a folder, whose files fit together; looked into once as long as they stay as they are."""
    try:
        digest = remembered("fingerprints", _files(folder), lambda: mini_files.model_info(folder).fingerprint)
    except OSError as error:
        raise ModelError(f"{folder} cannot be read: {error.strerror}") from error
    return InstalledModel(folder, digest.hex(), source)


def _files(folder: Path) -> list[Path]:
    return [folder / name for name in mini_files.FILES if (folder / name).is_file()]


def _of_user() -> Iterator[tuple[Path, str]]:
    try:
        folders = sorted(path for path in models_folder().iterdir() if path.is_dir() and path.name[0] != ".")
    except FileNotFoundError:
        return
    except OSError as error:
        _warn(f"{models_folder()} cannot be read: {error.strerror}")
        return
    yield from ((folder, _USER) for folder in folders)


def _of_packages() -> Iterator[tuple[Path, str]]:
    for entry in entry_points(group=GROUP):
        source = f"package {entry.dist.name if entry.dist else entry.value}"
        try:
            found = entry.load()
            yield Path(found.__path__[0] if isinstance(found, ModuleType) else found), source
        except Exception as error:  # whatever somebody else's package does
            _warn(f"{source}: entry point {entry.name} of {GROUP} fails: {type(error).__name__}: {error}")


def _check_distinct(own: str, other: str, name: str) -> None:
    if own != other and own[:_STREAM_ID] == other[:_STREAM_ID]:
        raise ModelError(f"its fingerprint {own[:8]} begins as {other[:8]} of {name}, and streams carry two bytes")


def _listed(models: Iterable[InstalledModel]) -> str:
    return ", ".join(f"{model.fingerprint[:8]} ({model.source}, {model.folder})" for model in models)


@cache
def _warn(message: str) -> None:
    """Once: a corpus looks for a model with every stream."""
    _log.warning("%s", message)
