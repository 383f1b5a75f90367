"""Integers to bytes, exactly: no audio, no floating point, no torch.

    subset --rank--> integer --BitWriter--> payload --pack--> .ddcm stream
          combinatorics          bitio              container

Modules are used by name (`bitio.pack`, `container.pack`); `docs/format.md` is the specification of all three.
"""

from noisebook.coding import bitio, combinatorics, container

__all__ = ["bitio", "combinatorics", "container"]
