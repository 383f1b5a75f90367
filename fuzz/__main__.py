"""`python -m fuzz TARGET [SECONDS]`: a coverage-guided search for inputs that break a promise (atheris, libFuzzer).

Starts from the committed corpus and keeps what it finds in a folder of its own, so that the corpus stays small. An
input that breaks something is written to the working folder as `crash-...`: fix the bug, and commit the input.
"""

from __future__ import annotations

import sys
import tempfile

import atheris

LONGEST = {"codebook": 4096, "container": 200, "decode": 200, "image": 200, "integers": 100, "symbols": 200}  # bytes
SLOWEST = 10  # seconds for an input, twenty times the slowest of the corpus


def main() -> None:
    """Fuzz one target."""
    with atheris.instrument_imports(include=["noisebook.coding", "noisebook.codec", "noisebook.quantizers"]):
        from fuzz.targets import TARGETS
    from fuzz.corpus import FOLDER, FOLDERS

    if len(sys.argv) not in (2, 3) or sys.argv[1] not in TARGETS:
        raise SystemExit(f"python -m fuzz TARGET [SECONDS]; targets: {', '.join(TARGETS)}")
    name, seconds = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "60"
    with tempfile.TemporaryDirectory() as found:
        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST[name]}", f"-timeout={SLOWEST}"]
        options = ["-rss_limit_mb=4096", "-print_final_stats=1", "-close_fd_mask=0"]
        atheris.Setup([sys.argv[0], *limits, *options, found, str(FOLDER / FOLDERS[name])], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main()
