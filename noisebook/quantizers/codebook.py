"""A fitted codebook: latents to codes and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from noisebook.config import to_dict
from noisebook.errors import ConfigError
from noisebook.quantizers import chain
from noisebook.quantizers.budget import spend
from noisebook.quantizers.config import DRAWN, FLAT, CodebookConfig
from noisebook.quantizers.drawing import draw_atoms
from noisebook.quantizers.soft import WEIGHT_STEPS
from noisebook.quantizers.stages import Stage, hard_stages, soft_stages
from noisebook.quantizers.units import join, split, valid_values

__all__ = ["RULES", "TEMPERATURE", "Codes", "LatentCodebook"]

RULES = ("hard", "soft")
TEMPERATURE = 1.0  # of the soft rule, in units of Euclidean distance
Codes = tuple[torch.Tensor, ...]


@dataclass(frozen=True, eq=False)
class LatentCodebook:
    """Tables of atoms with the way to use them. Made by `fit` or `load`.

    Attributes:
        config: shape and kind.
        tensors: what a file holds: `table.0`, `table.1`, ... `[K, d']` (of drawn atoms `mean` and `std`, see
            `drawing.statistics`), and counts `counts.0`, ... of each stage, `soft.0`, ... of each weight of the soft
            rule.
        record: how it was fitted, and what came out; any JSON. Not part of the fingerprint.
    """

    config: CodebookConfig
    tensors: Mapping[str, torch.Tensor]
    record: Mapping[str, Any]

    @property
    def unit(self) -> str:
        """What one code stands for: "clip", "frame" or "position"."""
        return self.config.unit

    @property
    def method(self) -> str:
        """How the tables were made and are used."""
        return self.config.method

    @property
    def size(self) -> int:
        """K, atoms of each table."""
        return self.config.size

    @property
    def model(self) -> str:
        """Fingerprint of the autoencoder whose latents it was fitted to, hexadecimal; empty for none."""
        return self.config.model

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of configuration and tensors."""
        digest = sha256(json.dumps(to_dict(self.config), sort_keys=True).encode())
        for name in sorted(self.tensors):
            array = self.tensors[name].cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.digest()

    @cached_property
    def tables(self) -> tuple[torch.Tensor, ...]:
        """The atoms of each view, `[K, d']` float32; drawn ones are drawn at first use."""
        if self.method in DRAWN:
            return (draw_atoms(self.config, self.tensors["mean"], self.tensors["std"]),)
        return tuple(self.tensors[f"table.{index}"].float() for index in range(len(self.config.views)))

    def stages(self, rule: str = "hard") -> tuple[Stage, ...]:
        """The sequences of codes that `encode` makes, in their order.

        Raises:
            ConfigError: an unknown rule, or one that the method does not have.
        """
        if rule not in RULES:
            raise ConfigError(f"rule {rule!r}: {', '.join(RULES)} have codes")
        if rule == "soft" and not self.config.flat:
            raise ConfigError(f"soft codes need a method with one table ({', '.join(FLAT)}), not {self.method}")
        return self._soft_stages if rule == "soft" else self._hard_stages

    def present(self, earlier: Sequence[torch.Tensor], frames: int, rule: str = "hard") -> torch.Tensor | None:
        """Which codes of stage number `len(earlier)` mean something, by the codes `[B, positions]` of those before.

        The others are 0 and need not be stored: the adaptive method codes after a unit's count only as many stages as
        the count says, and the soft rule codes no atom for a weight of 0.

        Returns:
            `[B, positions]` bool, or None: all of them.
        """
        index = len(earlier)
        if rule == "soft" and index >= 2:  # atom 1, weight 2, atom 2, weight 3, atom 3, ...: weights fall
            return earlier[index - 1 if index % 2 == 0 else index - 2] > 0
        if rule == "hard" and self.method == "adaptive" and index >= 1:
            return earlier[0] >= index
        return None

    def encode(
        self,
        latent: torch.Tensor,
        rule: str = "hard",
        *,
        temperature: float = TEMPERATURE,
        bits_per_frame: float | None = None,
    ) -> Codes:
        """`[B, C, L, F']` -> codes `[B, positions]` int64, one tensor for each stage.

        Args:
            rule: "hard", the nearest atom; "soft", weights of the nearest atoms (methods with one table).
            temperature: of the soft rule.
            bits_per_frame: adaptive: the budget, ideal bits over latent frames, averaged over the whole latent and all
                of its rows B; by default that of the configuration.

        Raises:
            ConfigError: a latent or option that does not fit.
        """
        self.stages(rule)  # the errors
        vectors, tables = split(latent, self.config), self._tables_at(latent.device)
        valid = valid_values(self.config, latent.shape[2])
        if rule == "soft":
            codes = chain.soft_codes(vectors, tables[0], valid, temperature)
        else:
            codes, squares = chain.hard_codes(vectors, self.config.views, tables, valid)
            if self.method == "adaptive":
                budget = self.config.bits_per_frame if bits_per_frame is None else bits_per_frame
                codes = self._spend(codes, squares, budget * len(latent) * latent.shape[2])
        return tuple(code.flatten(1) for code in codes)

    def decode(
        self, codes: Sequence[torch.Tensor], frames: int, rule: str = "hard", *, preserve_variance: bool = True
    ) -> torch.Tensor:
        """Codes -> latent `[B, C, frames, F']`, float32, on the device of the codes.

        With the hard rule the codes of the first stages alone give a coarser latent.

        Args:
            preserve_variance: soft rule: give the averages the energy of their atoms.

        Raises:
            ConfigError: codes that no `encode` of this codebook could have made.
        """
        self._check_codes(codes, frames, rule)
        config, tables = self.config, self._tables_at(codes[0].device)
        grids = [code.unflatten(1, (-1, config.columns)) for code in codes]
        if rule == "soft":
            vectors = chain.soft_vectors(grids, tables[0], preserve_variance=preserve_variance)
        else:
            used = grids.pop(0) if self.method == "adaptive" else None
            vectors = chain.hard_vectors(grids, config.views, tables, -(-frames // config.row_frames), used)
        return join(vectors, config, frames)

    def save(self, path: Path | str, *, overwrite: bool = True) -> None:
        """Write a safetensors file that `load` reads.

        Raises:
            AudioError: it cannot be written.
        """
        from noisebook.quantizers.files import save

        save(self, path, overwrite=overwrite)

    @cached_property
    def _hard_stages(self) -> tuple[Stage, ...]:
        return hard_stages(self.config, self.tensors)

    @cached_property
    def _soft_stages(self) -> tuple[Stage, ...]:
        return soft_stages(self.config, self.tensors)

    def _tables_at(self, device: torch.device) -> tuple[torch.Tensor, ...]:
        return tuple(table.to(device) for table in self.tables)

    def _spend(
        self, codes: Sequence[torch.Tensor], squares: Sequence[torch.Tensor], budget: float
    ) -> list[torch.Tensor]:
        """The number of stages of each unit, then the codes, 0 where the budget does not pay for one."""
        count, *stages = self._hard_stages
        chosen = spend(
            torch.stack(list(squares), -1),
            torch.stack([stage.bits(code) for stage, code in zip(stages, codes, strict=True)], -1),
            count.bits(torch.arange(count.size, device=codes[0].device)),
            budget=budget,
        )
        return [chosen, *(code * (chosen > index) for index, code in enumerate(codes))]

    def _check_codes(self, codes: Sequence[torch.Tensor], frames: int, rule: str) -> None:
        stages = self.stages(rule)
        fewest = len(stages) if rule == "soft" else 1
        if frames < 1 or not fewest <= len(codes) <= len(stages):
            raise ConfigError(f"{len(codes)} stages of codes, {frames} frames: {fewest} to {len(stages)} are possible")
        for stage, code in zip(stages, codes, strict=False):
            shape = (len(codes[0]), stage.positions(frames))
            if code.shape != shape or code.dtype != torch.int64:
                raise ConfigError(
                    f"{stage.name}: codes {code.dtype} {list(code.shape)}, needed are int64 {list(shape)}"
                )
            if code.numel() and not 0 <= int(code.min()) <= int(code.max()) < stage.size:
                raise ConfigError(f"{stage.name}: codes are 0 to {stage.size - 1}")
        if rule == "soft" and bool((sum(codes[1::2], torch.zeros_like(codes[0])) > WEIGHT_STEPS).any()):
            raise ConfigError(f"weights of more than {WEIGHT_STEPS} sixteenths: nothing is left for the nearest atom")
