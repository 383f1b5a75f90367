"""What an encoder may aim at, for `recipes.rate_limit`: the codec's own searches, and what was tried and is none.

A maker takes the bench whose clips are coded and gives, for a coder and its denoiser, the target of `encode_segment`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

import torch

from noisebook.codec import aiming
from noisebook.codec.aiming import Aim
from noisebook.codec.segment import SegmentCoder, Target
from noisebook.diffusion.plan import Denoise, Step

if TYPE_CHECKING:
    from noisebook.recipes.rate_limit import Bench

__all__ = ["REFINING_STEPS", "SEEDS", "Watched", "heard", "options", "shaped"]

Make = Callable[[SegmentCoder, Denoise], Target]

SEEDS = "shaped, best of 4 seeds"
REFINING_STEPS, _REFINING_RATE = 12, 0.03


class Watched:
    """A denoiser that remembers the last x it saw."""

    def __init__(self, denoise: Denoise) -> None:
        self._denoise, self.x = denoise, torch.empty(0)

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        self.x = x
        return self._denoise(x, t)


def options(bench: Bench) -> dict[str, Make | None]:
    """Everything that leaves decoder and bits as they are, by name."""
    found: dict[str, Make | None] = {"none": None, "shaped": shaped(bench), "heard": heard(bench)}
    for strength in (0.5, 1.0):
        found[f"perceptual {strength:g}"] = _weighted(bench, _plain(bench), strength)
        found[f"shaped, perceptual {strength:g}"] = _weighted(bench, shaped(bench), strength)
    found["heard, perceptual 0.5"] = _weighted(bench, heard(bench), 0.5)
    found["heard, not shaped"] = heard(bench, base=_plain(bench))
    found["heard, half of the residual"] = heard(bench, share=0.5)
    found["shaped, target refined to the mel"] = shaped(bench, refined(bench))
    found["shaped or heard: what is nearer one step ahead"] = _ahead(bench, (shaped(bench), heard(bench)))
    return found


def _plain(bench: Bench) -> Make:
    return lambda coder, denoise: bench.latents


def shaped(bench: Bench, latents: torch.Tensor | None = None) -> Make:
    """The clips' latents, or others, seen by the search "shaped"."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        goal = bench.latents if latents is None else latents
        return aiming.shaped(goal, denoise, coder.info.schedule, coder.plan[-1].s or 0)

    return target


def heard(
    bench: Bench, *, base: Make | None = None, latents: torch.Tensor | None = None, share: float | None = None
) -> Make:
    """The search "heard" upon `base`, which is "shaped" in the codec."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        aim = _as_aim((base or shaped(bench, latents))(coder, denoise))
        goal = bench.latents if latents is None else latents
        return aiming.heard(aim, goal, bench.backend, **({} if share is None else {"share": share}))

    return target


def _weighted(bench: Bench, make: Make, strength: float) -> Make:
    """The same aim, weighted for each clip by what its mel shows."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        each = [aiming.perceptual_weights(latent[None], bench.backend, strength) for latent in bench.latents]
        return aiming.weighted(_as_aim(make(coder, denoise)), torch.stack(each))

    return target


def refined(bench: Bench) -> torch.Tensor:
    """The clips' latents after a few steps against the error of what the autoencoder makes of them."""
    latents = bench.latents
    for _ in range(REFINING_STEPS):
        way = bench.backend.pull(latents, bench.mels)
        latents = latents + _REFINING_RATE * way / way.square().mean((1, 2, 3), keepdim=True).sqrt()
    return latents


def _ahead(bench: Bench, makes: tuple[Make, ...]) -> Make:
    """At every step, for each clip, the aim whose choice leads to the smaller error of the mel at the next step."""

    def target(coder: SegmentCoder, denoise: Denoise) -> Target:
        assert isinstance(denoise, Watched)
        aims, steps = [_as_aim(make(coder, denoise)) for make in makes], count()

        def best(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
            index, x = next(steps), denoise.x
            goals = [aim(step, x0_hat) for aim in aims]
            noises = [coder.noise(coder.choose(goal - x0_hat, index), index) for goal in goals]
            nexts = [denoise(step.mean(x, x0_hat) + step.std * noise, step.s or 0) for noise in noises]
            nearest = torch.stack([bench.clip_mel_errors(each) for each in nexts]).argmin(0)
            return torch.stack([goals[which][clip] for clip, which in enumerate(nearest)])

        return best

    return target


def _as_aim(target: Target) -> Aim:
    return aiming.at(target) if isinstance(target, torch.Tensor) else target
