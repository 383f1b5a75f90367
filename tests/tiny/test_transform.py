"""Transformation through the whole program on a small random model: rates, channels, lengths, errors."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.codebook import quantise
from noisebook.synthesis.sound import from_latent, to_latent

METHODS = ("input-based", "improved", "guided", "full-diffusion")


def reconstruction(waveform: Waveform, backend) -> np.ndarray:
    latent, frame = to_latent(waveform, backend=backend)
    return from_latent(latent, frame, backend=backend).samples


@pytest.mark.parametrize("options", [
    {"codebook": "none"}, {"method": "guided"}, {"method": "guided", "pull": "ddcm"}, {"method": "full-diffusion"},
])  # fmt: skip
def test_strength_zero_is_the_autoencoders_reconstruction(options, backend, chirp):
    waveform = Waveform(chirp, 16000)
    changed = api.transform(waveform, "music", backend=backend, strength=0, **options)
    assert np.array_equal(changed.samples, reconstruction(waveform, backend))


def test_channels_are_transformed_as_one_and_spread_as_they_were(backend, chirp):
    both = Waveform(np.concatenate([chirp, 0.25 * chirp]), 16000)
    changed = api.transform(both, "music", backend=backend, strength=0, codebook="none")
    assert np.array_equal(changed.samples, from_latent(*to_latent(both, backend=backend), backend=backend).samples)
    levels = [10 * np.log10(np.square(sound.samples).mean(1)) for sound in (both, changed)]
    assert levels[1][0] - levels[1][1] == pytest.approx(levels[0][0] - levels[0][1], abs=2)


def test_strength_zero_with_a_codebook_is_the_quantised_sound(backend, chirp):
    waveform = Waveform(chirp, 16000)
    codebook = api.fit_codebook([waveform], backend=backend, unit="position", method="kmeans", size=16)
    latent, frame = to_latent(waveform, backend=backend)
    expected = from_latent(quantise(latent, codebook), frame, backend=backend)
    changed = api.transform(waveform, backend=backend, strength=0, codebook=codebook)
    assert np.array_equal(changed.samples, expected.samples)
    assert not np.array_equal(changed.samples, reconstruction(waveform, backend))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("rate", "count", "channels"), [(16000, 1, 1), (44100, 30001, 2), (8000, 777, 2)])
def test_rate_channels_and_length_stay(method, rate, count, channels, backend):
    samples = np.random.default_rng(0).normal(0, 0.1, (channels, count)).astype(np.float32)
    changed = api.transform(samples, "music", sample_rate=rate, backend=backend, method=method, steps=3)
    assert (changed.samples.shape, changed.sample_rate) == ((channels, count), rate)
    assert np.isfinite(changed.samples).all()


def test_a_sound_longer_than_the_window(backend):
    samples = np.random.default_rng(0).normal(0, 0.1, 16000 * 14).astype(np.float32)
    for method in METHODS:
        changed = api.transform(samples, sample_rate=16000, backend=backend, method=method, steps=2)
        assert changed.samples.shape == (1, len(samples))


def test_equal_channels_stay_equal_and_a_silent_one_silent(backend, chirp):
    equal = api.transform(np.concatenate([chirp, chirp]), "speech", sample_rate=16000, backend=backend, steps=3)
    assert np.allclose(*equal.samples, atol=1e-5)
    panned = api.transform(
        np.concatenate([chirp, 0 * chirp]), "speech", sample_rate=16000, backend=backend, steps=3, codebook="none"
    )
    assert panned.samples[0].any()
    assert not panned.samples[1].any()


@pytest.mark.parametrize("method", METHODS)
def test_the_level_goes_with_the_input(method, backend, chirp):
    loud, quiet = (
        api.transform(gain * chirp, sample_rate=16000, backend=backend, method=method, steps=3).samples
        for gain in (1.0, 10 ** (-30 / 20))
    )
    assert np.allclose(loud, quiet * 10 ** (30 / 20), atol=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_seeds_and_prompts_matter_and_nothing_else_does(method, backend, chirp):
    def run(prompt=None, **options):
        return api.transform(
            chirp, prompt, sample_rate=16000, backend=backend, method=method, steps=3, **options
        ).samples

    first = run()
    assert np.array_equal(first, run())
    assert not np.array_equal(first, run(seed=1))
    assert not np.array_equal(first, run("music"))
    assert not np.array_equal(run("music"), run("music", negative="speech"))


@pytest.mark.parametrize("scheduler", ["ddim", "ddpm", "dpm++", "unipc"])
@pytest.mark.parametrize("method", ["input-based", "guided"])
def test_every_scheduler(scheduler, method, backend, chirp):
    options = {"sample_rate": 16000, "backend": backend, "method": method, "scheduler": scheduler, "steps": 4}
    assert np.isfinite(api.transform(chirp, **options).samples).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": "magic"}, "input-based, improved, guided, full-diffusion"),
        ({"method": "full-diffusion", "codebook": "own"}, "codebook is an option of input-based and improved"),
        ({"method": "full-diffusion", "pull": "linear"}, "pull is an option of guided"),
        ({"strength": 1.5}, "strength"),
        ({"steps": 0}, "steps"),
        ({"guidance": -1}, "guidance"),
        ({"method": "guided", "codebook": "own"}, "codebook is an option of input-based and improved"),
        ({"temperature": 0.5}, "temperature is an option of improved"),
        ({"method": "improved", "temperature": -1.0}, "temperature"),
        ({"method": "improved", "top_k": 0}, "top_k"),
        ({"method": "improved", "mix": 2.0}, "mix"),
        ({"method": "improved", "codebook": "none"}, "needs a codebook"),
        ({"pull": "adaptive"}, "pull is an option of guided"),
        ({"method": "guided", "pull": "hard"}, "adaptive"),
        ({"method": "guided", "pull": "ddcm", "scheduler": "ddim"}, "ddpm"),
        ({"method": "guided", "scales": 9}, "scales"),
        ({"prompt": "qqq"}, "qqq"),
        ({"prompt": "qqq", "strength": 0}, "qqq"),
        ({"seed": -1}, "seed"),
    ],
)
def test_options_that_are_not_possible(options, told, backend, chirp):
    with pytest.raises(ConfigError, match=told):
        api.transform(chirp, sample_rate=16000, backend=backend, **options)


def test_a_codebook_that_is_not_there(backend, chirp):
    with pytest.raises(ModelError, match="no codebook"):
        api.transform(chirp, sample_rate=16000, backend=backend, codebook="missing")
