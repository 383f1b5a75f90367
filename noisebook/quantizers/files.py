"""Codebooks in files: safetensors with the configuration as metadata, checked at loading; never pickle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.config import from_dict, to_dict
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.config import DRAWN, CodebookConfig

if TYPE_CHECKING:
    import torch

    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["CodebookRecord", "load", "read_fingerprint", "read_record", "save"]

_FORMAT = "noisebook-codebook-1"
Shapes = dict[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class CodebookRecord:
    """What a file says about its codebook, the tables unread: configuration, record of the fit, fingerprint."""

    config: CodebookConfig
    record: Mapping[str, Any]
    fingerprint: bytes


def save(codebook: LatentCodebook, path: Path | str, *, overwrite: bool = True) -> None:
    """Write a file that `load` reads; it appears whole or not at all.

    Raises:
        AudioError: it cannot be written.
    """
    from safetensors.torch import save as to_bytes

    from noisebook.audio.io import write_bytes_atomic

    metadata = {
        "format": _FORMAT,
        "config": json.dumps(to_dict(codebook.config)),
        "record": json.dumps(dict(codebook.record)),
        "fingerprint": codebook.fingerprint.hex(),
    }
    tensors = {name: tensor.cpu().contiguous() for name, tensor in codebook.tensors.items()}
    write_bytes_atomic(path, to_bytes(tensors, metadata), overwrite=overwrite)


def load(path: Path | str, *, unit: str | None = None, model: str | None = None) -> LatentCodebook:
    """The codebook of a file.

    Args:
        unit: refuse a codebook of another unit.
        model: fingerprint of an autoencoder, hexadecimal: refuse a codebook fitted for another.

    Raises:
        ConfigError: another unit than asked for.
        ModelError: no such file, not a codebook, damaged, or fitted for another model.
    """
    from noisebook.quantizers.codebook import LatentCodebook

    config, record, fingerprint, tensors = _read(Path(path))
    codebook = LatentCodebook(config, tensors, record)
    if codebook.fingerprint.hex() != fingerprint:
        raise ModelError(f"{path} is damaged: its content does not have the fingerprint it was written with")
    if unit is not None and codebook.unit != unit:
        raise ConfigError(f"{path} is a codebook of unit {codebook.unit}, and one of unit {unit} is needed")
    if model is not None and codebook.model != model:
        raise ModelError(f"{path} was fitted for the model {codebook.model or 'none'}, not for {model}; fit one for it")
    return codebook


def read_fingerprint(path: Path) -> str:
    """The fingerprint that a codebook's file was written with, hexadecimal, without reading its tables.

    Raises:
        ModelError: no such file, or not a codebook.
    """
    with _opened(path, "numpy") as file:
        return _metadata(file, path)["fingerprint"]


def read_record(path: Path) -> CodebookRecord:
    """What a codebook's file says about it, without reading its tables, and without torch.

    Raises:
        ModelError: no such file, or not a codebook.
    """
    with _opened(path, "numpy") as file:
        metadata = _metadata(file, path)
        config = from_dict(CodebookConfig, json.loads(metadata["config"]))
        return CodebookRecord(config, json.loads(metadata["record"]), bytes.fromhex(metadata["fingerprint"]))


def _read(path: Path) -> tuple[CodebookConfig, dict[str, Any], str, dict[str, torch.Tensor]]:
    with _opened(path) as file:
        metadata = _metadata(file, path)
        config = from_dict(CodebookConfig, json.loads(metadata["config"]))
        _check_shapes(file, _shapes(config), path)  # before anything is read
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        record, fingerprint = json.loads(metadata["record"]), metadata["fingerprint"]
    _check_values(tensors, path)
    return config, record, fingerprint, tensors


@contextmanager
def _opened(path: Path, framework: str = "pt") -> Iterator[Any]:
    """A safetensors file; what goes wrong with it is a `ModelError`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path}: there is no such codebook file")
    try:
        with safe_open(path, framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error})") from error
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: its configuration is damaged: {error}") from error


def _metadata(file: Any, path: Path) -> dict[str, str]:
    metadata: dict[str, str] = file.metadata() or {}
    if metadata.get("format") != _FORMAT:
        raise ModelError(f"{path} is a safetensors file, but not a codebook that this version knows")
    return metadata


def _shapes(config: CodebookConfig) -> Shapes:
    """Type and shape of every tensor that a codebook of this configuration has."""
    from noisebook.quantizers.stages import alphabets

    counts = {name: ("I32", (length,)) for name, length in alphabets(config).items()}
    if config.method in DRAWN:
        values = config.values // config.row_frames
        return {**counts, "mean": ("F32", (values,)), "std": ("F32", (values,))}
    tables = {f"table.{index}": ("F16", (config.size, view.values)) for index, view in enumerate(config.views)}
    return {**counts, **tables}


def _check_shapes(file: Any, shapes: Shapes, path: Path) -> None:
    slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
    found = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    if found != shapes:
        wrong = sorted(name for name in found.keys() | shapes.keys() if found.get(name) != shapes.get(name))
        raise ModelError(f"{path}: the tensors do not fit the configuration: {', '.join(wrong)}")


def _check_values(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    import torch

    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path}: {name} holds NaN or infinite values")
        if tensor.dtype == torch.int32 and int(tensor.min()) < 1:
            raise ModelError(f"{path}: {name} holds a count below 1")
