"""The codebooks inside the package, by name (`frame-residual`: unit and method) or by fingerprint."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from noisebook.quantizers.files import read_fingerprint

__all__ = ["FOLDER", "find_shipped", "shipped_names", "shipped_path"]

FOLDER = Path(__file__).parent / "codebooks"


def shipped_names() -> tuple[str, ...]:
    """Names of the codebooks inside the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.safetensors")))


def shipped_path(name: str) -> Path | None:
    """The file of the codebook with that name; None: there is none."""
    return FOLDER / f"{name}.safetensors" if name in shipped_names() else None


def find_shipped(fingerprint: bytes) -> Path | None:
    """The file of the codebook whose fingerprint begins so; None: there is none."""
    for name, own in _fingerprints().items():
        if own.startswith(fingerprint.hex()):
            return FOLDER / f"{name}.safetensors"
    return None


@cache
def _fingerprints() -> dict[str, str]:
    return {name: read_fingerprint(FOLDER / f"{name}.safetensors") for name in shipped_names()}
