"""A denoiser over windows of a longer timeline."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from noisebook.diffusion.windows import window_starts, windowed
from noisebook.errors import ConfigError


def timeline(frames: int, channels: int = 1) -> torch.Tensor:
    return torch.randn(channels, 8, frames, 16, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("frames", [33, 47, 56, 57, 80, 81, 200])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_denoiser_without_context_does_not_notice_windows(frames, channels):
    x = timeline(frames, channels)
    over_timeline = windowed(lambda x, t: 2 * x + t, window=32, overlap=8)
    torch.testing.assert_close(over_timeline(x, 3), 2 * x + 3, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 31, 32])
def test_up_to_a_window_it_is_one_call_with_the_input_itself(frames):
    seen = []
    x = timeline(frames)
    windowed(lambda x, t: seen.append((x, t)) or x, window=32, overlap=8)(x, 7)
    assert len(seen) == 1
    assert seen[0][0] is x
    assert seen[0][1] == 7


def test_all_windows_are_one_batch_in_order():
    """Rows of the batch: window by window, within a window channel by channel."""
    x = timeline(80, channels=2)
    batches = []
    windowed(lambda x, t: batches.append(x) or x, window=32, overlap=8)(x, 0)
    assert len(batches) == 1
    expected = [x[channel, :, start : start + 32] for start in (0, 24, 48) for channel in (0, 1)]
    assert torch.equal(batches[0], torch.stack(expected))


def test_channels_do_not_mix():
    def channel_and_window(x, t):
        return torch.arange(len(x), dtype=torch.float32)[:, None, None, None].expand(x.shape)

    out = windowed(channel_and_window, window=32, overlap=8)(timeline(56, channels=2), 0)
    assert out[:, 0, 0, 0].tolist() == [0, 1]  # window 0 of channels 0 and 1
    assert out[:, 0, -1, 0].tolist() == [2, 3]  # window 1


def test_windows_cross_fade_where_they_overlap():
    def which_window(x, t):
        return torch.arange(len(x), dtype=torch.float32)[:, None, None, None].expand(x.shape)

    out = windowed(which_window, window=32, overlap=8)(timeline(56), 0)[0, 0, :, 0]
    assert out[:24].eq(0).all()
    assert out[32:].eq(1).all()
    fade = out[24:32]
    expected = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(8) + 0.5) / 8)
    torch.testing.assert_close(fade, expected, rtol=0, atol=1e-6)


def test_weights_are_a_partition_of_unity_even_where_three_windows_meet():
    out = windowed(lambda x, t: torch.ones_like(x), window=32, overlap=20)(timeline(70), 0)
    torch.testing.assert_close(out, torch.ones_like(out), rtol=0, atol=1e-6)


@pytest.mark.parametrize("frames", range(33, 140))
def test_windows_cover_the_timeline_and_end_with_it(frames):
    starts = window_starts(frames, 32, 8)
    assert starts[0] == 0
    assert starts[-1] + 32 == frames
    assert all(0 < b - a <= 24 for a, b in pairwise(starts))


@pytest.mark.parametrize("overlap", [-1, 0, 32, 40])
def test_an_overlap_that_is_none_is_refused(overlap):
    with pytest.raises(ConfigError, match="cannot overlap"):
        windowed(lambda x, t: x, window=32, overlap=overlap)
