"""Stable Audio Open: autoencoder of waveforms and diffusion transformer, 44.1 kHz stereo, without a mel.

    [B, 2, N] <--Oobleck--> [B, 64, N / 2048] = [B, C, T', 1]

The transformer predicts v at the continuous time `tau = 2 / pi atan(sigma)`, where `abar = cos^2(pi tau / 2)`; in that
form it is a model like the others (Evans et al. 2024, "Stable Audio Open"; Salimans & Ho 2022). It hears a prompt and
from which second to which its window reaches.
"""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import torch

from noisebook.backends.checkpoint_folder import Checkpoint, quiet
from noisebook.backends.pipeline import PipelineBackend
from noisebook.backends.placement import computing
from noisebook.backends.text import EncodedPrompt, tokens
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import cosine
from noisebook.diffusion.samplers import Sampling
from noisebook.errors import ModelError

_MARGIN = 16  # latent frames; its convolutions reach ten


class StableAudio(PipelineBackend):
    """Satisfies `noisebook.diffusion.backend.Backend`; it is no `FeatureBackend`."""

    CODING_PARTS = ("vae", "transformer", "projection_model")
    EMPTY_PROMPT_PARTS = ("projection_model",)
    CLASSES: ClassVar = {
        "vae": ("AutoencoderOobleck",),
        "transformer": ("StableAudioDiTModel",),
        "projection_model": ("StableAudioProjectionModel",),
        "text_encoder": ("T5EncoderModel",),
    }
    DENOISER = "transformer"
    BATCH = 4

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        both = waveform.expand(-1, self.info.audio_channels, -1)
        with torch.no_grad(), computing("vae"):
            return self.networks("vae").encode(both).latent_dist.mode()[..., None]

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        with torch.no_grad(), computing("vae"):
            return self.networks("vae").decode(latent[..., 0]).sample

    def _prediction_of(self, x: torch.Tensor, t: int, given: dict[str, Any]) -> torch.Tensor:
        with quiet():
            from diffusers.models.embeddings import get_1d_rotary_pos_embed

        network = self.networks("transformer")
        head = network.config.attention_head_dim // 2
        # One place more than frames: the transformer puts the global conditioning first.
        rotary = get_1d_rotary_pos_embed(head, x.shape[2] + 1, use_real=True, repeat_interleave_real=False)
        rotary = tuple(value.to(x.device) for value in rotary)
        time = torch.full((1,), (t + 1) / (len(self.info.schedule) + 1), device=x.device, dtype=x.dtype)
        (v,) = network(x[..., 0], time, rotary_embedding=rotary, return_dict=False, **given)
        return v[..., None]

    def _encode_prompt(self, text: str) -> EncodedPrompt:
        """Words and the seconds that a window reaches over; without words all of the attended is zero."""
        projection = self.networks("projection_model")
        window = self.info.window_frames * self.info.frame_samples / self.info.sample_rate
        start, end = (torch.tensor([seconds], device=self.device) for seconds in (0.0, window))
        seconds = projection(start_seconds=start, end_seconds=end)
        reach = (seconds.seconds_start_hidden_states, seconds.seconds_end_hidden_states)
        overall = torch.cat(reach, dim=2)
        if not text:
            nothing = torch.zeros_like(torch.cat(reach, dim=1))
            return EncodedPrompt({"encoder_hidden_states": nothing, "global_hidden_states": overall})
        words = tokens(self.checkpoint.preprocessor("tokenizer"), text, padding="max_length")
        mask = words.mask.to(self.device)
        with self.networks.briefly("text_encoder") as encoder:
            hidden = encoder(words.ids.to(self.device), attention_mask=mask)[0]
        projected = self.networks("projection_model")(text_hidden_states=hidden).text_hidden_states * mask[..., None]
        attended = torch.cat((projected, *reach), dim=1)
        return EncodedPrompt({"encoder_hidden_states": attended, "global_hidden_states": overall}, words.dropped)

    @classmethod
    def weights_digest(cls, checkpoint: Checkpoint) -> bytes:
        return checkpoint.digest(cls.CODING_PARTS)

    @classmethod
    def info_of(cls, checkpoint: Checkpoint) -> BackendInfo:
        checkpoint.require(cls.CODING_PARTS)
        vae, transformer = checkpoint.config("vae"), checkpoint.config("transformer")
        try:
            shape = {
                "sample_rate": int(vae["sampling_rate"]),
                "frame_samples": prod(vae["downsampling_ratios"]),
                "latent_channels": int(vae["decoder_input_channels"]),
                "audio_channels": int(vae["audio_channels"]),
                "window_frames": int(transformer["sample_size"]),
            }
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{checkpoint.name}: the configuration of vae or transformer lacks {error}") from error
        if shape["latent_channels"] != transformer.get("in_channels") or shape["audio_channels"] not in (1, 2):
            raise ModelError(
                f"{checkpoint.name}: vae and transformer have different latents, or more than two channels of sound"
            )
        return cls.info_with_curve(
            checkpoint, cosine(), features=None, latent_bins=1, frame_multiple=1,
            margin_frames=_MARGIN, sampling=Sampling(100, 7.0, 0.0, "dpm++", "karras"), **shape,
        )  # fmt: skip
