"""Decode a stream block by block, in memory that does not grow with its length: for players, and for hours.

python examples/as_it_comes.py song.ddcm
"""

import sys
from pathlib import Path

import numpy as np

import noisebook

data = Path(sys.argv[1]).read_bytes()
backend = noisebook.load_backend(noisebook.find_model(data))  # the model that made it

for number, block in enumerate(noisebook.play(data, backend=backend, seconds=2.0)):
    level = 10 * np.log10(np.mean(block.samples**2) + 1e-12)
    print(f"{2 * number:4d} s {'#' * max(0, round(level + 60))}")  # here a player would take block.samples [C, n]

# Any part by itself costs no more than the segments of 64 s that it touches.
part = noisebook.decompress(data, backend=backend, start=0.5, end=1.0)
print(f"{part.sample_count} samples from 0.5 s on, at {part.sample_rate} Hz")
