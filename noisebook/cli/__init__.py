"""The command line: parses, calls `noisebook.api`, shows. No logic of its own."""

from noisebook.cli.main import main

__all__ = ["main"]
