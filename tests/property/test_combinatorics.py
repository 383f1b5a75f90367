from __future__ import annotations

from itertools import combinations
from math import ceil, comb, log2
from time import perf_counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.benchmark.baselines import rank, subset_bits, unrank
from noisebook.errors import CorruptStream


@pytest.mark.parametrize(("K", "M"), [(K, M) for K in range(9) for M in range(K + 1)])
def test_ranks_enumerate_all_subsets_in_colexicographic_order(K: int, M: int) -> None:
    subsets = sorted(combinations(range(K), M), key=lambda subset: subset[::-1])
    assert [rank(subset) for subset in subsets] == list(range(comb(K, M)))
    assert [tuple(unrank(index, K, M)) for index in range(comb(K, M))] == subsets


@given(st.data(), st.integers(1, 500))
def test_large_subsets_round_trip_and_match_the_defining_sum(data: st.DataObject, K: int) -> None:
    subset = sorted(data.draw(st.sets(st.integers(0, K - 1))))
    index = rank(subset)
    assert index == sum(comb(member, i + 1) for i, member in enumerate(subset))
    assert unrank(index, K, len(subset)) == subset
    assert index.bit_length() <= subset_bits(K, len(subset))


@given(st.integers(1, 60), st.data())
def test_subset_bits_is_the_ceiling_of_the_logarithm(K: int, data: st.DataObject) -> None:
    M = data.draw(st.integers(0, K))
    bits = subset_bits(K, M)
    assert 2**bits >= comb(K, M)
    assert bits == 0 or 2 ** (bits - 1) < comb(K, M)


def test_subset_bits_by_hand() -> None:
    assert [subset_bits(*size) for size in ((4, 2), (8, 1), (9, 1), (5, 5), (5, 0))] == [3, 3, 4, 0, 0]
    assert subset_bits(16384, 300) == ceil(log2(comb(16384, 300)))


@pytest.mark.parametrize(("index", "K", "M"), [(6, 4, 2), (1, 5, 5), (-1, 4, 2), (2**3000, 16384, 300)])
def test_unrank_refuses_what_is_not_a_rank(index: int, K: int, M: int) -> None:
    with pytest.raises(CorruptStream):
        unrank(index, K, M)


def test_the_working_size_is_fast() -> None:
    subset = np.sort(np.random.default_rng(0).choice(16384, 60, replace=False))
    seconds = []
    for _ in range(3):
        start = perf_counter()
        assert unrank(rank(subset), 16384, 60) == subset.tolist()
        seconds.append(perf_counter() - start)
    assert min(seconds) < 0.1, "60 bisections; sums of all smaller ranks would take seconds"
