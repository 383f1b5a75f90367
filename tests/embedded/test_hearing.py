"""The encoder listens: loud partials come back, what is heard of an error is aimed at, quiet sounds stay quiet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.bands import BAND_FLOOR, log_bands
from noisebook.audio.features import BAND_FEATURES
from noisebook.audio.hearing import NEPER_DB, hearing_weights, prominence
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import compress_towards, matched_header, prepare, targets
from noisebook.codec.options import EncodeOptions, Priority
from noisebook.diffusion.backend import has_audible_residual
from noisebook.diffusion.plan import Step
from noisebook.networks.refinement import with_partials
from tests.mels import MelModel

RATE, SECONDS = 48_000, 1.92


@pytest.fixture(scope="module")
def model():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def whistles() -> np.ndarray:
    """`[N]`: short whistles at 4 to 6 kHz, 45 dB over noise."""
    seconds = np.arange(round(SECONDS * RATE)) / RATE
    hertz = np.select([seconds < 0.6, seconds < 1.2], [4100.0, 6100.0], 5200.0)
    sounding = np.convolve(seconds % 0.6 < 0.3, np.hanning(1000) / 500, "same")
    noise = np.random.default_rng(0).standard_normal(len(seconds))
    return (0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / RATE) * sounding + 1e-3 * noise).astype(np.float32)


def loudest(bands: torch.Tensor, like: torch.Tensor) -> float:
    """Mean level of the bands where another sound is loudest, dB."""
    return NEPER_DB * float(bands.flatten()[like.flatten().topk(60).indices].mean())


def test_loud_partials_come_back(model, whistles):
    bands = log_bands(torch.from_numpy(whistles)[None])
    guess = model._vae.encode(bands)
    latent = model.encode(bands)
    levels = [loudest(decoded, bands) for decoded in (model.decode(guess), model.decode(latent), bands)]
    assert levels[0] < levels[2] - 8
    assert levels[1] > levels[0] + 5
    around = [NEPER_DB * float((model.decode(z) - bands).abs().mean()) for z in (guess, latent)]
    assert around[1] < around[0]


def test_a_latent_without_lost_partials_is_that_of_the_encoder(model):
    noise = 0.1 * torch.randn(1, RATE, generator=torch.Generator().manual_seed(0))
    bands = log_bands(noise)
    guess = model._vae.encode(bands)
    assert with_partials(model._vae, guess, bands) is guess


def test_a_step_along_the_audible_residual_is_heard_less(model, whistles):
    bands = log_bands(torch.from_numpy(whistles)[None])
    weights = hearing_weights(bands, 1.0)
    latent = model.encode(bands) + 0.05 * torch.randn(1, 8, 48, 16, generator=torch.Generator().manual_seed(0))

    def heard(z: torch.Tensor) -> float:
        return float(((model.decode(z) - bands).square() * weights).sum())

    residual = model.audible_residual(bands)(latent)
    with torch.inference_mode():  # as a user may have it
        assert torch.equal(model.audible_residual(bands.clone())(latent.clone()), residual)
    assert residual.shape == latent.shape
    assert not residual.requires_grad
    step = 0.02 * latent.norm() / residual.norm()
    assert heard(latent + step * residual) < heard(latent) < heard(latent - step * residual)


def test_the_encoder_aims_by_ear(model, whistles):
    """At the same bits the bands come nearer where they are heard."""
    sound = Waveform(whistles[None, : whistles.size // 2], RATE)
    options = EncodeOptions(preset="3000")
    prepared = prepare(sound, options, model)
    bands = prepared.features.float()
    weights = hearing_weights(bands, 1.0)
    errors = {}
    for ear, features in (("deaf", None), ("listens", prepared.features)):
        own = replace(prepared, features=features, sound=None)
        stream = compress_towards(targets(own, options, model), own, backend=model)
        decoded = model.decode(decode_latent(stream, backend=model)[1])
        errors[ear] = float(((decoded - bands).square() * weights).mean())
    assert errors["listens"] < 0.9 * errors["deaf"]
    assert prepare(sound, replace(options, search="none"), model).features is None


def test_what_lost_its_loudest_bands_is_not_lifted_to_their_loudness(model, whistles):
    """A decode that has only the noise stays near the noise, though it lacks 20 dB of loudness."""
    sound = Waveform(whistles[None], RATE)
    prepared = prepare(sound, EncodeOptions(), model)
    noise = np.random.default_rng(0).standard_normal((1, whistles.size)).astype(np.float32)
    latent = model.to_latent(torch.from_numpy(1e-3 * 10 ** (prepared.header.gain_half_db / 40) * noise)[None])
    matched = matched_header(sound, prepared.header, latent, (), model)
    assert abs(matched.gain_half_db - prepared.header.gain_half_db) / 2 < 5
    alone = matched_header(Waveform(0.1 * noise, RATE), prepared.header, latent, (), model)
    assert (prepared.header.gain_half_db - alone.gain_half_db) / 2 == pytest.approx(40, abs=2)  # all bands lack it


def test_priorities_and_the_ear_in_every_segment(model):
    """Both are cut out of what belongs to the whole sound, each at its own rate."""
    frames, priority = 12, Priority(3.0, start=0.1)
    options = EncodeOptions(preset="3000", priorities=(priority,))
    prepared = prepare(Waveform(np.zeros((1, frames * 1920), np.float32), RATE), options, model)
    aim_of = targets(prepared, options, model)
    x0_hat = torch.zeros_like(prepared.latent[:, :, 4:8])
    assert aim_of(4, 8)(Step(5, None, 1.0, 0.0, 0.0), x0_hat).shape == x0_hat.shape


def test_a_model_of_mels_has_no_ear():
    assert not has_audible_residual(MelModel())


def test_what_counts_of_an_error():
    bands = torch.full((1, 1, 50, BAND_FEATURES.bins), BAND_FLOOR + 2)
    bands[0, 0, 25, 150] += 40 / NEPER_DB
    assert prominence(bands)[0, 0, 25, 150] == pytest.approx(40 * 8 / 9, rel=1e-3)
    plain, prominent = hearing_weights(bands), hearing_weights(bands, 1.0)
    assert plain[0, 0, 25, 149] < 0.3 * plain[0, 0, 25, 150]  # masked by the band beside it
    assert plain[0, 0, 10, 149] == plain[0, 0, 10, 150]  # far from it
    assert prominent[0, 0, 25, 150] > 4 * plain[0, 0, 25, 150]
    assert plain[0, 0, 0, -1] < plain[0, 0, 0, 150]  # above 8 kHz
