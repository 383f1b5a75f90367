"""What only tells about files loads no torch, which alone takes most of the time that a command has to start in."""

from __future__ import annotations

import subprocess
import sys

import pytest

_LOADED = """
import sys
from noisebook.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print("torch" in sys.modules)
"""


@pytest.mark.parametrize("command", [["models"], ["codebook", "list"], ["codebook", "list", "--json"], ["--help"]])
def test_no_torch(command):
    ran = subprocess.run([sys.executable, "-c", _LOADED, *command], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"


def test_info_loads_no_torch_either(stream, tiny_model):
    command = ["info", str(stream), "--model", str(tiny_model)]
    ran = subprocess.run([sys.executable, "-c", _LOADED, *command], capture_output=True, text=True, check=True)
    assert "intact         yes" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "False"
