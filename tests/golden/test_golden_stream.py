"""What a stream's bits mean, pinned: choices and noise for fixed residuals, without any model.

A hash that changes means that streams written before no longer decode. Never replace one of these values to make a
test pass: give the new meaning a new wire id or format version, and keep the old one as it is (docs/format.md).
"""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
import torch

from noisebook import rng
from noisebook.codec.presets import PRESETS
from noisebook.coding.bitio import BitReader, BitWriter
from noisebook.ddcm import Key, Partition, StructuredCodebook, choose
from noisebook.diffusion.plan import Curve, kl_matched_timesteps, scaled_linear, uniform_timesteps

SHAPE = (2, 8, 11, 16)  # two channels; with units of 8 frames the last unit is shorter
SEED, SEGMENT, STEPS = 5, 2, 3

#        codebook, SHA-256 of the payload, and of the noise
STREAMS = {
    "partitioned": (
        StructuredCodebook(128, 128),
        "b43fe2025e6e3ce407dd2c9b9000ac8195630fa36cf4d38a9e3b2a1ba844bb8d",
        "a8faf63674828d7fc6a6c75b23e46dc93b09c5ea4c562f081477c26f417e75f8",
    ),
    "partitioned, K < d": (
        StructuredCodebook(256, 32),
        "5d7c8ddb13fdc9429f78bceb206740d73d1e41f7ce5eb1a7ae57be42c0e93418",
        "f21499b2c8b1fc776560766d02797c502fd26c2eae58f7f6354f0e83acf97ed5",
    ),
    "partitioned, K > d": (
        StructuredCodebook(64, 256),
        "744c2b82af204b462bdf09efe8deda0230aeef7d6272104cfa4c777e3626a4ec",
        "efbd413de51e22aaae8b71ef61c5a5a558f9bc3d8849c2de3be67a1b0d88bedd",
    ),
}


def residual(step: int) -> torch.Tensor:
    drawn = rng.gaussian(int(np.prod(SHAPE)), seed=99, purpose=rng.Purpose.NOISE, step=step)
    return torch.from_numpy(drawn).view(SHAPE)


def encode(codebook: StructuredCodebook) -> tuple[bytes, list[torch.Tensor]]:
    """Payload, and the noise of each step: what the codec does between two calls of the denoiser."""
    partition, width = Partition(SHAPE, 8, codebook.part, SEED), codebook.size.bit_length()
    writer, noises = BitWriter(), []
    for step in range(STEPS):
        key = Key(SEED, SEGMENT, step)
        choice = choose(codebook.correlate(partition.split(residual(step), step), key))
        writer.write_array(choice.numpy(), width)
        noises.append(partition.join(codebook.synthesize(choice, key), step))
    return writer.getvalue(), noises


@pytest.mark.parametrize("name", STREAMS)
def test_payload_and_noise(name):
    codebook, payload_hash, noise_hash = STREAMS[name]
    payload, noises = encode(codebook)
    assert sha256(payload).hexdigest() == payload_hash
    data = (torch.stack(noises).contiguous() + 0.0).numpy().astype("<f4").tobytes()  # -0.0 becomes 0.0
    assert sha256(data).hexdigest() == noise_hash


@pytest.mark.parametrize("name", STREAMS)
def test_the_pinned_payload_reads_back_as_its_noise(name):
    codebook, width = STREAMS[name][0], STREAMS[name][0].size.bit_length()
    payload, noises = encode(codebook)
    partition, reader = Partition(SHAPE, 8, codebook.part, SEED), BitReader(payload)
    for step, noise in enumerate(noises):
        choice = torch.from_numpy(reader.read_array(partition.parts, width))
        atoms = codebook.synthesize(choice, Key(SEED, SEGMENT, step))
        assert torch.equal(partition.join(atoms, step), noise)
    reader.finish()


# --- plans: encoder and decoder compute them from the model's curve ---------------------------------------------

CURVE = Curve((0, 100, 300, 600, 999), (0.01, 0.1, 0.25, 0.5, 0.99))
TIMESTEPS = {  # by the id of the preset
    1: (999, 920, 884, 860, 842, 827),
    2: (999, 876, 831, 802, 780, 762, 747, 734, 722, 712),
    3: (999, 836, 783, 749, 724, 704, 687, 672, 659, 647, 636, 626, 616, 607, 598, 590),
    4: (999, 746, 675, 630, 595, 567, 543, 522, 504, 488, 473, 459, 446),
    5: (999, 714, 635, 584, 546, 515, 489, 466, 446, 428, 411, 396, 382, 369, 357, 345, 334),
    6: (999, 669, 578, 520, 477, 442, 412, 386, 363, 343, 325, 308, 293, 279, 266, 254, 243, 232),
    7: (999, 624, 519, 453, 404, 365, 332, 304, 279, 257, 238, 221, 206, 192, 179, 168, 157, 147),
    8: (999, 572, 450, 376, 322, 279, 244, 215, 191, 170, 152, 137, 124, 112, 102, 93, 85, 78, 71, 65, 60),
}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_matched_timesteps_of_the_presets(preset):
    e = preset.params
    bits = (e.log2_K + 1) / 2**e.log2_part
    timesteps = kl_matched_timesteps(
        scaled_linear(), CURVE, steps=e.steps, bits_per_value=bits, kappa=e.kappa_percent / 100
    )
    assert timesteps == TIMESTEPS[preset.wire_id]


def test_uniform_timesteps_stay():
    assert uniform_timesteps(scaled_linear(), steps=7) == (999, 860, 720, 580, 440, 300, 160, 20)
