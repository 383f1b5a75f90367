"""The networks of the embedded model: shapes, how far they see, and that pieces equal the whole."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
import torch

from noisebook.codec import signal
from noisebook.codec.timeline import Layout
from noisebook.coding.container import CodingParams
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig, x0_from_v
from training.clips import KINDS

FRAMES = 64  # latent frames
PARAMS = CodingParams(7, 7, 8, 3, 80)


def alive(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """With every weight random: layers that start at zero would hide how far a network sees."""
    torch.manual_seed(seed)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def vae() -> BandVae:
    return alive(BandVae(BandVaeConfig(dim=32, hidden=32, scaling_factor=0.7)))  # as many blocks as the real one


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return alive(Denoiser(DenoiserConfig(dim=32, hidden=32, blocks=2, heads=2)))


def random_bands(frames: int, batch: int = 1) -> torch.Tensor:
    return -7.5 + 2.5 * torch.randn(batch, 1, frames, 192, generator=torch.Generator().manual_seed(frames))


def reach(function, x: torch.Tensor, at: int, scale: float) -> tuple[float, float]:
    """How far before and after input frame `at` the output changes, in input frames of `scale` outputs each."""
    changed = x.clone()
    changed[:, :, at] += 3 * torch.randn(changed[:, :, at].shape, generator=torch.Generator().manual_seed(1))
    difference = (function(changed) - function(x)).abs()
    difference = difference.amax((0, 1, 3)) if difference.ndim == 4 else difference.amax(0)
    hit = (difference > 0).nonzero().flatten() / scale
    return at - float(hit[0]), float(hit[-1]) - at


# --- autoencoder -------------------------------------------------------------------------------------------------


def test_vae_shapes(vae):
    bands = random_bands(24, batch=3)
    mean, log_variance = vae.posterior(bands)
    assert mean.shape == log_variance.shape == vae.encode(bands).shape == (3, 8, 6, 16)
    assert vae.decode(mean).shape == bands.shape
    assert log_variance.min() >= -12
    assert log_variance.max() <= 2


def test_scaling_factor_scales_the_latent_and_nothing_else(vae):
    bands = random_bands(16)
    mean = vae.posterior(bands)[0]
    assert torch.equal(vae.encode(bands), mean * 0.7)
    unscaled = BandVae(replace(vae.config, scaling_factor=1.0))
    unscaled.load_state_dict(vae.state_dict())
    torch.testing.assert_close(vae.decode(vae.encode(bands)), unscaled.decode(mean), rtol=0, atol=1e-4)


def test_skip_path_keeps_latent_frames_over_their_four():
    """Without the blocks, a latent frame depends on its four frames of bands alone, both ways."""
    vae = BandVae(BandVaeConfig(dim=16, hidden=16)).requires_grad_(False)
    for layer in (vae.encoder_out[1], vae.decoder_out[1]):
        layer.weight.zero_()
    bands = random_bands(16)
    moved = bands.clone()
    moved[0, 0, 5, 30] += 1
    changed = (vae.posterior(moved)[0] - vae.posterior(bands)[0]).abs().amax((1, 3))[0].nonzero()
    assert changed.tolist() == [[1]]
    latent = torch.zeros(1, 8, 4, 16)
    moved = latent.clone()
    moved[0, 3, 2, 9] = 1
    changed = (vae.decode(moved) - vae.decode(latent))[0, 0].abs().amax(1).nonzero()
    assert {8, 9, 10, 11} <= set(changed.flatten().tolist()) <= set(range(6, 14))  # smoothed where it stands still


def test_vae_sees_no_further_than_the_margin(vae):
    encoder = reach(vae.encode, random_bands(4 * FRAMES), 128, 1 / 4)
    decoder = reach(vae.decode, torch.randn(1, 8, FRAMES, 16), 32, 4)
    blocks = (vae.config.encoder_blocks, vae.config.decoder_blocks)
    assert max(encoder) / 4 <= vae.config.encoder_reach  # in latent frames; within its own token up to one more
    assert max(decoder) <= vae.config.decoder_reach
    assert max(decoder) > blocks[1]  # the probe does reach through all the blocks


# --- denoiser ----------------------------------------------------------------------------------------------------


def test_denoiser_shapes_and_any_length(denoiser):
    for frames in (1, 5, 256):
        x = torch.randn(2, 8, frames, 16)
        v = denoiser(x, torch.tensor([3, 500]), torch.tensor([0, 2]))
        assert v.shape == x.shape
        assert v.dtype == torch.float32


def test_time_and_tag_change_the_output(denoiser):
    x = torch.randn(1, 8, 6, 16, generator=torch.Generator().manual_seed(0))

    def run(t: int, tag: int) -> torch.Tensor:
        return denoiser(x, torch.tensor([t]), torch.tensor([tag]))

    base = run(500, 0)
    for other in (run(501, 0), run(20, 0), run(500, 1), run(500, 2), run(500, 3)):
        assert (other - base).abs().max() > 1e-4


def test_rows_of_a_batch_do_not_mix(denoiser):
    x = torch.randn(3, 8, 6, 16, generator=torch.Generator().manual_seed(0))
    t, tag = torch.tensor([5, 400, 900]), torch.tensor([0, 1, 3])
    together = denoiser(x, t, tag)
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], denoiser(x[i : i + 1], t[i : i + 1], tag[i : i + 1]), rtol=0, atol=1e-5
        )


def test_attention_sees_the_whole_timeline_and_knows_order(denoiser):
    x = torch.randn(1, 8, 40, 16, generator=torch.Generator().manual_seed(0))
    zero = torch.zeros(1, dtype=torch.int64)
    moved = x.clone()
    moved[:, :, 39] += 3
    assert (denoiser(moved, zero, zero) - denoiser(x, zero, zero))[:, :, 0].abs().max() > 0
    swapped = x.clone()
    swapped[:, :, [20, 30]] = x[:, :, [30, 20]]
    assert (denoiser(swapped, zero, zero) - denoiser(x, zero, zero))[:, :, 5].abs().max() > 0


def test_x0_from_v_is_the_inverse_of_the_definition_of_v():
    x0, eps = torch.randn(2, 1, 8, 3, 16, dtype=torch.float64)
    for alpha in (0.001, 0.4, 0.999):
        x = sqrt(alpha) * x0 + sqrt(1 - alpha) * eps
        v = sqrt(alpha) * eps - sqrt(1 - alpha) * x0
        torch.testing.assert_close(x0_from_v(x, v, alpha), x0, rtol=0, atol=1e-12)


def test_tags_are_the_kinds_of_the_training_data():
    assert DenoiserConfig().tags == KINDS


# --- pieces equal the whole --------------------------------------------------------------------------------------


@pytest.fixture
def small_segments(monkeypatch):
    def set_to(frames: int) -> None:
        monkeypatch.setattr("noisebook.codec.timeline.SEGMENT_FRAMES", frames)
        monkeypatch.setattr("noisebook.codec.timeline._SHORTEST_SEGMENT", frames // 2)

    return set_to


def test_analysis_and_synthesis_in_segments_equal_one_piece(bands, small_segments):
    """Three segments, of which the outer ones are further from each other than the margin."""
    count = 140 * bands.info.frame_samples - 123
    layout = Layout(bands.info, 1, count, params=PARAMS, plan=(None,) * 3)
    waveform = 0.3 * torch.randn(1, count, generator=torch.Generator().manual_seed(0)).numpy()
    assert layout.segment_count == 1
    latent = signal.analyse(waveform, layout, bands)
    samples = signal.synthesise(latent, layout, bands)
    assert latent.shape == (1, 8, 140, 16)
    assert samples.shape == waveform.shape

    small_segments(47)
    layout = Layout(bands.info, 1, count, params=PARAMS, plan=(None,) * 3)
    assert layout.segment_count == 3
    in_pieces = signal.analyse(waveform, layout, bands)
    torch.testing.assert_close(in_pieces, latent, rtol=0, atol=1e-4)
    pieces = signal.synthesise(latent, layout, bands)
    # The output has no fixed scale: compare with its own size.
    assert abs(pieces - samples).max() < 1e-4 * abs(samples).max()


def test_without_margins_segments_would_differ(bands, small_segments, monkeypatch):
    """The test above can fail: with a margin of 2 frames it would."""
    count = 40 * bands.info.frame_samples
    layout = Layout(bands.info, 1, count, params=PARAMS, plan=(None,) * 3)
    latent = torch.randn(1, 8, 40, 16, generator=torch.Generator().manual_seed(0))
    samples = signal.synthesise(latent, layout, bands)
    small_segments(10)
    monkeypatch.setattr(bands, "info", replace(bands.info, margin_frames=2))
    pieces = signal.synthesise(latent, Layout(bands.info, 1, count, params=PARAMS, plan=(None,) * 3), bands)
    assert abs(pieces - samples).max() > 1e-3 * abs(samples).max()
