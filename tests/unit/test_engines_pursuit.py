"""Matching pursuit: each round nears the residual, by the best atom and level there is, and goes through bits."""

from __future__ import annotations

from itertools import pairwise, product
from math import sqrt

import pytest
import torch

from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import Rule, choice_bits
from noisebook.ddcm.codebooks import DenseCodebook, Key, StructuredCodebook
from noisebook.ddcm.rules import Choice, choose, choose_by_pursuit, noise_of, read, write
from noisebook.errors import TruncatedStream

KEY = Key(3, 1, 2)
BOOKS = [DenseCodebook(48, 16), StructuredCodebook(32, 32), StructuredCodebook(16, 64)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def product_with(codebook, parts: torch.Tensor, choice: Choice) -> torch.Tensor:
    return (noise_of(codebook, choice, KEY) * parts).sum(1)


@pytest.mark.parametrize("codebook", BOOKS)
@pytest.mark.parametrize("level_bits", [2, 3])
def test_the_second_atom_and_its_level_are_the_best_there_are(codebook, level_bits):
    """Brute force over all mixtures with the first atom, each made as the decoder makes it."""
    parts = normal(4, codebook.part, seed=5)
    chosen = choose_by_pursuit(codebook, parts, KEY, 2, level_bits)
    first = choose(Rule.ONE_OF_K, codebook.correlate(parts, KEY), 1).indices
    assert torch.equal(chosen.indices[:, :1], first)
    own = product_with(codebook, parts, chosen)
    for index, level in product(range(codebook.size), range(2**level_bits)):
        second = torch.full_like(first, index)
        indices = torch.cat((first, second), 1)
        other = Choice(indices, torch.ones_like(indices), torch.full_like(first, level), level_bits)
        assert (own >= product_with(codebook, parts, other) - 1e-3).all()


@pytest.mark.parametrize("codebook", BOOKS)
def test_more_atoms_come_nearer(codebook):
    parts = normal(6, codebook.part, seed=1)
    reached = [product_with(codebook, parts, choose(Rule.ONE_OF_K, codebook.correlate(parts, KEY), 1))]
    for M in (2, 3, 5):
        reached.append(product_with(codebook, parts, choose_by_pursuit(codebook, parts, KEY, M, 3)))
    for fewer, more in pairwise(reached):
        assert (more >= fewer - 1e-3).all()
    assert (reached[1] > reached[0] + 0.1).any()


def test_a_mixture_by_hand():
    """Level 3 of 7: sqrt(3/7) of the first atom and sqrt(4/7) of the second, scaled to mean square 1."""
    codebook = StructuredCodebook(32, 32)  # orthogonal: the mixture has mean square 1 as it is
    indices = torch.tensor([[4, 9]])
    atoms = [codebook.synthesize(indices[:, i : i + 1], torch.ones(1, 1), KEY) for i in range(2)]
    noise = noise_of(codebook, Choice(indices, torch.ones_like(indices), torch.tensor([[3]]), 3), KEY)
    torch.testing.assert_close(noise, sqrt(3 / 7) * atoms[0] + sqrt(4 / 7) * atoms[1], rtol=0, atol=1e-5)


def test_where_nothing_comes_nearer_the_pursuit_has_ended():
    codebook = StructuredCodebook(16, 16)
    atom = codebook.synthesize(torch.tensor([[5]]), torch.ones(1, 1), KEY)
    choice = choose_by_pursuit(codebook, atom, KEY, 3, 2)
    assert choice.indices[0, 0] == 5
    assert choice.levels is not None
    assert choice.levels.tolist() == [[0, 0]]
    torch.testing.assert_close(noise_of(codebook, choice, KEY), atom)


@pytest.mark.parametrize("codebook", BOOKS)
@pytest.mark.parametrize(("M", "level_bits"), [(2, 2), (4, 3)])
def test_choices_go_through_bits_unchanged(codebook, M, level_bits):
    choice = choose_by_pursuit(codebook, normal(5, codebook.part), KEY, M, level_bits)
    writer = BitWriter()
    write(Rule.PURSUIT, choice, codebook.size, writer)
    assert writer.bit_count == 5 * choice_bits(Rule.PURSUIT, codebook.size, M, level_bits)
    reader = BitReader(writer.getvalue())
    again = read(Rule.PURSUIT, 5, codebook.size, M, reader, level_bits=level_bits)
    reader.finish()
    assert torch.equal(again.indices, choice.indices)
    assert torch.equal(noise_of(codebook, again, KEY), noise_of(codebook, choice, KEY))
    with pytest.raises(TruncatedStream):
        read(Rule.PURSUIT, 5, codebook.size, M, BitReader(writer.getvalue()[:-1]), level_bits=level_bits)


def test_bits_of_a_part():
    assert choice_bits(Rule.PURSUIT, 8192, 2, 3) == 2 * 13 + 3
    assert choice_bits(Rule.PURSUIT, 8192, 6, 1) == 6 * 13 + 5


def test_the_layout_of_the_bits():
    """Indices, then levels, most significant bit first, part by part."""
    choice = Choice(torch.tensor([[5, 2], [0, 7]]), torch.ones(2, 2).long(), torch.tensor([[1], [3]]), 2)
    writer = BitWriter()
    write(Rule.PURSUIT, choice, 8, writer)
    assert "".join(f"{octet:08b}" for octet in writer.getvalue()) == "1010100100011111"
