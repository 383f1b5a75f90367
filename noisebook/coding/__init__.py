"""Integers to bytes, exactly: no audio, no floating point, no torch.

    integers --BitWriter--> payload --pack--> .ddcm stream
               bitio                 container

Modules are used by name (`bitio.pack`, `container.pack`); `docs/format.md` is the specification.
"""

from noisebook.coding import bitio, container

__all__ = ["bitio", "container"]
