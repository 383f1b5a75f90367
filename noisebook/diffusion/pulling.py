"""Pulling a diffusion towards a latent, and the scale on which it strays from it.

    x0_hat --(+ weight(t) * low_pass(target - x0_hat))--> x0_hat'

The move is a gradient step on `|target - x0_hat|^2 / 2`; a weight of 1 at full resolution puts the target in the
place of the estimate. With a low-pass it is iterative latent variable refinement (ILVR, Choi et al. 2021) on x0_hat.
With the weight `observed` it is the proximal step of DiffPIR (Zhu et al. 2023), for an observation of the whole latent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import cos, log, pi, sqrt

import torch

from noisebook.diffusion.plan import Curve, Denoise, Schedule
from noisebook.errors import ConfigError

PULLS = ("constant", "linear", "cosine", "adaptive", "observed")
MAX_SCALES = 6  # the coarsest averages 32 frames: 1.3 s
_NEIGHBOURHOOD = 25  # latent frames over which the adaptive weight measures the distance: 1 s
Weight = Callable[[int, torch.Tensor], "torch.Tensor | float"]  # (t, target - x0_hat) -> weight
Width = Callable[[int], float]  # t -> cells


@dataclass(frozen=True)
class Course:
    """How far a run may stray from its target, on the scale of the model's own error.

    The error of x0_hat at t says how much of a sound `x_t` leaves open. A run of strength s keeps its target down to
    the timestep t0 that leaves the share s of it open, `error(t0) = s error(T - 1)`, and is free from there on.
    """

    schedule: Schedule
    curve: Curve
    strength: float  # 0 (the target) to 1 (nothing of it), else ConfigError

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ConfigError(f"a strength of {self.strength:g}: 0 (the input) to 1 (nothing of it) are possible")

    @cached_property
    def start(self) -> int:
        """t0: the first timestep whose error reaches the share `strength`; the last one for 1, and -1, never, for 0."""
        last = len(self.schedule) - 1
        if self.strength in (0, 1):
            return last if self.strength else -1
        share = self.strength * self.curve(last)
        return next((t for t in range(last) if self.curve(t) >= share), last)

    def progress(self, t: int) -> float:
        """The way from pure noise (0) to t0 (1), even in the error."""
        highest, lowest = self.curve(len(self.schedule) - 1), self.curve(self.start)
        if t <= self.start or highest <= lowest:
            return 1.0
        return min(1.0, max(0.0, (highest - self.curve(t)) / (highest - lowest)))

    def ramp(self, t: int) -> float:
        """From 1 to 0, even in the error, and 1/2 at t0; it reaches to the nearer of its ends, noise and clean data.

        With `e = error(t) / error(T - 1)` and `h = min(s, 1 - s)` it is `(e - s + h) / 2h`, limited to 0..1.
        """
        half = min(self.strength, 1 - self.strength)
        if half == 0:
            return float(t > self.start)
        share = self.curve(t) / self.curve(len(self.schedule) - 1)
        return min(1.0, max(0.0, (share - self.strength + half) / (2 * half)))

    def trust(self, t: int) -> float:
        """Weight of the target, seen in noise, beside x0_hat: each counts by the inverse of its variance.

        That of x0_hat is `error(t)`, that of the noise the one with which the target would make the error of pure noise
        that of t0: `r error(T - 1) / (r + error(T - 1)) = s error(T - 1)`, so `r = s / (1 - s) error(T - 1)`.
        """
        share = self.curve(t) / self.curve(len(self.schedule) - 1)
        return share * (1 - self.strength) / (share * (1 - self.strength) + self.strength)

    def distance(self, t: int) -> float:
        """Mean squared `target - x0_hat` that a run from the noised target has at t, if the model's error is true.

        `error(t)` down to t0. From there on target and result are two independent draws given `x_t0`, and x0_hat
        closes in on the result: `2 error(t0) - error(t)`.
        """
        return self.curve(t) if t >= self.start else 2 * self.curve(self.start) - self.curve(t)


def pulled(denoise: Denoise, target: torch.Tensor, *, weight: Weight, width: Width | None = None) -> Denoise:
    """`denoise` whose x0_hat is moved towards `target`.

    Args:
        denoise: of any timeline.
        target: `[B, C, T', F']`, shaped as x0_hat.
        weight: as from `pull_weight`.
        width: frames that the pull averages over at t, as from `multi_scale`; None pulls at full resolution.
    """

    def towards_target(x: torch.Tensor, t: int) -> torch.Tensor:
        x0_hat = denoise(x, t)
        gap = target - x0_hat
        share = weight(t, gap)
        return x0_hat + share * (gap if width is None else low_pass(gap, width(t)))

    return towards_target


def pull_weight(name: str, course: Course, *, strength: float = 1.0) -> Weight:
    """The weight of the pull over the course; 0 throughout where the course's strength is 1.

        constant   strength down to t0, then 0
        linear     strength v, v the ramp about t0
        cosine     strength (1 - cos(pi v)) / 2
        adaptive   strength max(0, 1 - sqrt(distance(t) / mean |gap|^2)), the mean over 1 s around each frame:
                   just enough to keep the distance to the target on the course, whatever draws away from it
        observed   strength e / (e + s / (1 - s)), e = error(t) / error(T - 1), down to clean data: the mean of x0
                   given x_t and the target seen in noise, which leaves as much of it open as x_t0 does

    Raises:
        ConfigError: another name, or a strength outside 0..1.
    """
    if name not in PULLS:
        raise ConfigError(f"pull {name!r}: {', '.join(PULLS)} are possible")
    if not 0 <= strength <= 1:
        raise ConfigError(f"a pull strength of {strength:g}: 0 (no pull) to 1 (onto the target) are possible")
    if name == "adaptive":
        return lambda t, gap: strength * (0.0 if course.strength == 1 else _on_course(gap, course.distance(t)))
    if name == "observed":
        return lambda t, gap: strength * course.trust(t)
    shapes: dict[str, Callable[[int], float]] = {
        "constant": lambda t: float(t > course.start),
        "linear": course.ramp,
        "cosine": lambda t: (1 - cos(pi * course.ramp(t))) / 2,
    }
    return lambda t, gap: strength * shapes[name](t)


def multi_scale(course: Course, scales: int) -> Width:
    """Coarse first, then fine: `2^j` frames at t, j falling from `scales - 1` at pure noise to 0 at t0 in equal shares.

    Raises:
        ConfigError: not 1 to MAX_SCALES scales.
    """
    if not 1 <= scales <= MAX_SCALES:
        raise ConfigError(f"{scales} scales: 1 (full resolution) to {MAX_SCALES} are possible")

    def width(t: int) -> float:
        return float(2 ** (scales - 1 - min(scales - 1, int(scales * course.progress(t)))))

    return width


def low_pass(latent: torch.Tensor, width: float) -> torch.Tensor:
    """Gaussian smoothing of `[B, C, T', F']` along time, mirrored at the ends, with the same mean; `width` is the full
    width at half maximum in frames, and 1 leaves the latent as it is. (Bins of a latent need have no order.)"""
    if width <= 1:
        return latent
    sigma = width / sqrt(8 * log(2))
    return _smooth(latent.transpose(2, 3), sigma).transpose(2, 3)


def _smooth(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Along the last axis, through the spectrum of the signal and its mirror image: no edge, and the mean is kept."""
    size = x.shape[-1]
    spectrum = torch.fft.rfft(torch.cat((x, x.flip(-1)), dim=-1))
    frequency = torch.fft.rfftfreq(2 * size, device=x.device)
    response = torch.exp(-2 * (pi * sigma * frequency).square())
    return torch.fft.irfft(spectrum * response, n=2 * size)[..., :size]


def _on_course(gap: torch.Tensor, distance: float) -> torch.Tensor:
    """The least weight, `[B, 1, T', 1]`, that brings the mean square of the gap down to `distance`."""
    square = gap.square().mean((1, 3))[:, None]  # [B, 1, T']
    near = torch.nn.functional.avg_pool1d(
        square, _NEIGHBOURHOOD, stride=1, padding=_NEIGHBOURHOOD // 2, count_include_pad=False
    )
    return (1 - (distance / near.clamp_min(1e-12)).sqrt()).clamp_min(0)[..., None]
