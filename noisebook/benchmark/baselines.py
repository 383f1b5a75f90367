"""The codecs of the papers, to measure ours against on the same model. They write payloads and no streams, and the
codec knows nothing of them.

    Published (what is chosen, and what it costs) --PublishedCoder--> bits, and back to the same noise

turbo              Turbo-DDCM (Vaisman et al., ICLR 2026): uniform steps, M signed atoms of 16384 dense ones, each
                   as long as the whole latent
turbo, by units    the same with 4096 atoms for every 0.32 s
classic            DDCM (Ohayon et al., ICML 2025): every timestep, one dense atom of 1024 as long as the latent

Turbo-DDCM writes a subset as one integer, in the combinatorial number system: c_1 < c_2 < ... < c_M has the rank
C(c_1, 1) + C(c_2, 2) + ... + C(c_M, M) (Knuth, The Art of Computer Programming 4A, 7.2.1.3).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import comb

import torch

from noisebook import rng
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.ddcm import Partition
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.noise import start_noise
from noisebook.diffusion.plan import Denoise, Plan, coded_plan, kl_matched_timesteps, uniform_timesteps
from noisebook.errors import ConfigError, CorruptStream

MAX_DENSE_VALUES = 2**28  # 1 GiB of float32 for the atoms of one step
_TURBO_ATOMS, _UNIT_ATOMS, _CLASSIC_ATOMS = 14, 12, 10  # log2 K; the paper of DDCM has 1000
_UNIT_FRAMES = 8
_LAST = 20  # the timestep at which the published schedules end
_CLASSIC_STEPS = 979  # every timestep from 999 to there
CLASSIC_BITS = _CLASSIC_ATOMS * _CLASSIC_STEPS  # of a whole sound, however long
_MOST_ATOMS = 4096  # of a subset


def subset_bits(K: int, M: int) -> int:
    """Bits of the rank of M members of K: `ceil(log2 C(K, M))`, in integers."""
    return (comb(K, M) - 1).bit_length()


def rank(indices: Iterable[int]) -> int:
    """The rank, below C(K, M), of M strictly increasing indices below K."""
    return sum(comb(int(index), k) for k, index in enumerate(indices, 1))


def unrank(rank: int, K: int, M: int) -> list[int]:
    """The M strictly increasing indices below K whose rank is given. CorruptStream unless it is below C(K, M)."""
    if not 0 <= rank < comb(K, M):
        raise CorruptStream(f"subset rank of {rank.bit_length()} bits, not below C({K}, {M}): damaged payload")
    indices, index = [], K
    for k in range(M, 0, -1):
        index = bisect_right(range(index), rank, key=lambda n: comb(n, k)) - 1
        rank -= comb(index, k)
        indices.append(index)
    return indices[::-1]


@dataclass(frozen=True)
class Published:
    """Atoms for each unit of time from a dense Gaussian codebook."""

    log2_K: int  # of atoms
    M: int  # signed atoms of Turbo-DDCM; 0: one atom without a sign, as DDCM has it
    unit_frames: int  # latent frames that an atom is long
    steps: int  # coded steps
    kappa_percent: int = 0  # 0, uniform steps, as published; else matched as those of the presets

    def __post_init__(self) -> None:
        if not (0 <= self.M <= 2**self.log2_K and min(self.unit_frames, self.steps) >= 1):
            raise ConfigError(f"{self.M} atoms of {2**self.log2_K}, units of {self.unit_frames}, {self.steps} steps")

    @property
    def choice_bits(self) -> int:
        """Bits of a unit and step: an index; or the rank of a subset, and its signs."""
        return subset_bits(2**self.log2_K, self.M) + self.M if self.M else self.log2_K

    def bitrate(self, info: BackendInfo) -> float:
        """Payload in bit/s."""
        return self.choice_bits * self.steps * info.frames_per_second / self.unit_frames


@dataclass(frozen=True)
class Baseline:
    """A published codec."""

    title: str
    params: Published
    sample: Published  # with as many steps as its time is extrapolated from: a step costs the same at every timestep


def baselines(bit_per_second: float, *, steps: int, frames: int, info: BackendInfo) -> Iterator[Baseline]:
    """Those for a latent of `frames` frames; turbo with `steps` steps and the subsets that the bitrate pays for."""

    def atoms(wanted: int) -> int:
        """log2 of the number of atoms as long as the latent, or of as many as fit."""
        return min(wanted, (MAX_DENSE_VALUES // (frames * info.frame_values)).bit_length() - 1)

    def turbo(unit_frames: int, log2_K: int) -> Published:
        """With as many atoms as the bitrate pays for, and one at least."""
        bits = bit_per_second * unit_frames / info.frames_per_second / steps
        most = min(2 ** (log2_K - 1), _MOST_ATOMS)
        M = bisect_right(range(1, most + 1), bits, key=lambda M: subset_bits(2**log2_K, M) + M)
        return Published(log2_K, max(1, M), unit_frames, steps)

    rows = (
        ("turbo", turbo(frames, atoms(_TURBO_ATOMS)), min(2, steps)),
        ("turbo, by units", turbo(min(_UNIT_FRAMES, frames), _UNIT_ATOMS), steps),
        ("classic", Published(atoms(_CLASSIC_ATOMS), 0, frames, _CLASSIC_STEPS), 20),
    )
    for title, params, measured_steps in rows:
        yield Baseline(title, params, replace(params, steps=measured_steps))


@lru_cache(maxsize=1)  # drawing them is most of the work, and the encoder needs those of a step twice
def dense_atoms(step: int, size: int, part: int) -> torch.Tensor:
    """The independent Gaussian atoms of a step, `[K, d]`, shared by all units, each scaled to mean square 1."""
    drawn = rng.gaussian(size * part, seed=0, purpose=rng.Purpose.DENSE, segment=0, step=step)
    atoms = torch.from_numpy(drawn).view(size, part)
    return atoms * torch.rsqrt(atoms.square().mean(1, keepdim=True))


@dataclass(frozen=True)
class PublishedCoder:
    """What encoder and decoder share; satisfies `codec.segment.Coder`."""

    params: Published  # coding parameters
    info: BackendInfo  # of the model
    # channels, frames: of the latent
    channels: int
    frames: int

    @cached_property
    def plan(self) -> Plan:
        params, schedule = self.params, self.info.schedule
        if not params.kappa_percent:
            return coded_plan(schedule, uniform_timesteps(schedule, steps=params.steps, last=_LAST))
        bits, kappa = params.choice_bits / self.part, params.kappa_percent / 100
        matched = kl_matched_timesteps(schedule, self.info.curve, steps=params.steps, bits_per_value=bits, kappa=kappa)
        return coded_plan(schedule, matched)

    @cached_property
    def partition(self) -> Partition:
        shape = (self.channels, self.info.latent_channels, self.frames, self.info.latent_bins)
        return Partition(shape, self.params.unit_frames, self.part)

    @property
    def part(self) -> int:
        """Values of an atom."""
        return self.params.unit_frames * self.info.frame_values

    def atoms(self, step: int, device: torch.device) -> torch.Tensor:
        """`[K, d]`, those that can be chosen at a step."""
        return dense_atoms(step, 2**self.params.log2_K, self.part).to(device)

    def choose(self, residual: torch.Tensor, step: int) -> torch.Tensor:
        """The atoms of largest inner product: one, or M in magnitude with their signs, by rising index; `[P, M]` int64,
        each twice its index, and 1 more for minus."""
        products = self.partition.split(residual, step) @ self.atoms(step, residual.device).T
        if not self.params.M:
            return 2 * products.argmax(1, keepdim=True)
        indices = products.abs().topk(self.params.M, dim=1).indices.sort(1).values
        return 2 * indices + (products.gather(1, indices) < 0)

    def write(self, choice: torch.Tensor, writer: BitWriter) -> None:
        """Append an index a unit; or the rank of its subset, then its signs, 1 for minus."""
        indices, minus = (choice >> 1).cpu().numpy(), (choice & 1).cpu().numpy()
        if not self.params.M:
            writer.write_array(indices[:, 0], self.params.log2_K)
            return
        width = subset_bits(2**self.params.log2_K, self.params.M)
        for row, signs in zip(indices, minus, strict=True):
            writer.write(rank(row), width)
            writer.write_array(signs, 1)

    def read(self, reader: BitReader) -> torch.Tensor:
        """What `write` left; on the CPU. StreamError if no encoder writes this."""
        parts, size, M = self.partition.parts, 2**self.params.log2_K, self.params.M
        if not M:
            return 2 * torch.from_numpy(reader.read_array(parts, self.params.log2_K))[:, None]
        subsets = []
        for _ in range(parts):
            indices = torch.tensor(unrank(reader.read(subset_bits(size, M)), size, M))
            subsets.append(2 * indices + torch.from_numpy(reader.read_array(M, 1)))
        return torch.stack(subsets)

    def noise(self, choice: torch.Tensor, step: int) -> torch.Tensor:
        """`[channels, C, frames, F']`: the sum of the atoms, with mean square 1."""
        atoms, signs = self.atoms(step, choice.device), 1 - 2 * (choice & 1)
        total = (atoms[choice >> 1] * signs[..., None]).sum(1)
        if choice.shape[1] > 1:
            total = total * torch.rsqrt(total.square().mean(1, keepdim=True).clamp_min(1e-12))
        return self.partition.join(total, step)

    def start_noise(self, device: torch.device) -> torch.Tensor:
        return start_noise(self.partition.shape, seed=0, segment=0, device=device)

    def clamped(self, denoise: Denoise) -> Denoise:
        """The denoiser as it is: published codecs know no pauses."""
        return denoise
