"""Transformation with an exact denoiser for white Gaussian latents: every method, the whole scale of strengths."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import Curve, make_step, scaled_linear
from noisebook.diffusion.pulling import Course
from noisebook.diffusion.samplers import Sampling
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.fitting import fit
from noisebook.synthesis import transform
from noisebook.synthesis.options import TransformOptions
from noisebook.synthesis.transform import chosen_noise, own_codebook, quantised_latent, transform_latent

SCHEDULE = scaled_linear()
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
TIMES = (*range(0, 1000, 25), 999)
INFO = BackendInfo(
    "exact", bytes(range(32)), bytes(32), 16000, MEL_FEATURES, 640, 8, 16, 1, 256, 8, SCHEDULE,
    Curve(TIMES, tuple(1 - SCHEDULE.alpha(t) for t in TIMES)), ("tag",),
    Sampling(20, 7.5, 1.0, "ddim", "quadratic"),
)  # fmt: skip
NONE = TransformOptions(codebook="none")
GUIDED = TransformOptions(method="guided")
PULLS = {name: replace(GUIDED, pull=name) for name in ("constant", "linear", "cosine", "adaptive")}
ALL = {
    "plain": NONE,
    "input-based": TransformOptions(),
    "improved": TransformOptions(method="improved"),
    **PULLS,
    "scales": replace(GUIDED, pull="constant", scales=4),
    "ddcm": replace(GUIDED, pull="ddcm"),
    "full": TransformOptions(method="full-diffusion"),
}


def exact(x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
    """The posterior mean of white Gaussian data; a condition asks for louder cells in the upper half."""
    x0_hat = SCHEDULE.alpha(t) ** 0.5 * x
    if condition is not None:
        x0_hat = x0_hat + (1 - SCHEDULE.alpha(t)) * torch.linspace(-1, 1, 16)
    return x0_hat


BACKEND = SimpleNamespace(
    info=INFO, device=torch.device("cpu"), denoise=exact, condition=lambda text: Condition(text, (), text)
)


def white(seed: int = 3, channels: int = 1, frames: int = 32) -> torch.Tensor:
    return torch.randn(channels, 8, frames, 16, generator=torch.Generator().manual_seed(seed))


def distances(options: TransformOptions, latent: torch.Tensor) -> list[float]:
    runs = [transform_latent(latent, backend=BACKEND, options=replace(options, strength=s)) for s in STRENGTHS]
    return [float((run - latent).square().mean()) for run in runs]


@pytest.mark.parametrize("name", ALL)
def test_the_distance_to_the_input_rises_with_the_strength_to_that_of_another_sound(name):
    curve = distances(ALL[name], white())
    assert curve == sorted(curve)
    assert 1.7 < curve[-1] < 2.1  # two white sounds differ by 2; the steps of the sampler cost some variance
    if name not in ("input-based", "improved"):
        assert curve[0] == 0


@pytest.mark.parametrize("name", ["plain", "constant"])
def test_the_distance_is_that_of_the_course(name):
    """Two draws that share x_t0 differ by twice its error; the sampler adds none that matters."""
    for strength, distance in zip(STRENGTHS, distances(ALL[name], white(frames=256)), strict=True):
        # A deterministic sampler with the noise of the start stays nearer than an independent draw.
        assert distance <= 2 * strength + 0.05


def test_full_diffusion_draws_from_the_posterior():
    """White data seen in noise of variance r = s / (1 - s) is the target times 1 - s and white with variance s, which
    differ from the target by s^2 + s; all but the last share of the schedule is stepped through."""
    steps = replace(ALL["full"], steps=100)
    for strength, distance in zip(STRENGTHS[:-1], distances(steps, white(frames=128))[:-1], strict=True):
        assert distance == pytest.approx(strength + strength**2, abs=0.06)


def test_full_diffusion_starts_at_the_last_timestep_from_the_noised_latent():
    seen = []
    backend = SimpleNamespace(**vars(BACKEND))
    backend.denoise = lambda x, t, **_: seen.append((x, t)) or exact(x, t)
    transform_latent(30 + 0 * white(), backend=backend, options=replace(ALL["full"], strength=0.3, steps=4))
    assert seen[0][1] == 999
    assert float(seen[0][0].mean()) == pytest.approx(30 * SCHEDULE.alpha(999) ** 0.5, abs=0.1)


@pytest.mark.parametrize("name", ALL)
def test_the_prompt_pulls_more_with_more_strength(name):
    ramp = torch.linspace(-1, 1, 16)
    ahead = []
    for strength in STRENGTHS:
        options = replace(ALL[name], strength=strength, prompt="louder above", rescale=0.0)
        change = transform_latent(white(), backend=BACKEND, options=options) - transform_latent(
            white(), backend=BACKEND, options=replace(options, prompt=None)
        )
        ahead.append(float((change * ramp).mean()))
    assert ahead[0] == 0
    assert ahead == sorted(ahead)
    assert ahead[-1] > 0.3


def test_strength_one_knows_nothing_of_the_input():
    for options in ALL.values():
        one, other = (
            transform_latent(white(seed), backend=BACKEND, options=replace(options, strength=1)) for seed in (3, 4)
        )
        assert torch.equal(one, other)


def test_the_clean_latent_is_noised_before_the_first_step():
    """What the denoiser first sees has the variance that x_t has: a clean latent fed as x_T would have more signal."""
    seen = []
    backend = SimpleNamespace(**vars(BACKEND))
    backend.denoise = lambda x, t, **_: seen.append((x, t)) or exact(x, t)
    latent = 3 + 0 * white()
    transform_latent(latent, backend=backend, options=replace(NONE, strength=0.5))
    x, t = seen[0]
    alpha = SCHEDULE.alpha(t)
    assert float(x.mean()) == pytest.approx(3 * alpha**0.5, abs=0.05)
    assert float(x.var()) == pytest.approx(1 - alpha, rel=0.05)


def test_the_same_seed_gives_the_same_and_another_another():
    for name in ("plain", "adaptive", "ddcm"):
        options = replace(ALL[name], strength=0.6)
        first, again, other = (
            transform_latent(white(), backend=BACKEND, options=replace(options, seed=seed)) for seed in (5, 5, 6)
        )
        assert torch.equal(first, again)
        assert not torch.allclose(first, other, atol=0.1)


def test_every_step_has_noise_of_its_own_from_the_seed(monkeypatch):
    drawn = []

    def recorded(shape, **key):
        drawn.append((shape, key["seed"], key["step"]))
        return gaussian_noise(shape, **key)

    monkeypatch.setattr(transform, "gaussian_noise", recorded)
    options = replace(NONE, strength=0.5, scheduler="ddpm", steps=4, seed=9)
    transform_latent(white(channels=2), backend=BACKEND, options=options)
    assert drawn == [((1, 8, 32, 16), 9, step) for step in (1, 2, 3)]


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_chosen_noise_leads_as_far_as_the_posterior_and_keeps_its_variance(strength):
    step = make_step(SCHEDULE, 900, 800, eta=1.0)
    target, x0_hat, random = white(3, 2, 64), white(4, 2, 64), white(5, 2, 64)
    pull = replace(ALL["ddcm"], pull_strength=strength)
    noise_for = chosen_noise(lambda *_: random, target, pull, Course(SCHEDULE, INFO.curve, 0.1), INFO)
    noise, residual = noise_for(step, x0_hat), target - x0_hat
    led = (noise * residual).mean((1, 2, 3)) / residual.square().mean((1, 2, 3))
    chance = (random * residual).mean((1, 2, 3)) / residual.square().mean((1, 2, 3))
    needed = strength * (SCHEDULE.snr(800) - SCHEDULE.snr(900)) ** 0.5
    assert torch.allclose(led, needed + chance, atol=0.01)
    assert float(noise.var()) == pytest.approx(1, abs=0.03)
    free = make_step(SCHEDULE, 50, 20, eta=1.0)  # beyond t0
    assert torch.equal(noise_for(free, x0_hat), random)


def test_equal_channels_stay_equal():
    both = white().expand(2, -1, -1, -1)
    for name in ("plain", "input-based", "adaptive"):
        left, right = transform_latent(both, backend=BACKEND, options=replace(ALL[name], strength=0.7))
        assert torch.allclose(left, right, atol=1e-5)


def test_more_steps_than_timesteps_are_cut_short():
    calls = []
    backend = SimpleNamespace(**vars(BACKEND))
    backend.denoise = lambda x, t, **_: calls.append(t) or exact(x, t)
    transform_latent(white(), backend=backend, options=replace(NONE, strength=0.005, steps=50))
    assert calls == sorted(set(calls), reverse=True)
    assert len(calls) < 50


def test_the_pull_ends_at_the_start_of_the_strength():
    calls = []
    backend = SimpleNamespace(**vars(BACKEND))
    backend.denoise = lambda x, t, **_: calls.append(t) or exact(x, t)
    told = []
    options = replace(PULLS["constant"], strength=0.4, steps=7)
    transform_latent(white(), backend=backend, options=options, on_step=lambda *step: told.append(step))
    assert calls[0] == 999
    assert next(t for t in range(1000) if INFO.curve(t) >= 0.4 * INFO.curve(999)) in calls
    assert told == [(i + 1, len(calls)) for i in range(len(calls))]


def test_improved_is_nearer_than_hard_and_keeps_the_variance():
    latent = white(frames=48)
    hard = quantised_latent(latent, TransformOptions(), INFO)
    soft = quantised_latent(latent, ALL["improved"], INFO)
    errors = [float((q - latent).square().mean()) for q in (hard, soft)]
    assert errors[1] < errors[0]
    assert float(soft.var() / latent.var()) == pytest.approx(1, abs=0.15)
    assert torch.allclose(quantised_latent(latent, replace(ALL["improved"], mix=0.0), INFO), latent, atol=1e-5)


def test_the_own_codebook_fits_short_and_long_sounds():
    assert own_codebook(white(frames=1), INFO).config.size == 8
    assert own_codebook(white(frames=200), INFO).config.size == 800


def test_a_codebook_of_another_model_is_refused():
    codebook = fit([white()], unit="position", method="kmeans", size=8, model="ab" * 32)
    with pytest.raises(ModelError, match="abab"):
        transform_latent(white(), backend=BACKEND, options=TransformOptions(codebook=codebook))


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: replace(NONE, scheduler="euler"), "scheduler"),
        (lambda: replace(NONE, spacing="odd"), "spacing"),
        (lambda: replace(NONE, steps=0), "steps"),
        (lambda: replace(ALL["ddcm"], scheduler="ddim"), "ddpm"),
        (lambda: replace(GUIDED, pull="gradient"), "adaptive"),
        (lambda: replace(GUIDED, pull_strength=1.1), "strength"),
        (lambda: replace(GUIDED, scales=0), "scales"),
        (lambda: TransformOptions(method="improved", mix=-0.1), "mix"),
        (lambda: transform_latent(white(), backend=BACKEND, options=replace(NONE, strength=2)), "strength"),
    ],
)
def test_settings_outside_their_range(make, told):
    with pytest.raises(ConfigError, match=told):
        make()
