"""The words are part of the stream format: other words make every stream undecodable. Never regenerate."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.errors import ConfigError
from noisebook.rng import Purpose, gaussian, packed_signs, permutation, uniform16, unpacked_signs, words

LARGEST = 2**64 - 1
WORDS = [
    ((0, 1, 0, 0), "d037f8c3f9a1d176 c057419b4c210765 abf13115117b0065 7bae035dea6ea5c0 b487ac82e7ddd46f"),
    ((7, 3, 2, 40), "bf0dd6610b3e64f3 3fcf1c568403e052 5330aa9b730fc7de bd1629cd2415932d bf62e65fda3071c3"),
    ((LARGEST,) * 4, "a83a8e34d4120346 506b6a3365cbc2fd a55768ab38beadc9 b110cb8fb11f1e14 e76239994175925e"),
]
word = st.integers(0, LARGEST)


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x64-10 as format.md 4.1 writes it."""
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * counter[0], 0xCA5A826395121157 * counter[2]
        counter = [b >> 64 ^ counter[1] ^ key[0], b & LARGEST, a >> 64 ^ counter[3] ^ key[1], a & LARGEST]
        key = [(key[0] + 0x9E3779B97F4A7C15) & LARGEST, (key[1] + 0xBB67AE8584CAA73B) & LARGEST]
    return counter


def digest(values: np.ndarray, kind: str) -> str:
    return sha256(values.astype(kind).tobytes()).hexdigest()


def test_purposes_are_append_only() -> None:
    assert [(purpose.name, purpose.value) for purpose in Purpose][:5] == [
        ("START", 1),
        ("PERMUTATION", 2),
        ("SIGNS", 3),
        ("DENSE", 4),
        ("NOISE", 5),
    ]


@pytest.mark.parametrize(("name", "expected"), WORDS)
def test_words(name: tuple[int, int, int, int], expected: str) -> None:
    seed, purpose, segment, step = name
    drawn = words(5, seed=seed, purpose=purpose, segment=segment, step=step)
    assert drawn.dtype == np.uint64
    assert [f"{value:016x}" for value in drawn.tolist()] == expected.split()


def test_the_written_philox_has_the_published_vectors() -> None:
    ones = philox([LARGEST] * 4, [LARGEST] * 2)
    assert ones == [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0]
    assert philox([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C


@given(word, word, word, word)
def test_words_are_the_blocks_of_the_written_definition(seed: int, purpose: int, segment: int, step: int) -> None:
    expected = [value for j in (1, 2, 3) for value in philox([j, step, segment, 0], [seed, purpose])]
    assert words(12, seed=seed, purpose=purpose, segment=segment, step=step).tolist() == expected


@given(st.integers(0, 50), st.integers(0, 50), word)
def test_a_draw_is_a_prefix_of_every_longer_one(short: int, more: int, seed: int) -> None:
    longer = words(short + more, seed=seed, purpose=1)
    np.testing.assert_array_equal(words(short, seed=seed, purpose=1), longer[:short])


def test_every_part_of_the_name_changes_the_words() -> None:
    name = {"seed": 1, "purpose": 2, "segment": 3, "step": 4}
    draws = [words(4, **name)] + [words(4, **(name | {part: 9})) for part in name]
    assert len({value for drawn in draws for value in drawn.tolist()}) == 20


@pytest.mark.parametrize("part", ["seed", "purpose", "segment", "step"])
@pytest.mark.parametrize("value", [-1, 2**64, 0.5])
def test_names_out_of_range(part: str, value: float) -> None:
    with pytest.raises(ConfigError, match=part):
        words(1, **({"seed": 0, "purpose": 1} | {part: value}))


@pytest.mark.parametrize("draw", [words, permutation, gaussian])
def test_counts_out_of_range(draw) -> None:
    with pytest.raises(ConfigError):
        draw(-1, seed=0, purpose=1)
    assert draw(0, seed=0, purpose=1).shape == (0,)


def test_signs() -> None:
    drawn = words(1024, seed=7, purpose=Purpose.SIGNS, segment=2, step=40)
    flips = unpacked_signs(packed_signs(drawn))
    assert flips.dtype == np.int8
    assert flips[:16].tolist() == [-1, -1, 1, 1, -1, -1, -1, -1, 1, 1, -1, 1, 1, -1, -1, 1]
    assert digest(flips, "i1") == "4aa8da2cc35a164dd5fedc16a7e76430898117271acd1d6af7016f974e0186b1"
    few = unpacked_signs(packed_signs(np.array([2**63 + 1, 2], dtype=np.uint64)))
    assert few[:66].tolist() == [-1] + [1] * 62 + [-1, 1, -1]


def test_a_permutation() -> None:
    name = {"seed": 0, "purpose": Purpose.PERMUTATION}
    assert permutation(8, **name).tolist() == [4, 5, 3, 7, 0, 6, 1, 2]
    expected = "0e63ac7f574cd5b1af9a225a1b2f38463704a776a42b92c7745367768bac7f43"
    assert digest(permutation(32768, **name), "<u4") == expected


@given(st.integers(0, 300), word)
def test_a_permutation_sorts_its_keys_stably(n: int, seed: int) -> None:
    order = permutation(n, seed=seed, purpose=2, step=5)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))
    halves = [
        half for value in words(n, seed=seed, purpose=2, step=5).tolist() for half in (value % 2**32, value >> 32)
    ]
    assert order.tolist() == sorted(range(n), key=halves.__getitem__)


def test_equal_keys_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    repeated = np.array([5 << 32 | 5, 1 << 32 | 5, 5 << 32 | 1], dtype=np.uint64)
    monkeypatch.setattr("noisebook.rng.words", lambda count, **name: repeated[:count])
    assert permutation(6, seed=0, purpose=2).tolist() == [3, 4, 0, 1, 2, 5]


def test_uniform16_takes_the_least_significant_first() -> None:
    halves = uniform16(np.array([0x0004000300020001, 0xFFFF000000000000], dtype=np.uint64))
    assert halves.dtype == np.uint16
    assert halves.tolist() == [1, 2, 3, 4, 0, 0, 0, 65535]


def test_gaussian() -> None:
    values = gaussian(16384, seed=0, purpose=Purpose.START)
    assert values.dtype == np.float32
    np.testing.assert_allclose(
        values[:6], [0.9085813, 1.9620306, 1.9068979, 0.8902973, -1.8973252, -0.53193307], rtol=1e-6
    )
    assert digest(values, "<f4") == "45094eec01bee6c42ed7b576f511378cde73582dfa89445b92aca8ef268dbb50"


def test_gaussian_numbers_are_quantiles(monkeypatch: pytest.MonkeyPatch) -> None:
    every = np.arange(65536, dtype="<u2").view("<u8")
    monkeypatch.setattr("noisebook.rng.words", lambda count, **name: every[:count])
    values = gaussian(65536, seed=0, purpose=1).astype(np.float64)
    assert np.all(np.diff(values) > 0)
    np.testing.assert_array_equal(values, -values[::-1])
    assert (round(values.max(), 6), round(values.var(), 5)) == (4.324919, 0.99998)
    quarter = values[65536 * 3 // 4 - 1 : 65536 * 3 // 4 + 1].mean()
    assert quarter == pytest.approx(0.6744897501960817, abs=1e-7)


def test_gaussian_draws_share_a_prefix() -> None:
    longer = gaussian(11, seed=3, purpose=Purpose.NOISE, segment=1, step=2)
    np.testing.assert_array_equal(gaussian(6, seed=3, purpose=Purpose.NOISE, segment=1, step=2), longer[:6])
