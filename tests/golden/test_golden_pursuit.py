"""The bits and the noise of matching pursuit, pinned: a changed value is a changed format."""

from __future__ import annotations

from hashlib import sha256

import pytest
import torch

from noisebook import rng
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.coding.container import Rule
from noisebook.ddcm import rules
from noisebook.ddcm.codebooks import Key, StructuredCodebook

KEY, BOOK, M, LEVEL_BITS = Key(7, 0, 3), StructuredCodebook(256, 512), 3, 3


def choice() -> rules.Choice:
    drawn = rng.gaussian(6 * 256, seed=99, purpose=rng.Purpose.NOISE)
    return rules.choose_by_pursuit(BOOK, torch.from_numpy(drawn).view(6, 256), KEY, M, LEVEL_BITS)


def test_payload():
    writer = BitWriter()
    rules.write(Rule.PURSUIT, choice(), BOOK.size, writer)
    assert sha256(writer.getvalue()).hexdigest() == "dd10d712b08dc6829898daf0fb27b313cfefc5c0a9e738cdb55b07922b59204d"


def test_noise_of_the_payload_to_five_digits():
    writer = BitWriter()
    rules.write(Rule.PURSUIT, choice(), BOOK.size, writer)
    again = rules.read(Rule.PURSUIT, 6, BOOK.size, M, BitReader(writer.getvalue()), level_bits=LEVEL_BITS)
    assert rules.noise_of(BOOK, again, KEY)[2, :4].tolist() == pytest.approx(
        [-1.058308, 1.285413, -0.009165, -0.198282], abs=2e-5
    )
