"""Encoding to a quality, on a tiny real model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.codec import encoder
from noisebook.codec.decoder import Decoder, decode_latent
from noisebook.codec.encoder import prepare, target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import HIGHEST, LOWEST
from noisebook.errors import ConfigError

SOUND = (0.2 * np.random.default_rng(3).standard_normal((1, 10000))).astype(np.float32)


def nmse_db(stream: bytes, backend) -> float:
    header, latent = decode_latent(stream, backend=backend)
    target = target_latent(api.Waveform(SOUND, 16000), header, backend=backend)
    return float(10 * torch.log10((latent - target).square().mean() / target.square().mean()))


@pytest.fixture(scope="module")
def errors(backend) -> dict[str, tuple[float, float]]:
    """By measure: at the lowest and the highest bitrate of the ladder."""
    found: dict[str, list[float]] = {measure: [] for measure in encoder.MEASURES}
    for bitrate in (LOWEST, HIGHEST):
        stream = api.compress(SOUND, sample_rate=16000, backend=backend, bitrate=bitrate)
        prepared = prepare(api.Waveform(SOUND, 16000), EncodeOptions(bitrate=bitrate), backend)
        latent = Decoder(stream, backend=backend).latent()
        for measure, measured in found.items():
            measured.append(encoder.MEASURES[measure](prepared, backend)(latent))
    return {measure: (worst, best) for measure, (worst, best) in found.items()}


@pytest.mark.parametrize("measure", encoder.MEASURES)
def test_the_target_is_reached_with_fewer_bits_than_the_most(measure, backend, errors):
    worst, best = errors[measure]
    assert worst > best
    sound, sizes = api.Waveform(SOUND, 16000), []
    for share in (0.2, 0.9):
        target = best + share * (worst - best)
        steps = []
        options = EncodeOptions(**{{"mel-db": "target_mel_db", "nmse": "target_nmse"}[measure]: target})
        data = encoder.compress(
            sound, backend=backend, options=options, on_step=lambda *step, steps=steps: steps.append(step)
        )
        error_of = encoder.MEASURES[measure](prepare(sound, EncodeOptions(), backend), backend)
        assert error_of(Decoder(data, backend=backend).latent()) <= target
        assert steps == [(done, 7) for done in range(1, len(steps) + 1)]
        assert len(steps) <= 7
        sizes.append(len(data))
    assert sizes[0] > sizes[1]


def test_the_error_is_that_of_the_decoder(backend, errors):
    target = sum(errors["nmse"]) / 2
    stream = api.compress(SOUND, sample_rate=16000, backend=backend, target_nmse=target)
    assert nmse_db(stream, backend) <= target


def test_what_no_bitrate_reaches_is_refused(backend):
    with pytest.raises(ConfigError, match=r"out of reach.*autoencoder alone"):
        api.compress(SOUND, sample_rate=16000, backend=backend, target_mel_db=-1)
    with pytest.raises(ConfigError, match="one of preset"):
        api.compress(SOUND, sample_rate=16000, backend=backend, target_mel_db=3, preset="300")
    with pytest.raises(ConfigError, match="one of preset"):
        api.compress(SOUND, sample_rate=16000, backend=backend, target_mel_db=3, target_nmse=-3)
