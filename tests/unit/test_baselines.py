"""The codecs of the papers: what they choose is the best they can, costs what they say, and comes back from bits."""

from __future__ import annotations

from itertools import combinations, product
from math import ceil, comb, log2

import numpy as np
import pytest
import torch

from noisebook import rng
from noisebook.benchmark.baselines import Published, PublishedCoder, dense_atoms
from noisebook.codec.segment import decode_segment, encode_segment
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.errors import ConfigError, CorruptStream

PARAMS = [Published(5, 0, 8, 4), Published(8, 5, 8, 3), Published(6, 2, 5, 3, 80), Published(6, 3, 24, 3)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_dense_atoms_have_mean_square_one_and_are_those_of_the_rng():
    drawn = rng.gaussian(40 * 96, seed=0, purpose=rng.Purpose.DENSE, segment=0, step=5).reshape(40, 96).astype(float)
    expected = drawn / np.sqrt(np.square(drawn).mean(1, keepdims=True))
    assert np.allclose(dense_atoms(5, 40, 96).numpy(), expected, atol=1e-6)


def test_bits_of_a_choice():
    assert Published(13, 0, 8, 5).choice_bits == 13
    for log2_K, M in ((12, 8), (14, 300), (5, 31)):
        assert Published(log2_K, M, 8, 5).choice_bits == ceil(log2(comb(2**log2_K, M))) + M
    assert Published(4, 16, 8, 5).choice_bits == 16  # one subset: signs alone


@pytest.mark.parametrize("params", PARAMS, ids=str)
def test_payload_and_back(params, backend):
    """The decoder's state is the encoder's, the bits are those that were named, and they lead to the target."""
    coder = PublishedCoder(params, backend.info, 2, 24)
    target, start = normal(2, 8, 24, 16, seed=1), coder.start_noise(backend.device)
    payload, x = encode_segment(target, coder, backend.denoise, (), start)
    assert torch.equal(decode_segment(payload, coder, backend.denoise, (), start), x)
    assert len(payload) == ceil(coder.partition.parts * params.choice_bits * len(coder.plan) / 8)
    other = encode_segment(-target, coder, backend.denoise, (), start)[1]
    assert (x - target).square().mean() < (other - target).square().mean()
    assert params.kappa_percent or coder.plan[-1].s == 20


@pytest.mark.parametrize("M", [0, 1, 2])
def test_the_choice_is_the_best(M, backend):
    """Brute force over the products of all signed subsets; of one without a sign over all atoms."""
    coder = PublishedCoder(Published(3, M, 1, 1), backend.info, 1, 1)
    residual = normal(1, 8, 1, 16, seed=M)
    choice = coder.choose(residual, 0)
    products = (coder.partition.split(residual, 0) @ coder.atoms(0, residual.device).T)[0]
    indices, minus = choice[0] >> 1, choice[0] & 1
    own = float((products[indices] * (1 - 2 * minus)).sum())
    signs = (1, -1) if M else (1,)
    every = [
        sum(float(products[i]) * s for i, s in zip(subset, each, strict=True))
        for subset in combinations(range(8), max(1, M))
        for each in product(signs, repeat=len(subset))
    ]
    assert own == pytest.approx(max(every), abs=1e-4)
    assert indices.tolist() == sorted(indices.tolist())


def test_noise_has_mean_square_1(backend):
    coder = PublishedCoder(Published(6, 9, 8, 3), backend.info, 1, 8)
    noise = coder.noise(coder.choose(normal(1, 8, 8, 16), 1), 1)
    assert float(noise.square().mean()) == pytest.approx(1, abs=1e-5)


def test_the_order_of_the_bits(backend):
    """The rank of {1, 3} among pairs of 4 is 4 of 0..5; then the signs + -."""
    coder, writer = PublishedCoder(Published(2, 2, 8, 1), backend.info, 1, 8), BitWriter()
    coder.write(torch.tensor([[2 * 1, 2 * 3 + 1]]), writer)
    assert (writer.getvalue(), writer.bit_count) == (bytes([0b10001000]), 5)


def test_a_rank_that_no_encoder_writes_is_corrupt(backend):
    assert comb(32, 5) < 2**18
    with pytest.raises(CorruptStream):
        PublishedCoder(Published(5, 5, 8, 1), backend.info, 1, 8).read(BitReader(b"\xff\xff\xff"))


@pytest.mark.parametrize("wrong", [(3, 9, 8, 1), (3, -1, 8, 1), (3, 1, 0, 1), (3, 1, 8, 0)])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ConfigError):
        Published(*wrong)
