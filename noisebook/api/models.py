"""Which model: from a name or a folder to a backend. The only place that names concrete backends."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from noisebook.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend, BackendInfo

__all__ = ["DEVICES", "EMBEDDED", "load_backend", "model_info"]

EMBEDDED = "mini"
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")


def load_backend(model: str = EMBEDDED, *, device: str = "auto", dtype: str = "float32") -> Backend:
    """Load a diffusion engine.

    Args:
        model: "mini", the model inside the package, or a folder with the three files of such a model.
        device: "auto", or a kind of device, "cpu", "cuda", "mps" or "xpu", with its number where there are several
            ("cuda:1").
        dtype: "float32", the reference, or "bfloat16" for the networks' matrix products.

    Raises:
        ModelError: no such model, or damaged weights.
        ConfigError: an unknown dtype, or a device that is not there.
    """
    kind = device.partition(":")[0]
    if kind not in DEVICES:
        raise ConfigError(f"device {device!r}: {', '.join(DEVICES)} are possible")
    if dtype not in ("float32", "bfloat16"):
        raise ConfigError(f"dtype {dtype!r}: float32 and bfloat16 are possible")
    import torch

    from noisebook.backends.mini import MiniBackend

    return MiniBackend(_model_folder(model), device=device, dtype=getattr(torch, dtype))


def model_info(model: str = EMBEDDED) -> BackendInfo:
    """What is fixed about a model, without loading it.

    Raises:
        ModelError: no such model, or damaged weights.
    """
    from noisebook.backends import mini

    return mini.model_info(_model_folder(model))


def _model_folder(model: str) -> Path:
    from noisebook.backends.mini import WEIGHTS

    if model == EMBEDDED:
        return WEIGHTS
    folder = Path(model)
    if not folder.is_dir():
        raise ModelError(f"model {model!r}: give {EMBEDDED!r} or a folder that holds a model")
    return folder
