"""The choice of a part: the best there is, its sign, and the way through the bit stream."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from noisebook.codec.segment import SegmentCoder
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import CodingParams
from noisebook.ddcm import Key, StructuredCodebook, choose
from noisebook.errors import TruncatedStream

KEY = Key(0, 0, 0)
INFO = SimpleNamespace(latent_channels=2, latent_bins=8)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def coder(log2_K: int, frames: int = 7, **paused) -> SegmentCoder:
    """Of a latent whose frames are units and parts of 16 values."""
    return SegmentCoder(CodingParams(4, log2_K, 1, 1, 0), (), INFO, 1, frames, 0, **paused)


@pytest.mark.parametrize("log2_K", [1, 6, 10])
def test_choices_go_through_bits_unchanged(log2_K):
    own, writer = coder(log2_K), BitWriter()
    choice = own.choose(normal(1, 2, 7, 8), 0)
    own.write(choice, writer)
    assert writer.bit_count == 7 * (log2_K + 1)
    reader = BitReader(writer.getvalue())
    assert torch.equal(own.read(reader), choice)
    reader.finish()
    assert (choice.shape, choice.dtype) == ((7,), torch.int64)


def test_the_layout_of_the_bits():
    """Index then sign, most significant bit first."""
    writer = BitWriter()
    coder(3, frames=2).write(torch.tensor([2 * 5 + 1, 2 * 2]), writer)
    assert writer.getvalue() == bytes([0b10110100])


def test_the_largest_magnitude_is_taken_with_its_sign():
    choice = choose(torch.tensor([[1.0, -9.0, 3.0], [5.0, -1.0, -2.0]]))
    assert choice.tolist() == [2 * 1 + 1, 2 * 0]


@pytest.mark.parametrize(
    "codebook", [StructuredCodebook(16, 16), StructuredCodebook(16, 32), StructuredCodebook(64, 8)]
)
def test_the_choice_is_the_nearest_noise_and_has_mean_square_1(codebook):
    """Brute force over all signed atoms: the chosen one has the largest inner product."""
    parts = normal(6, codebook.part, seed=4)
    chosen = codebook.synthesize(choose(codebook.correlate(parts, KEY)), KEY)
    torch.testing.assert_close(chosen.square().mean(1), torch.ones(6), rtol=0, atol=2e-6)
    own = (chosen * parts).sum(1)
    for index, minus in product(range(codebook.size), (0, 1)):
        other = codebook.synthesize(torch.full((6,), 2 * index + minus), KEY)
        assert (own >= (other * parts).sum(1) - 1e-4).all()


def test_parts_that_do_not_choose_take_the_first_atom_and_no_bits():
    own, writer = coder(6, frames=3, paused=np.array([[False, True, False]])), BitWriter()
    choice = own.choose(normal(1, 2, 3, 8), 0)
    free = coder(6, frames=3).choose(normal(1, 2, 3, 8), 0)
    assert choice.tolist() == [free[0], 0, free[2]]
    own.write(choice, writer)
    assert writer.bit_count == 2 * 7
    assert torch.equal(own.read(BitReader(writer.getvalue())), choice)


def test_too_few_bits_are_named():
    with pytest.raises(TruncatedStream):
        coder(4, frames=8).read(BitReader(bytes(4)))
