"""The studies of beginnings of streams and of precision: what they measure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from experiments.precision import ENDS, errors, times
from experiments.prefixes import played
from noisebook.audio.waveform import Waveform
from noisebook.backends.mini import MiniBackend
from noisebook.codec import ddcm, layout
from noisebook.codec.options import EncodeOptions


@pytest.fixture
def noise() -> Waveform:
    return Waveform((0.2 * np.random.default_rng(0).standard_normal((1, 50000))).astype(np.float32), 16000)


def test_what_plays_of_a_beginning(backend, noise, monkeypatch):
    monkeypatch.setattr(layout, "SEGMENT_FRAMES", 40)
    monkeypatch.setattr(layout, "_SHORTEST_SEGMENT", 10)
    found = {}
    for progressive in (False, True):
        options = EncodeOptions(preset="300", progressive=progressive)
        data = ddcm.compress(noise, backend=backend, options=options)
        target = ddcm.target_latent(noise, ddcm.header_of(noise, options, backend.info), backend=backend)
        found[progressive] = [played(data, share, target, backend) for share in (0.01, 0.5, 1)]
    assert found[False][0] is found[True][0] is None
    assert found[False][1][0] == 40 / 25, "the first segment of two"
    assert found[True][1][0] == noise.duration
    assert found[True][2] == found[False][2], "the whole is the whole"


def test_precision_at_either_end(tiny_model, bands, noise):
    half, short = MiniBackend(tiny_model, dtype=torch.bfloat16), Waveform(noise.samples[:, :16000], 16000)
    both, decoder, encoder, neither = errors(short, "100", {"float32": bands, "bfloat16": half})
    assert len(ENDS) == 4
    assert both != decoder
    assert all(abs(error - both) < 1 for error in (decoder, encoder, neither))
    assert all(seconds > 0 for seconds in times(bands))
