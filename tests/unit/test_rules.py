"""Selection rules: the best choice, its exact cost in bits, and the way through the bit stream."""

from __future__ import annotations

from itertools import combinations, product
from math import ceil, comb, log2

import pytest
import torch

from noisebook.coding import container
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import Engine, Rule, choice_bits
from noisebook.ddcm.codebooks import DenseCodebook, Key, StructuredCodebook
from noisebook.ddcm.rules import Choice, choose, noise_of, read, write
from noisebook.errors import CorruptStream, TruncatedStream

KEY = Key(0, 0, 0)
SIZES = [(Rule.ONE_OF_K, 16, 1), (Rule.ONE_OF_K, 1, 1), (Rule.PARTITIONED, 64, 1), (Rule.PARTITIONED, 1, 1),
         (Rule.TOP_M, 32, 5), (Rule.TOP_M, 8, 8), (Rule.TOP_M, 256, 1), (Rule.TOP_M, 4096, 40)]  # fmt: skip


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rule", "size", "M"), SIZES)
def test_choices_go_through_bits_unchanged(rule, size, M):
    choice = choose(rule, normal(7, size), M)
    writer = BitWriter()
    write(rule, choice, size, writer)
    assert writer.bit_count == 7 * choice_bits(rule, size, M)
    reader = BitReader(writer.getvalue())
    again = read(rule, 7, size, M, reader)
    reader.finish()
    assert torch.equal(again.indices, choice.indices)
    assert torch.equal(again.signs, choice.signs)
    assert choice.indices.shape == choice.signs.shape == (7, M)
    assert choice.indices.dtype == again.indices.dtype == choice.signs.dtype == again.signs.dtype == torch.int64


def test_bits_of_a_part():
    assert choice_bits(Rule.ONE_OF_K, 8192, 1) == 13
    assert choice_bits(Rule.PARTITIONED, 8192, 1) == 14
    for size, M in ((4096, 8), (16384, 300), (32, 31)):
        assert choice_bits(Rule.TOP_M, size, M) == ceil(log2(comb(size, M))) + M
    assert choice_bits(Rule.TOP_M, 16, 16) == 16  # one subset: signs alone


@pytest.mark.parametrize(("rule", "log2_K", "M"), [(Rule.ONE_OF_K, 9, 1), (Rule.PARTITIONED, 9, 1), (Rule.TOP_M, 9, 7)])
def test_an_engine_counts_the_same_bits(rule, log2_K, M):
    part = 7 if rule == Rule.PARTITIONED else 0
    engine = Engine(rule, container.Codebook.DENSE, part, log2_K, M, 8, 5, 80)
    assert engine.choice_bits == choice_bits(rule, 2**log2_K, M)


def test_the_layout_of_the_bits():
    """PARTITIONED: index then sign, most significant bit first; ONE_OF_K: index; TOP_M: rank, then signs in order."""

    def bits(rule: Rule, indices: list[list[int]], signs: list[list[int]], size: int) -> str:
        writer = BitWriter()
        write(rule, Choice(torch.tensor(indices), torch.tensor(signs)), size, writer)
        return "".join(f"{octet:08b}" for octet in writer.getvalue())[: writer.bit_count]

    assert bits(Rule.PARTITIONED, [[5], [2]], [[-1], [1]], 8) == "10110100"
    assert bits(Rule.ONE_OF_K, [[5], [2]], [[1], [1]], 8) == "101010"
    assert bits(Rule.TOP_M, [[1, 3]], [[1, -1]], 4) == "10001"  # {1, 3} has rank 4 of 0..5


def test_one_of_k_takes_the_largest_product_without_a_sign():
    correlations = torch.tensor([[1.0, -9.0, 3.0], [-5.0, -1.0, -2.0]])
    choice = choose(Rule.ONE_OF_K, correlations, 1)
    assert choice.indices.tolist() == [[2], [1]]
    assert choice.signs.tolist() == [[1], [1]]


def test_partitioned_takes_the_largest_magnitude_with_its_sign():
    correlations = torch.tensor([[1.0, -9.0, 3.0], [5.0, -1.0, -2.0]])
    choice = choose(Rule.PARTITIONED, correlations, 1)
    assert choice.indices.tolist() == [[1], [0]]
    assert choice.signs.tolist() == [[-1], [1]]


@pytest.mark.parametrize("codebook", [DenseCodebook(24, 16), StructuredCodebook(16, 16), StructuredCodebook(16, 32)])
@pytest.mark.parametrize("rule", [Rule.ONE_OF_K, Rule.PARTITIONED])
def test_the_choice_of_one_is_the_nearest_noise(codebook, rule):
    """Brute force over all noises that the rule can express: the chosen one has the largest inner product."""
    parts = normal(6, codebook.part, seed=4)
    chosen = noise_of(codebook, choose(rule, codebook.correlate(parts, KEY), 1), KEY)
    own = (chosen * parts).sum(1)
    for index, sign in product(range(codebook.size), (1, -1) if rule == Rule.PARTITIONED else (1,)):
        other = noise_of(codebook, Choice(torch.full((6, 1), index), torch.full((6, 1), sign)), KEY)
        assert (own >= (other * parts).sum(1) - 1e-4).all()


@pytest.mark.parametrize("M", [1, 2, 4])
def test_top_m_of_orthogonal_atoms_is_the_optimum(M):
    """All signed subsets of eight atoms, each scaled to unit mean square as the decoder does."""
    codebook = StructuredCodebook(8, 8)
    parts = normal(3, 8, seed=M)
    chosen = noise_of(codebook, choose(Rule.TOP_M, codebook.correlate(parts, KEY), M), KEY)
    best = torch.full((3,), -torch.inf)
    for subset in combinations(range(8), M):
        for signs in product((1, -1), repeat=M):
            choice = Choice(torch.tensor([subset] * 3), torch.tensor([signs] * 3))
            best = torch.maximum(best, (noise_of(codebook, choice, KEY) * parts).sum(1))
    torch.testing.assert_close((chosen * parts).sum(1), best, rtol=0, atol=1e-4)


@pytest.mark.parametrize("codebook", [DenseCodebook(90, 64), StructuredCodebook(64, 64), StructuredCodebook(64, 256)])
@pytest.mark.parametrize(("rule", "M"), [(Rule.ONE_OF_K, 1), (Rule.PARTITIONED, 1), (Rule.TOP_M, 9)])
def test_noise_has_unit_mean_square(codebook, rule, M):
    parts = normal(5, codebook.part)
    noise = noise_of(codebook, choose(rule, codebook.correlate(parts, KEY), M), KEY)
    assert noise.shape == parts.shape
    torch.testing.assert_close(noise.square().mean(1), torch.ones(5), rtol=0, atol=2e-6)


def test_subset_indices_rise_and_keep_their_signs():
    correlations = torch.tensor([[0.1, -7.0, 5.0, 0.2, 6.0, -0.3]])
    choice = choose(Rule.TOP_M, correlations, 3)
    assert choice.indices.tolist() == [[1, 2, 4]]
    assert choice.signs.tolist() == [[-1, 1, 1]]


@pytest.mark.parametrize(("rule", "size", "M"), [(Rule.ONE_OF_K, 16, 1), (Rule.PARTITIONED, 8, 1), (Rule.TOP_M, 32, 5)])
def test_too_few_bits_are_named(rule, size, M):
    parts = 3 * 8
    data = bytes(parts * choice_bits(rule, size, M) // 8 - 1)
    with pytest.raises(TruncatedStream):
        read(rule, parts, size, M, BitReader(data))


def test_a_rank_that_no_encoder_writes_is_corrupt():
    assert comb(32, 5) < 2**18
    with pytest.raises(CorruptStream):
        read(Rule.TOP_M, 1, 32, 5, BitReader(b"\xff\xff\xff"))
