"""What do more bits buy? One sound at four rates, with an error that anybody can check.

python examples/rates.py song.flac
"""

import sys

import noisebook
from noisebook.audio.io import read
from noisebook.metrics import mel_db_mae

original = read(sys.argv[1])
backend = noisebook.load_backend()  # once, for all of them

print("preset    bytes   bit/s   mean error of the mel spectrogram")
for preset in ("100", "300", "1500", "3000"):
    stream = noisebook.compress(original, backend=backend, preset=preset)
    decoded = noisebook.decompress(stream, backend=backend)
    rate = 8 * len(stream) / original.duration
    error = mel_db_mae(original.samples[0], decoded.samples[0], sample_rate=original.sample_rate)
    print(f"{preset:>6} {len(stream):>8} {rate:>7.0f}   {error:.2f} dB")
