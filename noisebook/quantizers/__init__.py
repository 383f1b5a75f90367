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

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noisebook.quantizers.codebook import RULES, TEMPERATURE, LatentCodebook
    from noisebook.quantizers.config import METHODS, UNITS, CodebookConfig
    from noisebook.quantizers.ema import EmaSettings
    from noisebook.quantizers.files import load
    from noisebook.quantizers.fitting import fit
    from noisebook.quantizers.rules import MIX, QUANTISE_RULES, quantise
    from noisebook.quantizers.shipped import find_shipped, shipped_names, shipped_path
    from noisebook.quantizers.soft import soft_assign
    from noisebook.quantizers.stages import Stage
    from noisebook.quantizers.usage import measure

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

# Where each name comes from: most of them need torch, and what only lists codebooks does not load it.
_MODULES = {
    "codebook": (
        "RULES",
        "TEMPERATURE",
        "LatentCodebook",
    ),
    "config": (
        "METHODS",
        "UNITS",
        "CodebookConfig",
    ),
    "ema": ("EmaSettings",),
    "files": ("load",),
    "fitting": ("fit",),
    "rules": (
        "MIX",
        "QUANTISE_RULES",
        "quantise",
    ),
    "shipped": (
        "find_shipped",
        "shipped_names",
        "shipped_path",
    ),
    "soft": ("soft_assign",),
    "stages": ("Stage",),
    "usage": ("measure",),
}


def __getattr__(name: str) -> Any:
    """The name from its module, at first use (PEP 562)."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
