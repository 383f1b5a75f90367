"""A fitted codebook: latents to codes and back; and what it makes of a latent without codes (`quantise`, `hybrid`)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from hashlib import sha256
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from noisebook import rng
from noisebook.audio.io import write_bytes_atomic
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers import files
from noisebook.quantizers.chain import assigned, join, mixed, spend, split, valid_values, write
from noisebook.quantizers.config import (
    DRAWN,
    FLAT,
    MIX,
    RULES,
    SOFT_ATOMS,
    TEMPERATURE,
    WEIGHT_SIZES,
    WEIGHT_STEPS,
    CodebookConfig,
    Stage,
    View,
)  # fmt: skip

Codes = tuple[torch.Tensor, ...]


def ideal_bits(stage: Stage, codes: torch.Tensor) -> torch.Tensor:
    """Bits of each code by the stage's counts, float64, shaped as `codes`."""
    counts = torch.tensor(stage.counts, dtype=torch.float64, device=codes.device)
    return -torch.log2(counts / counts.sum())[codes]


@dataclass(frozen=True, eq=False)
class LatentCodebook:
    """Tables of atoms with the way to use them. Made by `fit` or `load`.

    Attributes:
        config: shape and kind.
        tensors: what a file holds: `table.0`, `table.1`, ... `[K, d']` (of drawn atoms `mean` and `std` of their
            values), and counts `counts.0`, ... of each stage, `soft.0`, ... of each weight of the soft rule.
        record: how it was fitted, and what came out; any JSON. Not part of the fingerprint.
    """

    config: CodebookConfig
    tensors: Mapping[str, torch.Tensor]
    record: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> bytes:
        """SHA-256 of configuration and tensors."""
        digest = sha256(json.dumps(asdict(self.config), sort_keys=True).encode())
        for name in sorted(self.tensors):
            array = self.tensors[name].cpu().contiguous().numpy()
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(array.tobytes())
        return digest.digest()

    @cached_property
    def tables(self) -> tuple[torch.Tensor, ...]:
        """The atoms of each view, `[K, d']` float32; drawn ones are drawn at first use."""
        if self.config.method in DRAWN:
            return (_drawn_atoms(self.config, self.tensors["mean"], self.tensors["std"]),)
        return tuple(self.tensors[f"table.{index}"].float() for index in range(len(self.config.views)))

    def stages(self, rule: str = "hard") -> tuple[Stage, ...]:
        """The sequences of codes that `encode` makes, in their order; ConfigError for a rule that there is not."""
        if rule not in RULES:
            raise ConfigError(f"rule {rule!r}: {', '.join(RULES)} have codes")
        if rule == "soft" and not self.config.flat:
            raise ConfigError(f"soft codes need a method with one table ({', '.join(FLAT)}), not {self.config.method}")
        return tuple(
            replace(stage, counts=tuple(self.tensors[stage.tensor].tolist())) for stage in self.config.stages_of(rule)
        )

    def present(self, earlier: Sequence[torch.Tensor], rule: str = "hard") -> torch.Tensor | None:
        """Which codes of stage number `len(earlier)` mean something, by the codes `[B, positions]` of those before:
        bool, shaped alike, or None for all of them. The others are 0 and need not be stored."""
        given = list(self.config.stages_of(rule))[len(earlier)].given
        return None if given is None else earlier[given[0]] >= given[1]

    def written(self, codes: Sequence[torch.Tensor], rule: str = "hard") -> list[torch.Tensor]:
        """The codes of each stage that a stream holds, `[n]`."""
        present = [self.present(codes[:index], rule) for index in range(len(codes))]
        return [code.flatten() if mask is None else code[mask] for code, mask in zip(codes, present, strict=True)]

    def encode(self, latent: torch.Tensor, rule: str = "hard", *, bits_per_frame: float | None = None) -> Codes:
        """`[B, C, L, F']` -> codes `[B, positions]` int64, one tensor a stage; ConfigError where it does not fit.

        The rule "hard" takes the nearest atom, "soft" weights of the nearest atoms (methods with one table). The budget
        of an adaptive codebook is in ideal bits over latent frames, a mean over the whole latent and all of its rows B.
        """
        self.stages(rule)  # the errors
        vectors, valid = split(latent, self.config), valid_values(self.config, latent.shape[2])
        if rule == "soft":
            codes = self._soft_codes(vectors, valid)
        else:
            budget = self.config.bits_per_frame if bits_per_frame is None else bits_per_frame
            codes = self._hard_codes(vectors, valid, budget * len(latent) * latent.shape[2])
        return tuple(code.flatten(1) for code in codes)

    def decode(self, codes: Sequence[torch.Tensor], frames: int, rule: str = "hard") -> torch.Tensor:
        """Codes -> latent `[B, C, frames, F']`, float32, on the device of the codes.

        With the hard rule the codes of the first stages alone give a coarser latent. ConfigError for codes that no
        `encode` of this codebook could have made.
        """
        self._check_codes(codes, frames, rule)
        grids = [code.unflatten(1, (-1, self.config.columns)) for code in codes]
        vectors = self._soft_vectors(grids) if rule == "soft" else self._hard_vectors(grids, frames)
        return join(vectors, self.config, frames)

    def check_fits(self, info: BackendInfo) -> None:
        """Raise ModelError where it was fitted to latents of another model."""
        own, wanted = self.config, info.autoencoder.hex()
        if own.model != wanted:
            raise ModelError(
                f"the codebook was fitted for autoencoder {own.model[:4] or 'none'}, and that of {info.name} is "
                f"{wanted[:4]}; fit one for it"
            )
        if (own.channels, own.bins) != (info.latent_channels, info.latent_bins):
            raise ModelError(
                f"the codebook is of latents of {own.channels} channels and {own.bins} bins, not the model's"
            )

    def save(self, path: Path | str, *, overwrite: bool = True) -> None:
        """Write a safetensors file that `load` reads; AudioError where it cannot be written."""
        metadata = files.CodebookRecord(self.config, self.record, self.fingerprint).metadata
        tensors = {name: tensor.cpu().contiguous() for name, tensor in self.tensors.items()}
        write_bytes_atomic(path, safetensors.torch.save(tensors, metadata), overwrite=overwrite)

    def tables_on(self, device: torch.device) -> list[tuple[View, torch.Tensor]]:
        """Each view with its table."""
        return [(view, table.to(device)) for view, table in zip(self.config.views, self.tables, strict=True)]

    def _hard_codes(self, vectors: torch.Tensor, valid: int, budget: float) -> list[torch.Tensor]:
        """Codes `[B, R', P]` of each table; of an adaptive codebook first the number that each unit has, and codes
        beyond it are 0."""
        codes, left, squares = [], vectors, [vectors.square().sum(-1)]
        for view, table in self.tables_on(vectors.device):
            codes.append(assigned(left, view, table, valid)[0][..., 0])
            left = left - write(table[codes[-1]], view, left)
            squares.append(left.square().sum(-1))
        if self.config.method != "adaptive":
            return codes
        count, *stages = self.stages()
        bits = [ideal_bits(stage, code) for stage, code in zip(stages, codes, strict=True)]
        count_bits = ideal_bits(count, torch.arange(count.size, device=vectors.device))
        chosen = spend(torch.stack(squares, -1), torch.stack(bits, -1), count_bits, budget=budget)
        return [chosen, *(code * (chosen > index) for index, code in enumerate(codes))]

    def _hard_vectors(self, codes: Sequence[torch.Tensor], frames: int) -> torch.Tensor:
        """What those codes say, `[B, R, P, d]`."""
        config, tables = self.config, self.tables_on(codes[0].device)
        count, of_tables = (codes[0], codes[1:]) if config.method == "adaptive" else (None, codes)
        rows = -(-frames // config.row_frames)
        vectors = torch.zeros(len(codes[0]), rows, config.columns, config.values, device=codes[0].device)
        for index, ((view, table), code) in enumerate(zip(tables, of_tables, strict=False)):
            part = write(table[code], view, vectors)
            vectors = vectors + (part if count is None else part * (count > index)[..., None])
        return vectors

    def _soft_codes(self, vectors: torch.Tensor, valid: int) -> list[torch.Tensor]:
        """Nearest atom, then weight and atom (0 for a weight of 0) of each further one, each `[B, R, P]`."""
        ((view, table),) = self.tables_on(vectors.device)
        top_k = min(SOFT_ATOMS, self.config.size)
        indices, weights = assigned(vectors, view, table, valid, temperature=TEMPERATURE, top_k=top_k)
        codes = [indices[..., 0]]
        for index in range(1, top_k):
            sixteenths = (weights[..., index] * WEIGHT_STEPS).round().to(torch.int64)
            share = sixteenths.clamp_max(WEIGHT_SIZES[index - 1] - 1)
            codes += [share, indices[..., index] * (share > 0)]
        return codes

    def _soft_vectors(self, codes: Sequence[torch.Tensor]) -> torch.Tensor:
        """What those codes say, `[B, R, P, d]`."""
        ((_, table),) = self.tables_on(codes[0].device)
        shares = torch.stack(list(codes[1::2])) / WEIGHT_STEPS
        weights = torch.cat([1 - shares.sum(0, keepdim=True), shares])
        return mixed(table[torch.stack(list(codes[::2]))], weights)

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


def _drawn_atoms(config: CodebookConfig, mean: torch.Tensor, std: torch.Tensor) -> torch.Tensor:
    """`[K, d]` float32: K independent atoms with that mean and deviation, Gaussian or uniform, by `noisebook.rng`."""
    count, purpose = config.size * config.values, rng.Purpose.DENSE
    if config.method == "gaussian":
        drawn = rng.gaussian(count, seed=config.seed, purpose=purpose)
    else:
        levels = rng.uniform16(rng.words(-(-count // 4), seed=config.seed, purpose=purpose))[:count]
        drawn = (levels.astype(np.float32) - 32767.5) * np.float32(sqrt(12) / 65536)  # variance 1 - 2^-32
    atoms = torch.from_numpy(np.ascontiguousarray(drawn)).view(config.size, config.row_frames, -1)
    return (mean + std * atoms).flatten(1)


def load(path: Path | str) -> LatentCodebook:
    """The codebook of a file; ModelError where there is none, or a damaged one."""
    with files.opened(Path(path), "pt") as (file, about):
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        found = {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
        wanted = files.shapes_of(about.config)
        if found != wanted:  # before anything large is read
            wrong = sorted(name for name in found.keys() | wanted.keys() if found.get(name) != wanted.get(name))
            raise ModelError(f"{path}: the tensors do not fit the configuration: {', '.join(wrong)}")
        codebook = LatentCodebook(about.config, {name: file.get_tensor(name) for name in slices}, about.record)
    for name, tensor in codebook.tensors.items():
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"{path}: {name} holds NaN or infinite values")
        if not tensor.is_floating_point() and int(tensor.min()) < 1:
            raise ModelError(f"{path}: {name} holds a count below 1")
    if codebook.fingerprint != about.fingerprint:
        raise ModelError(f"{path} is damaged: its content does not have the fingerprint it was written with")
    return codebook


def quantise(
    latent: torch.Tensor,
    codebook: LatentCodebook,
    *,
    rule: str = "hard",
    temperature: float = TEMPERATURE,
    top_k: int = SOFT_ATOMS,
) -> torch.Tensor:
    """The latent `[B, C, L, F']` as the codebook sees it, for analysis and transformation; not a codec.

    Hard is what `encode` and `decode` give; soft takes averages of the `top_k` nearest atoms of every table, with
    weights that are not rounded, which a decoder would need as floats. An adaptive codebook uses all of its tables.
    """
    config, frames = codebook.config, latent.shape[2]
    if rule != "soft":
        return codebook.decode(codebook.encode(latent, rule), frames)
    left = split(latent, config)
    total, valid = torch.zeros_like(left), valid_values(config, frames)
    for view, table in codebook.tables_on(latent.device):
        indices, weights = assigned(left, view, table, valid, temperature=temperature, top_k=top_k)
        part = write(mixed(table[indices.movedim(-1, 0)], weights.movedim(-1, 0)), view, left)
        left, total = left - part, total + part
    return join(total, config, frames)


def hybrid(quantised: torch.Tensor, latent: torch.Tensor, mix: float = MIX) -> torch.Tensor:
    """`mix` of a quantised latent and the rest of the original, both `[B, C, L, F']`, each frame with the energy that
    the two have on average. It needs the original, so that it serves analysis and transformation only."""
    if not 0 <= mix <= 1:
        raise ConfigError(f"a mix of {mix}: 0 (the original) to 1 (quantised) is possible")
    parts = torch.stack([quantised, latent]).transpose(2, 3).flatten(3)  # [2, B, L, C F']
    weights = torch.tensor([mix, 1 - mix], device=latent.device).view(2, 1, 1).expand(parts.shape[:3])
    return mixed(parts, weights).unflatten(2, (latent.shape[1], latent.shape[3])).transpose(1, 2)
