"""The parts that the pipelines of the family share.

Every hyper-parameter that decides behaviour (latent channels, factors, rates, kernels, schedule, conditioning) is
that of the published checkpoints; only widths and depths are small, unless `real` asks for the true ones.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn

__all__ = [
    "audioldm2_unet",
    "ddim",
    "film_unet",
    "hifi_gan",
    "large_clap",
    "large_t5",
    "mel_vae",
    "oobleck",
    "small_clap",
    "small_clap_text",
    "small_t5",
    "stable_audio_transformer",
]

CLAP_PROJECTION = 32  # 512 in the published checkpoints


def mel_vae(*, scaling_factor: float, real: bool = False) -> Any:
    """`[B, 1, T, 64] <-> [B, 8, T / 4, 16]`, with latents and mels of the spread that trained ones have."""
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        in_channels=1,
        out_channels=1,
        latent_channels=8,
        block_out_channels=(128, 256, 512) if real else (8, 16, 32),
        layers_per_block=2 if real else 1,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        norm_num_groups=32 if real else 8,
        sample_size=1024,
        scaling_factor=scaling_factor,
    )
    _spread(vae)
    return vae


@torch.no_grad()
def _spread(vae: Any) -> None:
    """Scaled latents of unit variance, a posterior exp(-2) wide, and decoded log-mels of -6, give or take 2."""
    channels, scaling = vae.config.latent_channels, vae.config.scaling_factor
    posterior = vae.encode(2 * torch.randn(1, 1, 64, 64) - 6).latent_dist
    vae.quant_conv.weight[:channels] /= scaling * posterior.mean.std()
    vae.quant_conv.weight[channels:] *= 0.1
    vae.quant_conv.bias[channels:] = -4.0
    decoded = vae.decode(torch.randn(1, channels, 16, 16) / scaling).sample
    vae.decoder.conv_out.weight *= 2 / decoded.std()
    vae.decoder.conv_out.bias.fill_(-6.0)


def hifi_gan(*, real: bool = False) -> Any:
    """`[B, T, 64]` natural-log mel -> `[B, 160 T + 32]` at 16 kHz.

    The library's initialisation (standard deviation 0.01) plays silence whatever the mel; here every layer gives unit
    variance for a loud random one (Mishkin and Matas 2016), and the last 0.1.
    """
    from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

    vocoder = SpeechT5HifiGan(
        SpeechT5HifiGanConfig(
            model_in_dim=64,
            sampling_rate=16000,
            upsample_initial_channel=1024 if real else 64,
            upsample_rates=[5, 4, 2, 2, 2],
            upsample_kernel_sizes=[16, 16, 8, 4, 4],
            resblock_kernel_sizes=[3, 7, 11] if real else [3],
            resblock_dilation_sizes=[[1, 3, 5]] * (3 if real else 1),
            normalize_before=False,
        )
    )
    layers = [layer for layer in vocoder.modules() if isinstance(layer, (nn.Conv1d, nn.ConvTranspose1d))]
    hooks = [layer.register_forward_hook(_to_unit_variance) for layer in layers]
    with torch.no_grad():
        vocoder(2 * torch.randn(1, 32, 64) - 4)
    for hook in hooks:
        hook.remove()
    vocoder.conv_post.weight.data *= 0.1
    return vocoder


def _to_unit_variance(layer: nn.Module, _inputs: object, output: torch.Tensor) -> torch.Tensor:
    deviation = output.std()
    layer.weight.data /= deviation
    return output / deviation  # biases are zero


def ddim() -> Any:
    """The training schedule of AudioLDM, AudioLDM 2 and MusicLDM."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=1000,
        beta_start=0.0015,
        beta_end=0.0195,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def small_clap(vocabulary: int) -> Any:
    """CLAP with both branches, text and audio."""
    from transformers import ClapAudioConfig, ClapConfig, ClapModel

    audio = ClapAudioConfig(
        patch_embeds_hidden_size=8,
        depths=[1, 1],
        num_attention_heads=[1, 2],
        num_hidden_layers=2,
        hidden_size=16,
        projection_dim=CLAP_PROJECTION,
    )
    config = ClapConfig(
        text_config=_clap_text(vocabulary).to_dict(),
        audio_config=audio.to_dict(),
        projection_dim=CLAP_PROJECTION,
        initializer_factor=20.0,
    )
    return ClapModel(config)


def large_clap() -> Any:
    """CLAP as laion/clap-htsat-unfused is, both branches."""
    from transformers import ClapConfig, ClapModel

    return ClapModel(ClapConfig())


def small_clap_text(vocabulary: int) -> Any:
    """The text branch of CLAP alone."""
    from transformers import ClapTextModelWithProjection

    return ClapTextModelWithProjection(_clap_text(vocabulary))


def _clap_text(vocabulary: int) -> Any:
    from transformers import ClapTextConfig

    return ClapTextConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        projection_dim=CLAP_PROJECTION,
        initializer_factor=20.0,  # or all texts are alike
    )


def small_t5(vocabulary: int, *, feed_forward: str) -> Any:
    """T5 encoder, 32 wide; `feed_forward` is "gated-gelu" in Flan-T5 and "relu" in the first T5."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=vocabulary,
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_heads=4,
        num_layers=2,
        feed_forward_proj=feed_forward,
        tie_word_embeddings=False,
    )
    return T5EncoderModel(config)


def large_t5() -> Any:
    """The encoder of google/flan-t5-large."""
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            d_model=1024, d_ff=2816, num_heads=16, num_layers=24, feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,
        )
    )  # fmt: skip


def oobleck(*, channels: int) -> Any:
    """Stereo waveform `[B, 2, 2048 T] <-> [B, channels, T]` at 44.1 kHz; the encoder is twice `channels` wide."""
    from diffusers import AutoencoderOobleck

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the library normalises weights in torch's old way
        vae = AutoencoderOobleck(
            encoder_hidden_size=2 * channels,
            downsampling_ratios=[2, 4, 4, 8, 8],
            channel_multiples=[1, 1, 1, 1, 1],
            decoder_channels=16,
            decoder_input_channels=channels,
            audio_channels=2,
            sampling_rate=44100,
        )
    _spread_of_waves(vae, channels)
    return vae


@torch.no_grad()
def _spread_of_waves(vae: Any, channels: int) -> None:
    """Latents of unit variance, a posterior softplus(-2) wide, and decoded sound of 0.1, whatever the biases were."""
    for name, parameter in vae.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
    means, widths = vae.encoder.conv2.weight_g.split(channels)
    means /= vae.encode(0.2 * torch.randn(1, 2, 8192)).latent_dist.mean.std()
    widths *= 0.1
    vae.encoder.conv2.bias[channels:] = -2.0
    vae.decoder.conv2.weight_g *= 0.1 / vae.decode(torch.randn(1, channels, 4)).sample.std()


def audioldm2_unet(*, real: bool = False) -> Any:
    """Attends to itself, to the language model's eight vectors and to T5's."""
    from diffusers import AudioLDM2UNet2DConditionModel

    contexts = (None, 768, 1024) if real else (None, 16, 32)
    unet = AudioLDM2UNet2DConditionModel(**_unet_shape(real), sample_size=256, cross_attention_dim=[contexts] * 4)
    if not real:
        for transformer in unet.mid_block.attentions:
            transformer.proj_out.weight.data *= 10  # or words hardly matter
            for block in transformer.transformer_blocks:
                block.attn2.to_out[0].weight.data *= 10
    return unet


def film_unet() -> Any:
    """Conditioned by one vector beside the timestep's, as AudioLDM and MusicLDM; its attention layers see no text."""
    from diffusers import UNet2DConditionModel

    shape = _unet_shape(real=False)
    return UNet2DConditionModel(
        **shape,
        sample_size=128,
        cross_attention_dim=shape["block_out_channels"],
        class_embed_type="simple_projection",
        projection_class_embeddings_input_dim=CLAP_PROJECTION,
        class_embeddings_concat=True,
    )


def _unet_shape(real: bool) -> dict[str, Any]:
    """What the denoisers of the three mel models have in common."""
    return {
        "in_channels": 8,
        "out_channels": 8,
        "block_out_channels": (128, 256, 384, 640) if real else (8, 16, 24, 40),
        "layers_per_block": 2 if real else 1,
        "norm_num_groups": 32 if real else 8,
        "attention_head_dim": 8,  # the number of heads: the library's misnomer
        # Most of the time goes to attention: a small one has it in the middle block only.
        "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D" if real else "DownBlock2D",) * 3,
        "up_block_types": ("CrossAttnUpBlock2D" if real else "UpBlock2D",) * 3 + ("UpBlock2D",),
    }


def stable_audio_transformer(*, channels: int) -> Any:
    """Predicts v of `[B, channels, T]`; half as many key heads as query heads, as in the published one."""
    from diffusers import StableAudioDiTModel

    transformer = StableAudioDiTModel(
        sample_size=1024,
        in_channels=channels,
        out_channels=channels,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=4,
        num_key_value_attention_heads=2,
        cross_attention_dim=32,
        cross_attention_input_dim=32,
        global_states_input_dim=64,
        time_proj_dim=256,
    )
    for block in transformer.transformer_blocks:
        block.attn2.to_out[0].weight.data *= 10  # or words hardly matter
    return transformer
