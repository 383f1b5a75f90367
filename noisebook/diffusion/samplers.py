"""Samplers: ways of going from noise to data in few steps, as a denoiser and a plan for `reverse`.

    sampler  plan           denoiser
    ddim     without noise  as it is                                        Song et al. 2021
    ddpm     with noise     as it is                                        Ho et al. 2020
    dpm++    without noise  extrapolated from the last two estimates        Lu et al. 2022, DPM-Solver++(2M)
    unipc    without noise  the same, and corrects the step before          Zhao et al. 2023, UniPC-2, B2(h)

The multistep solvers differ from DDIM only in what they take for x0_hat, so they are denoisers that remember.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from math import expm1, inf, log
from typing import TYPE_CHECKING, NamedTuple

from noisebook.diffusion.plan import Curve, Denoise, Plan, Schedule, make_step
from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

SAMPLERS = ("ddim", "ddpm", "dpm++", "unipc")
SPACINGS = ("uniform", "quadratic", "karras", "kl")
_KARRAS_RHO = 7.0


class Sampling(NamedTuple):
    """How a sound is drawn from a model: denoising steps, guidance and how much of its loudness is taken back, one of
    `SAMPLERS` and one of `SPACINGS`."""

    steps: int
    guidance: float
    rescale: float
    sampler: str
    spacing: str


def sampling_timesteps(
    schedule: Schedule, curve: Curve, *, steps: int, spacing: str, start: int | None = None
) -> tuple[int, ...]:
    """The timesteps at which the denoiser is asked, falling; after the last one the sound is clean.

    Args:
        curve: error of the denoiser; only `kl` looks at it.
        spacing: uniform in t; quadratic in t; karras, by the noise level to the power 1/7 (Karras et al. 2022,
            eq. 5); kl, equal information between neighbours, `sum error(t) (SNR_(t-1) - SNR_t)`.
        start: the first timestep; the noisiest if None.

    Raises:
        ConfigError: an unknown spacing, a start outside the schedule, or more steps than timesteps.
    """
    first = len(schedule) - 1 if start is None else start
    if spacing not in SPACINGS:
        raise ConfigError(f"spacing {spacing!r}: there are {', '.join(SPACINGS)}")
    if not 0 <= first < len(schedule):
        raise ConfigError(f"a start at timestep {first}: 0 to {len(schedule) - 1} are possible")
    if not 1 <= steps <= first + 1:
        raise ConfigError(f"{steps} steps from timestep {first}: 1 to {first + 1} are possible")
    if spacing in ("uniform", "quadratic"):
        power = 1 if spacing == "uniform" else 2
        return _falling([first * (1 - i / steps) ** power for i in range(steps)], first)
    if spacing == "karras":
        rising = [schedule.snr(t) ** (-0.5 / _KARRAS_RHO) for t in range(first + 1)]
    else:
        pieces = (curve(t) * (schedule.snr(t - 1) - schedule.snr(t)) for t in range(1, first + 1))
        rising = list(accumulate(pieces, initial=0.0))
    return _falling(_positions(rising, steps), first)


def _positions(rising: Sequence[float], steps: int) -> list[float]:
    """The timesteps at which values that rise with t are evenly spaced, from the last to the first."""
    low, high = rising[0], rising[-1]
    targets = [high - (high - low) * i / max(1, steps - 1) for i in range(steps)]
    positions, t = [], len(rising) - 1
    for target in targets:
        while t > 0 and abs(rising[t - 1] - target) <= abs(rising[t] - target):
            t -= 1
        positions.append(float(t))
    return positions


def _falling(wanted: Sequence[float], first: int) -> tuple[int, ...]:
    """Rounded and pushed apart where two fall on one timestep."""
    stops: list[int] = []
    for i, t in enumerate(wanted):
        lowest = len(wanted) - 1 - i  # leaves room for those that follow
        highest = stops[-1] - 1 if stops else first
        stops.append(max(lowest, min(highest, round(t))))
    return tuple(stops)


def sampled(name: str, denoise: Denoise, schedule: Schedule, timesteps: Sequence[int]) -> tuple[Denoise, Plan]:
    """What `reverse` needs to sample with one of `SAMPLERS`: a denoiser and a plan from `timesteps[0]` to clean data.

    Raises:
        ConfigError: an unknown sampler, or timesteps that do not fall.
    """
    if name not in SAMPLERS:
        raise ConfigError(f"scheduler {name!r}: there are {', '.join(SAMPLERS)}")
    if not timesteps or any(a <= b for a, b in pairwise(timesteps)):
        raise ConfigError(f"a sampler needs falling timesteps, got {tuple(timesteps)}")
    eta = 1.0 if name == "ddpm" else 0.0
    ends = [*timesteps[1:], None]
    plan = tuple(make_step(schedule, t, s, eta=eta) for t, s in zip(timesteps, ends, strict=True))
    if name == "dpm++":
        denoise = _multistep(denoise, plan, schedule)
    elif name == "unipc":
        denoise = _corrected(denoise, plan, schedule)
    return denoise, plan


def _multistep(denoise: Denoise, plan: Plan, schedule: Schedule) -> Denoise:
    """DPM-Solver++(2M): the estimate extrapolated to the middle of the step in log-SNR (Lu et al. 2022, alg. 2)."""
    weights = _extrapolations(plan, schedule)
    latest: torch.Tensor | None = None

    def extrapolated(x: torch.Tensor, t: int) -> torch.Tensor:
        nonlocal latest
        x0_hat = denoise(x, t)
        before, latest = latest, x0_hat  # stale at a first step, whose weight is 0
        return _extrapolate(x0_hat, before, weights[t])

    return extrapolated


def _extrapolate(x0_hat: torch.Tensor, before: torch.Tensor | None, weight: float) -> torch.Tensor:
    return x0_hat if before is None or weight == 0 else x0_hat + weight * (x0_hat - before)


def _extrapolations(plan: Plan, schedule: Schedule) -> dict[int, float]:
    """By timestep, how far to go on from the last estimate to this one: `h / (2 h_before)`; 0 at first and last."""
    gaps = [_half_log_snr(schedule, step.s) - _half_log_snr(schedule, step.t) for step in plan]
    weights = {step.t: gap / (2 * before) for step, before, gap in zip(plan[1:], gaps, gaps[1:], strict=False)}
    return weights | {plan[0].t: 0.0, plan[-1].t: 0.0}


def _corrected(denoise: Denoise, plan: Plan, schedule: Schedule) -> Denoise:
    """UniPC of order 2 with B2(h) = e^h - 1 (Zhao et al. 2023, for data prediction).

    The predictor is that of DPM-Solver++(2M). The corrector replaces x_t by what the step before would have reached
    had it known the estimate at its end; a change of x_t by d is a change of x0_hat by `x_weight / x0_weight d`.
    """
    weights = _extrapolations(plan, schedule)
    correctors = _correctors(plan, schedule)
    steps = {step.t: (step, before) for step, before in zip(plan, [None, *plan[:-1]], strict=True)}
    x_before = latest = earlier = None

    def corrected(x: torch.Tensor, t: int) -> torch.Tensor:
        nonlocal x_before, latest, earlier
        step, before = steps[t]
        x0_hat = denoise(x, t)
        right_x = x
        if before is not None and latest is not None:
            on_past, on_new = correctors[t]
            estimate = latest + on_new * (x0_hat - latest)
            if earlier is not None:
                estimate = estimate + on_past * (earlier - latest)
            right_x = before.mean(x_before, estimate)
        predicted = _extrapolate(x0_hat, latest, weights[t])
        x_before, latest, earlier = right_x, x0_hat, latest if before is not None else None
        return predicted + (step.x_weight / step.x0_weight) * (right_x - x)

    return corrected


def _correctors(plan: Plan, schedule: Schedule) -> dict[int, tuple[float, float]]:
    """By timestep, how much of the differences to the estimate before the last step: of the one before it, of the new.

    They make the step exact for estimates that are polynomials in log-SNR; the first step has no past, and takes 1/2.
    """
    lambdas = [_half_log_snr(schedule, step.t) for step in plan]
    weights = {}
    for i in range(1, len(plan)):
        h = lambdas[i] - lambdas[i - 1]
        if i == 1:
            weights[plan[i].t] = 0.0, 0.5
            continue
        r = (lambdas[i - 2] - lambdas[i - 1]) / h  # below 0
        first = expm1(-h) / -h - 1
        second = first / -h - 0.5
        right = first / expm1(-h), 2 * second / expm1(-h)
        past = (right[0] - right[1]) / (1 - r)
        weights[plan[i].t] = past / r, right[0] - past
    return weights


def _half_log_snr(schedule: Schedule, t: int | None) -> float:
    return inf if t is None else 0.5 * log(schedule.snr(t))
