"""The pull of a guided transformation, in its two forms: on x0_hat, or by the choice of the noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import sqrt

import torch

from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Denoise, NoiseFor, Step
from noisebook.diffusion.pulling import MAX_SCALES, PULLS, Course, low_pass, multi_scale, pull_weight, pulled
from noisebook.errors import ConfigError

__all__ = ["CHOICE", "NAMES", "Pull", "chosen_noise", "pulled_towards"]

CHOICE = "ddcm"
NAMES = (*PULLS, CHOICE)
_ENGINE = by_name("6000").engine  # parts of 64 values: nothing is sent, so bits cost nothing


@dataclass(frozen=True)
class Pull:
    """How a run from noise is drawn to its target.

    Attributes:
        name: the course of the weight, one of `pulling.PULLS`; or "ddcm": the noise of each step is chosen from
            codebooks against the residual, as an encoder does, which leaves x0_hat as it is.
        strength: the weight's maximum; for "ddcm" the share of the chosen noise, the rest is Gaussian.
        scales: 1 pulls at full resolution throughout, more begin with coarse structure.

    Raises:
        ConfigError: says what is allowed.
    """

    name: str = "adaptive"
    strength: float = 1.0
    scales: int = 1

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ConfigError(f"pull {self.name!r}: {', '.join(NAMES)} are possible")
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"a pull strength of {self.strength:g}: 0 to 1 are possible")
        if not 1 <= self.scales <= MAX_SCALES:
            raise ConfigError(f"{self.scales} scales: 1 to {MAX_SCALES} are possible")

    @property
    def chooses(self) -> bool:
        return self.name == CHOICE


def pulled_towards(denoise: Denoise, target: torch.Tensor, pull: Pull, course: Course) -> Denoise:
    """`denoise` with its estimates pulled towards `target [channels, C, L, F']`, over the course."""
    if pull.chooses:
        return denoise
    weight = pull_weight(pull.name, course, strength=pull.strength)
    return pulled(denoise, target, weight=weight, width=multi_scale(course, pull.scales))


def chosen_noise(
    gaussian: NoiseFor, target: torch.Tensor, pull: Pull, course: Course, info: BackendInfo, *, seed: int
) -> NoiseFor:
    """The noise of each step chosen against `target - x0_hat` down to t0, and from there on `gaussian`.

    The atoms are those of a stream of preset 6000 (Ohayon et al. 2025, with partitioned structured codebooks). An
    encoder's noise leads as far as its bits allow, and in few large steps too far. Here Gaussian noise is mixed in so
    that it leads exactly as far as the true posterior would: `z = sqrt(SNR_s - SNR_t) (target - x0_hat) + ...`.
    """
    coder = SegmentCoder(_ENGINE, info, target.shape[0], target.shape[2], seed, 0)
    width, steps = multi_scale(course, pull.scales), count()

    def choose(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        random = gaussian(step, x0_hat)
        if step.t <= course.start or step.s is None:
            return random
        residual, index = low_pass(target - x0_hat, width(step.t)), next(steps)
        chosen = coder.noise(coder.choose(residual, index), index)
        needed = sqrt(info.schedule.snr(step.s) - info.schedule.snr(step.t))
        share = pull.strength * (needed / _projection(chosen, residual)).clamp(max=1)
        return share * chosen + (1 - share.square()).sqrt() * random

    return choose


def _projection(noise: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """How many times the residual the noise contains, for each channel: `[channels, 1, 1, 1]`, above 0."""
    axes = (1, 2, 3)
    along = (noise * residual).mean(axes, keepdim=True) / residual.square().mean(axes, keepdim=True).clamp_min(1e-12)
    return along.clamp_min(1e-12)
