"""A denoiser over windows of a longer timeline."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from noisebook.diffusion.denoisers import over_windows, window_starts
from noisebook.errors import ConfigError


def timeline(frames: int, channels: int = 1) -> torch.Tensor:
    return torch.randn(channels, 8, frames, 16, generator=torch.Generator().manual_seed(frames))


@pytest.mark.parametrize("frames", [33, 47, 56, 57, 80, 81, 200])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_denoiser_without_context_does_not_notice_windows(frames, channels):
    x = timeline(frames, channels)
    out = over_windows(lambda x: 2 * x + 3, window=32, overlap=8)(x)
    torch.testing.assert_close(out, 2 * x + 3, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 31, 32])
def test_up_to_a_window_it_is_one_call_with_the_input_itself(frames):
    seen = []
    x = timeline(frames)
    over_windows(lambda x: seen.append(x) or x, window=32, overlap=8)(x)
    assert len(seen) == 1
    assert seen[0] is x


def test_all_windows_are_one_batch_in_order():
    """Rows of the batch: window by window, within a window channel by channel."""
    x = timeline(80, channels=2)
    batches = []
    over_windows(lambda x: batches.append(x) or x, window=32, overlap=8)(x)
    assert len(batches) == 1
    expected = [x[channel, :, start : start + 32] for start in (0, 24, 48) for channel in (0, 1)]
    assert torch.equal(batches[0], torch.stack(expected))


@pytest.mark.parametrize("batch", [1, 3, 16])
def test_a_batch_bounds_the_call_and_not_the_result(batch):
    x, sizes = timeline(300, channels=2), []

    def stage(x):
        sizes.append(len(x))
        return x.cumsum(2) / 4  # every frame depends on its window

    out = over_windows(stage, window=32, overlap=8, batch=batch)(x)
    assert max(sizes) <= batch
    assert sum(sizes) == 2 * len(window_starts(300, 32, 8))
    torch.testing.assert_close(out, over_windows(stage, window=32, overlap=8, batch=1000)(x), rtol=0, atol=1e-6)


def test_channels_do_not_mix():
    def channel_and_window(x):
        return torch.arange(len(x), dtype=torch.float32)[:, None, None, None].expand(x.shape)

    out = over_windows(channel_and_window, window=32, overlap=8)(timeline(56, channels=2))
    assert out[:, 0, 0, 0].tolist() == [0, 1]  # window 0 of channels 0 and 1
    assert out[:, 0, -1, 0].tolist() == [2, 3]  # window 1


def test_windows_cross_fade_where_they_overlap():
    def which_window(x):
        return torch.arange(len(x), dtype=torch.float32)[:, None, None, None].expand(x.shape)

    out = over_windows(which_window, window=32, overlap=8)(timeline(56))[0, 0, :, 0]
    assert out[:24].eq(0).all()
    assert out[32:].eq(1).all()
    fade = out[24:32]
    expected = 0.5 - 0.5 * torch.cos(torch.pi * (torch.arange(8) + 0.5) / 8)
    torch.testing.assert_close(fade, expected, rtol=0, atol=1e-6)


def test_weights_are_a_partition_of_unity_even_where_three_windows_meet():
    out = over_windows(torch.ones_like, window=32, overlap=20)(timeline(70))
    torch.testing.assert_close(out, torch.ones_like(out), rtol=0, atol=1e-6)


def test_windows_cover_the_timeline_and_end_with_it():
    for frames in range(33, 140):
        starts = window_starts(frames, 32, 8)
        assert starts[0] == 0
        assert starts[-1] + 32 == frames
        assert all(0 < b - a <= 24 for a, b in pairwise(starts)), frames


@pytest.mark.parametrize("overlap", [-1, 0, 32, 40])
def test_an_overlap_that_is_none_is_refused(overlap):
    with pytest.raises(ConfigError, match="cannot overlap"):
        over_windows(lambda x: x, window=32, overlap=overlap)


# --- stages that change the length or the shape ------------------------------------------------------------------


@pytest.mark.parametrize(("reads", "writes"), [(1, 1), (4, 1), (1, 4), (2, 3)])
@pytest.mark.parametrize("frames", [20, 32, 33, 56, 100])
def test_a_stage_without_context_does_not_notice_windows(frames, reads, writes):
    """It takes the first of every `reads` steps and gives each `writes` times, with other channels and bins."""

    def stage(x):
        return (2 * x[:, :3, ::reads, :5] + 1).repeat_interleave(writes, dim=2)

    x = timeline(frames * reads, channels=2)
    out = over_windows(stage, window=32, overlap=8, reads=reads, writes=writes)(x)
    assert out.shape == (2, 3, frames * writes, 5)
    torch.testing.assert_close(out, stage(x), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("batch", "sizes"), [(1, [1] * 6), (4, [4, 2]), (9, [6])])
def test_windows_go_through_in_batches(batch, sizes):
    """Three windows of two channels."""
    seen = []

    def stage(x):
        seen.append(len(x))
        return x + torch.arange(x.shape[2])[:, None]  # knows where in its window it is

    x = timeline(80, channels=2)
    out = over_windows(stage, window=32, overlap=8, batch=batch)(x)
    assert seen == sizes
    torch.testing.assert_close(out, over_windows(stage, window=32, overlap=8)(x), rtol=0, atol=1e-6)


def test_windows_go_through_at_once_by_default():
    seen = []
    over_windows(lambda x: seen.append(len(x)) or x, window=32, overlap=8)(timeline(80, channels=2))
    assert seen == [6]


def test_windows_of_a_longer_result_cross_fade_over_all_of_their_overlap():
    def which_window(x):
        return torch.arange(len(x), dtype=torch.float32)[:, None, None, None].expand(len(x), 1, 4 * x.shape[2], 2)

    out = over_windows(which_window, window=32, overlap=8, writes=4)(timeline(56))[0, 0, :, 0]
    assert out.shape == (224,)
    assert out[: 4 * 24].eq(0).all()
    assert out[4 * 32 :].eq(1).all()
    assert out[4 * 24 : 4 * 32].diff().gt(0).all()


def test_a_stage_is_refused_an_overlap_that_is_none():
    with pytest.raises(ConfigError, match="cannot overlap"):
        over_windows(lambda x: x, window=8, overlap=8, reads=4)
