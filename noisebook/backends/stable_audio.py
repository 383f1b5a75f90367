"""Stable Audio Open: autoencoder of waveforms and diffusion transformer, 44.1 kHz stereo, without a mel.

    [B, 2, N] <--Oobleck--> [B, 64, N / 2048] = [B, C, T', 1]

The transformer predicts v at the continuous time `tau = 2 / pi atan(sigma)`, where `abar = cos^2(pi tau / 2)`; in that
form it is a model like the others (Evans et al. 2024, "Stable Audio Open"; Salimans & Ho 2022). It hears a prompt and
from which second to which its window reaches.
"""

from __future__ import annotations

import json
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import torch

from noisebook.backends.checkpoint_folder import Checkpoint, quiet
from noisebook.backends.curves import curve_folder, load_curve, typical_curve
from noisebook.backends.placement import Networks, computing, usable_device
from noisebook.backends.text import EncodedPrompt, Prompts, tokens
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.schedule import cosine
from noisebook.errors import ConfigError, ModelError

__all__ = [
    "CLASSES",
    "CODING_PARTS",
    "EMPTY_PROMPT_PARTS",
    "Backend",
    "empty_prompt",
    "info_of",
    "load_part",
    "weights_digest",
]

CODING_PARTS = ("vae", "transformer", "projection_model")
EMPTY_PROMPT_PARTS = ("projection_model",)
CLASSES = {  # of the networks
    "vae": ("AutoencoderOobleck",),
    "transformer": ("StableAudioDiTModel",),
    "projection_model": ("StableAudioProjectionModel",),
    "text_encoder": ("T5EncoderModel",),
}
_MARGIN = 16  # latent frames; its convolutions reach ten
_BATCH = 4


class Backend:
    """Satisfies `noisebook.diffusion.backend.Backend`; it is no `FeatureBackend`.

    Args:
        checkpoint: opened.
        device: of torch.
        dtype: of the transformer; everything else computes in float32.
        offload: keep on the device only the network that is computing.

    Raises:
        ModelError: a part is missing, damaged or of another shape.
        ConfigError: a device that is not there, or float16 on a CPU.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        offload: bool = False,
    ) -> None:
        self.checkpoint, self.info = checkpoint, info_of(checkpoint)
        self.device, self._dtype = usable_device(device, dtype), dtype
        self.networks = Networks(self._load, self.device, offload=offload)
        self._prompts = Prompts(self._encode_prompt, empty_prompt(checkpoint))
        config = checkpoint.config("transformer")
        self._rotary = config["attention_head_dim"] // 2

    def to_latent(self, waveform: torch.Tensor) -> torch.Tensor:
        both = waveform.expand(-1, self.info.audio_channels, -1)
        with torch.no_grad(), computing("vae"):
            return self.networks("vae").encode(both).latent_dist.mode()[..., None]

    def to_waveform(self, latent: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        with torch.no_grad(), computing("vae"):
            return self.networks("vae").decode(latent[..., 0]).sample

    def condition(self, text: str) -> Condition:
        return Condition(text, self._prompts(text).dropped, text)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        if tag:
            raise ConfigError(f"tag {tag}: {self.info.name} has no tags; give a prompt")
        embedding = self._prompts("" if condition is None else condition.value).embedding
        with torch.no_grad():
            v = torch.cat([self._v(some, t, embedding) for some in x.split(_BATCH)])
        alpha = self.info.schedule.alpha(t)
        return alpha**0.5 * x - (1 - alpha) ** 0.5 * v

    def _v(self, x: torch.Tensor, t: int, embedding: dict[str, torch.Tensor]) -> torch.Tensor:
        with quiet():
            from diffusers.models.embeddings import get_1d_rotary_pos_embed

        steps, frames = len(self.info.schedule), x.shape[2]
        given = {
            name: value.to(x.device, self._dtype).expand(len(x), *value.shape[1:]) for name, value in embedding.items()
        }
        # One place more than frames: the transformer puts the global conditioning first.
        rotary = get_1d_rotary_pos_embed(self._rotary, frames + 1, use_real=True, repeat_interleave_real=False)
        time = torch.full((1,), (t + 1) / (steps + 1), device=x.device, dtype=self._dtype)
        network, rotary = self.networks("transformer"), tuple(value.to(x.device) for value in rotary)
        with computing("transformer"):
            (v,) = network(x[..., 0].to(self._dtype), time, rotary_embedding=rotary, return_dict=False, **given)
        return v.float()[..., None]

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
        words = tokens(self.checkpoint.tokenizer("tokenizer"), text, padding="max_length")
        mask = words.mask.to(self.device)
        hidden = self.networks("text_encoder")(words.ids.to(self.device), attention_mask=mask)[0]
        projected = self.networks("projection_model")(text_hidden_states=hidden).text_hidden_states * mask[..., None]
        attended = torch.cat((projected, *reach), dim=1)
        return EncodedPrompt({"encoder_hidden_states": attended, "global_hidden_states": overall}, words.dropped)

    def _load(self, part: str) -> torch.nn.Module:
        return load_part(self.checkpoint, part, self._dtype if part == "transformer" else torch.float32)


def load_part(checkpoint: Checkpoint, part: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """The network of a part, for inference.

    Raises:
        ModelError: its class is unknown, or its weights are damaged.
    """
    return checkpoint.load(part, CLASSES[part], dtype)


def empty_prompt(checkpoint: Checkpoint) -> Path:
    """The file in which what the empty prompt became is kept, once it was needed."""
    return checkpoint.store(weights_digest(checkpoint)) / "null-prompt.safetensors"


def weights_digest(checkpoint: Checkpoint) -> bytes:
    """SHA-256 over what decides the meaning of a stream, but for the error curve."""
    return checkpoint.digest(CODING_PARTS)


def info_of(checkpoint: Checkpoint) -> BackendInfo:
    """What is fixed about a checkpoint, from its files, without building its networks.

    Raises:
        ModelError: a part is missing or damaged, or is not of this family's shape.
    """
    checkpoint.require(CODING_PARTS)
    vae, transformer = checkpoint.config("vae"), checkpoint.config("transformer")
    found = _shape(vae, transformer, checkpoint.name)
    schedule, digest = cosine(), weights_digest(checkpoint)
    curve = load_curve(curve_folder(checkpoint, digest)) or typical_curve(schedule)
    return BackendInfo(
        name=checkpoint.name,
        fingerprint=sha256(digest + json.dumps([curve.timesteps, curve.errors]).encode()).digest(),
        autoencoder=checkpoint.digest(["vae"]),
        features=None,
        latent_bins=1,
        frame_multiple=1,
        margin_frames=_MARGIN,
        schedule=schedule,
        curve=curve,
        tags=(),
        **found,
    )


def _shape(vae: dict[str, Any], transformer: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        found = {
            "sample_rate": int(vae["sampling_rate"]),
            "frame_samples": prod(vae["downsampling_ratios"]),
            "latent_channels": int(vae["decoder_input_channels"]),
            "audio_channels": int(vae["audio_channels"]),
            "window_frames": int(transformer["sample_size"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{name}: the configuration of vae or transformer lacks {error}") from error
    if found["latent_channels"] != transformer.get("in_channels") or found["audio_channels"] not in (1, 2):
        raise ModelError(f"{name}: vae and transformer have different latents, or more than two channels of sound")
    return found
