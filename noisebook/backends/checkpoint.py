"""One network in one safetensors file: float16 weights, with its configuration and training record as metadata."""

from __future__ import annotations

import json
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from noisebook.config import from_dict, to_dict
from noisebook.errors import ConfigError, ModelError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["content_digest", "count_parameters", "load_network", "read_config", "read_metadata", "save_network"]

Network = TypeVar("Network", bound="nn.Module")
Config = TypeVar("Config")


def save_network(path: Path, network: nn.Module, record: dict[str, Any]) -> None:
    """Write `network` (which has a dataclass `config`) as float16, with `record` (any JSON) beside it."""
    import torch
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().to("cpu", torch.float16).contiguous() for name, value in network.state_dict().items()
    }
    metadata = {
        "network": type(network).__name__,
        "config": json.dumps(to_dict(network.config)),
        "record": json.dumps(record),
    }
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, metadata)
    partial.replace(path)


def load_network(path: Path, network_class: type[Network], config_class: type) -> Network:
    """Rebuild the network of `path` in float32, in evaluation mode.

    Raises:
        ModelError: no such file, not safetensors, another network, or tensors that do not fit its configuration.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config: Any = read_config(path, network_class.__name__, config_class)
    try:
        network = network_class(config)
        tensors = {name: value.to(torch.float32) for name, value in load_file(path).items()}
        network.load_state_dict(tensors)
    except (ArithmeticError, KeyError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the weights do not fit: {error}") from error
    return network.eval().requires_grad_(False)


def read_config(path: Path, network: str, config_class: type[Config]) -> Config:
    """The configuration in a file that holds the named network.

    Raises:
        ModelError: no such file, not safetensors, another network, or a configuration that is not `config_class`'s.
    """
    metadata = read_metadata(path)
    if metadata.get("network") != network:
        raise ModelError(f"{path} holds {metadata.get('network', 'an unknown network')}, not {network}")
    try:
        return from_dict(config_class, json.loads(metadata["config"]))
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the weights do not fit: {error}") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file (`network`, `config`, `record`: JSON texts) without its tensors."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        with safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from error


def content_digest(path: Path) -> bytes:
    """SHA-256 over what a file's weights and configuration are, whatever order they are stored in."""
    from safetensors import safe_open

    config = json.loads(read_metadata(path).get("config", "{}"))
    digest = sha256(json.dumps(config, sort_keys=True).encode())
    with safe_open(path, "numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
            digest.update(tensor.tobytes())
    return digest.digest()


def count_parameters(path: Path) -> int:
    """Number of weights in a file, without reading them."""
    from safetensors import safe_open

    read_metadata(path)  # the errors
    with safe_open(path, "numpy") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
