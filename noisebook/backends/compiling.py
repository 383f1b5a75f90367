"""Networks by torch.compile, where there is something that compiles."""

from __future__ import annotations

import torch
from torch import nn

from noisebook.errors import ConfigError

__all__ = ["compile_network"]


def compile_network(network: nn.Module, device: torch.device) -> None:
    """Compile a network in place, once for all lengths; the work is done at its first call.

    Raises:
        ConfigError: torch.compile does not work here.
    """
    try:
        torch.compile(torch.sin)(torch.zeros(8, device=device))
    except RuntimeError as error:  # of many classes, most of them private
        reason = str(error).strip().partition("\n")[0]
        needed = "a C++ compiler" if device.type == "cpu" else "Triton"
        raise ConfigError(
            f"torch.compile does not work here ({reason}): install {needed}, or code without compiling"
        ) from error
    network.compile(dynamic=True)
