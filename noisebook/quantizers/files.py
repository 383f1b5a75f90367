"""Codebooks in files: safetensors with the configuration as metadata, checked at loading; never pickle. No torch.

Those inside the package go by name (`frame-residual`: unit and method) or by fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.config import from_dict, to_dict
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.config import DRAWN, CodebookConfig

if TYPE_CHECKING:
    import torch

__all__ = ["FOLDER", "CodebookRecord", "find_shipped", "read_record", "read_tensors", "shipped_names", "shipped_path",
           "write"]  # fmt: skip

FOLDER = Path(__file__).parent / "codebooks"
_FORMAT = "noisebook-codebook-1"


@dataclass(frozen=True)
class CodebookRecord:
    """What a file says about its codebook: configuration, record of the fit, and the fingerprint it was written with.

    Attributes:
        config: shape and kind.
        record: how it was fitted, and what came out; any JSON.
        fingerprint: SHA-256 of configuration and tensors.
    """

    config: CodebookConfig
    record: Mapping[str, Any]
    fingerprint: bytes


def write(
    path: Path | str, about: CodebookRecord, tensors: Mapping[str, torch.Tensor], *, overwrite: bool = True
) -> None:
    """Write a file; it appears whole or not at all.

    Raises:
        AudioError: it cannot be written.
    """
    from safetensors.torch import save

    from noisebook.audio.io import write_bytes_atomic

    metadata = {
        "format": _FORMAT,
        "config": json.dumps(to_dict(about.config)),
        "record": json.dumps(dict(about.record)),
        "fingerprint": about.fingerprint.hex(),
    }
    data = save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    write_bytes_atomic(path, data, overwrite=overwrite)


def read_record(path: Path) -> CodebookRecord:
    """What a codebook's file says about it, without reading its tables.

    Raises:
        ModelError: no such file, or not a codebook.
    """
    with _opened(path, "numpy") as (_, about):
        return about


def read_tensors(path: Path) -> tuple[CodebookRecord, dict[str, torch.Tensor]]:
    """The same with the tensors, whose shapes are checked before anything is read, and whose values after.

    Raises:
        ModelError: no such file, not a codebook, or damaged.
    """
    with _opened(path, "pt") as (file, about):
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
        wanted = _shapes(about.config)
        if found != wanted:
            wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            raise ModelError(f"{path}: the tensors do not fit the configuration: {', '.join(wrong)}")
        tensors = {name: file.get_tensor(name) for name in slices}
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds NaN or infinite values")
        if not tensor.is_floating_point() and int(tensor.min()) < 1:
            raise ModelError(f"{path}: {name} holds a count below 1")
    return about, tensors


@contextmanager
def _opened(path: Path, framework: str) -> Iterator[tuple[Any, CodebookRecord]]:
    """A codebook's file and what it says; what goes wrong with it is a `ModelError`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path}: there is no such codebook file")
    try:
        with safe_open(path, framework) as file:
            metadata: dict[str, str] = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ModelError(f"{path} is a safetensors file, but not a codebook that this version knows")
            config = from_dict(CodebookConfig, json.loads(metadata["config"]))
            fingerprint = bytes.fromhex(metadata["fingerprint"])
            yield file, CodebookRecord(config, json.loads(metadata["record"]), fingerprint)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error})") from error
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration is damaged: {error}") from error


def _shapes(config: CodebookConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every tensor that a codebook of this configuration has."""
    counts = {name: ("I32", (length,)) for name, length in config.alphabets.items()}
    if config.method in DRAWN:
        values = config.values // config.row_frames
        return {**counts, "mean": ("F32", (values,)), "std": ("F32", (values,))}
    tables = {f"table.{index}": ("F16", (config.size, view.values)) for index, view in enumerate(config.views)}
    return {**counts, **tables}


def shipped_names() -> tuple[str, ...]:
    """Names of the codebooks inside the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def shipped_path(name: str) -> Path | None:
    """The file of the codebook with that name; None: there is none."""
    return FOLDER / f"{name}.safetensors" if name in shipped_names() else None


def find_shipped(fingerprint: bytes) -> Path | None:
    """The file of the codebook whose fingerprint begins so; None: there is none."""
    return next((path for path, own in _fingerprints().items() if own.startswith(fingerprint)), None)


@cache
def _fingerprints() -> dict[Path, bytes]:
    return {path: read_record(path).fingerprint for path in sorted(FOLDER.glob("*.safetensors"))}
