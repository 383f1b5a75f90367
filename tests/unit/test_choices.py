"""The choice of a part: the best there is, its sign, and the way through the bit stream."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.ddcm.choices import Choice, choose, read, write
from noisebook.ddcm.codebooks import Key, StructuredCodebook
from noisebook.errors import TruncatedStream

KEY = Key(0, 0, 0)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("log2_K", [1, 6, 14])
def test_choices_go_through_bits_unchanged(log2_K):
    choice, writer = choose(normal(7, 2**log2_K)), BitWriter()
    write(choice, log2_K + 1, writer)
    assert writer.bit_count == 7 * (log2_K + 1)
    reader = BitReader(writer.getvalue())
    again = read(7, log2_K + 1, reader)
    reader.finish()
    assert torch.equal(again.indices, choice.indices)
    assert torch.equal(again.signs, choice.signs)
    assert choice.indices.shape == choice.signs.shape == (7,)
    assert choice.indices.dtype == again.indices.dtype == choice.signs.dtype == again.signs.dtype == torch.int64


def test_the_layout_of_the_bits():
    """Index then sign, most significant bit first."""
    writer = BitWriter()
    write(Choice(torch.tensor([5, 2]), torch.tensor([-1, 1])), 4, writer)
    assert writer.getvalue() == bytes([0b10110100])


def test_the_largest_magnitude_is_taken_with_its_sign():
    choice = choose(torch.tensor([[1.0, -9.0, 3.0], [5.0, -1.0, -2.0]]))
    assert (choice.indices.tolist(), choice.signs.tolist()) == ([1, 0], [-1, 1])


@pytest.mark.parametrize(
    "codebook", [StructuredCodebook(16, 16), StructuredCodebook(16, 32), StructuredCodebook(64, 8)]
)
def test_the_choice_is_the_nearest_noise_and_has_mean_square_1(codebook):
    """Brute force over all signed atoms: the chosen one has the largest inner product."""
    parts = normal(6, codebook.part, seed=4)
    choice = choose(codebook.correlate(parts, KEY))
    chosen = codebook.synthesize(choice.indices, choice.signs, KEY)
    torch.testing.assert_close(chosen.square().mean(1), torch.ones(6), rtol=0, atol=2e-6)
    own = (chosen * parts).sum(1)
    for index, sign in product(range(codebook.size), (1, -1)):
        other = codebook.synthesize(torch.full((6,), index), torch.full((6,), sign), KEY)
        assert (own >= (other * parts).sum(1) - 1e-4).all()


def test_parts_that_do_not_choose_take_the_first_atom():
    choosing = torch.tensor([True, False, True])
    choice = Choice(torch.tensor([4, 7, 9]), torch.tensor([-1, 1, -1]))
    back = choice.of(choosing).among(choosing)
    assert (back.indices.tolist(), back.signs.tolist()) == ([4, 0, 9], [-1, 1, -1])


def test_too_few_bits_are_named():
    with pytest.raises(TruncatedStream):
        read(8, 5, BitReader(bytes(4)))
