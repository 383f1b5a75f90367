"""Sound from words: made from nothing, and from a sound that is led towards them.

python examples/create.py talk.wav
"""

import sys
from pathlib import Path

import noisebook
from noisebook.audio.io import read, write

source = Path(sys.argv[1])
backend = noisebook.load_backend()

# A new sound. With the same seed it is the same again.
made = noisebook.generate("music", backend=backend, seconds=3.0, seed=7)
write(source.with_name("made.wav"), made.sound, overwrite=True)

# The strength says how much of the sound is given up: at 0 nothing, at 1 all but its length and level.
changed = noisebook.transform(read(source), "music", backend=backend, strength=0.3)
write(source.with_name("changed.wav"), changed, overwrite=True)

# Noise from codebooks makes a sound that is a stream from the start.
stream = noisebook.generate_stream("music", backend=backend, seconds=3.0, K=64, seed=7)
source.with_name("made.ddcm").write_bytes(stream.data)
print(f"made.wav, changed.wav, and made.ddcm with {len(stream.data)} bytes")
