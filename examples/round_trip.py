"""A sound file to a stream and back, in three calls.

python examples/round_trip.py song.mp3
"""

import sys
from pathlib import Path

import noisebook

source = Path(sys.argv[1])

# 300 bit/s for the whole file, mono or stereo. The stream lies beside the sound.
stream = noisebook.compress_file(source, source.with_suffix(".ddcm"), preset="300")

# The sound comes back with its sample rate, its channels and its exact number of samples.
sound = noisebook.decompress_file(stream, source.with_name(f"{source.stem}-300.wav"))

info = noisebook.read_info(stream.read_bytes())
print(f"{stream}: {info.file_bytes} bytes for {info.duration:.2f} s are {info.bitrate:.0f} bit/s; {sound} is its sound")
