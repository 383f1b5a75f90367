"""The small checkpoints of other projects: loaded by the libraries themselves, they behave as the published ones do."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from tests.checkpoints import parts
from tests.checkpoints.damage import KINDS, damage

diffusers = pytest.importorskip("diffusers", reason="checkpoints of other projects need diffusers")
transformers = pytest.importorskip("transformers", reason="checkpoints of other projects need transformers")

FAMILY = ("audioldm2", "audioldm2_lm_head", "audioldm", "musicldm", "stable_audio")
MEL_MODELS = FAMILY[:4]
NETWORKS = {"vae", "unet", "transformer", "vocoder", "text_encoder", "text_encoder_2", "projection_model",
            "language_model"}  # fmt: skip


@pytest.fixture
def checkpoint(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(f"{request.param}_folder")


def each(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("checkpoint", names, indirect=True)


def index_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "model_index.json").read_text())


def load(folder: Path, part: str) -> Any:
    """A network, by the class that the index names; nothing in it may be missing."""
    name = index_of(folder)[part][1]
    network_class = getattr(diffusers, name, None) or getattr(transformers, name)
    config = json.loads((folder / part / "config.json").read_text())
    assert name in (config.get("_class_name"), *config.get("architectures", ()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # Oobleck
        network, told = network_class.from_pretrained(
            folder / part, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    assert not told["missing_keys"]
    assert not told["mismatched_keys"]
    return network.eval().requires_grad_(False)


def pipeline_of(folder: Path) -> Any:
    pipeline = getattr(diffusers, index_of(folder)["_class_name"]).from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


# --- the layout --------------------------------------------------------------------------------------------------


@each(*FAMILY)
def test_every_part_loads_by_the_class_that_the_index_names(checkpoint: Path) -> None:
    named = {part for part, value in index_of(checkpoint).items() if isinstance(value, list)}
    assert named == {path.name for path in checkpoint.iterdir() if path.is_dir()}
    for part in named & NETWORKS:
        load(checkpoint, part)


@each(*FAMILY)
def test_a_checkpoint_is_small_and_has_no_pickle(checkpoint: Path) -> None:
    files = [path for path in checkpoint.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 8e6
    assert {path.suffix for path in files} <= {".json", ".safetensors", ".txt"}


def test_the_seed_decides_the_weights(audioldm_folder: Path, tmp_path: Path) -> None:
    from tests.checkpoints.family import build_audioldm

    first, same, other = (
        load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")["conv_in.weight"]
        for folder in (
            audioldm_folder,
            build_audioldm(tmp_path / "same", seed=0),
            build_audioldm(tmp_path / "other", seed=1),
        )
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_real_size_is_that_of_the_published_checkpoint() -> None:
    with torch.device("meta"):
        unet = parts.audioldm2_unet(real=True)
    assert sum(p.numel() for p in unet.parameters()) == 346_943_496  # 1.39 GB of float32


# --- tokenizers --------------------------------------------------------------------------------------------------


def test_the_byte_level_tokenizer_has_robertas_special_tokens(audioldm2_folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(audioldm2_folder / "tokenizer", local_files_only=True)
    assert isinstance(tokenizer, transformers.RobertaTokenizerFast)
    ids = tokenizer("A dog sang « été ».").input_ids
    assert (ids[0], ids[-1], tokenizer.pad_token_id, tokenizer.model_max_length) == (0, 2, 1, 512)
    assert tokenizer.decode(ids, skip_special_tokens=True) == "A dog sang « été »."  # bytes know every word


def test_the_unigram_tokenizer_has_t5s_special_tokens(audioldm2_folder: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(audioldm2_folder / "tokenizer_2", local_files_only=True)
    assert isinstance(tokenizer, transformers.T5TokenizerFast)
    assert tokenizer("").input_ids == [1]
    ids = tokenizer("A dog barks 3").input_ids
    assert (ids[-2:], tokenizer.pad_token_id, tokenizer.model_max_length) == ([2, 1], 0, 128)  # unknown, end
    assert tokenizer.decode(tokenizer("A dog barks").input_ids, skip_special_tokens=True) == "A dog barks"


# --- networks ----------------------------------------------------------------------------------------------------


@each(*MEL_MODELS)
def test_the_vae_of_a_mel_model(checkpoint: Path) -> None:
    vae = load(checkpoint, "vae")
    mel = 2 * torch.randn(1, 1, 64, 64) - 6
    posterior = vae.encode(mel).latent_dist
    latent = posterior.mode() * vae.config.scaling_factor
    assert latent.shape == (1, 8, 16, 16)
    assert 0.5 < latent.std() < 2
    assert posterior.std.mean() < 0.5
    decoded = vae.decode(latent / vae.config.scaling_factor).sample
    assert decoded.shape == mel.shape
    assert -8 < decoded.mean() < -4


@each(*MEL_MODELS)
def test_the_vocoder_gives_sound_that_depends_on_the_mel(checkpoint: Path) -> None:
    vocoder = load(checkpoint, "vocoder")
    mel = 2 * torch.randn(1, 64, 64) - 6
    sound = vocoder(mel)
    assert sound.shape == (1, 160 * 64 + 32)
    assert (sound - vocoder(mel + 0.1 * torch.randn_like(mel))).std() > 0.001
    assert sound.abs().max() < 1


def test_the_schedule_is_audioldms(audioldm2_folder: Path) -> None:
    from noisebook.diffusion.plan import scaled_linear

    scheduler = diffusers.DDIMScheduler.from_pretrained(audioldm2_folder / "scheduler", local_files_only=True)
    ours = torch.tensor(scaled_linear().alphas_cumprod)
    assert torch.allclose(scheduler.alphas_cumprod, ours, rtol=1e-4)
    assert (scheduler.config.prediction_type, scheduler.config.steps_offset) == ("epsilon", 1)


def test_the_language_models_of_both_classes_read_each_other(
    audioldm2_folder: Path, audioldm2_lm_head_folder: Path
) -> None:
    with_head = load(audioldm2_lm_head_folder, "language_model")
    base, told = transformers.GPT2Model.from_pretrained(
        audioldm2_lm_head_folder / "language_model", local_files_only=True, output_loading_info=True
    )
    assert not told["missing_keys"]
    assert all(torch.equal(a, b) for a, b in zip(base.parameters(), with_head.transformer.parameters(), strict=True))
    assert load(audioldm2_folder, "language_model").config.max_new_tokens == with_head.config.max_new_tokens == 8


def test_the_waves_of_stable_audio(stable_audio_folder: Path) -> None:
    vae = load(stable_audio_folder, "vae")
    posterior = vae.encode(0.2 * torch.randn(1, 2, 3 * 2048)).latent_dist
    assert posterior.mode().shape == (1, 16, 3)
    assert 0.3 < posterior.mode().std() < 3
    assert posterior.std.mean() < 0.2
    sounds = [vae.decode(torch.randn(1, 16, 3)).sample for _ in range(2)]
    assert sounds[0].shape == (1, 2, 3 * 2048)
    assert (sounds[0] - sounds[1]).std() > 0.01


# --- pipelines ---------------------------------------------------------------------------------------------------


def test_a_prompt_steers_audioldm2(audioldm2_lm_head_folder: Path) -> None:
    pipeline = pipeline_of(audioldm2_lm_head_folder)
    prompts = [pipeline.encode_prompt(text, "cpu", 1, False) for text in ("A dog barks", "Solo piano", "")]
    assert [tuple(generated.shape) for _, _, generated in prompts] == [(1, 8, 16)] * 3
    assert tuple(prompts[2][0].shape) == (1, 1, 32)  # the empty text is one vector of T5
    x = torch.randn(1, 8, 8, 16)
    with torch.no_grad():
        noises = [
            pipeline.unet(
                x, 500, encoder_hidden_states=g, encoder_hidden_states_1=t5, encoder_attention_mask_1=m
            ).sample
            for t5, m, g in prompts
        ]
    assert noises[0].shape == x.shape
    assert min((noises[0] - noises[1]).std(), (noises[0] - noises[2]).std()) > 0.01


@each("audioldm2_lm_head", "audioldm")
def test_the_pipeline_generates_from_a_prompt(checkpoint: Path) -> None:
    pipeline = pipeline_of(checkpoint)
    sound = pipeline("A dog barks", audio_length_in_s=0.64, num_inference_steps=2).audios
    assert sound.shape == (1, 10240)
    assert sound.std() > 0.01


def test_the_pipeline_generates_music_from_a_vector(musicldm_folder: Path) -> None:
    vector = torch.nn.functional.normalize(torch.randn(1, parts.CLAP_PROJECTION))
    pipeline = pipeline_of(musicldm_folder)
    sound = pipeline(prompt_embeds=vector, guidance_scale=1.0, audio_length_in_s=0.64, num_inference_steps=2).audios
    assert sound.shape == (1, 10240)
    assert sound.std() > 0.01


def test_the_pipeline_generates_latents_of_stable_audio(stable_audio_folder: Path) -> None:
    pytest.importorskip("torchsde", reason="the scheduler of Stable Audio needs torchsde")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's old weight norm, and the rounding of sigma in torchsde
        pipeline = pipeline_of(stable_audio_folder)
        latent = pipeline("A dog barks", audio_end_in_s=1.0, num_inference_steps=2, output_type="latent").audios
    assert latent.shape == (1, 16, 1024)
    assert 0.1 < latent.std() < 10


def test_the_transformer_of_stable_audio_listens_to_words_and_seconds(stable_audio_folder: Path) -> None:
    from diffusers.models.embeddings import get_1d_rotary_pos_embed

    transformer, projection = (load(stable_audio_folder, part) for part in ("transformer", "projection_model"))
    rotary = get_1d_rotary_pos_embed(
        transformer.config.attention_head_dim // 2, 9, use_real=True, repeat_interleave_real=False
    )
    x, words = torch.randn(1, 16, 8), torch.randn(1, 5, 32)

    def velocity(seconds: float, words: torch.Tensor) -> torch.Tensor:
        told = projection(start_seconds=torch.tensor([0.0]), end_seconds=torch.tensor([seconds]))
        reach = (told.seconds_start_hidden_states, told.seconds_end_hidden_states)
        return transformer(
            x,
            torch.tensor([0.5]),
            encoder_hidden_states=torch.cat((words, *reach), dim=1),
            global_hidden_states=torch.cat(reach, dim=2),
            rotary_embedding=rotary,
            return_dict=False,  # the library deprecates its own output class
        )[0]

    v = velocity(10.0, words)
    assert v.shape == x.shape
    assert not torch.allclose(v, velocity(400.0, words), atol=1e-4)
    assert not torch.allclose(v, velocity(10.0, 0 * words), atol=1e-4)


# --- damage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["vae", "vocoder"])  # one of each library
@pytest.mark.parametrize("kind", KINDS)
def test_every_damage_shows_in_a_strict_reading(audioldm2_folder: Path, tmp_path: Path, kind: str, part: str) -> None:
    folder = damage(Path(shutil.copytree(audioldm2_folder, tmp_path / "model")), kind, part=part)
    with pytest.raises((AssertionError, OSError, RuntimeError, SafetensorError, ValueError)):
        read_strictly(folder, part)


@pytest.mark.parametrize("part", ["vae", "vocoder"])
def test_a_copy_without_damage_is_read(audioldm2_folder: Path, tmp_path: Path, part: str) -> None:
    read_strictly(Path(shutil.copytree(audioldm2_folder, tmp_path / "model")), part)


def read_strictly(folder: Path, part: str) -> None:
    assert index_of(folder)["_class_name"] == "AudioLDM2Pipeline"
    assert index_of(folder)[part][1] in ("AutoencoderKL", "SpeechT5HifiGan")
    load(folder, part)


@pytest.mark.parametrize("kind", ["lost tensor", "pickle", "other pipeline"])
def test_some_damage_is_silent_to_the_libraries(audioldm2_folder: Path, tmp_path: Path, kind: str) -> None:
    folder = damage(Path(shutil.copytree(audioldm2_folder, tmp_path / "model")), kind, part="vocoder")
    transformers.SpeechT5HifiGan.from_pretrained(folder / "vocoder", local_files_only=True)
