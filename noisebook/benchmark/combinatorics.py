"""Subsets as single integers: the combinatorial number system.

The subset c_1 < c_2 < ... < c_M of 0 .. K-1 has the rank C(c_1, 1) + C(c_2, 2) + ... + C(c_M, M) in
colexicographic order (Knuth, The Art of Computer Programming 4A, 7.2.1.3). Both directions walk n down from
the top and carry C(n, k) along: one multiplication and one division by a small number a step, no tables. Where
members are far apart, `unrank` looks for the next one by bisection instead.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from noisebook.errors import ConfigError, CorruptStream

__all__ = ["rank", "subset_bits", "unrank"]

_SPARSE = 64  # times k squared: so many indices left for k members that bisection takes less time than the walk


def subset_bits(K: int, M: int) -> int:
    """Bits of a rank: `ceil(log2 C(K, M))`, in integers.

    Raises:
        ConfigError: not 0 <= M <= K.
    """
    _check_size(K, M)
    return (comb(K, M) - 1).bit_length()


def rank(indices: Sequence[int] | NDArray[np.integer], K: int) -> int:
    """The rank, 0 .. C(K, M) - 1, of M strictly increasing indices below K.

    Raises:
        ConfigError: an index outside 0 .. K-1, or indices that are not strictly increasing.
    """
    members = [int(index) for index in indices]
    if any(low >= high for low, high in pairwise(members)):
        raise ConfigError("subset indices are not strictly increasing: sort them and remove duplicates")
    if members and (members[0] < 0 or members[-1] >= K):
        raise ConfigError(f"subset indices run from {members[0]} to {members[-1]}: all must be 0 to {K - 1}")
    # The rank does not depend on K: the walk starts just above the largest index.
    n = members[-1] + 1 if members else 0
    k = len(members)
    total, result = comb(n, k), 0  # total = C(n, k) throughout
    while k:
        without = total * (n - k) // n  # C(n - 1, k): the subsets that do not hold n - 1
        n -= 1
        if members[k - 1] == n:
            result += without
            total -= without  # C(n, k - 1)
            k -= 1
        else:
            total = without
    return result


def unrank(rank: int, K: int, M: int) -> NDArray[np.int64]:
    """`[M]` int64, the strictly increasing indices below K whose rank is given.

    Raises:
        ConfigError: not 0 <= M <= K.
        CorruptStream: the rank is not below C(K, M).
    """
    _check_size(K, M)
    n, k, total = K, M, comb(K, M)  # total = C(n, k) throughout
    if not 0 <= rank < total:
        raise CorruptStream(f"subset rank of {rank.bit_length()} bits, not below C({K}, {M}): damaged payload")
    indices = np.empty(M, dtype=np.int64)
    while k:
        if n > _SPARSE * k * k:
            n = bisect_right(range(n), rank, key=lambda n, k=k: comb(n, k)) - 1  # type: ignore[misc]
            rank -= comb(n, k)
            k -= 1
            indices[k], total = n, comb(n, k)
            continue
        without = total * (n - k) // n  # C(n - 1, k): the ranks of the subsets that do not hold n - 1
        n -= 1
        if rank >= without:
            rank -= without
            total -= without  # C(n, k - 1)
            k -= 1
            indices[k] = n
        else:
            total = without
    return indices


def _check_size(K: int, M: int) -> None:
    if not 0 <= M <= K:
        raise ConfigError(f"a subset of M = {M} out of K = {K}: M must be 0 to K")
