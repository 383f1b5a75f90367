"""One wrong bit: what the recipe measures."""

from __future__ import annotations

import numpy as np

from experiments.flipped_bits import flipped, step_errors
from noisebook import api


def test_one_bit_is_another_bit():
    data = bytes(range(9))
    for bit in (0, 7, 8, 71):
        changed = flipped(data, bit)
        difference = np.unpackbits(np.frombuffer(data, np.uint8) ^ np.frombuffer(changed, np.uint8))
        assert np.flatnonzero(difference).tolist() == [bit]
        assert flipped(changed, bit) == data


def test_every_step_has_an_error_of_its_own(backend, chirp):
    data = api.compress(chirp, sample_rate=16000, backend=backend, preset="300")
    errors = list(step_errors(data, backend, 2))
    assert len(errors) == 12
    assert all(0 < error < 10 for error in errors)
