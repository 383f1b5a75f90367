"""Codebooks in files: safetensors with the configuration as metadata, checked at loading; never pickle. No torch.

Those inside the package go by name (`frame-residual`: unit and method) or by fingerprint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from noisebook.config import from_dict
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.config import DRAWN, CodebookConfig

FOLDER = Path(__file__).parent / "codebooks"
_FORMAT = "noisebook-codebook-1"


@dataclass(frozen=True)
class CodebookRecord:
    """What a file says about its codebook: configuration, record of the fit, and the fingerprint it was written with.

    The fields are those of `LatentCodebook`.
    """

    config: CodebookConfig
    record: Mapping[str, Any]
    fingerprint: bytes

    @property
    def metadata(self) -> dict[str, str]:
        """The record as a file holds it beside the tensors."""
        return {
            "format": _FORMAT,
            "config": json.dumps(asdict(self.config)),
            "record": json.dumps(dict(self.record)),
            "fingerprint": self.fingerprint.hex(),
        }


def read_record(path: Path) -> CodebookRecord:
    """What a codebook's file says about it, without reading its tables; errors as of `opened`."""
    with opened(path, "numpy") as (_, about):
        return about


@contextmanager
def opened(path: Path, framework: str) -> Iterator[tuple[Any, CodebookRecord]]:
    """A codebook's file and what it says; ModelError where it is none, or damaged."""
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


def shapes_of(config: CodebookConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
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
