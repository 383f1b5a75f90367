"""What a training run keeps: budget, averaging, checkpoints, log. No trainer: `train` reads top to bottom."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from noisebook.backends.placement import automatic_dtype


class Budget:
    """Time as the measure of training: the learning rate follows the share of the minutes that has passed.

    On a CPU these are minutes of computing, so neither a pause nor other programs use up the budget.
    """

    def __init__(self, minutes: float, device: str, *, elapsed: float = 0.0, steps: int = 0) -> None:
        self.minutes, self.elapsed, self.step = minutes, elapsed, steps
        self._on_cpu = torch.device(device).type == "cpu"
        self._last = self._now()

    @property
    def done(self) -> bool:
        return self.elapsed >= self.minutes

    def tick(self) -> None:
        """Count one step."""
        now = self._now()
        self.elapsed += now - self._last
        self._last = now
        self.step += 1

    def _now(self) -> float:
        return (time.process_time() / torch.get_num_threads() if self._on_cpu else time.monotonic()) / 60

    def learning_rate(self, peak: float, *, floor: float = 0.02, warm_up: int = 200) -> float:
        """Cosine decay to `floor * peak` over the minutes, after `warm_up` linear steps."""
        share = min(1.0, self.elapsed / self.minutes)
        cosine = floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
        return peak * cosine * min(1.0, (self.step + 1) / warm_up)


class Ema:
    """Exponential moving average of the weights; its horizon grows with training up to `1 / (1 - decay)` steps."""

    def __init__(self, network: nn.Module, decay: float = 0.9995) -> None:
        self.decay = decay
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in network.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay)

    @contextlib.contextmanager
    def applied(self, network: nn.Module) -> Iterator[None]:
        """The network with averaged weights for as long as the block lasts."""
        own = {name: value.clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.weights)
        try:
            yield
        finally:
            network.load_state_dict(own)


class Log:
    """One JSON line per report, in a file and on standard output."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def __call__(self, budget: Budget, **values: float | torch.Tensor) -> None:
        row: dict[str, float] = {"step": budget.step, "minutes": round(budget.elapsed, 2)}
        row.update({name: round(float(torch.as_tensor(value).detach()), 5) for name, value in values.items()})
        line = json.dumps(row)
        print(line, flush=True)
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def save_checkpoint(path: Path, budget: Budget, **state: Any) -> None:
    """Write everything needed to go on; the file is replaced only once it is whole."""
    partial = path.with_suffix(".partial")
    torch.save({**state, "elapsed": budget.elapsed, "steps": budget.step}, partial)
    partial.replace(path)


def load_checkpoint(path: Path, device: str) -> dict[str, Any] | None:
    """The state that `save_checkpoint` wrote, or None for a fresh run."""
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return state


def mixed_precision(device: str) -> torch.autocast:
    """bfloat16 matrix products where the device has them: a CPU without them is twelve times faster in float32."""
    place = torch.device(device)
    return torch.autocast(place.type, torch.bfloat16, enabled=automatic_dtype(place) == torch.bfloat16)


def on_device(array: np.ndarray, device: str) -> torch.Tensor:
    """A small array on a device, which does not wait for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor
