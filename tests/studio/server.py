"""The studio's server in a process of its own, as the command starts it. Load it with `run_path`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
START = "from noisebook.cli.machine import studio; studio()"


class Server(NamedTuple):
    """Where it is, and the one folder in which it may write."""

    url: str
    folder: Path


@contextmanager
def running(model: Path, folder: Path, *options: str) -> Iterator[Server]:
    """Serve that model on a free port until the end of the block, and look whether it ended well."""
    command = [sys.executable, "-u", "-c", START, "--port", "0", "--no-open", "--offline", "--device", "cpu"]
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--model", str(model), *options], cwd=folder, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                break
        assert found, "".join(said)
        try:
            yield Server(found[0], folder)
        finally:
            process.send_signal(signal.SIGINT)
            said += process.stdout.readlines()
    assert process.returncode == 0, "".join(said)
    assert said[-1] == "noisebook studio: ended\n"
    assert len(said) == 2, "".join(said)
    assert not list(folder.glob("noisebook-studio-*")), "the temporary folder was left behind"
