"""The model that ships as a maker of sound: levels are sane, prompts and seeds matter, streams hold what was played."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.synthesis.generate import generate_latents
from noisebook.synthesis.options import GenerateOptions


@pytest.fixture(scope="module")
def embedded():
    return api.load_backend(device="cpu")


def latents(backend, prompt: str, **changes) -> torch.Tensor:
    settings = GenerateOptions(prompt=prompt, **({"steps": 6, "guidance": 5.0} | changes))
    return generate_latents(settings, seeds=(0, 1), frames=64, backend=backend)


def test_every_kind_has_the_level_of_real_latents_and_every_seed_is_a_sound(embedded):
    made = {prompt: latents(embedded, prompt) for prompt in ("music", "speech", "effects")}
    for batch in made.values():
        assert 0.6 < float(batch.std()) < 1.4
        sounds = embedded.vocode(embedded.decode(batch)).numpy()
        assert np.abs(sounds).max(axis=1).min() > 0.02
        correlations = np.corrcoef(batch.flatten(1).numpy())
        assert correlations[0, 1] < 0.9
    assert float((made["music"] - made["speech"]).std()) > 0.3


def test_guidance_without_rescaling_is_too_loud(embedded):
    plain, rescaled = (float(latents(embedded, "music", guidance=7.5, rescale=r).std()) for r in (0.0, 1.0))
    assert plain > 1.15 * rescaled


def test_a_stream_holds_what_was_played(embedded):
    made = api.generate_stream("rain", backend=embedded, seconds=1.5, steps=6, seed=4)
    assert np.array_equal(api.decompress(made.data, backend=embedded).samples, made.sound.samples)
