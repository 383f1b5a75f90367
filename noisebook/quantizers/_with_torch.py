"""The names of the package whose modules load torch."""

from noisebook.quantizers.codebook import RULES, TEMPERATURE, LatentCodebook
from noisebook.quantizers.ema import EmaSettings
from noisebook.quantizers.fitting import fit
from noisebook.quantizers.rules import MIX, QUANTISE_RULES, quantise
from noisebook.quantizers.soft import soft_assign
from noisebook.quantizers.stages import Stage
from noisebook.quantizers.usage import measure

__all__ = [
    "MIX",
    "QUANTISE_RULES",
    "RULES",
    "TEMPERATURE",
    "EmaSettings",
    "LatentCodebook",
    "Stage",
    "fit",
    "measure",
    "quantise",
    "soft_assign",
]
