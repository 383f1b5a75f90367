"""What may differ between machines moves a decoded latent a little and never breaks it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from noisebook.audio.waveform import Waveform
from noisebook.codec import encoder
from noisebook.codec.decoder import decode_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.stream import Stream
from noisebook.coding import container
from noisebook.diffusion import denoisers

ROUNDING = 1e-5  # of the latent's energy, -100 dB in amplitude


@pytest.fixture(scope="module")
def stream(backend) -> bytes:
    """20 s of noise: a timeline of more than one window."""
    samples = (0.2 * np.random.default_rng(0).standard_normal((1, 320000))).astype(np.float32)
    return encoder.compress(Waveform(samples, 16000), backend=backend, options=EncodeOptions(preset="300"))


def decoded(stream: bytes, backend) -> torch.Tensor:
    return decode_latent(stream, backend=backend)[1]


def test_threads_and_batches_of_windows_do_not_matter(stream, backend, monkeypatch):
    reference = decoded(stream, backend)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if threads > 1 else 2)
    try:
        torch.testing.assert_close(decoded(stream, backend), reference, rtol=ROUNDING, atol=ROUNDING)
    finally:
        torch.set_num_threads(threads)
    over_windows = denoisers.over_windows
    monkeypatch.setattr(denoisers, "over_windows", partial(over_windows, batch=1))
    torch.testing.assert_close(decoded(stream, backend), reference, rtol=ROUNDING, atol=ROUNDING)


def test_a_stream_with_any_bit_wrong_still_decodes(stream, backend):
    """The choices have a fixed layout: no bit of a payload can put those behind it out of step."""
    opened = Stream(stream, backend.info)
    header, layout, (payload,) = opened.header, opened.timeline, opened.contents().choices
    bits = layout.steps * layout.segment_bits(0)
    for bit in (0, bits // 3, bits - 1):
        wrong = bytearray(payload)
        wrong[bit // 8] ^= 0x80 >> bit % 8
        latent = decoded(container.pack(header, [bytes(wrong)]), backend)
        assert torch.isfinite(latent).all()
        assert not torch.equal(latent, decoded(stream, backend))
