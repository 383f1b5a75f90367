"""What is at hand on this machine: models, libraries, and whether a round trip works."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Check", "diagnose", "list_models"]

_OPTIONAL = {
    "matplotlib": "figures: pip install 'noisebook[plot]'",
    "visqol-python": "the metric ViSQOL: pip install 'noisebook[metrics]'",
    "zimtohrli": "the metric Zimtohrli: pip install 'noisebook[metrics]'",
    "pystoi": "the metric ESTOI: pip install 'noisebook[metrics]'",
    "pesq": "the metric PESQ: pip install 'noisebook[metrics]'",
}


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report; state is "ok", "missing" (optional) or "failed"."""

    name: str
    state: str
    detail: str


def list_models() -> list[dict[str, Any]]:
    """The models that need no path: name, folder, fingerprint, parameters, and each file's training record."""
    from noisebook.backends import mini
    from noisebook.backends.checkpoint import count_parameters

    return [
        {
            "name": "mini",
            "folder": str(mini.WEIGHTS),
            "fingerprint": mini.fingerprint(mini.WEIGHTS).hex(),
            "parameters": sum(count_parameters(mini.WEIGHTS / name) for name in mini.FILES),
            "training": {name: parts.get("record", {}) for name, parts in mini.describe(mini.WEIGHTS).items()},
        }
    ]


def diagnose() -> list[Check]:
    """Every check, in order; never raises."""
    checks = [
        _attempt("python", lambda: f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _attempt("libraries", _libraries),
        _attempt("torch", _torch),
        _attempt("embedded model", _embedded_model),
        _attempt("round trip", _round_trip),
        Check("ffmpeg", *_executable("ffmpeg", "other sound formats (m4a, wma, video)")),
    ]
    return checks + [Check(name, *_package(name, use)) for name, use in _OPTIONAL.items()]


def _attempt(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except Exception as error:  # whatever goes wrong is the finding
        return Check(name, "failed", f"{type(error).__name__}: {' '.join(str(error).split())}")


def _libraries() -> str:
    return ", ".join(
        f"{name} {version(name)}" for name in ("numpy", "safetensors", "soundfile", "soxr", "click", "rich")
    )


def _torch() -> str:
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append(f"cuda ({torch.cuda.get_device_name()})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return f"{torch.__version__}, {torch.get_num_threads()} threads, devices: {', '.join(devices)}"


def _embedded_model() -> str:
    model = list_models()[0]
    return f"{model['parameters'] / 1e6:.1f} M parameters, fingerprint {model['fingerprint'][:4]}"


def _round_trip() -> str:
    import numpy as np

    from noisebook import api

    backend = api.load_backend(device="cpu")
    tone = (0.3 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype(np.float32)
    stream = api.compress(tone, sample_rate=16000, backend=backend, preset="300")
    sound = api.decompress(stream, backend=backend)
    if sound.samples.shape != (1, 16000) or not np.isfinite(sound.samples).all():
        raise RuntimeError(f"1 s of sound came back as {sound.samples.shape}")
    return f"1 s of sound through {len(stream)} bytes"


def _executable(name: str, use: str) -> tuple[str, str]:
    path = shutil.which(name)
    return ("ok", path) if path else ("missing", f"not on the PATH; needed for {use}")


def _package(name: str, use: str) -> tuple[str, str]:
    try:
        return "ok", version(name)
    except PackageNotFoundError:
        return "missing", use
