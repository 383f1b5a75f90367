"""All methods that there are, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noisebook.comparison import controls, neural, programs, systems
from noisebook.comparison.methods import Method

__all__ = ["catalogue"]


def catalogue(
    *,
    rates: Sequence[float] = (),
    prompt: str | None = None,
    weights: Path | None = None,
    seed: int = 0,
    model: str = "mini",
) -> tuple[Method, ...]:
    """Every method, whether or not it can run here.

    Args:
        rates: of DDCM, bit/s; those of the presets where empty.
        prompt: of the transformations.
        weights: folder with the folders of neural codecs.
        seed: of all random choices, 0 to 255.
        model: as `api.load_backend` takes it.

    Raises:
        ConfigError: a seed or a rate outside the allowed.
    """
    return (
        *systems.methods(rates=rates, prompt=prompt, seed=seed, model=model),
        *programs.methods(),
        *neural.methods(weights=weights),
        *controls.methods(seed=seed),
    )
