"""Sounds from a prompt, as each model was published, and the best of several by CLAP."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
import torch

from noisebook import api
from noisebook.audio.io import read
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.errors import ConfigError
from tests.family.conftest import each

diffusers = pytest.importorskip("diffusers", reason="checkpoints of other projects need diffusers")
transformers = pytest.importorskip("transformers", reason="checkpoints of other projects need transformers")

PROMPT = "A dog barks twice."
SHORT = {"seconds": 0.3, "steps": 2}


class Begun(Exception):
    """Raised at the first step."""


def steps_of(backend, **options) -> int:
    """How many steps a sound would take; it is left at the first."""

    def stop(done: int, total: int) -> None:
        raise Begun(total)

    with pytest.raises(Begun) as begun:
        api.generate(PROMPT, backend=backend, seconds=0.3, on_step=stop, **options)
    return int(begun.value.args[0])


@each("audioldm2", "audioldm", "musicldm", "stable_audio")
def test_defaults_are_those_of_the_published_pipeline(folder, load):
    backend = load(folder)
    call = inspect.signature(getattr(diffusers, backend.checkpoint.pipeline).__call__).parameters
    assert backend.info.sampling.steps == call["num_inference_steps"].default == steps_of(backend)
    assert backend.info.sampling.guidance == call["guidance_scale"].default


def test_a_preset_and_what_is_given_go_first(audioldm2_folder, load):
    backend = load(audioldm2_folder)
    assert steps_of(backend, preset="quick") == 10
    assert steps_of(backend, preset="quick", steps=7) == steps_of(backend, steps=7) == 7
    own, sounds = backend.info.sampling, {}
    for name, options in {
        "own": {}, "same": {"guidance": own.guidance, "scheduler": own.sampler, "spacing": own.spacing, "rescale": 0},
        "guidance": {"guidance": 7.5}, "sampler": {"scheduler": "dpm++"}, "spacing": {"spacing": "quadratic"},
        "rescale": {"rescale": 1}, "negative": {"negative": "rain"},
    }.items():  # fmt: skip
        sounds[name] = api.generate(
            PROMPT, backend=backend, seed=3, seconds=0.3, steps=3, **options
        ).sound.samples.tobytes()
    assert sounds.pop("same") == sounds["own"]
    assert len(set(sounds.values())) == len(sounds)


def clap_says(folder, sounds: list[Waveform]) -> torch.Tensor:
    """Cosines to the prompt, by the library's own model alone."""
    clap = transformers.ClapModel.from_pretrained(folder / "text_encoder", local_files_only=True).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
    extractor = transformers.ClapFeatureExtractor.from_pretrained(folder / "feature_extractor", local_files_only=True)
    heard = extractor([resample(sound, 48000).samples[0] for sound in sounds], sampling_rate=48000, return_tensors="pt")
    with torch.no_grad():
        told = clap(**tokenizer(PROMPT, return_tensors="pt"), **heard)
    return (
        torch.nn.functional.normalize(told.audio_embeds, dim=-1)
        @ torch.nn.functional.normalize(told.text_embeds, dim=-1)[0]
    )


@each("audioldm2", "musicldm")
def test_the_best_of_several_is_claps_choice(folder, load):
    backend = load(folder)
    made = api.generate(PROMPT, backend=backend, seed=2**64 - 1, num_candidates=3, **SHORT)
    alone = [api.generate(PROMPT, backend=backend, seed=seed, **SHORT).sound for seed in (2**64 - 1, 0, 1)]
    expected = clap_says(folder, alone)
    assert made.similarities == pytest.approx(expected.tolist(), abs=1e-4)
    best = int(np.argmax(made.similarities))
    assert made.seed == (2**64 - 1, 0, 1)[best]
    np.testing.assert_array_equal(made.sound.samples, alone[best].samples)
    assert "text_encoder" not in backend.networks.loaded


def test_candidates_need_a_prompt_and_a_judge(audioldm2_folder, audioldm_folder, load):
    with pytest.raises(ConfigError, match="ranked by how well they suit a prompt"):
        api.generate("", backend=load(audioldm2_folder), num_candidates=2, **SHORT)
    with pytest.raises(ConfigError, match="makes one candidate"):
        api.generate(PROMPT, backend=load(audioldm_folder), num_candidates=2, **SHORT)


def test_the_command_tells_how_it_chose(noisebook, audioldm2_folder):
    words = ("generate", PROMPT, "x.wav", "-t", 0.3, "--steps", 1, "--seed", 4, "--num-candidates", 2,
             "--model", audioldm2_folder, "--device", "cpu")  # fmt: skip
    report = json.loads(noisebook(*words, "--json").text)
    assert len(report["similarities"]) == 2
    assert report["seed"] in (4, 5)
    assert ", the best of 2: " in noisebook(*words, "-f").text
    assert read("x.wav").sample_count == 4800
    assert "--num-candidates does not go with --ddcm" in noisebook(*words, "--ddcm", 8, "-f").err


def test_what_encodes_a_prompt_leaves_memory(audioldm2_folder, empty_cache):
    backend = api.load_backend(str(audioldm2_folder), device="cpu")
    backend.condition(PROMPT)
    backend.condition("")
    assert backend.networks.loaded == ()
