"""The autoencoder of bands: how far it sees, and that what stands still does not ripple."""

from __future__ import annotations

import pytest
import torch

from noisebook.networks.band_vae import BandVae, BandVaeConfig, without_ripple

FRAMES = 160
PATTERN = torch.tensor([0.0, 0.3, 0.3, -0.1]).repeat(FRAMES // 4)  # nepers, as of a token that decodes the same again


@pytest.fixture(scope="module")
def vae() -> BandVae:
    torch.manual_seed(0)
    network = BandVae(BandVaeConfig(dim=32, hidden=32))
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)  # layers that start at zero would hide how far it sees
    return network.eval().requires_grad_(False)


def test_what_repeats_with_every_token_of_a_steady_sound_is_gone():
    bands = (PATTERN - 3.0)[None, :, None].repeat(1, 1, 5)
    smooth = without_ripple(bands)[0, 4:-4]
    assert smooth.std(0).max() < 1e-6
    assert smooth.mean() == pytest.approx(bands.mean().item(), abs=1e-5)


def test_what_moves_is_left_as_it_is():
    steps = torch.arange(FRAMES // 4).repeat_interleave(4) * 0.6  # 5 dB from token to token
    bands = (PATTERN + steps)[None, :, None].repeat(1, 1, 5)
    torch.testing.assert_close(without_ripple(bands), bands)


def test_a_band_beside_one_that_moves_is_left_too():
    steps = torch.arange(FRAMES // 4).repeat_interleave(4) * 0.6
    bands = PATTERN[None, :, None].repeat(1, 1, 5)
    bands[..., 2] += steps
    smooth = without_ripple(bands)
    torch.testing.assert_close(smooth[..., 1:4], bands[..., 1:4])
    assert smooth[0, 4:-4, 0].std() < 1e-6


def test_the_decoder_sees_as_far_as_its_configuration_says(vae):
    latent = 0.05 * torch.randn(1, 8, 41, 16)  # nearly still, so that the smoothing is at work
    changed = latent.clone()
    changed[:, :, 20] += 0.05
    moved = (vae.decode(changed) - vae.decode(latent)).abs()[0, 0].amax(1).unflatten(0, (-1, 4)).amax(1)
    seen = torch.nonzero(moved > 0).flatten()
    assert 20 - seen.min() <= vae.config.decoder_reach
    assert seen.max() - 20 <= vae.config.decoder_reach
    assert seen.max() - seen.min() >= 2 * vae.config.decoder_blocks
