"""The engines of the papers at the bitrate of a preset, on the same model.

turbo              Turbo-DDCM (Vaisman et al., ICLR 2026): uniform steps, M signed atoms of 16384 dense ones, each
                   as long as the whole latent
turbo, by units    the same with 4096 atoms for every 0.32 s
classic            DDCM (Ohayon et al., ICML 2025): every timestep, one dense atom of 1024 as long as the latent
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError
from noisebook.rivals.combinatorics import subset_bits

__all__ = ["CLASSIC_BITS", "MAX_DENSE_VALUES", "Published", "Rival", "rivals"]

MAX_DENSE_VALUES = 2**28  # 1 GiB of float32 for the atoms of one step
_TURBO_ATOMS, _UNIT_ATOMS, _CLASSIC_ATOMS = 14, 12, 10  # log2 K; the paper of DDCM has 1000
_UNIT_FRAMES = 8
_CLASSIC_STEPS = 979  # every timestep from 999 to 20, where the published schedules end
CLASSIC_BITS = _CLASSIC_ATOMS * _CLASSIC_STEPS  # of a whole sound, however long
_MOST_ATOMS = 4096  # of a subset


@dataclass(frozen=True)
class Published:
    """Atoms for each unit of time from a dense Gaussian codebook.

    Attributes:
        log2_K: of atoms.
        M: signed atoms of Turbo-DDCM; 0: one atom without a sign, as DDCM has it.
        unit_frames: latent frames that an atom is long.
        steps: coded steps.
        kappa_percent: 0, uniform steps, as published; else matched as those of the presets.
        last: timestep at which uniform steps end; after an earlier one the rest is a tail without bits.
    """

    log2_K: int
    M: int
    unit_frames: int
    steps: int
    kappa_percent: int = 0
    last: int = 20

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
class Rival:
    """A published engine.

    Attributes:
        title: of the engine.
        engine: as it is coded.
        measured_steps: how many of its steps are run if its time is extrapolated from them; None: it is always run.
    """

    title: str
    engine: Published
    measured_steps: int | None

    @property
    def sample(self) -> Published:
        """The same engine with only the measured steps: a step costs the same at every timestep."""
        return self.engine if self.measured_steps is None else replace(self.engine, steps=self.measured_steps)


def rivals(bit_per_second: float, *, steps: int, frames: int, info: BackendInfo) -> Iterator[Rival]:
    """Those for a latent of `frames` frames; turbo with `steps` steps and the subsets that the bitrate pays for."""
    whole = _atoms(_TURBO_ATOMS, frames * info.frame_values)
    yield Rival("turbo", _turbo(bit_per_second, steps, frames, whole, info), min(2, steps))
    units = min(_UNIT_FRAMES, frames)
    yield Rival("turbo, by units", _turbo(bit_per_second, steps, units, _UNIT_ATOMS, info), None)
    atoms = _atoms(_CLASSIC_ATOMS, frames * info.frame_values)
    yield Rival("classic", Published(atoms, 0, frames, _CLASSIC_STEPS), 20)


def _turbo(bit_per_second: float, steps: int, unit_frames: int, log2_K: int, info: BackendInfo) -> Published:
    """With as many atoms as the bitrate pays for, and one at least."""
    bits = bit_per_second * unit_frames / info.frames_per_second / steps
    most = min(2 ** (log2_K - 1), _MOST_ATOMS)
    M = bisect_right(range(1, most + 1), bits, key=lambda M: subset_bits(2**log2_K, M) + M)
    return Published(log2_K, max(1, M), unit_frames, steps)


def _atoms(log2_K: int, values: int) -> int:
    """log2 of the number of atoms, or of as many as fit."""
    return min(log2_K, (MAX_DENSE_VALUES // values).bit_length() - 1)
