"""Optional packages of the metrics: imported by the function that needs them, refused with the install line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from noisebook.errors import MissingExtra

__all__ = ["install_line", "require"]


def install_line(*extras: str) -> str:
    """The command that brings the packages of these extras."""
    return f"pip install 'noisebook[{','.join(sorted(set(extras)))}]'"


def require(module: str, *, extra: str = "metrics") -> Any:
    """Import an optional module.

    Raises:
        MissingExtra: it is not importable; the message carries the install line.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"this metric needs the package {module}, not importable here: {install_line(extra)}"
        ) from error
