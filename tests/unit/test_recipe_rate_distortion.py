from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.rate_distortion import Reference, matched, means_table, random_choices, random_index
from experiments.results import Clip
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import latent_vq
from noisebook.coding import container
from noisebook.quantizers.fitting import fit


@pytest.fixture
def one(backend, chirp) -> Reference:
    return Reference.of(Clip("a", "music", Waveform(chirp, 16000)), backend)


def test_a_row_measures_the_latent_against_its_target(one):
    row = one.row("x", "", 30, one.target)
    assert (row["nmse"], row["energy"]) == (float("-inf"), 0.0)
    assert row["rate"] == 160
    louder = one.row("x", "", 30, 2 * one.target)
    assert (louder["nmse"], louder["energy"]) == pytest.approx((0.0, 6.0206), abs=1e-4)


def test_noise_at_the_same_rate_has_the_same_size(one):
    for rate in (1500.0, 4000.0):
        usual, short = matched("x", rate, one)
        assert usual["rate"] == pytest.approx(rate, rel=0.15)
        assert short["bytes"] == usual["bytes"]
        assert short["nmse"] != usual["nmse"]
    assert not list(matched("x", 20.0, one))


def test_random_controls_keep_the_header(one, backend):
    latents = [torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(0))]
    book = fit(latents, unit="clip", method="gaussian", size=64, clip_frames=8, model=backend.info.autoencoder.hex())
    stream = api.compress_with_codebook(one.clip.sound, backend=backend, codebook=book)
    generator = np.random.default_rng(0)
    other = random_index(stream, book, one.target.shape[2], generator)
    assert other != stream
    assert container.parse_header(other) == container.parse_header(stream)
    latent_vq.decode_latent(other, backend=backend, codebook=book)
    noise = api.compress(one.clip.sound, backend=backend, preset="3000")
    assert len(random_choices(noise, generator)) == len(noise)


def test_the_table_has_means(one):
    rows = [one.row("x", "", size, one.target * 0.5) for size in (10, 20)]
    assert means_table(rows).splitlines()[-1].split("|")[1:4] == [" x ", " 15.0 ", " 80.0 "]
