"""Generation on a small random model: lengths, seeds, guidance, long timelines, and streams that decode to the bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import Decoder
from noisebook.coding import container
from noisebook.diffusion.denoisers import over_timeline, prompted
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.samplers import SAMPLERS, SPACINGS
from noisebook.errors import ConfigError
from noisebook.synthesis import generate as generating
from noisebook.synthesis.generate import _Steered, generate, generate_latents, generate_stream, within_full_scale
from noisebook.synthesis.options import GenerateOptions, GenerateStreamOptions

QUICK = GenerateOptions(prompt="music", steps=3)
STREAM = GenerateStreamOptions(prompt="music", steps=5, K=16)


def make(backend, seed: int = 0, **changes) -> torch.Tensor:
    return generate_latents(replace(QUICK, **changes), seeds=(seed,), frames=8, backend=backend)


@pytest.mark.parametrize("seconds", [0.04, 0.5, 0.50001, 1.2345])
def test_length_is_exact(backend, seconds):
    sound = generate(replace(QUICK, seconds=seconds, seed=1), backend=backend)
    assert sound.samples.shape == (1, round(16000 * seconds))
    assert np.isfinite(sound.samples).all()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 1e9])
def test_lengths_that_cannot_be(backend, seconds):
    with pytest.raises(ConfigError, match="seconds"):
        generate(replace(QUICK, seconds=seconds, seed=1), backend=backend)
    with pytest.raises(ConfigError, match="seconds"):
        generate_stream(replace(STREAM, seconds=seconds), backend=backend)


def test_a_seed_is_a_sound(backend):
    again, same, other, last = (make(backend, seed) for seed in (5, 5, 6, 2**64 - 1))
    assert torch.equal(again, same)
    assert not torch.allclose(again, other)
    assert not torch.allclose(other, last)


@pytest.mark.parametrize("scheduler", SAMPLERS)
def test_several_seeds_at_once_are_each_what_it_is_alone(backend, scheduler):
    both = generate_latents(replace(QUICK, scheduler=scheduler), seeds=(5, 6), frames=8, backend=backend)
    for got, seed in zip(both, (5, 6), strict=True):
        assert torch.allclose(got, make(backend, seed, scheduler=scheduler)[0], atol=1e-4)


def test_every_scheduler_and_spacing_makes_another_sound(backend):
    latents = [make(backend, scheduler=scheduler) for scheduler in SAMPLERS]
    latents += [make(backend, spacing=spacing) for spacing in SPACINGS if spacing != backend.info.sampling.spacing]
    for i, a in enumerate(latents):
        assert not any(torch.allclose(a, b, atol=1e-3) for b in latents[:i])


@pytest.mark.parametrize("change", [{"prompt": "speech"}, {"negative": "speech"}, {"guidance": 1.0}, {"rescale": 0.0}])
def test_what_is_asked_for_matters(backend, change):
    assert not torch.allclose(make(backend), make(backend, **change), atol=1e-5)


def test_guidance_is_off_where_there_is_nothing_to_follow(backend):
    assert torch.equal(make(backend, prompt="", guidance=7.0), make(backend, prompt="", guidance=1.0))
    assert not torch.allclose(make(backend, prompt="", negative="speech"), make(backend, prompt=""), atol=1e-5)


def test_without_guidance_a_step_is_one_call(backend, monkeypatch):
    calls: list[int] = []
    denoise = backend.denoise
    monkeypatch.setattr(backend, "denoise", lambda x, t, *args, **more: calls.append(t) or denoise(x, t, *args, **more))
    for guidance, expected in ((1.0, 3), (2.0, 6)):
        calls.clear()
        make(backend, guidance=guidance)
        assert len(calls) == expected


@pytest.mark.parametrize(
    ("change", "word"),
    [({"guidance": -1.0}, "guidance"), ({"rescale": 1.5}, "rescale"), ({"scheduler": "euler"}, "euler"),
     ({"spacing": "odd"}, "odd"), ({"steps": 0}, "steps"), ({"prompt": "qwertz"}, "qwertz"),
     ({"negative": "qwertz"}, "qwertz")],
)  # fmt: skip
def test_settings_out_of_range(backend, change, word):
    with pytest.raises(ConfigError, match=word):
        make(backend, **change)


def test_a_prompt_of_one_tag_is_that_tag_to_the_bit(backend):
    x = torch.randn(2, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    for text, tag in (("", 0), ("music", 1), ("effects", 3)):
        with_condition = backend.denoise(x, 300, condition=backend.condition(text))
        assert torch.equal(with_condition, backend.denoise(x, 300, tag))
    mixed = backend.denoise(x, 300, condition=backend.condition("music speech"))
    assert not any(torch.allclose(mixed, backend.denoise(x, 300, tag)) for tag in (0, 1, 2))


def test_prompted_denoiser_counts_its_calls_and_spans_windows(backend):
    calls: list[tuple[int, int]] = []
    denoise = prompted(backend, prompt="speech", negative=None, guidance=3.0,
                       on_step=lambda *call: calls.append(call), total=2)  # fmt: skip
    x = torch.randn(1, 8, 300, 16, generator=torch.Generator().manual_seed(0))
    got = denoise(x, 400)
    follow, free = over_timeline(backend, tag=2)(x, 400), over_timeline(backend)(x, 400)
    assert torch.allclose(got, free + 3 * (follow - free), atol=1e-5)
    denoise(x, 300)
    assert calls == [(1, 2), (2, 2)]


def test_noise_of_a_longer_timeline_begins_with_that_of_a_shorter():
    short, long = (gaussian_noise((1, 8, frames, 16), seed=2**64 - 1, step=3, device="cpu") for frames in (20, 50))
    assert torch.equal(short, long[:, :, :20])
    assert abs(float(long.std()) - 1) < 0.02
    others = [
        gaussian_noise((1, 8, 20, 16), seed=seed, step=step, device="cpu") for seed, step in ((1, 3), (2**64 - 1, 4))
    ]
    assert not any(torch.equal(short, other) for other in others)
    with pytest.raises(ConfigError, match="seed"):
        gaussian_noise((1, 8, 20, 16), seed=2**64, step=0, device="cpu")


@pytest.mark.parametrize(
    "change",
    [{}, {"prompt": ""}, {"prompt": "piano in the rain"}, {"negative": "speech"}, {"prompt": "", "negative": "speech"},
     {"prompt": "man talking", "negative": "music"}, {"candidates": 1}, {"K": 4, "candidates": 2}, {"seed": 255}],
    ids=str,
)  # fmt: skip
def test_a_generated_stream_decodes_to_what_was_played(backend, change):
    stream, sound = generate_stream(replace(replace(STREAM, **change), seconds=0.7), backend=backend)
    assert np.array_equal(Decoder(stream, backend=backend).sound().samples, sound.samples)
    assert sound.samples.shape == (1, 11200)


def test_the_stream_is_as_large_as_its_choices(backend):
    for K, bits in ((4, 2), (1024, 10)):
        stream, _ = generate_stream(replace(replace(STREAM, K=K, candidates=2), seconds=20.5), backend=backend)
        header, size = container.parse_header(stream)
        assert (header.params.choice_bits, header.params.part, header.params.steps) == (bits, 2**15, 5)
        units = 3  # of 10.24 s
        assert len(stream) == size + -(-5 * units * bits // 8) + 2


def test_the_tag_of_a_stream_is_a_prompt_that_means_one(backend):
    for prompt, tag in (("music", 1), (" Speech", 2), ("man talking", 2), ("piano in the rain", None), ("", None)):
        stream, _ = generate_stream(replace(replace(STREAM, prompt=prompt), seconds=0.2), backend=backend)
        assert container.parse_header(stream)[0].tag == tag


def test_candidates_steer_towards_the_prompt(backend, monkeypatch):
    """The chosen noise has the inner product with the direction that the best of so many random atoms has."""
    found: list[float] = []
    original = generating._choice

    def spy(coder, direction, indices, step):
        choice = original(coder, direction, indices, step)
        noise = coder.noise(choice, step)
        found.append(float((noise * direction).sum() / direction.norm()))
        return choice

    monkeypatch.setattr(generating, "_choice", spy)
    means = {}
    for candidates in (2, 16):
        found.clear()
        for choice_seed in range(2):
            settings = GenerateStreamOptions(
                prompt="song", K=1024, steps=20, candidates=candidates, choice_seed=choice_seed
            )
            generate_stream(replace(settings, seconds=0.3), backend=backend)
        means[candidates] = np.mean(found)
    assert means[2] == pytest.approx(0.56, abs=0.45)  # the mean of the larger of two normal numbers
    assert means[16] == pytest.approx(1.77, abs=0.35)  # of 16


@pytest.mark.parametrize(
    ("prompt", "negative", "toward", "away"),
    [("", "", 0, 0), ("music", "", 1, 0), ("music", "speech", 1, 2), ("song of birds", "speech", None, 2),
     ("man talking", "", 2, 0), ("", "effects", 0, 3)],
)  # fmt: skip
def test_the_direction_is_from_what_is_not_asked_for_to_what_is(backend, prompt, negative, toward, away):
    settings = replace(STREAM, prompt=prompt, negative=negative)
    x = torch.randn(1, 8, 12, 16, generator=torch.Generator().manual_seed(0))
    header = container.parse_header(generate_stream(replace(settings, seconds=0.1), backend=backend)[0])[0]
    decoder = over_timeline(backend, tag=header.tag or 0)
    steered = _Steered(decoder, settings, header, backend)
    assert torch.equal(steered(x, 300), decoder(x, 300))
    estimates = {tag: backend.denoise(x, 300, tag) for tag in range(4)}
    estimates[None] = backend.denoise(x, 300, condition=backend.condition(prompt))
    assert torch.allclose(steered.direction, estimates[toward] - estimates[away], atol=1e-6)


def test_choice_seeds_and_seeds_are_sounds(backend):
    def payload(**change) -> bytes:
        return generate_stream(replace(replace(STREAM, steps=10, **change), seconds=0.3), backend=backend)[0]

    assert payload() == payload()
    assert len({payload(), payload(choice_seed=2**64 - 1), payload(seed=1)}) == 3


@pytest.mark.parametrize(
    ("change", "word"),
    [({"K": 3}, "power of two"), ({"K": 1}, "power of two"), ({"K": 2**30}, "log2_K|atoms"), ({"seed": 256}, "seed"),
     ({"candidates": 0}, "candidates"), ({"candidates": 17}, "candidates"), ({"steps": 990}, "steps")],
)  # fmt: skip
def test_stream_settings_out_of_range(backend, change, word):
    with pytest.raises(ConfigError, match=word):
        generate_stream(replace(replace(STREAM, **change), seconds=0.3), backend=backend)


@pytest.mark.parametrize("change", [{"prompt": "piano in the rain"}, {"negative": "speech"}])
def test_a_prompt_without_effect_is_refused(backend, change):
    with pytest.raises(ConfigError, match="no effect"):
        generate_stream(replace(replace(STREAM, candidates=1, **change), seconds=0.1), backend=backend)
    streams = [
        generate_stream(replace(replace(STREAM, steps=20, **c), seconds=0.1), backend=backend)[0] for c in ({}, change)
    ]
    assert streams[0] != streams[1]


def test_a_stream_has_one_segment(backend):
    with pytest.raises(ConfigError, match="64 seconds"):
        generate_stream(replace(STREAM, seconds=64.1), backend=backend)


def test_loud_sounds_are_made_to_fit(backend, monkeypatch):
    peaks = [Waveform(np.full((1, 1), peak, np.float32), 16000) for peak in (0, 0.5, -1, 1.01, -2, 10)]
    assert [within_full_scale(sound)[1] for sound in peaks] == [0, 0, 0, 1, 13, 40]
    quiet = generate(replace(QUICK, seconds=0.3, seed=1), backend=backend)
    gain = 4 / float(np.abs(quiet.samples).max())
    vocode = type(backend).vocode
    monkeypatch.setattr(type(backend), "vocode", lambda self, mel, *first: gain * vocode(self, mel, *first))
    loud = generate(replace(QUICK, seconds=0.3, seed=1), backend=backend)
    assert 0.94 < np.abs(loud.samples).max() <= 1
    stream, sound = generate_stream(replace(STREAM, seconds=0.3), backend=backend)
    assert np.abs(sound.samples).max() <= 1
    assert container.parse_header(stream)[0].gain_half_db > 0
    assert np.array_equal(Decoder(stream, backend=backend).sound().samples, sound.samples)


def test_the_facade_fills_in_presets_and_seeds(backend):
    made = api.generate("sombre music", backend=backend, seconds=0.2, preset="quick", seed=9)
    assert (made.seed, made.unknown) == (9, ("sombre",))
    same = generate(
        replace(GenerateOptions(prompt="sombre music", steps=10, guidance=5.0), seconds=0.2, seed=9), backend=backend
    )
    assert np.array_equal(made.sound.samples, same.samples)
    random = [api.generate(backend=backend, seconds=0.2, steps=2) for _ in range(2)]
    assert random[0].seed != random[1].seed
    with pytest.raises(ConfigError, match="balanced"):
        api.generate(backend=backend, preset="best")
    streams = [api.generate_stream(backend=backend, seconds=0.2, steps=4, K=4, seed=seed) for seed in (3, 3, None)]
    assert streams[0].data == streams[1].data
    assert streams[0].seed == 3
    assert np.array_equal(api.decompress(streams[2].data, backend=backend).samples, streams[2].sound.samples)
