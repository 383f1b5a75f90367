"""The more there is of a progressive stream, the nearer is the whole sound: with the model that ships."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from noisebook import api
from noisebook.audio import io
from noisebook.audio.waveform import Waveform
from noisebook.codec import encoder
from noisebook.codec import timeline as timelines
from noisebook.codec.decoder import Decoder
from noisebook.codec.encoder import target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.timeline import Layout
from noisebook.coding import container


def test_the_error_falls_with_every_part_of_a_step_that_arrives(monkeypatch):
    monkeypatch.setattr(timelines, "SEGMENT_FRAMES", 32)
    monkeypatch.setattr(timelines, "_SHORTEST_SEGMENT", 16)
    backend = api.load_backend(device="cpu")
    clip = io.read(str(files("noisebook") / "assets" / "demo.flac"))
    clip = Waveform(np.ascontiguousarray(clip.samples[:1, 96_000:216_000]), 48_000)
    options = EncodeOptions(preset="300", progressive=True)
    stream = encoder.compress(clip, backend=backend, options=options)
    header, size = container.parse_header(stream)
    target = target_latent(clip, header, backend=backend)
    assert Layout.of_header(header, backend.info).segment_count == 2
    step = next(Layout.of_header(header, backend.info).payload_sizes()) + 2

    def error(kept: int) -> float:
        player = Decoder(stream[:kept], backend=backend, damaged=True, tail_steps=2)
        latent = player.latent(0, target.shape[2])
        assert latent.shape == target.shape, "the whole duration"
        return float((latent - target).square().mean() / target.square().mean())

    errors = [error(size + round(steps * step)) for steps in (1, 1.6, 3, 4.6, 8)]
    assert errors == sorted(errors, reverse=True), errors
    assert len(set(errors)) == len(errors)
    assert errors[-1] < 0.7 * errors[0]
