"""The beginning of a progressive stream is the whole sound, less exactly: one file serves every connection.

python examples/beginning.py song.flac
"""

import sys
from pathlib import Path

import noisebook
from noisebook.audio.io import read, write

source = Path(sys.argv[1])
backend = noisebook.load_backend()
stream = noisebook.compress(read(source), backend=backend, preset="3000", progressive=True)

for share in (0.25, 0.5, 1.0):
    beginning = stream[: round(share * len(stream))]
    # Without `damaged` a stream that is cut short is refused.
    sound = noisebook.decompress(beginning, backend=backend, damaged=True)
    path = source.with_name(f"{source.stem}-{share:.0%}.wav".replace("%", ""))
    write(path, sound, overwrite=True)
    print(f"{path}: {len(beginning)} of {len(stream)} bytes, {sound.duration:.2f} s of sound")
