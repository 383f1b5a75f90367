"""The study of codebooks beside chosen noise, on the tiny model, for which one is fitted here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments import codebooks
from noisebook import api
from noisebook.codec.decoder import Decoder
from noisebook.coding import container
from noisebook.quantizers.fitting import fit


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(codebooks, "_SECONDS", 1.28)


@pytest.fixture
def book(bench):
    latents = [torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(0))]
    model = bench.backend.info.autoencoder.hex()
    return fit(latents, unit="clip", method="gaussian", size=64, clip_frames=8, model=model)


def test_a_row_measures_the_latent_against_its_target(bench):
    target = codebooks._targets(bench)[0][2]
    row = codebooks.errors(bench, 0, 30, target)
    assert (row["nmse"], row["energy"]) == (float("-inf"), 0.0)
    assert row["rate"] == 187.5
    louder = codebooks.errors(bench, 0, 30, 2 * target)
    assert (louder["nmse"], louder["energy"]) == pytest.approx((0.0, 6.0206), abs=1e-4)
    assert codebooks.means([row, row | {"bytes": 50}])["bytes"] == 40


def test_noise_at_the_same_rate_has_the_same_size(bench):
    assert codebooks._matched(bench, 1500.0)["rate"] == pytest.approx(1500, rel=0.15)
    assert codebooks._matched(bench, 2.0) == {}


def test_random_controls_keep_the_header(bench, book):
    backend = bench.backend
    sound, _, target = codebooks._targets(bench)[0]
    stream = api.compress_with_codebook(sound, backend=backend, codebook=book)
    generator = np.random.default_rng(0)
    other = codebooks.random_index(stream, book, target.shape[2], generator)
    assert other != stream
    assert container.parse_header(other) == container.parse_header(stream)
    Decoder(other, backend=backend, codebook_for=lambda _: book).latent()
    noise = api.compress(sound, backend=backend, preset="3000")
    assert len(codebooks.random_choices(noise, generator)) == len(noise)


def test_the_tables(measured, book, monkeypatch):
    monkeypatch.setattr(codebooks, "shipped_names", lambda: ["clip-gaussian"])
    monkeypatch.setattr(codebooks, "_CLIP_BOOKS", ("clip-gaussian",))
    monkeypatch.setattr(codebooks.api, "load_codebook", lambda name: book)
    parts = measured("codebooks")
    assert parts["books"].splitlines()[2].startswith("| clip-gaussian | ")
    assert [line.split(" | ")[0] for line in parts["index"].splitlines()[2:]] == [
        "| mean latent", *(f"| {name}{variant}" for name in ("clip-gaussian", "ddcm 8")
                           for variant in ("", ", another clip", ", random")),
    ]  # fmt: skip
