"""Builders of checkpoints: a pipeline each, saved by its own `save_pretrained`.

A checkpoint is a folder with `model_index.json` and one folder for each part: `config.json` and safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from . import parts
from .tokens import roberta_tokenizer, t5_tokenizer

__all__ = [
    "AUDIOLDM2_SCALING",
    "AUDIOLDM_SCALING",
    "build_audioldm",
    "build_audioldm2",
    "build_musicldm",
    "build_stable_audio",
]

AUDIOLDM_SCALING = 0.9392935633659363  # cvssp/audioldm-s-full-v2, vae/config.json
AUDIOLDM2_SCALING = 0.4110932946205139  # cvssp/audioldm2, vae/config.json


def build_audioldm2(
    folder: Path,
    *,
    language_model: Literal["GPT2Model", "GPT2LMHeadModel"] = "GPT2Model",
    seed: int = 0,
    size: Literal["tiny", "coding", "real"] = "tiny",
) -> Path:
    """An AudioLDM 2 checkpoint with random weights.

    Args:
        language_model: class of the language model; the published checkpoints name "GPT2Model".
        seed: of the weights.
        size: "tiny"; or "real", with the true configuration of cvssp/audioldm2 (1.1 G parameters, 4.5 GB; the
            tokenizers stay small); or "coding", of which only the parts are there that coding needs (unet, vae,
            scheduler, vocoder; 457 M), although its index names all, as a partial download does.

    Returns:
        `folder`.
    """
    import torch
    from diffusers import AudioLDM2Pipeline

    torch.manual_seed(seed)
    real, text = size != "tiny", dict[str, Any].fromkeys(AUDIOLDM2_TEXT)
    if size != "coding":
        text = _audioldm2_text(folder, language_model, real=real)
    pipeline = AudioLDM2Pipeline(
        unet=parts.audioldm2_unet(real=real),
        vae=parts.mel_vae(scaling_factor=AUDIOLDM2_SCALING, real=real),
        scheduler=parts.ddim(),
        vocoder=parts.hifi_gan(real=real),
        **text,
    )
    pipeline.save_pretrained(folder)
    if size == "coding":
        _name_absent_parts(folder, AUDIOLDM2_TEXT)
    return folder


AUDIOLDM2_TEXT = {
    "text_encoder": ["transformers", "ClapModel"],
    "text_encoder_2": ["transformers", "T5EncoderModel"],
    "projection_model": ["audioldm2", "AudioLDM2ProjectionModel"],
    "language_model": ["transformers", "GPT2Model"],
    "tokenizer": ["transformers", "RobertaTokenizerFast"],
    "tokenizer_2": ["transformers", "T5TokenizerFast"],
    "feature_extractor": ["transformers", "ClapFeatureExtractor"],
}


def _audioldm2_text(folder: Path, language_model: str, *, real: bool) -> dict[str, Any]:
    import torch
    import transformers
    from diffusers import AudioLDM2ProjectionModel

    tokenizer, tokenizer_2 = roberta_tokenizer(folder / "tokenizer"), t5_tokenizer(folder / "tokenizer_2")
    config = transformers.GPT2Config()
    if not real:
        config = transformers.GPT2Config(
            vocab_size=8, n_embd=16, n_head=2, n_layer=2, n_positions=256, bos_token_id=0, eos_token_id=0
        )
    config.max_new_tokens = 8
    projection = AudioLDM2ProjectionModel(*((512, 1024, 768) if real else (parts.CLAP_PROJECTION, 32, 16)))
    for name in ("sos_embed", "eos_embed", "sos_embed_1", "eos_embed_1"):  # made as ones, all alike
        torch.nn.init.normal_(getattr(projection, name))
    return {
        "text_encoder": parts.large_clap() if real else parts.small_clap(len(tokenizer)),
        "text_encoder_2": parts.large_t5() if real else parts.small_t5(len(tokenizer_2), feed_forward="gated-gelu"),
        "projection_model": projection,
        "language_model": getattr(transformers, language_model)(config),
        "tokenizer": tokenizer,
        "tokenizer_2": tokenizer_2,
        "feature_extractor": transformers.ClapFeatureExtractor(truncation="rand_trunc"),
    }


def _name_absent_parts(folder: Path, classes: dict[str, list[str]]) -> None:
    """Write the classes of parts that have no folder into the index."""
    path = folder / "model_index.json"
    index = json.loads(path.read_text())
    path.write_text(json.dumps({**index, **classes}, indent=2))


def build_audioldm(folder: Path, *, seed: int = 0) -> Path:
    """An AudioLDM (version 1) checkpoint, small, with random weights: one CLAP vector is the class embedding."""
    import torch
    from diffusers import AudioLDMPipeline

    torch.manual_seed(seed)
    tokenizer = roberta_tokenizer(folder / "tokenizer")
    pipeline = AudioLDMPipeline(
        unet=parts.film_unet(),
        vae=parts.mel_vae(scaling_factor=AUDIOLDM_SCALING),
        scheduler=parts.ddim(),
        vocoder=parts.hifi_gan(),
        text_encoder=parts.small_clap_text(len(tokenizer)),
        tokenizer=tokenizer,
    )
    pipeline.save_pretrained(folder)
    return folder


def build_musicldm(folder: Path, *, seed: int = 0) -> Path:
    """A MusicLDM checkpoint, small, with random weights: AudioLDM's denoiser with both branches of CLAP."""
    import torch
    from diffusers import MusicLDMPipeline
    from transformers import ClapFeatureExtractor

    torch.manual_seed(seed)
    tokenizer = roberta_tokenizer(folder / "tokenizer")
    pipeline = MusicLDMPipeline(
        unet=parts.film_unet(),
        vae=parts.mel_vae(scaling_factor=AUDIOLDM_SCALING),
        scheduler=parts.ddim(),
        vocoder=parts.hifi_gan(),
        text_encoder=parts.small_clap(len(tokenizer)),
        tokenizer=tokenizer,
        feature_extractor=ClapFeatureExtractor(truncation="rand_trunc"),
    )
    pipeline.save_pretrained(folder)
    return folder


def build_stable_audio(folder: Path, *, seed: int = 0) -> Path:
    """A Stable Audio Open checkpoint, small, with random weights.

    44.1 kHz stereo, 2048 samples to a latent frame; 16 latent channels, where the published one has 64. The published
    scheduler needs torchsde to be made, but its file is numbers only and is written as such.
    """
    import torch
    from diffusers import StableAudioPipeline, StableAudioProjectionModel

    torch.manual_seed(seed)
    tokenizer = t5_tokenizer(folder / "tokenizer")
    pipeline = StableAudioPipeline(
        vae=parts.oobleck(channels=16),
        text_encoder=parts.small_t5(len(tokenizer), feed_forward="relu"),
        projection_model=StableAudioProjectionModel(32, 32, min_value=0, max_value=512),
        tokenizer=tokenizer,
        transformer=parts.stable_audio_transformer(channels=16),
        scheduler=None,
    )
    pipeline.save_pretrained(folder)
    _write_scheduler(folder)
    return folder


# stabilityai/stable-audio-open-1.0, scheduler/scheduler_config.json
STABLE_AUDIO_SCHEDULER = {
    "_class_name": "CosineDPMSolverMultistepScheduler",
    "euler_at_final": False,
    "final_sigmas_type": "zero",
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rho": 7.0,
    "sigma_data": 1.0,
    "sigma_max": 500,
    "sigma_min": 0.3,
    "sigma_schedule": "exponential",
    "solver_order": 2,
    "solver_type": "midpoint",
}


def _write_scheduler(folder: Path) -> None:
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(STABLE_AUDIO_SCHEDULER, indent=2))
    _name_absent_parts(folder, {"scheduler": ["diffusers", STABLE_AUDIO_SCHEDULER["_class_name"]]})
