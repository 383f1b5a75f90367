"""What noisebook keeps between runs: digests of files and models, embeddings of the empty prompt, error curves."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """`$NOISEBOOK_CACHE`, or `noisebook` in the user's folder of caches; it need not exist yet."""
    own = os.environ.get("NOISEBOOK_CACHE")
    return Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noisebook"


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's contents: gigabytes are read once."""

    def read() -> bytes:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()

    return remembered("digests", [path], read)


def remembered(kind: str, paths: Sequence[Path], compute: Callable[[], bytes]) -> bytes:
    """A SHA-256 of some kind of files' contents, remembered by their places, sizes and times of change. OSError where
    one is not there."""
    states = ((path.resolve(), path.stat()) for path in paths)
    key = "\n".join(f"{path} {status.st_size} {status.st_mtime_ns}" for path, status in states)
    store = cache_folder() / kind / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"
    try:
        known = json.loads(store.read_text(encoding="utf-8"))
        if known["file"] == key:
            return bytes.fromhex(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing remembered, or nothing that can be read: the contents tell
    digest = compute()
    write_text(store, json.dumps({"file": key, "sha256": digest.hex()}))
    return digest


def write_text(path: Path, text: str) -> bool:
    """Write a file of the cache, whole or not at all; False, and a note in the log, where it cannot be written."""
    return _write(path, lambda partial: partial.write_text(text, encoding="utf-8"))


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]) -> bool:
    """The same for tensors, as safetensors."""
    from safetensors.torch import save_file

    return _write(path, lambda partial: save_file({k: v.cpu().contiguous() for k, v in tensors.items()}, partial))


def _write(path: Path, write: Callable[[Path], object]) -> bool:
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(partial)
        partial.replace(path)
    except OSError as error:
        _log.info("not remembered: %s", error)
        return False
    return True
