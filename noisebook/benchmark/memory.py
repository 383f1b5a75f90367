"""The most memory a stretch of work took."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

__all__ = ["PeakMemory"]

_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


class PeakMemory:
    """Starts measuring when it is made.

    Attributes:
        since_start: the peak is that of the whole process, where its system keeps no other (all but Linux).
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        self.since_start = not _CLEAR.exists()
        if not self.since_start:
            _CLEAR.write_text("5")  # proc(5): resets the peak of the resident set

    def resident(self) -> int | None:
        """Bytes of main memory; None where the system does not tell."""
        if not self.since_start:
            line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
            return 1024 * int(line.split()[1])
        if sys.platform == "win32":
            return None
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def reserved(self) -> int | None:
        """Bytes that torch reserved on a CUDA device; None for other devices."""
        return torch.cuda.max_memory_reserved(self._device) if self._device.type == "cuda" else None
