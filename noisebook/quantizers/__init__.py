"""Quantisers of clean latents: codebooks fitted to sound, and the codes they make (vector quantisation).

    latents --fit--> LatentCodebook --save--> .safetensors --load--> LatentCodebook

    latent [B, C, L, F'] --encode--> codes, one int64 [B, positions] for each of stages() --decode--> latent

How a stream holds the codes: for each stage in order, `present(codes of the stages before, frames)` says which of its
positions are written (None: all); the others are 0. `Stage.counts` is the model for an entropy coder, so that the whole
costs `sum(stage.bits(written).sum())` bits. Decoding needs the codes, the number of frames and the same codebook
(`fingerprint`), no floats.

    codebook = fit(latents, unit="frame", method="residual", size=1024, model=backend.info.autoencoder.hex())
    codes = codebook.encode(latent)                                  # codebook.encode(latent, "soft", temperature=0.5)
    same = codebook.decode(codes, latent.shape[2])

`quantise` is for analysis and transformation: hard, soft with float weights, and hybrid.
"""

from typing import TYPE_CHECKING, Any

from noisebook.quantizers.config import METHODS, UNITS, CodebookConfig
from noisebook.quantizers.files import load
from noisebook.quantizers.shipped import find_shipped, shipped_names, shipped_path

if TYPE_CHECKING:
    from noisebook.quantizers._with_torch import (
        MIX,
        QUANTISE_RULES,
        RULES,
        TEMPERATURE,
        EmaSettings,
        LatentCodebook,
        Stage,
        fit,
        measure,
        quantise,
        soft_assign,
    )

__all__ = [
    "METHODS",
    "MIX",
    "QUANTISE_RULES",
    "RULES",
    "TEMPERATURE",
    "UNITS",
    "CodebookConfig",
    "EmaSettings",
    "LatentCodebook",
    "Stage",
    "find_shipped",
    "fit",
    "load",
    "measure",
    "quantise",
    "shipped_names",
    "shipped_path",
    "soft_assign",
]


def __getattr__(name: str) -> Any:
    """The other names at first use (PEP 562): what only lists codebooks loads no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from noisebook.quantizers import _with_torch

    return getattr(_with_torch, name)
