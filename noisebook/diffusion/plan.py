"""The diffusion as mathematics: schedule, plan and the one loop.

Schedule --kl_matched_timesteps(Curve)--> timesteps --coded_plan + tail_plan--> Plan
x_T --reverse(denoise, Plan, noise_for)--> x_0

A schedule says how much signal is left at each timestep (Ho et al. 2020). All but `cosine` is plain float64 arithmetic
of `+ - * / sqrt`, so every IEEE 754 machine computes the same schedule and, from it, the same coding plan. A plan is a
tuple of `Step`, so `plan[k:]` is the plan from a later start, and two plans join with `+`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sqrt
from typing import TYPE_CHECKING

from noisebook.errors import ConfigError

if TYPE_CHECKING:
    import torch

LN2 = 0.6931471805599453


@dataclass(frozen=True)
class Schedule:
    """`alphas_cumprod[t]` for t = 0..T-1, strictly falling in (0, 1)."""

    alphas_cumprod: tuple[float, ...]

    def __post_init__(self) -> None:
        values = (1.0, *self.alphas_cumprod, 0.0)
        if len(values) < 4 or any(a <= b for a, b in pairwise(values)):
            raise ConfigError("alphas_cumprod must fall strictly within (0, 1) and have at least two values")

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    def alpha(self, t: int | None) -> float:
        """`alphas_cumprod` at timestep t; None stands for clean data, where it is 1."""
        return 1.0 if t is None else self.alphas_cumprod[t]

    def snr(self, t: int) -> float:
        """Signal-to-noise ratio `abar_t / (1 - abar_t)`."""
        alpha = self.alphas_cumprod[t]
        return alpha / (1.0 - alpha)

    def add_noise(self, x0: torch.Tensor, noise: torch.Tensor, t: int) -> torch.Tensor:
        """`x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) noise`: clean data as the denoiser is given it at timestep t."""
        alpha = self.alphas_cumprod[t]
        return sqrt(alpha) * x0 + sqrt(1 - alpha) * noise


def scaled_linear(first: float = 0.0015, last: float = 0.0195, steps: int = 1000) -> Schedule:
    """Betas linear in their square root, as AudioLDM was trained (Rombach et al. 2022).

    Raises:
        ConfigError: betas outside 0..1.
    """
    if min(first, last) < 0:
        raise ConfigError(f"betas from {first:g} to {last:g}: they lie between 0 and 1")
    low, high = sqrt(first), sqrt(last)
    roots = (low + (high - low) * i / (steps - 1) for i in range(steps))
    return _from_betas(root * root for root in roots)


def linear(first: float, last: float, steps: int = 1000) -> Schedule:
    """Betas linear in the timestep (Ho et al. 2020)."""
    return _from_betas(first + (last - first) * i / (steps - 1) for i in range(steps))


def cosine(steps: int = 1000) -> Schedule:
    """`abar = cos^2(pi tau / 2)` at `tau = (t + 1) / (steps + 1)`, for models in continuous time (Salimans & Ho 2022).

    The cosine is rounded to twelve digits, in which all machines agree.
    """
    return Schedule(tuple(round(cos(pi / 2 * (t + 1) / (steps + 1)) ** 2, 12) for t in range(steps)))


def _from_betas(betas: Iterable[float]) -> Schedule:
    alphas: list[float] = []
    product = 1.0
    for beta in betas:
        product *= 1.0 - beta
        alphas.append(product)
    return Schedule(tuple(alphas))


@dataclass(frozen=True)
class Step:
    """One jump from timestep `t` to `s` (None: to clean data): `x_s = x0_weight x0_hat + x_weight x_t + std z`."""

    t: int
    s: int | None
    x0_weight: float
    x_weight: float
    std: float

    def mean(self, x: torch.Tensor, x0_hat: torch.Tensor) -> torch.Tensor:
        return self.x0_weight * x0_hat + self.x_weight * x


Plan = tuple[Step, ...]
Denoise = Callable[["torch.Tensor", int], "torch.Tensor"]
NoiseFor = Callable[[Step, "torch.Tensor"], "torch.Tensor"]


def reverse(denoise: Denoise, plan: Plan, x: torch.Tensor, noise_for: NoiseFor) -> torch.Tensor:
    """Run the diffusion backwards: the only place of the project that steps a diffusion model.

    Args:
        denoise: `(x_t [B, C, T', F'], t) -> x0_hat`, shaped alike.
        x: `x_t` at the first step's timestep; the result is that after the last step.
        noise_for: `(step, x0_hat) -> z`, unit variance, shaped as x. What z is makes the use: chosen against a
            residual it compresses, read from a stream it decompresses, drawn at random it generates. Called only
            for steps with noise.
    """
    for step in plan:
        x0_hat = denoise(x, step.t)
        x = step.mean(x, x0_hat)
        if step.std > 0:
            x = x + step.std * noise_for(step, x0_hat)
    return x


def make_step(schedule: Schedule, t: int, s: int | None, *, eta: float) -> Step:
    """Coefficients of a DDIM jump (Song et al. 2021, eq. 12 and 16); eta 1 is the DDPM posterior, 0 deterministic."""
    alpha_t, alpha_s = schedule.alpha(t), schedule.alpha(s)
    variance = eta * eta * (1 - alpha_s) / (1 - alpha_t) * (1 - alpha_t / alpha_s)
    towards_noise = sqrt(max(0.0, 1 - alpha_s - variance)) / sqrt(1 - alpha_t)  # weight of eps, over its own scale
    return Step(t, s, sqrt(alpha_s) - towards_noise * sqrt(alpha_t), towards_noise, sqrt(variance))


def coded_plan(schedule: Schedule, timesteps: Sequence[int]) -> Plan:
    """Stochastic steps through `timesteps` (falling): one step, and one choice of noise, between each pair."""
    inside = all(0 <= t < len(schedule) for t in timesteps)
    if not inside or any(a <= b for a, b in pairwise(timesteps)):
        raise ConfigError(f"timesteps must fall and lie in 0..{len(schedule) - 1}, got {tuple(timesteps)}")
    return tuple(make_step(schedule, t, s, eta=1.0) for t, s in pairwise(timesteps))


def tail_plan(schedule: Schedule, t: int, steps: int) -> Plan:
    """`steps` deterministic jumps from t to clean data, denser towards the end (quadratic in t)."""
    if steps < 1:
        raise ConfigError(f"a tail has at least 1 step, not {steps}")
    stops = sorted({t * (steps - i) * (steps - i) // (steps * steps) for i in range(steps)} | {t}, reverse=True)
    ends = [*stops[1:], None]
    return tuple(make_step(schedule, a, b, eta=0.0) for a, b in zip(stops, ends, strict=True))


@dataclass(frozen=True)
class Curve:
    """Measured error of a denoiser: mean squared error of x0_hat (latent variance 1) at some timesteps, rising in t."""

    timesteps: tuple[int, ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        ts, errors = self.timesteps, self.errors
        if not ts or len(ts) != len(errors) or any(a >= b for a, b in pairwise(ts)) or min(errors) <= 0:
            raise ConfigError("a curve needs rising timesteps with one positive error each")

    def __call__(self, t: int) -> float:
        """Error at t, linear between the measured timesteps, constant beyond them."""
        ts, errors = self.timesteps, self.errors
        i = bisect_left(ts, t)
        if i in (0, len(ts)):
            return errors[min(i, len(ts) - 1)]
        share = (t - ts[i - 1]) / (ts[i] - ts[i - 1])
        return errors[i - 1] + share * (errors[i] - errors[i - 1])


def kl_matched_timesteps(
    schedule: Schedule,
    curve: Curve,
    *,
    steps: int,
    bits_per_value: float,
    kappa: float,
    start: int | None = None,
) -> tuple[int, ...]:
    """Timesteps at which each step needs `kappa` times the bits it carries.

    A jump from t to s needs `(SNR_s - SNR_t) error(t) / (2 ln 2)` bits a latent value (the discrete-time
    loss of Kingma et al. 2021).
    Plain float64 arithmetic: encoder and decoder compute the same list on any machine.

    Returns:
        `steps + 1` falling timesteps from `start`, or the noisiest if None; fewer where clean data is reached before.
    """
    timesteps = [len(schedule) - 1 if start is None else start]
    while len(timesteps) <= steps and timesteps[-1] > 0:
        t = timesteps[-1]
        target = schedule.snr(t) + 2 * LN2 * kappa * bits_per_value / curve(t)
        s = t - 1
        while s > 0 and schedule.snr(s - 1) <= target:
            s -= 1
        timesteps.append(s)
    return tuple(timesteps)


def uniform_timesteps(schedule: Schedule, *, steps: int, last: int = 20, start: int | None = None) -> tuple[int, ...]:
    """`steps + 1` timesteps spread evenly from `start`, or the noisiest if None, to `last`.

    From the noisiest to 20 is what DDCM and Turbo-DDCM were published with.
    """
    first = len(schedule) - 1 if start is None else start
    if not 1 <= steps <= first - last:
        raise ConfigError(f"{steps} steps do not fit between timesteps {first} and {last}")
    return tuple(first - (first - last) * i // steps for i in range(steps + 1))
