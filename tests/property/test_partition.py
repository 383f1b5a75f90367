"""The partition of a latent into parts, for any shape."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from noisebook import rng
from noisebook.codec.timeline import Layout
from noisebook.coding.container import CodingParams
from noisebook.ddcm import Partition
from noisebook.errors import ConfigError

partitions = st.builds(
    Partition,
    shape=st.tuples(st.integers(1, 2), st.integers(1, 8), st.integers(1, 40), st.integers(1, 16)),
    unit_frames=st.integers(1, 20),
    part=st.integers(1, 300),
    seed=st.integers(0, 255),
)
steps = st.integers(0, 999)


def numbered(partition: Partition) -> torch.Tensor:
    """A latent whose values are 1, 2, 3, ...: all different and none of them the filling."""
    return torch.arange(1, 1 + int(np.prod(partition.shape)), dtype=torch.float64).reshape(partition.shape)


@settings(max_examples=60, deadline=None)
@given(partitions, steps)
def test_join_undoes_split(partition, step):
    latent = numbered(partition)
    assert torch.equal(partition.join(partition.split(latent, step), step), latent)


@settings(max_examples=60, deadline=None)
@given(partitions, steps)
def test_every_value_lands_in_exactly_one_part(partition, step):
    latent = numbered(partition)
    parts = partition.split(latent, step)
    assert parts.shape == (partition.parts, partition.part)
    assert torch.equal(parts[parts != 0].sort().values, latent.flatten())


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 2),
    frames=st.integers(1, 2000),
    unit_frames=st.integers(1, 300),
    log2_part=st.integers(4, 15),
    log2_K=st.integers(1, 10),
    coded_steps=st.integers(1, 40),
    pause=st.tuples(st.integers(0, 500), st.integers(1, 500)),
)
def test_parts_are_those_that_the_layout_pays_for(channels, frames, unit_frames, log2_part, log2_K, coded_steps, pause):
    params = CodingParams(log2_part, log2_K, unit_frames, coded_steps, 80)
    info = SimpleNamespace(frame_values=128, frame_samples=640, frame_multiple=1)
    layout = Layout(info, channels, frames * 640, params=params, plan=(None,) * coded_steps)
    with_pause = replace(layout, pauses=((pause[0], sum(pause)),))
    for index, (start, end) in enumerate(layout.segments()):
        paused = with_pause.paused(index)
        partition = Partition((channels, 8, end - start, 16), unit_frames, 2**log2_part)
        silent = 0 if paused is None else int(partition.parts_in(torch.from_numpy(paused)).sum())
        assert layout.segment_bits(index) == partition.parts * params.choice_bits
        assert with_pause.segment_bits(index) == (partition.parts - silent) * params.choice_bits


@settings(max_examples=60, deadline=None)
@given(partitions, steps)
def test_split_by_the_words_of_the_docstring(partition, step):
    """Value by value: channel, unit, frame by frame; permuted as the draw (seed, PERMUTATION, 0, step) says; filled."""
    latent = numbered(partition).numpy()
    rows, part = [], partition.part
    for channel in latent:
        for start in range(0, partition.shape[2], partition.unit_frames):
            unit = channel[:, start : start + partition.unit_frames]
            values = unit.transpose(1, 0, 2).flatten().tolist()
            order = rng.permutation(len(values), seed=partition.seed, purpose=rng.Purpose.PERMUTATION, step=step)
            ordered = [values[i] for i in order]
            for first in range(0, len(ordered), part):
                values = ordered[first : first + part]
                rows.append(values + [0.0] * (part - len(values)))
    assert partition.split(torch.from_numpy(latent), step).tolist() == rows


@settings(max_examples=60, deadline=None)
@given(partitions, st.data())
def test_parts_of_some_units(partition, data):
    shape = partition.shape[0], -(-partition.shape[2] // partition.unit_frames)
    count = shape[0] * shape[1]
    units = torch.tensor(data.draw(st.lists(st.booleans(), min_size=count, max_size=count))).view(shape)
    frames = units.repeat_interleave(partition.unit_frames, 1)[:, : partition.shape[2]]
    marked = frames[:, None, :, None].expand(partition.shape).double() + 1  # 2 within, 1 elsewhere; the filling is 0
    assert torch.equal(partition.split(marked, 0).amax(1) == 2, partition.parts_in(units))


def test_steps_and_seeds_have_their_own_permutations():
    latent = torch.arange(8 * 8 * 16, dtype=torch.float32).reshape(1, 8, 8, 16)
    orders = [Partition(latent.shape, 8, 64, seed).split(latent, step) for seed in (0, 1) for step in (0, 1, 2)]
    for i, a in enumerate(orders):
        for b in orders[:i]:
            assert (a == b).double().mean() < 0.02  # of 1024 values one stays in place on average


def test_alternating_steps_do_not_confuse_the_remembered_permutation():
    partition = Partition((1, 8, 11, 16), 4, 64)  # a shorter last unit: two permutations a step
    latent = torch.randn(partition.shape, generator=torch.Generator().manual_seed(0))
    split = {step: partition.split(latent, step) for step in (0, 1, 0, 2)}
    for step in (2, 0, 1):
        assert torch.equal(partition.join(split[step], step), latent)


def test_a_part_samples_all_times_and_frequencies_of_its_unit():
    partition = Partition((1, 8, 32, 16), 32, 512)
    frame = torch.arange(32.0)[None, None, :, None].expand(partition.shape)
    bins = torch.arange(16.0).expand(partition.shape)
    for coordinate, mean, deviation in ((frame, 15.5, 9.2), (bins, 7.5, 4.6)):
        means = partition.split(coordinate, 0).mean(1)
        assert (means - mean).abs().max() < 4 * deviation / 512**0.5


@pytest.mark.parametrize(("frames", "unit", "part"), [(0, 8, 64), (4, 0, 64), (4, 8, 0)])
def test_nothing_to_cut_is_refused(frames, unit, part):
    with pytest.raises(ConfigError, match="must be positive"):
        Partition((1, 8, frames, 16), unit, part)
