"""The table of presets, and the way from any bitrate to coding parameters.

All presets use the partitioned code with structured codebooks: each part of d values chooses one signed atom of d to
32 d, which is `log2 d + 1` to `log2 d + 6` bits. Large parts make low rates, small parts high ones; the number of coded
steps does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

from noisebook.coding.container import ChannelMode, CodingParams, Header
from noisebook.diffusion.backend import BackendInfo
from noisebook.errors import ConfigError, UnsupportedStream
from noisebook.options import named

FRAME_VALUES, FRAMES_PER_SECOND = 128, 25  # of every AudioLDM-shaped latent: what nominal bitrates refer to
LOWEST, HIGHEST = 5, 8000  # bit/s of the choices of a latent
MOST_IMAGE = 200.0  # bit/s of an image; more are not worth it
_IMAGE_SHARE = 0.1  # of the bitrate of a file
_WORTH_AN_IMAGE = 20.0  # bit/s of a file
# A part's atoms are free to lie anywhere in its unit: long units let bits go to where the sound needs them. That gains
# 0.1 to 0.2 dB from 0.32 to 3.2 s, half of it at 0.64 s (docs/studies.md); pauses of 0.64 s still take no bits.
_UNIT_FRAMES = 16
_NEAR = 0.02  # bitrates that differ by less are as good as equal


def _partitioned(
    log2_part: int, steps: int, log2_expansion: int, kappa: int, unit: int = _UNIT_FRAMES, values: int = FRAME_VALUES
) -> CodingParams:
    """One signed atom of `2^log2_expansion * d` a part of `d = 2^log2_part` values; kappa is in percent. A unit has
    `unit` frames, or is as long as a part that is longer."""
    unit_frames = max(unit, 2**log2_part // values)
    return CodingParams(log2_part, log2_part + log2_expansion, unit_frames, steps, kappa)


@dataclass(frozen=True)
class Preset:
    """One row of the table."""

    name: str  # the bitrate of the file
    wire_id: int  # in the stream; append only
    params: CodingParams  # of one latent
    stereo_steps: int  # coded steps where an image goes with the latent, which takes what they leave of the bitrate

    @property
    def bitrate(self) -> float:
        """Payload of a latent alone, bit/s."""
        return params_bitrate(self.params)

    @property
    def stereo_params(self) -> CodingParams:
        """Coding parameters of a latent with an image."""
        return replace(self.params, steps=self.stereo_steps)

    @property
    def image_bitrate(self) -> float:
        """What an image may take, bit/s: 0 for the coarsest."""
        if self.stereo_steps == self.params.steps:
            return 0.0
        return min(MOST_IMAGE, float(self.name) - params_bitrate(self.stereo_params))


PRESETS = (
    Preset("8", 1, _partitioned(15, 5, 0, 70), 5),
    Preset("30", 2, _partitioned(14, 9, 2, 80), 8),
    Preset("100", 3, _partitioned(13, 15, 3, 80), 13),
    Preset("300", 4, _partitioned(11, 12, 4, 80), 11),
    Preset("700", 5, _partitioned(10, 16, 3, 70), 14),
    Preset("1500", 6, _partitioned(9, 17, 4, 60), 15),
    Preset("3000", 7, _partitioned(8, 17, 5, 50), 16),
    Preset("6000", 8, _partitioned(7, 20, 4, 50), 19),
)
DEFAULT = "3000"


@dataclass(frozen=True)
class Quality:
    """How a bitrate is spread over steps: few are fast, many waste fewer bits."""

    fewest: int  # coded steps
    most: int
    log2_expansion: tuple[int, ...]  # log2 of the atoms to a value of a part, those that are tried
    kappa: int  # percent; see docs/format.md
    unit: int = _UNIT_FRAMES


QUALITIES = {
    "fast": Quality(4, 8, (0, 1, 2), 70, 8),
    "balanced": Quality(12, 20, (2, 3, 4, 5), 70),
    "high": Quality(22, 40, (2, 3, 4, 5), 80),
}


def by_name(name: str) -> Preset:
    """The preset of that name; ConfigError if there is none."""
    listed = f"{', '.join(preset.name for preset in PRESETS)} and auto; for others give a bitrate"
    return named("preset", PRESETS, name, listed)


def by_wire_id(wire_id: int) -> Preset:
    """The preset with that id in a stream; UnsupportedStream if this build knows none."""
    rows = {preset.wire_id: preset for preset in PRESETS}
    if wire_id not in rows:
        raise UnsupportedStream(f"preset id {wire_id}: this build knows {', '.join(map(str, sorted(rows)))}; update it")
    return rows[wire_id]


def params_of(header: Header) -> CodingParams:
    """Coding parameters of a stream of noise choices, explicit or of its preset.

    Raises:
        UnsupportedStream: a preset that this build does not know, or a stream that holds a quantised latent.
    """
    if header.latent is not None:
        raise UnsupportedStream("the stream holds a quantised latent and not the noise of a diffusion")
    if header.params is not None:
        return header.params
    preset = by_wire_id(header.preset)
    return preset.stereo_params if header.channel_mode is ChannelMode.IMAGE else preset.params


def params_bitrate(params: CodingParams, info: BackendInfo | None = None) -> float:
    """Payload of a latent of a model in bit/s; None stands for a latent of the usual shape."""
    values, rate = (info.frame_values, info.frames_per_second) if info else (FRAME_VALUES, FRAMES_PER_SECOND)
    return params.choice_bits * params.parts(params.unit_frames, values) * params.steps * rate / params.unit_frames


def image_share(bitrate: float) -> float:
    """bit/s of the image in a file of so many; near the lowest rates nothing can be spared for it."""
    return min(MOST_IMAGE, _IMAGE_SHARE * bitrate) if bitrate >= _WORTH_AN_IMAGE else 0.0


def rate_of_latent(bitrate: float, mode: ChannelMode) -> float:
    """Of bit/s of a file what is left for the choices of each latent.

    Raises:
        ConfigError: less or more than two latents can have.
    """
    if mode.latents > 1 and not LOWEST <= bitrate / mode.latents <= HIGHEST:
        raise ConfigError(
            f"a bitrate of {bitrate:g} bit/s for two channels: {2 * LOWEST} to {2 * HIGHEST} are possible"
        )
    return (bitrate - (image_share(bitrate) if mode is ChannelMode.IMAGE else 0)) / mode.latents


def image_bitrate(header: Header, info: BackendInfo) -> float:
    """bit/s that the image of a stream of noise choices may take, beside what these take."""
    if header.params is None:
        return by_wire_id(header.preset).image_bitrate
    return image_share(params_bitrate(header.params, info))


def params_for(bitrate: float, *, quality: str = "balanced", info: BackendInfo | None = None) -> CodingParams:
    """The coding parameters whose payload comes nearest to `bitrate` (bit/s of a latent, as of `params_bitrate`).

    Of those within 2 % the one with most steps is taken: it wastes fewest bits. `quality` is a key of `QUALITIES`.

    Raises:
        ConfigError: a bitrate or quality outside the allowed.
    """
    if not LOWEST <= bitrate <= HIGHEST:
        raise ConfigError(f"a bitrate of {bitrate:g} bit/s: {LOWEST} to {HIGHEST} are possible")
    if quality not in QUALITIES:
        raise ConfigError(f"quality {quality!r}: there are {', '.join(QUALITIES)}")
    effort, values = QUALITIES[quality], info.frame_values if info else FRAME_VALUES
    # The longest part is the window, so the lowest rates have no more steps than they can pay for.
    candidates = [
        _partitioned(log2_part, steps, log2_expansion, effort.kappa, effort.unit, values)
        for log2_part, log2_expansion, steps in product(range(4, 16), effort.log2_expansion, range(3, effort.most + 1))
        if steps >= effort.fewest or log2_part == 15
    ]

    def distance(params: CodingParams) -> tuple[float, int]:
        return max(_NEAR, abs(params_bitrate(params, info) / bitrate - 1)), -params.steps

    return min(candidates, key=distance)
