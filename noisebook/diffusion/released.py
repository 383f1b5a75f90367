"""Released models that are no longer inside the package, by name: what a message says of a stream that needs one."""

from __future__ import annotations

from typing import NamedTuple


class ReleasedModel(NamedTuple):
    """A model that a release of noisebook made streams with."""

    fingerprint: str  # SHA-256 of its weights (`BackendInfo.fingerprint`), hexadecimal
    name: str  # what `load_backend` called it
    version: str  # the last version of noisebook that had it inside
    sample_rate: int  # Hz
    wants: str  # what its streams take: a package to install, or where its weights are


# A model that leaves the package gets a row; no two rows begin with the same two bytes (a test).
RELEASED = (
    ReleasedModel(
        "903cc05ae324e53d90d6919754c92c5b1508f7f8fd0b29c597a5a7da70e8b173",
        "mini",
        "0.1",
        16000,
        "noisebook 0.1, which has it inside",
    ),
)


def described(prefix: bytes) -> str:
    """The model whose fingerprint begins so, as a message calls it: a released one by its name and what it wants."""
    for model in RELEASED:
        if model.fingerprint.startswith(prefix.hex()):
            name = f"{model.name} of noisebook {model.version}, the {model.sample_rate / 1000:g} kHz model"
            return f"model {model.fingerprint[:8]} ({name}: it takes {model.wants})"
    return f"model {prefix.hex()}"
