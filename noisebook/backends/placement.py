"""Where the networks of a large model are: loaded on first use, and with `offload` one at a time on the device."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from noisebook.errors import ConfigError, Error, MissingExtra, ModelError

_LARGE = 2**29  # bytes
_BFLOAT16_GPU = (8, 0)  # compute capability from which CUDA multiplies in it


class Networks:
    """The networks of a model by the names of their parts.

    On a CPU a large network shares the memory with no other: it is loaded again in seconds, and computes for minutes.
    `load` gives one on the CPU; with `offload` one at a time is on the device, and the others stay on the CPU.
    """

    def __init__(self, load: Callable[[str], nn.Module], device: torch.device, *, offload: bool = False) -> None:
        self._load, self._device, self._offload = load, device, offload
        self._loaded: dict[str, nn.Module] = {}
        self._resident: str | None = None

    def __call__(self, name: str) -> Any:
        """A network, on the device and ready."""
        if name not in self._loaded:
            network = self._load(name)
            self._make_room(network)
            self._loaded[name] = network if self._offload else network.to(self._device)
        if self._offload and self._resident != name:
            if self._resident is not None:
                self._loaded[self._resident].to("cpu")
            self._loaded[name].to(self._device)
            self._resident = name
        return self._loaded[name]

    def _make_room(self, network: nn.Module) -> None:
        """Before anything of its memory is touched: safetensors are mapped, and read when they are computed with."""
        if self._device.type == "cpu" and any(map(_is_large, (network, *self._loaded.values()))):
            for name in tuple(self._loaded):
                self._forget(name)

    @contextmanager
    def briefly(self, name: str) -> Iterator[Any]:
        """A network, on the device and ready, which leaves memory afterwards if it was not there before."""
        kept = name in self._loaded
        try:
            yield self(name)
        finally:
            if not kept:
                self._forget(name)

    def _forget(self, name: str) -> None:
        self._loaded.pop(name, None)
        if self._resident == name:
            self._resident = None
        gc.collect()  # modules refer to themselves

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the networks in memory."""
        return tuple(self._loaded)


def _is_large(network: nn.Module) -> bool:
    return sum(weights.nbytes for weights in network.parameters()) >= _LARGE


@contextmanager
def computing(part: str) -> Iterator[None]:
    """Name the part of a checkpoint that cannot compute: files do not tell whether one part fits the next. Whatever
    torch or the network's library raises becomes a ModelError."""
    try:
        yield
    except Error:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = "noisebook doctor --model tells which parts do"
        raise ModelError(f"{part} cannot compute what it is given ({reason}); {advice}") from error


def usable_device(name: str, dtype: torch.dtype = torch.float32) -> torch.device:
    """A device of torch on which a denoiser can compute in `dtype`; "auto" is the fastest here. ConfigError where it
    is not there, and for float16 on a CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"device {name!r} cannot be used here: {str(error).splitlines()[0]}") from error
    if dtype == torch.float16 and device.type == "cpu":
        raise ConfigError("float16 needs a GPU; on a CPU take float32 or bfloat16")
    return device


def automatic_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies in it, else float32.

    It does on a CUDA device of compute capability 8.0, and on a processor with AVX-512 BF16 or AMX, as far as torch
    tells (`torch.cpu.get_capabilities`, of newer versions). Others compute it in float32 at best, and slower.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= _BFLOAT16_GPU
    elif device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    else:
        native = False
    return torch.bfloat16 if native else torch.float32


def free_memory(device: torch.device) -> int:
    """Bytes that can still be taken on a device. MissingExtra for main memory where psutil is not installed."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        import psutil
    except ImportError as error:
        raise MissingExtra("the memory that is free needs psutil: pip install 'noisebook[audioldm2]'") from error
    return int(psutil.virtual_memory().available)
