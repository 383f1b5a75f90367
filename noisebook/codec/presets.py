"""The table of presets, and the way from any bitrate to coding parameters.

All presets use the partitioned code with structured codebooks: each part of d values chooses one signed atom of d to
4 d, which is `log2 d + 1` to `log2 d + 3` bits. Large parts make low rates, small parts high ones; the number of coded
steps does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from noisebook.coding.container import Codebook, Engine, Header, Rule
from noisebook.errors import ConfigError, UnsupportedStream

__all__ = [
    "DEFAULT",
    "PRESETS",
    "QUALITIES",
    "Preset",
    "by_name",
    "by_wire_id",
    "engine_bitrate",
    "engine_for",
    "engine_of",
]

FRAME_VALUES, FRAMES_PER_SECOND = 128, 25  # of every AudioLDM-shaped latent: what nominal bitrates refer to
_KAPPA = 70  # percent; see docs/format.md
LOWEST, HIGHEST = 5, 8000  # bit/s a channel


def _partitioned(
    log2_part: int, steps: int, *, log2_stacks: int = 0, kappa: int = _KAPPA, frame_values: int = FRAME_VALUES
) -> Engine:
    """One signed atom of `2^log2_stacks * d` a part. A unit is 0.32 s, or as long as one part where that is more."""
    unit_frames = max(8, 2**log2_part // frame_values)
    return Engine(
        Rule.PARTITIONED,
        Codebook.STRUCTURED,
        log2_part,
        log2_part + log2_stacks,
        1,
        unit_frames,
        steps,
        kappa,
    )


@dataclass(frozen=True)
class Preset:
    """One row: a name (its bitrate), its id in the stream (append-only), and the coding parameters."""

    name: str
    wire_id: int
    engine: Engine

    @property
    def bitrate(self) -> float:
        """Payload in bit/s a channel."""
        return engine_bitrate(self.engine)


PRESETS = (
    Preset("8", 1, _partitioned(15, 5)),
    Preset("30", 2, _partitioned(14, 10)),
    Preset("100", 3, _partitioned(12, 9, log2_stacks=1)),
    Preset("300", 4, _partitioned(10, 8, log2_stacks=1)),
    Preset("700", 5, _partitioned(9, 10, log2_stacks=1)),
    Preset("1500", 6, _partitioned(8, 11, log2_stacks=2)),
    Preset("3000", 7, _partitioned(7, 12, log2_stacks=2)),
    Preset("6000", 8, _partitioned(6, 15, log2_stacks=1)),
)
DEFAULT = "3000"
# How many coded steps a bitrate may be spread over: fewer are faster, more waste fewer bits.
QUALITIES = {"fast": (4, 8), "balanced": (7, 16), "high": (14, 32)}


def by_name(name: str) -> Preset:
    """The preset of that name.

    Raises:
        ConfigError: there is none.
    """
    for preset in PRESETS:
        if preset.name == name:
            return preset
    raise ConfigError(f"preset {name!r}: there are {', '.join(p.name for p in PRESETS)}; for others give a bitrate")


def by_wire_id(wire_id: int) -> Preset:
    """The preset with that id in a stream.

    Raises:
        UnsupportedStream: this build knows none.
    """
    for preset in PRESETS:
        if preset.wire_id == wire_id:
            return preset
    raise UnsupportedStream(
        f"preset id {wire_id}: this build knows {', '.join(str(p.wire_id) for p in PRESETS)}; update it"
    )


def engine_of(header: Header) -> Engine:
    """Coding parameters of a stream of noise choices, explicit or of its preset.

    Raises:
        UnsupportedStream: a preset that this build does not know, or a stream that holds a quantised latent.
    """
    if header.latent is not None:
        raise UnsupportedStream("the stream holds a quantised latent and not the noise of a diffusion")
    return header.engine or by_wire_id(header.preset).engine


def engine_bitrate(
    engine: Engine, *, frame_values: int = FRAME_VALUES, frames_per_second: float = FRAMES_PER_SECOND
) -> float:
    """Payload in bit/s a coded channel, for latent frames of so many values, so many a second."""
    values = engine.unit_frames * frame_values
    parts = -(-values // 2**engine.log2_part) if engine.rule == Rule.PARTITIONED else 1
    return engine.choice_bits * parts * engine.steps * frames_per_second / engine.unit_frames


def engine_for(
    bitrate: float,
    *,
    quality: str = "balanced",
    frame_values: int = FRAME_VALUES,
    frames_per_second: float = FRAMES_PER_SECOND,
) -> Engine:
    """The partitioned engine whose payload comes nearest to `bitrate` (bit/s a coded channel).

    Of two equally near the one with fewer steps is taken: it is the faster one.

    Args:
        bitrate: wanted.
        quality: a key of `QUALITIES`.
        frame_values, frames_per_second: of the model's latents.

    Raises:
        ConfigError: a bitrate or quality outside the allowed.
    """
    if not LOWEST <= bitrate <= HIGHEST:
        raise ConfigError(f"a bitrate of {bitrate:g} bit/s a channel: {LOWEST} to {HIGHEST} are possible")
    if quality not in QUALITIES:
        raise ConfigError(f"quality {quality!r}: there are {', '.join(QUALITIES)}")
    fewest, most = QUALITIES[quality]
    # The longest part is the window, so the lowest rates have no more steps than they can pay for.
    candidates = [
        _partitioned(log2_part, steps, log2_stacks=log2_stacks, frame_values=frame_values)
        for log2_part, log2_stacks, steps in product(range(5, 16), range(3), range(3, most + 1))
        if steps >= fewest or log2_part == 15
    ]

    def distance(engine: Engine) -> tuple[float, int]:
        rate = engine_bitrate(engine, frame_values=frame_values, frames_per_second=frames_per_second)
        return abs(rate / bitrate - 1), engine.steps

    return min(candidates, key=distance)
