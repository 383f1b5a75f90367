"""A latent to the bits of a published engine and back: its atoms, how they are chosen, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch

from noisebook import rng
from noisebook.codec.noise import start_noise
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.ddcm.codebooks import Key
from noisebook.ddcm.partition import Partition
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Denoise, Plan, coded_plan, kl_matched_timesteps, uniform_timesteps
from noisebook.rivals.combinatorics import rank, subset_bits, unrank
from noisebook.rivals.engines import Published

__all__ = ["DenseCodebook", "PublishedCoder", "Subset"]


@dataclass(frozen=True)
class Subset:
    """Signed atoms of P units, each `[P, M]` int64; indices rise along M."""

    indices: torch.Tensor
    signs: torch.Tensor

    def to(self, device: torch.device) -> Subset:
        return Subset(self.indices.to(device), self.signs.to(device))


@dataclass(frozen=True)
class DenseCodebook:
    """K independent Gaussian atoms of d values a step, shared by all units, each of mean square 1."""

    part: int
    size: int

    def correlate(self, parts: torch.Tensor, key: Key) -> torch.Tensor:
        """Inner products of each part `[P, d]` with all atoms, `[P, K]`."""
        return parts @ self._atoms(key, parts.device).T

    def synthesize(self, indices: torch.Tensor, signs: torch.Tensor, key: Key) -> torch.Tensor:
        """Sums of signed atoms `[P, d]`: `indices [P, M]` int64, `signs [P, M]` of +-1."""
        atoms = self._atoms(key, indices.device)
        return (atoms[indices] * signs.to(torch.float32)[..., None]).sum(1)

    def _atoms(self, key: Key, device: torch.device) -> torch.Tensor:
        return _dense_atoms(key, self.size, self.part).to(device)


@lru_cache(maxsize=1)  # drawing them is most of the work, and the encoder needs those of a step twice
def _dense_atoms(key: Key, size: int, part: int) -> torch.Tensor:
    """`[K, d]`, each atom scaled to mean square 1 exactly."""
    purpose = rng.Purpose.DENSE
    drawn = rng.gaussian(size * part, seed=key.seed, purpose=purpose, segment=key.segment, step=key.step)
    atoms = torch.from_numpy(drawn).view(size, part)
    return atoms * torch.rsqrt(atoms.square().mean(1, keepdim=True))


@dataclass(frozen=True)
class PublishedCoder:
    """What encoder and decoder share; satisfies `codec.segment.Coder`.

    Attributes:
        engine: coding parameters.
        info: of the model.
        channels, frames: of the latent.
    """

    engine: Published
    info: BackendInfo
    channels: int
    frames: int

    @cached_property
    def plan(self) -> Plan:
        engine, schedule = self.engine, self.info.schedule
        if not engine.kappa_percent:
            return coded_plan(schedule, uniform_timesteps(schedule, steps=engine.steps, last=engine.last))
        bits, kappa = engine.choice_bits / self._unit_values, engine.kappa_percent / 100
        matched = kl_matched_timesteps(schedule, self.info.curve, steps=engine.steps, bits_per_value=bits, kappa=kappa)
        return coded_plan(schedule, matched)

    @cached_property
    def partition(self) -> Partition:
        shape = (self.channels, self.info.latent_channels, self.frames, self.info.latent_bins)
        return Partition(shape, self.engine.unit_frames, self._unit_values)

    @cached_property
    def codebook(self) -> DenseCodebook:
        return DenseCodebook(self._unit_values, 2**self.engine.log2_K)

    def choose(self, residual: torch.Tensor, step: int) -> Subset:
        """The atoms of largest inner product: one, or M in magnitude with their signs."""
        products = self.codebook.correlate(self.partition.split(residual, step), Key(0, 0, step))
        if not self.engine.M:
            best = products.argmax(1, keepdim=True)
            return Subset(best, torch.ones_like(best))
        indices = products.abs().topk(self.engine.M, dim=1).indices.sort(1).values
        return Subset(indices, torch.where(products.gather(1, indices) < 0, -1, 1))

    def write(self, choice: Subset, writer: BitWriter) -> None:
        """Append an index a unit; or the rank of its subset, then its signs, 1 for minus."""
        indices, minus = choice.indices.cpu().numpy(), (choice.signs < 0).long().cpu().numpy()
        if not self.engine.M:
            writer.write_array(indices[:, 0], self.engine.log2_K)
            return
        width = subset_bits(self.codebook.size, self.engine.M)
        for row, signs in zip(indices, minus, strict=True):
            writer.write(rank(row, self.codebook.size), width)
            writer.write_array(signs, 1)

    def read(self, reader: BitReader) -> Subset:
        """What `write` left; on the CPU.

        Raises:
            StreamError: no encoder writes this.
        """
        parts, size, M = self.partition.parts, self.codebook.size, self.engine.M
        if not M:
            indices = torch.from_numpy(reader.read_array(parts, self.engine.log2_K))[:, None]
            return Subset(indices, torch.ones_like(indices))
        subsets, signs = [], []
        for _ in range(parts):
            subsets.append(torch.from_numpy(unrank(reader.read(subset_bits(size, M)), size, M)))
            signs.append(1 - 2 * torch.from_numpy(reader.read_array(M, 1)))
        return Subset(torch.stack(subsets), torch.stack(signs))

    def noise(self, choice: Subset, step: int) -> torch.Tensor:
        """`[channels, C, frames, F']`: the sum of the atoms, with mean square 1."""
        total = self.codebook.synthesize(choice.indices, choice.signs, Key(0, 0, step))
        if choice.indices.shape[1] > 1:
            total = total * torch.rsqrt(total.square().mean(1, keepdim=True).clamp_min(1e-12))
        return self.partition.join(total, step)

    def start(self, device: torch.device) -> torch.Tensor:
        """x_T."""
        return start_noise(self.partition.shape, seed=0, segment=0, device=device)

    def rested(self, denoise: Denoise) -> Denoise:
        """The denoiser as it is: published engines know no pauses."""
        return denoise

    @property
    def _unit_values(self) -> int:
        return self.engine.unit_frames * self.info.frame_values
