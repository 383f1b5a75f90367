"""The pull of a guided or full diffusion, in its two forms: on x0_hat, or by the choice of the noise."""

from __future__ import annotations

from itertools import count
from math import sqrt

import torch

from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Denoise, NoiseFor, Step
from noisebook.diffusion.pulling import Course, low_pass, multi_scale, pull_weight, pulled
from noisebook.synthesis.options import TransformOptions

__all__ = ["chosen_noise", "pulled_towards"]

_PARAMS = by_name("6000").params  # parts of 64 values: nothing is sent, so bits cost nothing


def pulled_towards(denoise: Denoise, target: torch.Tensor, options: TransformOptions, course: Course) -> Denoise:
    """`denoise` with its estimates pulled towards `target [channels, C, L, F']` over the course, if they are at all."""
    if options.weight is None:
        return denoise
    weight = pull_weight(options.weight, course, strength=_strength(options))
    return pulled(denoise, target, weight=weight, width=multi_scale(course, options.scales or 1))


def _strength(options: TransformOptions) -> float:
    return 1.0 if options.pull_strength is None else options.pull_strength


def chosen_noise(
    gaussian: NoiseFor, target: torch.Tensor, options: TransformOptions, course: Course, info: BackendInfo
) -> NoiseFor:
    """The noise of each step chosen against `target - x0_hat` down to t0, and from there on `gaussian`.

    The atoms are those of a stream of preset 6000 (Ohayon et al. 2025, with partitioned structured codebooks). An
    encoder's noise leads as far as its bits allow, and in few large steps too far. Here Gaussian noise is mixed in so
    that it leads exactly as far as the true posterior would: `z = sqrt(SNR_s - SNR_t) (target - x0_hat) + ...`.
    """
    coder = SegmentCoder(_PARAMS, (), info, target.shape[0], target.shape[2], options.seed)
    width, steps = multi_scale(course, options.scales or 1), count()

    def choose(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        random = gaussian(step, x0_hat)
        if step.t <= course.start or step.s is None:
            return random
        residual, index = low_pass(target - x0_hat, width(step.t)), next(steps)
        chosen = coder.noise(coder.choose(residual, index), index)
        needed = sqrt(info.schedule.snr(step.s) - info.schedule.snr(step.t))
        share = _strength(options) * (needed / _projection(chosen, residual)).clamp(max=1)
        return share * chosen + (1 - share.square()).sqrt() * random

    return choose


def _projection(noise: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """How many times the residual the noise contains, for each channel: `[channels, 1, 1, 1]`, above 0."""
    axes = (1, 2, 3)
    along = (noise * residual).mean(axes, keepdim=True) / residual.square().mean(axes, keepdim=True).clamp_min(1e-12)
    return along.clamp_min(1e-12)
