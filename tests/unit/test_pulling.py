"""The pull towards a latent, and the course of a run: formulas, filters, the ends of every scale."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from noisebook.diffusion.plan import Curve, scaled_linear
from noisebook.diffusion.pulling import MAX_SCALES, PULLS, Course, low_pass, multi_scale, pull_weight, pulled
from noisebook.errors import ConfigError

SCHEDULE = scaled_linear()
LAST = len(SCHEDULE) - 1
CURVE = Curve((0, LAST), (1e-6, 1.0))  # the error is as good as linear in t
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)


def course(strength: float, curve: Curve = CURVE) -> Course:
    return Course(SCHEDULE, curve, strength)


def latent(seed: int, frames: int = 40) -> torch.Tensor:
    return torch.randn(2, 8, frames, 16, generator=torch.Generator().manual_seed(seed))


def weight_at(name: str, strength: float, t: int, peak: float = 1.0) -> float:
    return float(pull_weight(name, course(strength), strength=peak)(t, torch.ones(1, 8, 30, 16)))


def test_the_strength_is_the_share_of_the_error_that_the_start_leaves():
    curve = Curve((0, 10, 400, LAST), (0.01, 0.2, 0.3, 0.8))
    starts = [course(strength, curve).start for strength in STRENGTHS]
    assert starts == sorted(starts)
    assert (starts[0], starts[-1]) == (-1, LAST)
    for strength, start in zip(STRENGTHS[1:-1], starts[1:-1], strict=True):
        assert curve(start) >= strength * 0.8 > curve(start - 1)


def test_a_strength_below_the_models_smallest_error_starts_at_the_first_timestep():
    assert course(0.001, Curve((0, LAST), (0.1, 1.0))).start == 0


@pytest.mark.parametrize("strength", [-0.01, 1.01, math.nan])
def test_strengths_outside_are_refused(strength):
    with pytest.raises(ConfigError, match="strength"):
        course(strength)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_constant_pulls_down_to_the_start_and_no_further(strength):
    start = course(strength).start
    for t in (0, 100, 500, 900, LAST):
        assert weight_at("constant", strength, t, 0.7) == pytest.approx(0.7 if t > start else 0)


@pytest.mark.parametrize(("strength", "half"), [(0.25, 0.25), (0.5, 0.5), (0.8, 0.2)])
def test_linear_and_cosine_are_ramps_about_the_start(strength, half):
    for t in range(0, LAST + 1, 37):
        v = min(1, max(0, (t / LAST - strength + half) / (2 * half)))
        assert weight_at("linear", strength, t) == pytest.approx(v, abs=1e-4)
        assert weight_at("cosine", strength, t) == pytest.approx((1 - math.cos(math.pi * v)) / 2, abs=1e-4)
    assert weight_at("linear", strength, course(strength).start) == pytest.approx(0.5, abs=5e-3)


@pytest.mark.parametrize("name", PULLS)
def test_the_ends_of_the_scale(name):
    for t in (1, 500, LAST):
        if name != "adaptive":
            assert weight_at(name, 0.0, t) == 1
        assert weight_at(name, 1.0, t) == 0


def test_unknown_pulls_and_strengths_are_refused():
    with pytest.raises(ConfigError, match="adaptive"):
        pull_weight("strong", course(0.5))
    with pytest.raises(ConfigError, match="pull strength"):
        pull_weight("linear", course(0.5), strength=1.5)


def test_full_weight_gives_the_target_and_no_weight_the_estimate():
    target, estimate = latent(0), latent(1)
    at_target = pulled(lambda x, t: estimate, target, weight=pull_weight("constant", course(0)))
    free = pulled(lambda x, t: estimate, target, weight=pull_weight("constant", course(1)))
    assert torch.allclose(at_target(estimate, 300), target, atol=1e-6)
    assert torch.equal(free(estimate, 300), estimate)
    half = pulled(lambda x, t: estimate, target, weight=pull_weight("constant", course(0), strength=0.5))
    assert torch.allclose(half(estimate, 300), (target + estimate) / 2, atol=1e-6)


@pytest.mark.parametrize("t", [5, 200, 600, 990])
@pytest.mark.parametrize("strength", [0.05, 0.3, 0.7])
def test_adaptive_keeps_the_distance_on_the_course(strength, t):
    way, target = course(strength), latent(0)
    far = target + 3 * latent(1).sign()  # at distance 9, whatever is drawn
    near = target + 1e-3 * latent(1).sign()
    weight = pull_weight("adaptive", way)
    brought = pulled(lambda x, t: far, target, weight=weight)(far, t)
    assert float((brought - target).square().mean()) == pytest.approx(way.distance(t), rel=1e-4)
    assert torch.equal(pulled(lambda x, t: near, target, weight=weight)(near, t), near)  # no pull where it is close


def test_adaptive_acts_where_the_distance_is():
    target = torch.zeros(1, 8, 100, 16)
    strayed = target.clone()
    strayed[:, :, 60:] = 2.0
    weight = pull_weight("adaptive", course(0.3))(500, target - strayed)
    assert weight.shape == (1, 1, 100, 1)
    assert float(weight[:, :, :40].max()) == 0
    assert float(weight[:, :, 80:].min()) > 0.5


def test_the_course_doubles_the_error_once_the_run_is_free():
    way = course(0.4)
    assert way.distance(LAST) == pytest.approx(1)
    assert way.distance(way.start) == pytest.approx(0.4, abs=2e-3)
    assert way.distance(0) == pytest.approx(0.8, abs=4e-3)


@pytest.mark.parametrize("frames", [1, 7, 40])
@pytest.mark.parametrize("width", [1, 2, 8, 32])
def test_low_pass_keeps_the_mean_and_is_the_identity_at_the_finest_scale(width, frames):
    x = latent(0, frames)
    smooth = low_pass(x, width)
    assert smooth.shape == x.shape
    assert torch.allclose(smooth.mean((2, 3)), x.mean((2, 3)), atol=1e-5)
    assert torch.allclose(smooth, x, atol=1e-5) == (width == 1 or frames == 1)
    assert torch.allclose(low_pass(torch.ones_like(x), width), torch.ones_like(x), atol=1e-5)


def test_low_pass_is_a_gaussian_of_that_width_in_time():
    impulse = torch.zeros(1, 1, 101, 3)
    impulse[0, 0, 50, 1] = 1
    smooth = low_pass(impulse, 8)[0, 0]
    assert float(smooth[54, 1] / smooth[50, 1]) == pytest.approx(0.5, abs=1e-3)  # half maximum 4 frames away
    assert smooth[:, [0, 2]].abs().max() == 0
    assert float(smooth.min()) > -1e-6


def test_coarser_scales_keep_less():
    x = latent(0, 400)
    energies = [float(low_pass(x, 2**scale).var()) for scale in range(MAX_SCALES)]
    assert all(a > 1.5 * b for a, b in pairwise(energies))


def test_scales_go_from_coarse_to_fine_and_end_at_the_start():
    way = course(0.2)
    width = multi_scale(way, 4)
    assert [width(t) for t in (LAST, 850, 700, 550, 350, way.start, 0)] == [8, 8, 4, 2, 1, 1, 1]
    assert {multi_scale(way, 1)(t) for t in range(0, LAST + 1, 50)} == {1.0}
    for scales in (0, MAX_SCALES + 1):
        with pytest.raises(ConfigError, match="scales"):
            multi_scale(way, scales)


def test_a_coarse_pull_moves_the_coarse_structure_only():
    target, estimate = latent(0), latent(1)
    denoise = pulled(lambda x, t: estimate, target, weight=lambda t, gap: 1.0, width=lambda t: 8.0)
    moved = denoise(estimate, 500) - estimate
    assert torch.allclose(moved, low_pass(target - estimate, 8), atol=1e-6)
