from __future__ import annotations

import pytest
import torch

from noisebook.audio import front_ends
from noisebook.errors import ConfigError
from noisebook.synthesis.reconstruct import limited
from noisebook.synthesis.reconstruction_presets import (
    LIMITS,
    POSTERIORS,
    PRESETS,
    VOCODERS,
    LatentLimit,
    Post,
    by_name,
    with_axes,
)


def latent(std: float, mean: float = 0.0) -> torch.Tensor:
    values = torch.randn(2, 8, 20, 16, generator=torch.Generator().manual_seed(0))
    return (values - values.mean()) / values.std(correction=0) * std + mean


def test_ten_presets_of_known_choices():
    assert len({preset.name for preset in PRESETS}) == 10
    for preset in PRESETS:
        assert preset.posterior in POSTERIORS
        assert preset.latent_limit in LIMITS
        assert preset.vocoder in VOCODERS
        assert preset.front_end == front_ends.MATCHED or front_ends.by_name(preset.front_end)
        assert by_name(preset.name) is preset


@pytest.mark.parametrize(("name", "std", "expected"), [
    ("none", 40.0, 40.0),
    ("strict", 3.01, 3.0),
    ("strict", 2.99, 2.99),
    ("balanced", 4.01, 3.5),
    ("balanced", 3.99, 3.99),
    ("loose", 5.01, 4.5),
    ("loose", 4.99, 4.99),
])  # fmt: skip
def test_limits_bind_when_they_should(name, std, expected):
    within, told = limited(latent(std), LIMITS[name])
    assert float(within.std(correction=0)) == pytest.approx(expected, rel=1e-4)
    assert ("kept" in told) == (std == expected)


@pytest.mark.parametrize(("mean", "expected"), [(1.9, 1.9), (2.5, 1.75), (-2.5, -1.75)])
def test_a_mean_far_off_is_drawn_in_by_a_third(mean, expected):
    assert float(limited(latent(1.0, mean), LIMITS["balanced"])[0].mean()) == pytest.approx(expected, rel=1e-4)
    assert float(limited(latent(1.0, mean), LIMITS["strict"])[0].mean()) == pytest.approx(mean, rel=1e-4)


def test_the_limit_on_the_mean_sees_the_scaled_latent():
    within, told = limited(latent(7.0, 3.0), LatentLimit(4.0, 3.5, mean_above=2.0))
    assert "std" in told
    assert "mean" not in told  # 1.5 after scaling
    assert float(within.mean()) == pytest.approx(1.5, rel=1e-3)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_axes_are_replaced_one_by_one(preset):
    assert with_axes(preset).front_end == "matched"
    assert with_axes(preset, front_end="historical") == preset
    changed = with_axes(preset, front_end="clap", posterior="blend", latent_limit="loose", vocoder="griffin-lim")
    assert (changed.front_end, changed.posterior, changed.latent_limit) == ("clap", "blend", "loose")
    assert (changed.vocoder, changed.post, changed.name) == ("griffin-lim", preset.post, preset.name)
    assert with_axes(preset, post="none").post == Post()


@pytest.mark.parametrize("axis", ["front_end", "posterior", "latent_limit", "vocoder", "post"])
def test_unknown_choices_name_the_known(axis):
    known = {"front_end": "historical", "posterior": "blend", "latent_limit": "strict", "vocoder": "chain",
             "post": "high-pass"}  # fmt: skip
    with pytest.raises(ConfigError, match=known[axis]):
        with_axes(PRESETS[0], **{axis: "nonsense"})
    with pytest.raises(ConfigError, match="v4-high-freq"):
        by_name("nonsense")


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_post_processing_is_read_as_it_is_shown(preset):
    assert Post.parse(str(preset.post)) == preset.post


def test_steps_without_a_value_have_one():
    assert Post.parse("smooth, high-pass ,loudness=0.3:3") == Post(smooth=3, high_pass=50, loudness=(0.3, 3))
    assert Post.parse("peak-guard") == Post(peak_guard=True)


@pytest.mark.parametrize("text", [
    "", "smooth=2", "smooth=x", "smooth=nan", "mel-lift-db=7", "mel-lift-db=-1", "band-lift=3", "band-lift=0.5",
    "high-pass=5", "loudness=2", "loudness=2:3", "loudness=0:3", "loudness=0.5:0.9", "loudness=0.5:inf",
    "loudness=0.1:1:2", "softness=1", "peak-guard=1", "peak_guard=", "smooth=3:5", "none,smooth",
])  # fmt: skip
def test_bad_post_processing_is_refused(text):
    with pytest.raises(ConfigError):
        Post.parse(text)
