"""Run the command in processes that are killed on the way, as a script of its own.

    python killing.py KILLS SEED PROBE -- ARGUMENTS... [-- ARGUMENTS OF EVERY RUN BUT THE FIRST...]

Each run is a fork of this process, which has imported everything already, and is killed (SIGKILL) at a random time
within WITHIN_SECONDS, or at a random change of a file, half of it made. After each kill PROBE, Python source, is
executed; it prints what it finds. The exit status is that of a last, undisturbed run.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import time
from typing import Any

CHANGES = {"open", "os.rename", "os.remove", "os.mkdir"}
_FILES = "fsspec.implementations.local"
MOST = 6  # changes of a file before a kill


def main() -> int:
    kills, seed, probe, *rest = sys.argv[1:]
    cut = [i for i, word in enumerate(rest) if word == "--"]
    first, again = rest[1 : cut[1] if len(cut) > 1 else None], rest[cut[1] + 1 :] if len(cut) > 1 else []
    _warm(first)
    draw, chances = random.Random(int(seed)), int(kills)
    length = float(os.environ["WITHIN_SECONDS"])
    for index in range(chances):
        arguments = first if index == 0 else [*first, *again]
        if index % 2:
            _run(arguments, nth=draw.randint(1, MOST))
        else:
            _run(arguments, seconds=draw.uniform(0, length))
        exec(probe)
    return _run([*first, *again])


def _warm(arguments: list[str]) -> None:
    import numpy as np
    import torch

    from noisebook import api

    for name in ("noisebook.batch.runs", "noisebook.cli.batch", "noisebook.cli.codec", "soundfile", _FILES):
        importlib.import_module(name)
    torch.set_num_threads(1)
    backend = api.load_backend(arguments[arguments.index("--model") + 1], device="cpu")
    api.compress(np.ones((1, 1600), np.float32), sample_rate=16000, backend=backend, preset="8")


def _run(arguments: list[str], *, nth: int | None = None, seconds: float | None = None) -> int:
    child = os.fork()
    if not child:
        if nth is not None:
            _kill_at(nth)
        _command(arguments)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _kill_at(nth: int) -> None:
    """Die at the nth change of a file: before it is opened, exchanged or removed, or when half of a line is written."""
    left = nth

    def count() -> bool:
        nonlocal left
        left -= 1
        return not left

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in CHANGES and (event != "open" or (arguments[2] or 0) & os.O_ACCMODE) and count():
            os.kill(os.getpid(), signal.SIGKILL)

    def write_half(descriptor: int, data: bytes) -> int:
        if count():
            write(descriptor, data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return write(descriptor, data)

    write, os.write = os.write, write_half
    sys.addaudithook(hook)


def _command(arguments: list[str]) -> None:
    from noisebook.cli.main import main as noisebook

    status = 70
    try:
        noisebook(arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
