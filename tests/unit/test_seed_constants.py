"""Constants of the predecessor that have to stay what they are (docs/systems.md): a changed one is another system."""

from __future__ import annotations

from dataclasses import astuple
from inspect import signature

import numpy as np
import pytest
import torch

from noisebook.audio import mel_synthesis, post
from noisebook.audio.features import MEL_FEATURES
from noisebook.audio.front_ends import FRONT_ENDS
from noisebook.audio.mel import LOG_FLOOR, MelConfig
from noisebook.metrics.correlation import WEIGHTS
from noisebook.quantizers import config, fitting
from noisebook.quantizers.codebook import hybrid, quantise
from noisebook.quantizers.fitting import fit
from noisebook.synthesis import reconstruction_presets
from noisebook.synthesis.options import GENERATE_PRESETS
from noisebook.synthesis.reconstruction_presets import LIMITS, POSTERIORS, PRESETS, VOCODERS

INF = float("inf")
NONE = (1, 0.0, 1.0, 0.0, None, 0.0, False)  # smooth, mel lift, band lift, high-pass, loudness, softness, peak guard


@pytest.mark.parametrize(("preset", "expected"), list(zip(PRESETS, (
    ("matched", "matched", "mode", "none", "model", NONE),
    ("simple", "db-minmax", "sample", "none", "model+griffin-lim", NONE),
    ("ultimate", "db-minmax", "sample", "none", "model", NONE),
    ("ultimate-fix", "clap", "mode", "strict", "chain", (1, 0.0, 1.0, 0.0, (0.1, 10), 0.0, False)),
    ("v3-balanced", "clap", "blend", "balanced", "model", (3, 0.0, 1.0, 50, (0.2, 5), 0.2, False)),
    ("v4-high-freq", "clap", "mode", "loose", "model", (1, 6, 1.0, 0.0, (0.3, 3), 0.0, False)),
    ("v5-high-freq", "clap-wide", "mode", "none", "model", (1, 0.0, 1.5, 0.0, (0.3, 3), 0.0, False)),
    ("v5-high-freq-strong", "clap-wide", "mode", "none", "model", (1, 0.0, 2, 0.0, (0.3, 3), 0.0, False)),
    ("final-optimized", "matched", "mode", "none", "model", (1, 0.0, 1.0, 0.0, (0.1, 5), 0.0, True)),
    ("critical-fix", "db20", "sample", "none", "model+griffin-lim", NONE),
), strict=True)), ids=lambda one: getattr(one, "name", ""))  # fmt: skip
def test_axes_of_the_reconstruction_presets(preset, expected):
    *axes, after = expected
    assert [preset.name, preset.front_end, preset.posterior, preset.latent_limit, preset.vocoder] == axes
    assert astuple(preset.post) == after


# name: rate, window, hop, bins, lowest and highest frequency; top_db, relative, unit and middle in dB, cut to [-1, 1]
@pytest.mark.parametrize(("front_end", "expected"), list(zip(FRONT_ENDS, (
    ("db-minmax", (16000, 1024, 160, 64, 0.0, 8000.0), 80, True, None, 0.0, False),
    ("db20", (16000, 1024, 160, 64, 0.0, 8000.0), 80, True, 20, 0.0, True),
    ("clap", (48000, 1024, 480, 64, 50.0, 14000.0), None, False, 1.0, 0.0, False),
    ("clap-wide", (48000, 1024, 480, 64, 0.0, 24000.0), 120, False, 1.0, 0.0, False),
    ("mel-db", (48000, 1200, 480, 64, 50.0, 24000.0), 80, True, 40, -40, False),
    ("mel-db-wide", (48000, 1024, 480, 64, 0.0, 24000.0), 120, True, 60, -60, False),
    ("standard", (48000, 2048, 512, 64, 50.0, 8000.0), 80, True, 40, -40, False),
), strict=True)), ids=lambda one: getattr(one, "name", ""))  # fmt: skip
def test_front_ends(front_end, expected):
    assert astuple(front_end) == expected


@pytest.mark.parametrize(("found", "expected"), [
    (astuple(LIMITS["none"]), (INF, INF, INF, 0.3)),
    (astuple(LIMITS["strict"]), (3.0, 3.0, INF, 0.3)),
    (astuple(LIMITS["balanced"]), (4.0, 3.5, 2.0, 0.3)),
    (astuple(LIMITS["loose"]), (5.0, 4.5, INF, 0.3)),
    (POSTERIORS, {"mode": 0.0, "sample": 1.0, "blend": 0.3}),
    (VOCODERS["chain"], ("model", "model-clamped", "griffin-lim")),
    (mel_synthesis.ITERATIONS, 64),
    (astuple(MelConfig()), (16000, 1024, 160, 64, 0.0, 8000.0)),
    (round(LOG_FLOOR, 6), round(float(np.log(1e-5)), 6)),
    (post.HIGHS, 4000.0),
    ((config.TEMPERATURE, config.SOFT_ATOMS, config.MIX), (1.0, 5, 0.7)),
    ((fitting._DECAY, fitting._BATCH, fitting._STEPS, fitting._DEAD), (0.99, 4096, 600, 0.1)),
    (GENERATE_PRESETS, {"quick": (10, 5.0), "balanced": (20, 7.5), "detailed": (30, 10.0)}),
    (list(WEIGHTS.values()), [0.25, 0.20, 0.20, 0.15, 0.10, 0.05]),
    (reconstruction_presets.DEFAULT, "matched"),
], ids=str)  # fmt: skip
def test_constants(found, expected):
    assert found == expected


def test_the_defaults_of_quantisation_are_those_constants():
    soft, mixture = signature(quantise).parameters, signature(hybrid).parameters
    assert (soft["temperature"].default, soft["top_k"].default, mixture["mix"].default) == (1.0, 5, 0.7)


def test_the_commitment_is_a_quarter():
    latent = torch.randn(1, 8, 32, 16, generator=torch.Generator().manual_seed(0))
    own, given = (
        fit([latent], unit="frame", method="ema", size=4, temperature=2.0, **beta)
        for beta in ({}, {"commitment": 0.25})
    )
    assert own.record["objective"]["commitment"] == 0.25 * own.record["mse"]
    assert own.fingerprint == given.fingerprint


def test_the_lift_begins_at_bin_48():
    lifted = post.lifted(torch.zeros(1, 1, 2, 64), 6.0, MEL_FEATURES)[0, 0, 0]
    assert torch.nonzero(lifted)[:, 0].tolist() == list(range(48, 64))
    assert float(lifted[-1]) == pytest.approx(6 * np.log(10) / 20)


@pytest.mark.parametrize("mix", [0.7, 0.8])
def test_a_hybrid_is_so_much_quantised_and_the_rest_original(mix):
    latent = torch.randn(1, 8, 32, 16, generator=torch.Generator().manual_seed(0))
    book = fit([latent], unit="frame", method="gaussian", size=16)
    hard, chosen = quantise(latent, book), () if mix == config.MIX else (mix,)
    frames, plain = (
        x.transpose(1, 2).flatten(2) for x in (hybrid(hard, latent, *chosen), mix * hard + (1 - mix) * latent)
    )
    torch.testing.assert_close(*(x / x.norm(dim=-1, keepdim=True) for x in (frames, plain)))


def test_improved_is_soft_with_those_constants_and_mixed():
    from types import SimpleNamespace

    from noisebook.synthesis.options import TransformOptions
    from noisebook.synthesis.transform import quantised_latent

    latent = torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(0))
    book = fit([latent], unit="position", method="gaussian", size=32, model="ab")
    info = SimpleNamespace(autoencoder=bytes.fromhex("ab"), name="a model", latent_channels=8, latent_bins=16)

    def improved(**options):
        return quantised_latent(latent, TransformOptions(method="improved", codebook=book, **options), info)

    torch.testing.assert_close(improved(), improved(temperature=1.0, top_k=5, mix=0.7))
    for other in ({"temperature": 0.1}, {"top_k": 4}, {"mix": 0.8}):
        assert not torch.allclose(improved(), improved(**other))
