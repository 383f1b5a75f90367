"""Samplers on a Gaussian source, whose exact denoiser and exact way from noise to data are known."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from noisebook.diffusion.denoisers import classifier_free
from noisebook.diffusion.plan import Curve, coded_plan, reverse, scaled_linear
from noisebook.diffusion.samplers import SAMPLERS, SPACINGS, sampled, sampling_timesteps
from noisebook.errors import ConfigError

SCHEDULE = scaled_linear()
CURVE = Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99))
VARIANCES = torch.tensor([0.02, 0.1, 0.5, 1.0, 3.0], dtype=torch.float64)
NOISE = torch.randn(2, 4, 800, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def gaussian_denoiser(x: torch.Tensor, t: int) -> torch.Tensor:
    """E[x0 | x_t] of independent components with those variances."""
    alpha = SCHEDULE.alpha(t)
    return VARIANCES * math.sqrt(alpha) * x / (alpha * VARIANCES + 1 - alpha)


def exact(noise: torch.Tensor) -> torch.Tensor:
    """Where the probability-flow ODE leads: every component keeps its quantile."""
    alpha = SCHEDULE.alpha(len(SCHEDULE) - 1)
    return noise * (VARIANCES / (alpha * VARIANCES + 1 - alpha)).sqrt()


def sample(name: str, steps: int, spacing: str = "karras") -> torch.Tensor:
    timesteps = sampling_timesteps(SCHEDULE, CURVE, steps=steps, spacing=spacing)
    denoise, plan = sampled(name, gaussian_denoiser, SCHEDULE, timesteps)
    generator = torch.Generator().manual_seed(1)
    return reverse(denoise, plan, NOISE, lambda step, x0_hat: torch.randn(
        x0_hat.shape, dtype=x0_hat.dtype, generator=generator))  # fmt: skip


def error(name: str, steps: int) -> float:
    """RMS distance from the exact end, in standard deviations."""
    return float(((sample(name, steps) - exact(NOISE)) / VARIANCES.sqrt()).square().mean().sqrt())


@pytest.mark.parametrize("name", ["dpm++", "unipc"])
@pytest.mark.parametrize("steps", [8, 12, 20])
def test_multistep_solvers_are_far_nearer_than_ddim_at_equal_steps(name, steps):
    assert error(name, steps) < 0.5 * error("ddim", steps)


def test_orders_of_convergence():
    """Twice the steps: half the error of the first-order solver, a quarter or less of the second-order ones."""

    def worst(name: str, steps: int) -> float:
        # A component of variance 1 that ends where the signal still is weak: no floor from the last timestep.
        timesteps = tuple(900 - 600 * i // steps for i in range(steps + 1))
        denoise, plan = sampled(name, gaussian_denoiser, SCHEDULE, timesteps)
        got = reverse(denoise, plan[:-1], NOISE[:, :, :50], lambda *_: pytest.fail("no noise"))
        scales = [SCHEDULE.alpha(t) * VARIANCES + 1 - SCHEDULE.alpha(t) for t in (timesteps[0], timesteps[-1])]
        return float((got - NOISE[:, :, :50] * (scales[1] / scales[0]).sqrt()).abs().max())

    first, second = (worst("ddim", steps) for steps in (20, 40))
    assert 1.7 < first / second < 2.4
    for name in ("dpm++", "unipc"):
        first, second = (worst(name, steps) for steps in (20, 40))
        assert first / second > 3.3, name
        assert second < 0.2 * worst("ddim", 40)


def test_unipc_corrects_what_dpm_solver_leaves():
    assert error("unipc", 20) < error("dpm++", 20)


def test_ddpm_keeps_the_variance_and_its_noise_counts():
    shares = sample("ddpm", 200, "quadratic").var((0, 1, 2)) / VARIANCES
    assert torch.all((shares[1:] - 1).abs() < 0.1), shares  # the smallest is near the noise of the last timestep
    few = sample("ddpm", 10, "quadratic").var((0, 1, 2)) / VARIANCES
    assert few.mean() < 0.8  # the noise of a long jump is that of the posterior, which is too little: known, and told
    assert not torch.equal(sample("ddpm", 10), sample("ddim", 10))


def test_plans_are_those_of_ddpm_and_of_ddim():
    timesteps = (900, 500, 200, 50, 3)
    plans = {name: sampled(name, gaussian_denoiser, SCHEDULE, timesteps)[1] for name in SAMPLERS}
    assert plans["ddpm"][:-1] == coded_plan(SCHEDULE, timesteps)
    assert plans["ddim"] == plans["dpm++"] == plans["unipc"]
    assert {step.std for step in plans["ddim"]} == {0.0}
    assert all((plan[-1].s, plan[-1].x_weight, plan[-1].std) == (None, 0.0, 0.0) for plan in plans.values())


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_can_run_twice(name):
    denoise, plan = sampled(name, gaussian_denoiser, SCHEDULE, (900, 500, 200, 50, 3))
    first, second = (reverse(denoise, plan, NOISE[:, :, :9], lambda step, x0: torch.ones_like(x0)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("name", SAMPLERS)
def test_one_step_is_the_estimate(name):
    denoise, plan = sampled(name, gaussian_denoiser, SCHEDULE, (700,))
    got = reverse(denoise, plan, NOISE[:, :, :9], lambda *_: pytest.fail("no noise"))
    assert torch.allclose(got, gaussian_denoiser(NOISE[:, :, :9], 700))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("start", [None, 400, 9])
@pytest.mark.parametrize("steps", [1, 2, 7, 10])
def test_timesteps_fall_from_the_start(spacing, start, steps):
    timesteps = sampling_timesteps(SCHEDULE, CURVE, steps=steps, spacing=spacing, start=start)
    assert len(timesteps) == steps
    assert timesteps[0] == (999 if start is None else start)
    assert all(a > b for a, b in pairwise(timesteps))
    assert timesteps[-1] >= 0


@pytest.mark.parametrize("spacing", SPACINGS)
def test_all_timesteps_can_be_asked_for(spacing):
    assert sampling_timesteps(SCHEDULE, CURVE, steps=51, spacing=spacing, start=50) == tuple(range(50, -1, -1))


def test_what_the_spacings_space():
    uniform, quadratic, karras, kl = (
        sampling_timesteps(SCHEDULE, CURVE, steps=10, spacing=spacing) for spacing in SPACINGS
    )
    assert {a - b for a, b in pairwise(uniform)} <= {99, 100}
    assert quadratic == tuple(round(999 * (1 - i / 10) ** 2) for i in range(10))
    roots = [SCHEDULE.snr(t) ** (-0.5 / 7) for t in karras]
    gaps = [a - b for a, b in pairwise(roots[:-2])]  # at the end timesteps are coarse
    assert max(gaps) < 1.05 * min(gaps)
    information = [sum(CURVE(i) * (SCHEDULE.snr(i - 1) - SCHEDULE.snr(i)) for i in range(b + 1, a + 1))
                   for a, b in pairwise(kl[:4])]  # fmt: skip
    assert max(information) < 1.1 * min(information)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 1001}, "steps"),
        ({"spacing": "linear"}, "spacing"),
        ({"start": 1000}, "start"),
    ],
)
def test_timesteps_that_do_not_exist_are_refused(options, word):
    with pytest.raises(ConfigError, match=word):
        sampling_timesteps(SCHEDULE, CURVE, **({"steps": 5, "spacing": "uniform"} | options))


def test_unknown_samplers_and_rising_timesteps_are_refused():
    with pytest.raises(ConfigError, match="euler"):
        sampled("euler", gaussian_denoiser, SCHEDULE, (5, 1))
    for timesteps in ((), (1, 5), (5, 5)):
        with pytest.raises(ConfigError, match="falling"):
            sampled("ddim", gaussian_denoiser, SCHEDULE, timesteps)


def test_guidance_goes_on_along_the_difference():
    x = NOISE[:, :, :9]
    guided = classifier_free(lambda x, t: 2 * x + t, lambda x, t: x, 3.0)
    assert torch.allclose(guided(x, 1), x + 3 * (x + 1))
    assert torch.equal(classifier_free(lambda x, t: 2 * x, lambda x, t: x, 1.0)(x, 1), 2 * x)


def test_rescaled_guidance_has_the_deviation_of_the_conditional_estimate():
    x = NOISE[:, :, :9]
    for rescale, expected in ((0.0, 7.0), (0.5, 4.5), (1.0, 2.0)):
        got = classifier_free(lambda x, t: 2 * x, lambda x, t: x, 6.0, rescale=rescale)(x, 1)
        assert torch.allclose(got.std(dim=(1, 2, 3)) / x.std(dim=(1, 2, 3)), torch.tensor(expected, dtype=x.dtype))
    silent = torch.zeros(1, 4, 5, 6)
    assert torch.equal(classifier_free(lambda x, t: x, lambda x, t: x, 6.0, rescale=1.0)(silent, 1), silent)
