"""Fitting codebooks to latents: tables one after the other on what is left over, then usage counts.

latents --split--> vectors --kmeans, ema--> tables --encode--> counts --measure--> record
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from noisebook.errors import ConfigError
from noisebook.quantizers.codebook import LatentCodebook
from noisebook.quantizers.config import DRAWN, CodebookConfig, View
from noisebook.quantizers.drawing import statistics
from noisebook.quantizers.ema import EmaSettings, ema
from noisebook.quantizers.kmeans import kmeans
from noisebook.quantizers.nearest import nearest
from noisebook.quantizers.stages import alphabets
from noisebook.quantizers.units import read, split, write
from noisebook.quantizers.usage import counted, measure

__all__ = ["DEFAULTS", "fit"]

OnStep = Callable[[int, int], None]
Latents = Sequence[torch.Tensor]
Tensors = dict[str, torch.Tensor]
DEFAULTS: dict[str, dict[str, Any]] = {
    "residual": {"stages": 8},
    "product": {"groups": 8},
    "hierarchical": {"stages": 4, "block_frames": 8},
    "adaptive": {"stages": 8, "bits_per_frame": 40.0},
}
_EMA = EmaSettings()
_ROUNDS = 3  # the adaptive method's choices follow from its counts, and its counts from its choices


def fit(
    latents: Latents,
    *,
    unit: str,
    method: str,
    size: int,
    stages: int | None = None,
    groups: int | None = None,
    block_frames: int | None = None,
    bits_per_frame: float | None = None,
    clip_frames: int = 256,
    seed: int = 0,
    model: str = "",
    settings: EmaSettings = _EMA,
    on_step: OnStep | None = None,
) -> LatentCodebook:
    """A codebook for latents like these.

    Args:
        latents: each `[B, C, L, F']`, any L.
        unit, method, size, stages, groups, block_frames, bits_per_frame, clip_frames: see `CodebookConfig`; None is
            the method's default in `DEFAULTS`.
        seed: of all random choices; the result is the same on the same machine.
        model: fingerprint of the autoencoder that made the latents, hexadecimal.
        settings: of method ema.
        on_step: called with (tables done, tables in all and one more, for counting).

    Raises:
        ConfigError: settings that no codebook can have, no or unlike latents, or fewer vectors than atoms.
    """
    if not latents:
        raise ConfigError("a codebook is fitted to one latent or more")
    given = {"stages": stages, "groups": groups, "block_frames": block_frames, "bits_per_frame": bits_per_frame}
    chosen = DEFAULTS.get(method, {}) | {name: value for name, value in given.items() if value is not None}
    config = CodebookConfig(
        unit, method, size, model=model, channels=latents[0].shape[1], bins=latents[0].shape[-1],
        clip_frames=clip_frames, seed=seed, **chosen,
    )  # fmt: skip
    tensors = statistics(latents, config) if method in DRAWN else _tables(latents, config, settings, on_step)
    ones = {name: torch.ones(length, dtype=torch.int32) for name, length in alphabets(config).items()}
    codebook = LatentCodebook(config, {**tensors, **ones}, {})
    for _ in range(_ROUNDS if method == "adaptive" else 1):
        codebook = counted(codebook, latents)
    record = measure(codebook, latents)
    if method == "ema":
        record["objective"] = _objective(record["mse"], settings)
    if on_step:
        on_step(len(config.views) + 1, len(config.views) + 1)
    return replace(codebook, record=record)


def _tables(latents: Latents, config: CodebookConfig, settings: EmaSettings, on_step: OnStep | None) -> Tensors:
    """float16 tables, each fitted to what those before it, as they are stored, leave over."""
    left, generator, tables = _vectors(latents, config), np.random.default_rng(config.seed), {}
    for index, view in enumerate(config.views):
        seen = torch.cat([read(rows, view).reshape(-1, view.values) for rows in left])
        if config.method == "ema":
            atoms = ema(seen, config.size, generator, settings)
        else:
            atoms = kmeans(seen, config.size, generator)
        table = tables[f"table.{index}"] = atoms.half()
        left = [_left_over(rows, view, table.float()) for rows in left]
        if on_step:
            on_step(index + 1, len(config.views) + 1)
    return tables


def _vectors(latents: Latents, config: CodebookConfig) -> list[torch.Tensor]:
    """`[B, R, P, d]` of each latent; without clips that are filled up, which would teach silence."""
    vectors = [split(latent, config) for latent in latents]
    whole = [rows[:, : latent.shape[2] // config.row_frames] for rows, latent in zip(vectors, latents, strict=True)]
    whole = [rows for rows in whole if rows.numel()]
    if not whole:
        raise ConfigError(f"no sound fills a clip of {config.clip_frames} latent frames; give longer ones")
    return whole


def _left_over(rows: torch.Tensor, view: View, table: torch.Tensor) -> torch.Tensor:
    seen = read(rows, view)
    codes = nearest(seen.reshape(-1, view.values), table).view(seen.shape[:3])
    return rows - write(table[codes], view, rows)


def _objective(mse: float, settings: EmaSettings) -> dict[str, float]:
    """The terms of a VQ-VAE's loss that concern the codebook (see `ema`)."""
    return {"codebook": mse, "commitment": settings.commitment * mse}
