"""Codebooks against explicit matrices, and the claims that are made for them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noisebook import ddcm, rng
from noisebook.benchmark.baselines import dense_atoms
from noisebook.ddcm import Key, StructuredCodebook, hadamard_transform
from noisebook.errors import ConfigError

KEY = Key(seed=3, segment=1, step=5)


def sylvester(size: int) -> np.ndarray:
    """Entry (i, j) is -1 to the number of ones that i and j share in binary."""
    index = np.arange(size, dtype=np.int16)
    shared = index[:, None] & index
    for shift in (8, 4, 2, 1):  # fold the bits together: what remains is their parity
        shared ^= shared >> shift
    return (1 - 2 * (shared & 1)).astype(np.float64)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def structured_matrix(part: int, stacks: int, parts: int, key: Key) -> np.ndarray:
    """All atoms `[parts, stacks * part, part]` from the definition, in float64."""
    count = 3 * stacks * parts * part
    words = rng.words(-(-count // 64), seed=key.seed, purpose=rng.Purpose.SIGNS, segment=key.segment, step=key.step)
    s1, s2, s3 = rng.unpacked_signs(rng.packed_signs(words))[:count].astype(np.float64).reshape(3, stacks, parts, part)
    H = sylvester(part) / np.sqrt(part)
    atoms = [
        np.concatenate([np.sqrt(part) * (H * s3[i, p]) @ (H * s2[i, p]) @ (H * s1[i, p]) for i in range(stacks)])
        for p in range(parts)
    ]
    return np.stack(atoms)


def all_atoms(codebook: StructuredCodebook, parts: int, key: Key = KEY) -> torch.Tensor:
    """`[parts, K, d]` by synthesising them one by one."""
    one = torch.ones(parts, dtype=torch.int64)
    return torch.stack([codebook.synthesize(2 * k * one, key) for k in range(codebook.size)], dim=1)


# --- the transform -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("log2", range(1, 13))
def test_hadamard_transform_is_the_dense_product(log2):
    size = 2**log2
    x = torch.randint(-8, 9, (3, size), generator=torch.Generator().manual_seed(log2)).float()
    expected = x.numpy().astype(np.float64) @ sylvester(size)
    assert np.array_equal(hadamard_transform(x).numpy(), expected)  # small integers: exact


def test_hadamard_transform_keeps_leading_axes_and_norm():
    x = normal(2, 2, 32768)
    y = hadamard_transform(x)
    assert y.shape == x.shape
    torch.testing.assert_close(y.square().sum(-1) / 32768, x.square().sum(-1), rtol=1e-5, atol=0)
    torch.testing.assert_close(hadamard_transform(y) / 32768, x, rtol=0, atol=1e-5)


# --- structured --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "size"), [(16, 16), (64, 256), (32, 8), (512, 512)])
def test_structured_atoms_are_the_rows_of_the_formula(part, size):
    codebook = StructuredCodebook(part, size)
    expected = structured_matrix(part, codebook.expansion, 2, KEY)[:, :size]
    atoms = all_atoms(codebook, 2)
    assert np.allclose(atoms.numpy(), expected, atol=1e-5)
    x = normal(2, part)
    products = np.einsum("pkd,pd->pk", expected, x.numpy().astype(np.float64))
    assert np.allclose(codebook.correlate(x, KEY).numpy(), products, atol=2e-4)


@pytest.mark.parametrize("part", [8, 64, 512])
def test_structured_atoms_are_orthogonal_with_mean_square_one(part):
    atoms = all_atoms(StructuredCodebook(part, part), 1)[0].double()
    assert torch.equal(atoms @ atoms.T, part * torch.eye(part, dtype=torch.float64))


def test_correlate_is_the_transpose_of_synthesize():
    """<synthesize(c), x> = <c, correlate(x)> for any signed atom c, stacked too."""
    for part, size in ((256, 256), (64, 512), (128, 32)):
        codebook = StructuredCodebook(part, size)
        x = normal(9, part, seed=part)
        indices = torch.randint(size, (9,), generator=torch.Generator().manual_seed(size))
        signs = 1 - 2 * (indices % 2)
        left = (codebook.synthesize(2 * indices + (signs < 0), KEY).double() * x).sum(1)
        right = codebook.correlate(x, KEY).double().gather(1, indices[:, None])[:, 0] * signs
        torch.testing.assert_close(left, right, rtol=0, atol=2e-3)


@pytest.mark.parametrize("index", [0, 1, 12345, 32767])
def test_synthesis_at_the_largest_part_is_exact_in_float32(index):
    """Against 64-bit integers, bit for bit: every entry is an integer over 2^15."""
    part = 32768
    words = rng.words(3 * part // 64, seed=KEY.seed, purpose=rng.Purpose.SIGNS, segment=KEY.segment, step=KEY.step)
    s1, s2, s3 = rng.unpacked_signs(rng.packed_signs(words)).astype(np.int64).reshape(3, part)

    def transform(x: np.ndarray) -> np.ndarray:
        half = 1
        while half < part:
            a, b = np.moveaxis(x.reshape(-1, 2, half), 1, 0)
            x = np.stack((a + b, a - b), axis=1).reshape(-1)
            half *= 2
        return x

    row = np.zeros(part, np.int64)
    row[index] = -1
    exact = transform(transform(transform(row) * s3) * s2) * s1
    atom = StructuredCodebook(part, part).synthesize(torch.tensor([2 * index + 1]), KEY)[0]
    assert np.array_equal(atom.numpy().astype(np.float64) * part, exact)
    assert np.square(exact / part).mean() == 1.0


@pytest.mark.parametrize("part", [64, 1024, 32768])
def test_structured_entries_are_near_gaussian(part):
    """Over many atoms: mean 0, kurtosis 3 (a sign pattern alone would have 1)."""
    many = 262144 // part
    indices = torch.arange(many) * 7919 % part
    atoms = StructuredCodebook(part, part).synthesize(2 * indices, KEY).double()
    kurtosis = float(atoms.pow(4).mean() / atoms.square().mean() ** 2)
    assert 2.8 < kurtosis < 3.2
    assert abs(float(atoms.mean())) < 0.01


def test_parts_steps_segments_seeds_and_matrices_have_their_own_atoms():
    part = 256
    index = torch.zeros(2, dtype=torch.int64)

    def atoms(key: Key, row: int = 0) -> torch.Tensor:
        return StructuredCodebook(part, 2 * part).synthesize(2 * (index + row), key)

    rows = torch.cat([atoms(KEY), atoms(KEY, part), atoms(Key(4, 1, 5)), atoms(Key(3, 2, 5)), atoms(Key(3, 1, 6))])
    gram = rows @ rows.T / part
    assert (gram - torch.eye(len(rows))).abs().max() < 6 / part**0.5


def test_fewer_atoms_than_values_are_the_first_rows():
    few, full = StructuredCodebook(128, 16), StructuredCodebook(128, 128)
    x = normal(3, 128)
    assert few.expansion == full.expansion == 1
    assert few.correlate(x, KEY).shape == (3, 16)
    assert torch.equal(few.correlate(x, KEY), full.correlate(x, KEY)[:, :16])


def test_stacks():
    codebook = StructuredCodebook(64, 256)
    assert codebook.expansion == 4
    assert codebook.correlate(normal(3, 64), KEY).shape == (3, 256)
    atoms = all_atoms(codebook, 1)[0].double()
    gram = (atoms @ atoms.T / 64).reshape(4, 64, 4, 64).transpose(1, 2)
    for i in range(4):
        assert torch.equal(gram[i, i], torch.eye(64, dtype=torch.float64))
        for j in range(i):
            assert 0.8 < float(gram[i, j].square().mean()) * 64 < 1.2  # between stacks: as between random vectors


@pytest.mark.parametrize(("part", "size"), [(48, 64), (4, 8), (65536, 64), (64, 100), (64, 1), (64, 2**25), (0, 2)])
def test_sizes_that_have_no_structure_are_refused(part, size):
    with pytest.raises(ConfigError, match="powers of two"):
        StructuredCodebook(part, size)


def test_structured_serves_a_gaussian_residual_as_well_as_dense():
    """Correlation of the best signed atom with the residual, at equal bits; theory says about sqrt(2 ln 2K / d)."""
    part, parts = 512, 200
    x = normal(parts, part, seed=9)

    def correlation(products: torch.Tensor) -> float:
        return float((products.abs().amax(1) / (x.norm(dim=1) * part**0.5)).mean())

    structured = correlation(StructuredCodebook(part, part).correlate(x, KEY))
    dense = correlation(x @ dense_atoms(KEY.step, part, part).T)
    assert structured == pytest.approx(dense, rel=0.1)
    assert dense == pytest.approx(0.142, rel=0.1)  # E max |N(0, 1)| of 512 draws is 3.21


def test_small_matrices_are_kept():
    assert ddcm._hadamard(64) is ddcm._hadamard(64)
