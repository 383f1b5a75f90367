"""What a codebook is made of: the unit it quantises, the method, and the tables and stages that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from noisebook.errors import ConfigError

UNITS = ("clip", "frame", "position")
DRAWN = ("gaussian", "uniform")  # atoms drawn by `noisebook.rng`: only their statistics are stored
FLAT = (*DRAWN, "kmeans", "ema")  # one table, one index a unit
METHODS = (*FLAT, "residual", "product", "hierarchical", "adaptive")
RULES = ("hard", "soft")  # that have codes
SOFT_ATOMS = 5  # of the soft rule
TEMPERATURE = 1.0  # of the soft rule, in units of Euclidean distance
MIX = 0.7  # share of the quantised latent in a hybrid
WEIGHT_STEPS = 16  # a coded weight is a multiple of 1 / 16
# The second largest weight is at most 1/2, the third 1/3, ...; the largest is what they leave and is not coded.
WEIGHT_SIZES = tuple((2 * WEIGHT_STEPS + i) // (2 * i) + 1 for i in range(2, SOFT_ATOMS + 1))
_MAX_VALUES = 2**28  # 1 GiB of float32 for the atoms of all tables
_RANGES = {
    "size": (2, 2**16), "channels": (1, 1024), "bins": (1, 1024), "stages": (1, 64), "groups": (1, 1024),
    "block_frames": (1, 4096), "clip_frames": (1, 4096), "seed": (0, 2**64 - 1),
}  # fmt: skip
# The methods of each setting that not all have, and what the others leave it at.
_OWNERS = {
    "stages": (("residual", "hierarchical", "adaptive"), 1),
    "groups": (("product",), 1),
    "block_frames": (("hierarchical",), 1),
    "bits_per_frame": (("adaptive",), 0.0),
}


@dataclass(frozen=True)
class View:
    """What one table sees of the vectors: values `first` to `end`, averaged over blocks of `block` rows in time."""

    first: int
    end: int
    block: int = 1

    @property
    def values(self) -> int:
        return self.end - self.first


@dataclass(frozen=True)
class Stage:
    """One sequence of codes of a latent.

    Attributes:
        name: for people.
        size: of the alphabet; codes are 0 .. size - 1.
        tensor: of the codebook, `[size]`, that counts how often each code came up in fitting.
        row_frames: latent frames that share a row of codes.
        columns: codes of a row.
        given: (stage, least code): where that earlier stage has a lower code, this one has none, and holds 0.
        counts: the values of that tensor, all >= 1: a model for entropy coding. A configuration alone has none.
    """

    name: str
    size: int
    tensor: str
    row_frames: int = 1
    columns: int = 1
    given: tuple[int, int] | None = None
    counts: tuple[int, ...] = ()

    def positions(self, frames: int) -> int:
        """Codes of a latent of `frames` frames."""
        return -(-frames // self.row_frames) * self.columns


@dataclass(frozen=True)
class CodebookConfig:
    """Shape and kind of a codebook; a ConfigError says what is allowed.

    Attributes:
        unit: "clip" (one atom is `clip_frames` latent frames), "frame" (C F' values) or "position" (C values).
        method: of `METHODS`.
        size: K, atoms of each table.
        model: fingerprint of the autoencoder whose latents it was fitted to, hexadecimal; empty for none.
        channels, bins: C and F' of the latents.
        stages: residual, hierarchical and adaptive: tables one after the other.
        groups: product: groups into which the values of a vector are split.
        block_frames: hierarchical: frames (units in time) that share one index of the first table.
        clip_frames: clip: latent frames of an atom.
        bits_per_frame: adaptive: the budget where `encode` is given none.
        seed: of drawn atoms, and of the fit.
    """

    unit: str
    method: str
    size: int
    model: str = ""
    channels: int = 8
    bins: int = 16
    stages: int = 1
    groups: int = 1
    block_frames: int = 1
    clip_frames: int = 256
    bits_per_frame: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            raise ConfigError(f"unit {self.unit!r}: {', '.join(UNITS)} are possible")
        if self.method not in METHODS:
            raise ConfigError(f"method {self.method!r}: {', '.join(METHODS)} are possible")
        if not set(self.model) <= set("0123456789abcdef"):
            raise ConfigError(f"model {self.model!r}: a fingerprint is hexadecimal")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ConfigError(f"{name} of a codebook is {value}: {low} to {high} are possible")
        if sum(self.size * view.values for view in self.views) > _MAX_VALUES:
            raise ConfigError(f"{self.size} atoms a table: at most {_MAX_VALUES} values in all are allowed")
        for name, (methods, neutral) in _OWNERS.items():
            if self.method not in methods and getattr(self, name) != neutral:
                raise ConfigError(f"{name} is of {', '.join(methods)}: method {self.method} has none")
        if self.groups > self.values:
            raise ConfigError(f"{self.groups} groups of {self.values} values: at most one group a value")
        if self.method == "hierarchical" and (self.unit == "clip" or self.stages < 2):
            raise ConfigError("hierarchical needs 2 stages or more, and units of frames or positions")
        if self.method == "adaptive" and not self.bits_per_frame > 0:
            raise ConfigError(f"adaptive needs a budget, bits_per_frame above 0, not {self.bits_per_frame}")

    @property
    def values(self) -> int:
        """d: values of a vector."""
        return self.channels if self.unit == "position" else self.row_frames * self.channels * self.bins

    @property
    def flat(self) -> bool:
        """Whether one table gives one index a unit."""
        return self.method in FLAT

    @property
    def row_frames(self) -> int:
        """Latent frames to a row of vectors."""
        return self.clip_frames if self.unit == "clip" else 1

    @property
    def columns(self) -> int:
        """Vectors of a row: those at the same time."""
        return self.bins if self.unit == "position" else 1

    @property
    def views(self) -> tuple[View, ...]:
        """One for each table, in the order in which they are applied to what the tables before left over."""
        if self.method == "product":
            edges = [self.values * group // self.groups for group in range(self.groups + 1)]
            return tuple(View(first, end) for first, end in pairwise(edges))
        whole = View(0, self.values)
        return (View(0, self.values, self.block_frames), *[whole] * (self.stages - 1))

    def stages_of(self, rule: str = "hard") -> Iterator[Stage]:
        """The sequences of codes of a rule, in their order.

        Hard: of an adaptive codebook the number of tables that each unit uses, then one for each table. Soft: the
        nearest atom, then weight and atom of each further one; weights fall, and the atoms share the counts of the
        nearest.
        """
        rows, columns, adaptive = self.row_frames, self.columns, self.method == "adaptive"
        if rule == "soft":
            yield Stage("atom 1", self.size, "counts.0", rows, columns)
            for index in range(min(SOFT_ATOMS, self.size) - 1):
                weight, before = 2 * index + 1, (2 * index - 1, 1) if index else None
                yield Stage(f"weight {index + 2}", WEIGHT_SIZES[index], f"soft.{index}", rows, columns, before)
                yield Stage(f"atom {index + 2}", self.size, "counts.0", rows, columns, (weight, 1))
            return
        if adaptive:
            yield Stage("count", self.stages + 1, "counts.0", rows, columns)
        for number, view in enumerate(self.views, 1):
            name, used = f"stage {number}" if len(self.views) > 1 else "atom", (0, number) if adaptive else None
            yield Stage(name, self.size, f"counts.{number - 1 + adaptive}", rows * view.block, columns, used)

    @property
    def alphabets(self) -> dict[str, int]:
        """Tensors of counts that a codebook has, with their lengths."""
        rules = RULES if self.flat else RULES[:1]
        return {stage.tensor: stage.size for rule in rules for stage in self.stages_of(rule)}
