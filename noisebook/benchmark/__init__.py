"""How fast a model codes here, by stage, duration and bitrate, against the engines of the papers; and what must hold.

timing    one sound, one engine: seconds of every stage, both ways, and peak memory
rivals    the engines of DDCM and Turbo-DDCM as published, at the bitrate of a preset
checks    what a codec without waste keeps to
"""

from noisebook.benchmark.runs import Options, benchmark

__all__ = ["Options", "benchmark"]
