"""Transformation with the model inside the package: similarity falls and the prompt rises with the strength."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.backends.mini_files import WEIGHTS
from noisebook.synthesis.options import TransformOptions
from noisebook.synthesis.sound import to_latent
from noisebook.synthesis.transform import transform_latent

SPEECH = WEIGHTS.parents[1] / "assets" / "demo-speech.flac"


@pytest.fixture(scope="module")
def model():
    return api.load_backend(device="cpu")


@pytest.fixture(scope="module")
def speech(model):
    sound = read(SPEECH)
    start = sound.sample_rate
    return to_latent(Waveform(sound.samples[:1, start : 3 * start], sound.sample_rate), backend=model)[0]


@pytest.mark.parametrize("method", ["improved", "guided", "full-diffusion"])
def test_similarity_falls_with_the_strength(method, model, speech):
    errors = []
    for strength in (0.0, 0.2, 0.5, 1.0):
        settings = TransformOptions(strength=strength, prompt="music", steps=5, method=method)
        changed = transform_latent(speech, backend=model, options=settings)
        errors.append(float((changed - speech).square().mean() / speech.square().mean()))
    assert errors == sorted(errors)
    assert errors[1] < 0.5
    assert errors[-1] > max(0.7, 2 * errors[1])


def test_the_prompt_decides_what_the_sound_becomes(model, speech):
    """Of the same start, each prompt's result lies nearer to what that prompt makes from noise than the other's."""

    def spectrum(strength: float, prompt: str) -> np.ndarray:
        settings = TransformOptions(strength=strength, prompt=prompt, steps=3, codebook="none")
        mel = model.decode(transform_latent(speech, backend=model, options=settings))
        return mel.mean((0, 1, 2)).numpy()

    prompts = ("music", "speech")
    new, changed = ({prompt: spectrum(s, prompt) for prompt in prompts} for s in (1.0, 0.6))
    direction = new["music"] - new["speech"]
    assert (changed["music"] - changed["speech"]) @ direction > 0
