"""What an encoder aims at: shaped residuals pay where the bound is known, and weights lie where they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from experiments.sources import coloured, white
from noisebook.audio.waveform import Waveform
from noisebook.codec import encoder
from noisebook.codec.options import EncodeOptions, Priority
from noisebook.codec.segment import SegmentCoder, encode_segment, shaped
from noisebook.codec.timeline import Timeline, plan_of
from noisebook.coding.container import CodingParams
from noisebook.diffusion.plan import reverse, scaled_linear, tail_plan
from noisebook.errors import ConfigError

SCHEDULE = scaled_linear()
PARAMS = CodingParams(9, 12, 8, 12, 90)


def efficiency(source, info, share: float, params: CodingParams = PARAMS) -> float:
    """Bits by the rate-distortion bound over bits spent."""
    latent = source.draw(1)
    info = replace(info, schedule=SCHEDULE, curve=source.curve)
    coder = SegmentCoder(params, plan_of(params, info), info, 1, source.frames, 0)
    last = coder.plan[-1].s
    aim = shaped(latent, source.denoise, SCHEDULE, last, share=share) if share else latent
    start = coder.start_noise(latent.device)
    noises = []

    def remember(step, x0_hat):
        target = aim(step, x0_hat) if share else aim
        noises.append(coder.noise(coder.choose(target - x0_hat, len(noises)), len(noises)))
        return noises[-1]

    x = reverse(source.denoise, coder.plan, start, remember)
    payload, _ = encode_segment(aim, coder, source.denoise, (), start)
    error = float((reverse(source.denoise, tail_plan(SCHEDULE, last, 1), x, None) - latent).square().mean())
    return source.fewest_bits(error) / (8 * len(payload) / latent.numel())


def test_the_bound_of_a_white_source_is_known():
    source = white(SCHEDULE, 64)
    assert source.fewest_bits(0.25) == pytest.approx(1.0, abs=1e-4)
    assert source.curve(999) == pytest.approx(1 / (1 + SCHEDULE.snr(999)))
    x = torch.randn(1, 8, 64, 16)
    torch.testing.assert_close(source.denoise(x, 500), SCHEDULE.alpha(500) ** 0.5 * x)


def test_a_coloured_source_has_its_spectrum_and_error():
    source = coloured(SCHEDULE, 128)
    latent = source.draw(0)
    assert float(latent.square().mean()) == pytest.approx(1.0, abs=0.25)
    alpha = SCHEDULE.alpha(400)
    x = alpha**0.5 * latent + (1 - alpha) ** 0.5 * torch.randn(latent.shape, generator=torch.Generator().manual_seed(3))
    error = float((source.denoise(x, 400) - latent).square().mean())
    assert error == pytest.approx(source.curve(400), rel=0.1)
    assert source.fewest_bits(0.1) < white(SCHEDULE, 128).fewest_bits(0.1)


def test_three_quarters_of_the_bound_are_reached(backend):
    assert efficiency(white(SCHEDULE, 64), backend.info, 0.0) >= 0.75


def test_a_shaped_residual_pays_on_a_coloured_source_and_costs_nothing_on_a_white_one(backend):
    plain, shaped = (efficiency(coloured(SCHEDULE, 64), backend.info, share) for share in (0.0, 0.7))
    assert shaped > 1.03 * plain
    plain, shaped = (efficiency(white(SCHEDULE, 64), backend.info, share) for share in (0.0, 0.7))
    assert shaped == pytest.approx(plain, rel=1e-3)


def test_share_0_is_the_plain_residual():
    source = coloured(SCHEDULE, 16)
    latent, x0_hat = source.draw(0), source.draw(1)
    aim = shaped(latent, source.denoise, SCHEDULE, 300, share=0.0)
    torch.testing.assert_close(aim(None, x0_hat), latent)


def timeline(info, frames: int) -> Timeline:
    return Timeline(info, 1, frames * info.frame_samples)


def test_priorities_lie_where_they_are_asked_for(backend):
    info = backend.info
    weights = encoder.priority_weights((Priority(4.0, start=0.4, end=0.8), Priority(0.5, low=4000)), timeline(info, 30))
    assert weights.shape == (30, info.latent_bins)
    assert weights[:10, 0].tolist() == [1.0] * 10
    assert weights[10:20, 0].tolist() == [4.0] * 10
    assert weights[20:, 0].tolist() == [1.0] * 10
    assert weights[0, -1] == 0.5
    assert weights[12, -1] == 2.0
    assert (weights[0].diff() <= 0).all()  # bands below count fully, those above half


def test_a_weighted_residual(backend):
    priority = Priority(3.0, high=1000)
    options = EncodeOptions(search="none", priorities=(priority,))
    prepared = encoder.prepare(Waveform(np.zeros((1, 16000), np.float32), 16000), options, backend)
    frames = prepared.timeline.frames
    latent, x0_hat = torch.ones(1, 8, frames, 16), torch.zeros(1, 8, frames, 16)
    aim = encoder.targets(replace(prepared, latent=latent), options, backend)(0, frames)
    weights = encoder.priority_weights((priority,), timeline(backend.info, frames))
    assert torch.equal(aim(None, x0_hat)[0, 0], weights)


@pytest.mark.parametrize(
    "wrong",
    [{"weight": 0}, {"weight": -1}, {"weight": float("inf")}, {"start": 2, "end": 2}, {"start": -1},
     {"low": 500, "high": 100}],
)  # fmt: skip
def test_a_priority_out_of_range_cannot_be_made(wrong):
    with pytest.raises(ConfigError, match="priority"):
        Priority(**{"weight": 2.0} | wrong)


def test_bands_need_a_mel(backend):
    info = replace(backend.info, features=None)
    assert encoder.priority_weights((Priority(2.0, start=1),), timeline(info, 50)).shape == (50, 16)
    with pytest.raises(ConfigError, match="no bands"):
        encoder.priority_weights((Priority(2.0, low=100),), timeline(info, 50))
