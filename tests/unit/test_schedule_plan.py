"""Schedule, plans and the reverse loop against formulas written down again, and against exact denoisers."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import numpy as np
import pytest
import torch

from noisebook.diffusion.calibration import measure_curve
from noisebook.diffusion.plan import (
    Curve,
    Schedule,
    coded_plan,
    cosine,
    kl_matched_timesteps,
    linear,
    make_step,
    reverse,
    scaled_linear,
    tail_plan,
    uniform_timesteps,
)
from noisebook.diffusion.pulling import Course
from noisebook.errors import ConfigError, ModelError

SCHEDULE = scaled_linear()
CURVE = Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99))


def no_noise(step, x0_hat):
    raise AssertionError("a deterministic step asked for noise")


# --- schedule ----------------------------------------------------------------------------------------------------


def test_scaled_linear_is_audioldms_schedule():
    betas = np.linspace(np.sqrt(0.0015), np.sqrt(0.0195), 1000) ** 2
    expected = np.cumprod(1 - betas)
    assert np.allclose(SCHEDULE.alphas_cumprod, expected, rtol=1e-12, atol=0)
    assert SCHEDULE.snr(999) == pytest.approx(1.42e-4, rel=5e-3)
    assert len(SCHEDULE) == 1000


def test_linear_is_ddpms_schedule():
    expected = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    assert np.allclose(linear(1e-4, 0.02).alphas_cumprod, expected, rtol=1e-12, atol=0)
    assert len(linear(1e-4, 0.02, 50)) == 50


@pytest.mark.parametrize("steps", [2, 50, 1000])
def test_cosine_is_the_square_of_a_cosine_within_its_ends(steps):
    schedule = cosine(steps)
    tau = np.arange(1, steps + 1) / (steps + 1)
    assert np.allclose(schedule.alphas_cumprod, np.cos(np.pi / 2 * tau) ** 2, rtol=0, atol=1e-12)
    assert all(float(f"{alpha:.12f}") == alpha for alpha in schedule.alphas_cumprod)
    sigma = np.tan(np.pi / 2 * tau)  # noise to signal, of variance-exploding diffusions
    assert np.allclose([schedule.snr(t) for t in range(steps)], sigma**-2.0, rtol=1e-5)


@pytest.mark.parametrize("make", [linear, scaled_linear])
@pytest.mark.parametrize("betas", [(0.5, 1.0), (-0.1, 0.1)])
def test_betas_outside_zero_and_one_are_refused(make, betas):
    with pytest.raises(ConfigError, match=r"betas|fall strictly"):
        make(*betas)


@pytest.mark.parametrize("schedule", [SCHEDULE, cosine(), linear(1e-4, 0.02), cosine(40)], ids=range(4))
def test_the_typical_curve_serves_every_schedule(schedule):
    """Until a denoiser is measured; it errs like one: more with more noise, never more than an estimate of zero."""
    from noisebook.backends.pipeline import typical_curve

    curve = typical_curve(schedule)
    assert curve.timesteps[0] == 0
    assert curve.timesteps[-1] == len(schedule) - 1
    assert list(curve.errors) == sorted(curve.errors)
    assert 0 < curve.errors[0] < 0.1
    assert 0.85 < curve.errors[-1] <= 1
    timesteps = kl_matched_timesteps(schedule, curve, steps=8, bits_per_value=0.05, kappa=0.7)
    assert all(a > b for a, b in pairwise(timesteps))


def test_the_typical_curve_depends_on_the_noise_and_not_on_its_name():
    """Two schedules of one signal-to-noise ratio expect the same error there."""
    from noisebook.backends.pipeline import typical_curve

    curves = {schedule: typical_curve(schedule) for schedule in (SCHEDULE, cosine())}
    for wanted in (0.03, 0.5, 4.0, 40.0):
        errors = [curve(min(curve.timesteps, key=lambda t: abs(np.log(schedule.snr(t) / wanted))))
                  for schedule, curve in curves.items()]  # fmt: skip
        assert errors[0] == pytest.approx(errors[1], rel=0.6)


def test_alpha_of_clean_data_is_one():
    assert SCHEDULE.alpha(None) == 1.0
    assert SCHEDULE.alpha(0) == SCHEDULE.alphas_cumprod[0] < 1


@pytest.mark.parametrize("alphas", [(), (0.5,), (0.5, 0.5), (0.4, 0.5), (1.0, 0.5), (0.5, 0.0), (0.5, -0.1)])
def test_a_schedule_that_does_not_fall_is_refused(alphas):
    with pytest.raises(ConfigError, match="fall strictly"):
        Schedule(alphas)


# --- steps -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("t", "s"), [(999, 998), (999, 400), (500, 3), (7, 0), (1, 0), (300, None)])
def test_coded_step_is_the_ddpm_posterior(t, s):
    """q(x_s | x_t, x_0) of Ho et al. 2020, eq. 7, for a jump: with alpha = abar_t / abar_s in place of alpha_t."""
    step = make_step(SCHEDULE, t, s, eta=1.0)
    abar_t, abar_s = SCHEDULE.alpha(t), SCHEDULE.alpha(s)
    alpha = abar_t / abar_s
    assert step.x0_weight == pytest.approx(sqrt(abar_s) * (1 - alpha) / (1 - abar_t), rel=1e-9)
    assert step.x_weight == pytest.approx(sqrt(alpha) * (1 - abar_s) / (1 - abar_t), rel=1e-9, abs=1e-12)
    assert step.std**2 == pytest.approx((1 - abar_s) / (1 - abar_t) * (1 - alpha), rel=1e-9)


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
def test_a_step_keeps_the_marginal_variance(eta):
    """From x_t = a x0 + b eps a step must reach variance 1 - abar_s around sqrt(abar_s) x0."""
    step = make_step(SCHEDULE, 700, 200, eta=eta)
    signal = step.x0_weight + step.x_weight * sqrt(SCHEDULE.alpha(700))
    noise = step.x_weight**2 * (1 - SCHEDULE.alpha(700)) + step.std**2
    assert signal == pytest.approx(sqrt(SCHEDULE.alpha(200)), rel=1e-12)
    assert noise == pytest.approx(1 - SCHEDULE.alpha(200), rel=1e-12)


def test_bits_needed_are_the_kl_between_posterior_and_model():
    """(x0_weight / std)^2 = SNR_s - SNR_t, the identity on which KL-matched timesteps rest (Kingma et al. 2021)."""
    for t, s in [(999, 500), (400, 390), (100, 1)]:
        step = make_step(SCHEDULE, t, s, eta=1.0)
        assert (step.x0_weight / step.std) ** 2 == pytest.approx(SCHEDULE.snr(s) - SCHEDULE.snr(t), rel=1e-9)


def test_deterministic_steps_with_the_exact_x0_stay_on_the_trajectory():
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 1, 8, 5, 16, generator=generator, dtype=torch.float64)
    x = sqrt(SCHEDULE.alpha(900)) * x0 + sqrt(1 - SCHEDULE.alpha(900)) * eps
    for step in tail_plan(SCHEDULE, 900, 7)[:-1]:
        x = reverse(lambda x, t: x0, (step,), x, no_noise)
        expected = sqrt(SCHEDULE.alpha(step.s)) * x0 + sqrt(1 - SCHEDULE.alpha(step.s)) * eps
        torch.testing.assert_close(x, expected, rtol=0, atol=1e-12)


def test_tail_ends_at_the_last_estimate():
    estimates = []

    def denoise(x, t):
        estimates.append(torch.full_like(x, float(len(estimates))))
        return estimates[-1]

    end = reverse(denoise, tail_plan(SCHEDULE, 500, 6), torch.randn(1, 8, 4, 16), no_noise)
    assert len(estimates) == 6
    assert torch.equal(end, estimates[-1])


@pytest.mark.parametrize("t", [0, 1, 3, 20, 500, 999])
@pytest.mark.parametrize("steps", [1, 2, 6, 16])
def test_tail_runs_from_t_to_clean_data(t, steps):
    plan = tail_plan(SCHEDULE, t, steps)
    assert plan[0].t == t
    assert plan[-1].s is None
    assert all(a.s == b.t for a, b in pairwise(plan))
    assert all(step.std == 0 for step in plan)
    assert len(plan) == steps if t >= steps * steps else len(plan) <= steps


def test_tail_needs_a_step():
    with pytest.raises(ConfigError, match="at least 1 step"):
        tail_plan(SCHEDULE, 100, 0)


# --- the loop on a source whose denoiser is known ----------------------------------------------------------------


def test_reverse_samples_a_gaussian_source():
    """x0 ~ N(0, diag(v)): E[x0 | x_t] = sqrt(abar) v x_t / (abar v + 1 - abar). Random noise must give variance v."""
    variances = torch.tensor([0.2, 0.4, 1.0, 2.5], dtype=torch.float64)
    samples = 8000
    generator = torch.Generator().manual_seed(1)

    def denoise(x, t):
        abar = SCHEDULE.alpha(t)
        return sqrt(abar) * variances * x / (abar * variances + 1 - abar)

    def noise(step, x0_hat):
        return torch.randn(x0_hat.shape, generator=generator, dtype=torch.float64)

    plan = coded_plan(SCHEDULE, range(999, -1, -3)) + tail_plan(SCHEDULE, 0, 1)
    x = reverse(denoise, plan, noise(None, torch.empty(1, 1, samples, 4)), noise)
    measured = x.square().mean((0, 1, 2))
    # What 334 linear steps do to the variance, exactly; then sampling adds sqrt(2 / 8000) = 1.6 % to it.
    expected = torch.ones(4, dtype=torch.float64)
    for step in plan:
        gain = denoise(torch.ones(4, dtype=torch.float64), step.t)
        expected = (step.x0_weight * gain + step.x_weight) ** 2 * expected + step.std**2
    assert (expected / variances - 1).abs().max() < 0.08, expected
    assert (measured / expected - 1).abs().max() < 0.05, measured


def test_noise_is_asked_for_with_the_estimate_of_its_step():
    asked = []

    def noise(step, x0_hat):
        asked.append((step.t, float(x0_hat.mean())))
        return torch.zeros_like(x0_hat)

    plan = coded_plan(SCHEDULE, (900, 500, 100)) + tail_plan(SCHEDULE, 100, 2)
    reverse(lambda x, t: torch.full_like(x, float(t)), plan, torch.zeros(1, 1, 2, 2), noise)
    assert asked == [(900, 900.0), (500, 500.0)]


def test_a_later_start_is_a_slice_of_the_plan():
    plan = coded_plan(SCHEDULE, (999, 700, 300, 20))
    assert plan[1:] == coded_plan(SCHEDULE, (700, 300, 20))


@pytest.mark.parametrize("timesteps", [(5, 5), (5, 6), (1000, 5), (5, -1)])
def test_timesteps_that_do_not_fall_are_refused(timesteps):
    with pytest.raises(ConfigError, match="must fall"):
        coded_plan(SCHEDULE, timesteps)


# --- which timesteps ---------------------------------------------------------------------------------------------


def matched(steps=10, bits_per_value=0.1, kappa=0.8):
    return kl_matched_timesteps(SCHEDULE, CURVE, steps=steps, bits_per_value=bits_per_value, kappa=kappa)


def needed_bits(t, s):
    return (SCHEDULE.snr(s) - SCHEDULE.snr(t)) * CURVE(t) / (2 * np.log(2))


def test_each_matched_step_is_the_longest_that_its_bits_pay_for():
    timesteps = matched()
    assert timesteps[0] == 999
    assert len(timesteps) == 11
    for t, s in pairwise(timesteps):
        assert needed_bits(t, s) <= 0.08 < needed_bits(t, s - 1)


def test_matched_steps_end_early_at_clean_data():
    timesteps = matched(steps=500, bits_per_value=1.0)
    assert timesteps[-1] == 0
    assert len(timesteps) < 501
    assert all(a > b for a, b in pairwise(timesteps))


def test_without_bits_matched_steps_still_move():
    assert matched(steps=3, bits_per_value=0.0) == (999, 998, 997, 996)


def test_more_bits_or_a_higher_kappa_reach_further():
    rates = [matched(bits_per_value=bits)[-1] for bits in (0.003, 0.01, 0.03, 0.1, 0.3)]
    kappas = [matched(kappa=kappa)[-1] for kappa in (0.4, 0.65, 0.8, 1.0, 1.5)]
    counts = [matched(steps=steps)[-1] for steps in (1, 2, 5, 10, 20)]
    for ends in (rates, kappas, counts):
        assert all(a > b for a, b in pairwise(ends)), ends


def test_bits_and_kappa_trade_exactly():
    assert matched(bits_per_value=0.1, kappa=0.5) == matched(bits_per_value=0.05, kappa=1.0)


def test_uniform_timesteps():
    timesteps = uniform_timesteps(SCHEDULE, steps=20)
    assert timesteps[0] == 999
    assert timesteps[-1] == 20
    assert {a - b for a, b in pairwise(timesteps)} <= {48, 49}
    assert uniform_timesteps(SCHEDULE, steps=979) == tuple(range(999, 19, -1))


@pytest.mark.parametrize("steps", [-1, 0, 980])
def test_uniform_steps_that_do_not_fit(steps):
    with pytest.raises(ConfigError, match=f"{steps} steps do not fit"):
        uniform_timesteps(SCHEDULE, steps=steps)


# --- the curve ---------------------------------------------------------------------------------------------------


def test_curve_is_linear_between_and_constant_beyond():
    curve = Curve((10, 20, 40), (0.1, 0.2, 0.6))
    assert [curve(t) for t in (0, 10, 15, 20, 25, 40, 999)] == pytest.approx([0.1, 0.1, 0.15, 0.2, 0.3, 0.6, 0.6])


@pytest.mark.parametrize(
    ("timesteps", "errors"), [((), ()), ((1, 2), (0.1,)), ((2, 1), (0.1, 0.2)), ((1, 1), (0.1, 0.2)), ((1,), (0.0,))]
)
def test_a_curve_that_cannot_be_is_refused(timesteps, errors):
    with pytest.raises(ConfigError, match="rising timesteps"):
        Curve(timesteps, errors)


def test_measured_curve_is_the_mmse_of_a_gaussian_source():
    """The exact denoiser of N(0, 1) errs by 1 - abar on average; one that returns zero always by the variance."""
    latents = [torch.randn(4, 8, 64, 16, generator=torch.Generator().manual_seed(i)) for i in (5, 6)]
    curve = measure_curve(lambda x, t: sqrt(SCHEDULE.alpha(t)) * x, SCHEDULE, latents, timesteps=(20, 400, 999))
    assert curve.errors == pytest.approx([1 - SCHEDULE.alpha(t) for t in (20, 400, 999)], rel=0.03)
    flat = measure_curve(lambda x, t: torch.zeros_like(x), SCHEDULE, latents, timesteps=(20, 400, 999))
    assert flat.errors == pytest.approx([1.0] * 3, rel=0.03)


def test_measured_curve_rises_and_survives_its_decimal_text():
    latents = [torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(3))]
    curve = measure_curve(lambda x, t: x * (t < 500), SCHEDULE, latents)
    assert list(curve.errors) == sorted(curve.errors)
    assert all(float(f"{error:.6g}") == error for error in curve.errors)
    again = measure_curve(lambda x, t: x * (t < 500), SCHEDULE, latents)
    assert again == curve


def test_a_curve_needs_latents():
    with pytest.raises(ConfigError, match="at least one latent"):
        measure_curve(lambda x, t: x, SCHEDULE, [])


def _predicting_noise(error: float):
    """The exact denoiser of N(0, 1) as a network that predicts the noise, with errors of that standard deviation."""
    draw = torch.Generator().manual_seed(7)

    def denoise(x: torch.Tensor, t: int) -> torch.Tensor:
        alpha = SCHEDULE.alpha(t)
        noise = sqrt(1 - alpha) * x + error * torch.randn(x.shape, generator=draw)
        return (x - sqrt(1 - alpha) * noise) / sqrt(alpha)

    return denoise


@pytest.mark.parametrize("error", [0.02, 0.1, 0.5])
def test_a_network_that_predicts_noise_errs_by_no_more_than_what_is_to_be_known(error):
    """At t = 999 its own error is divided by 1.4e-4, and a strength, a share of the last error, would mean nothing."""
    latents = [torch.randn(2, 8, 32, 16, generator=torch.Generator().manual_seed(5))]
    curve = measure_curve(_predicting_noise(error), SCHEDULE, latents)
    assert curve.errors[-1] == pytest.approx(min(1.0, float(latents[0].square().mean())), rel=1e-5)
    assert curve.errors[5] == pytest.approx(1 - SCHEDULE.alpha(60) + error**2 / SCHEDULE.snr(60), rel=0.05)
    exact = Curve(tuple(range(1000)), tuple(1 - SCHEDULE.alpha(t) for t in range(1000)))
    ours, ideal = (Course(SCHEDULE, known, 0.2).start for known in (curve, exact))
    assert abs(ours - ideal) < 40


def test_a_denoiser_that_gives_no_numbers_has_no_curve():
    with pytest.raises(ModelError, match="not finite"):
        measure_curve(lambda x, t: x / 0, SCHEDULE, [torch.zeros(1, 8, 16, 16)])
