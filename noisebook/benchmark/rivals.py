"""The engines of the papers at the bitrate of a preset, on the same model.

turbo              Turbo-DDCM (Vaisman et al., ICLR 2026): uniform steps, M signed atoms of 16384 dense ones, each
                   as long as the whole latent
turbo, by units    the same with 4096 atoms for every 0.32 s
classic            DDCM (Ohayon et al., ICML 2025): every timestep, one dense atom of 1024 as long as the latent
classic, pursuit   the same with two atoms, mixed at one of eight levels
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace

from noisebook.codec.layout import MAX_DENSE_VALUES
from noisebook.coding.container import Codebook, Engine, Rule, choice_bits
from noisebook.diffusion.backend import BackendInfo

__all__ = ["CLASSIC_BITS", "Rival", "rivals"]

_TURBO_ATOMS, _UNIT_ATOMS, _CLASSIC_ATOMS = 14, 12, 10  # log2 K; the paper of DDCM has 1000
_UNIT_FRAMES = 8
_CLASSIC_STEPS = 979  # every timestep from 999 to 20, where the published schedules end
CLASSIC_BITS = _CLASSIC_ATOMS * _CLASSIC_STEPS  # of a whole sound, however long
_MOST_ATOMS = 4096  # of a subset, format.md 2.3
_LEVEL_BITS = 3


@dataclass(frozen=True)
class Rival:
    """A published engine.

    Attributes:
        title: of the engine.
        engine: as it is coded.
        measured_steps: how many of its steps are run if its time is extrapolated from them; None: it is always run.
    """

    title: str
    engine: Engine
    measured_steps: int | None

    @property
    def sample(self) -> Engine:
        """The same engine with only the measured steps: a step costs the same at every timestep."""
        return self.engine if self.measured_steps is None else replace(self.engine, steps=self.measured_steps)


def rivals(bit_per_second: float, *, steps: int, frames: int, info: BackendInfo) -> Iterator[Rival]:
    """Those for a latent of `frames` frames; turbo with `steps` steps and the subsets that the bitrate pays for."""
    whole = _atoms(_TURBO_ATOMS, frames * info.frame_values)
    yield Rival("turbo", _turbo(bit_per_second, steps, frames, whole, info), min(2, steps))
    units = min(_UNIT_FRAMES, frames)
    yield Rival("turbo, by units", _turbo(bit_per_second, steps, units, _UNIT_ATOMS, info), None)
    atoms = _atoms(_CLASSIC_ATOMS, frames * info.frame_values)
    classic = Engine(Rule.ONE_OF_K, Codebook.DENSE, 0, atoms, 1, frames, _CLASSIC_STEPS, 0)
    yield Rival("classic", classic, 20)
    pursuit = replace(classic, rule=Rule.PURSUIT, M=2, level_bits=_LEVEL_BITS)
    yield Rival("classic, pursuit of 2", pursuit, 20)


def _turbo(bit_per_second: float, steps: int, unit_frames: int, log2_K: int, info: BackendInfo) -> Engine:
    """With as many atoms as the bitrate pays for, and one at least."""
    bits = bit_per_second * unit_frames / info.frames_per_second / steps
    most = min(2 ** (log2_K - 1), _MOST_ATOMS)
    cost = range(1, most + 1)
    M = bisect_right(cost, bits, key=lambda M: choice_bits(Rule.TOP_M, 2**log2_K, M))
    return Engine(Rule.TOP_M, Codebook.DENSE, 0, log2_K, max(1, M), unit_frames, steps, 0)


def _atoms(log2_K: int, values: int) -> int:
    """log2 of the number of atoms, or of as many as fit."""
    return min(log2_K, (MAX_DENSE_VALUES // values).bit_length() - 1)
