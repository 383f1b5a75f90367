"""AudioLDM, AudioLDM 2 and MusicLDM: mel VAE, U-Net and HiFi-GAN from a checkpoint in the layout of diffusers.

Only `vae`, `unet`, `scheduler` and `vocoder` are read to code a sound: less than half of the parameters. What the
denoiser hears without a prompt, the embedding of the empty text, is computed once and kept in the cache; the text parts
are loaded at the first prompt.

    fingerprint   SHA-256 over the weight files and configurations of vae, unet and scheduler, and the error curve
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.backends.cache import write_text
from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.backends.curves import curve_folder, load_curve, typical_curve
from noisebook.backends.feature_model import FeatureModel
from noisebook.backends.placement import Networks, computing, usable_device
from noisebook.backends.text import Prompts, encoder_of
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.schedule import Schedule, linear, scaled_linear
from noisebook.diffusion.windows import over_windows
from noisebook.errors import ConfigError, ModelError

__all__ = [
    "CLASSES",
    "CODING_PARTS",
    "EMPTY_PROMPT_PARTS",
    "Backend",
    "empty_prompt",
    "info_of",
    "load_part",
    "schedule_of",
    "weights_digest",
]

CODING_PARTS = ("vae", "unet", "scheduler", "vocoder")
EMPTY_PROMPT_PARTS = (
    "text_encoder", "text_encoder_2", "projection_model", "language_model", "tokenizer", "tokenizer_2",
)  # fmt: skip
_DECIDING = ("vae", "unet", "scheduler")  # another vocoder plays the same stream
CLASSES = {  # of the networks
    "vae": ("AutoencoderKL",),
    "unet": ("AudioLDM2UNet2DConditionModel", "UNet2DConditionModel"),
    "vocoder": ("SpeechT5HifiGan",),
    "text_encoder": ("ClapModel", "ClapTextModelWithProjection"),
    "text_encoder_2": ("T5EncoderModel",),
    "projection_model": ("AudioLDM2ProjectionModel",),
    "language_model": ("GPT2Model", "GPT2LMHeadModel"),
}
# Most checkpoints name GPT2Model; weights that were saved with a head load as the model without it just as well.
_LOADED_AS = {"language_model": "GPT2Model"}
_MEL = MEL_FEATURES
_OVERLAP = 64  # latent frames that neighbouring windows of the autoencoder share
_BATCH = 8  # windows that go through a network together
_NOTICE = (
    "The weights of AudioLDM 2 as its authors published them are licensed CC BY-NC-SA 4.0: for non-commercial use, "
    "with attribution, shared alike."
)

_log = logging.getLogger(__name__)


class Backend(FeatureModel):
    """Satisfies `noisebook.diffusion.backend.FeatureBackend`.

    Args:
        checkpoint: opened.
        device: of torch.
        dtype: of the U-Net; everything else computes in float32.
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
        self._prompts = Prompts(encoder_of(checkpoint, self.networks), empty_prompt(checkpoint))
        self._scale = float(checkpoint.config("vae").get("scaling_factor", 0.18215))  # the library's default
        self._prediction = checkpoint.config("scheduler").get("prediction_type", "epsilon")
        _tell_licence_once(checkpoint, weights_digest(checkpoint))

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        return self._encoded(features, lambda distribution: distribution.mode())

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self._encoded(features, lambda distribution: torch.cat((distribution.mean, distribution.std), dim=1))
        mean, std = both.chunk(2, dim=1)
        return mean, std

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self._windowed(self._decoded, writes=self.info.feature_frames)(latent)

    def _decoded(self, latent: torch.Tensor) -> torch.Tensor:
        with computing("vae"):
            return self.networks("vae").decode(latent / self._scale).sample

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        with torch.no_grad(), computing("vocoder"):
            waveform = self.networks("vocoder")(features.squeeze(1))
        # Its first transposed convolution makes one step too many: 32 samples more than the mel has.
        return waveform[:, : features.shape[2] * _MEL.hop_length]

    def condition(self, text: str) -> Condition:
        return Condition(text, self._prompts(text).dropped, text)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        if tag:
            raise ConfigError(f"tag {tag}: {self.info.name} has no tags; give a prompt")
        embedding = self._prompts("" if condition is None else condition.value).embedding
        with torch.no_grad():
            predicted = torch.cat([self._predicted(some, t, embedding) for some in x.split(_BATCH)])
        return _x0_hat(self._prediction, x, predicted, self.info.schedule.alpha(t))

    def _predicted(self, x: torch.Tensor, t: int, embedding: dict[str, torch.Tensor]) -> torch.Tensor:
        """What the U-Net says; AudioLDM's listens to a class embedding and has no hidden states to attend to."""
        given: dict[str, Any] = {"encoder_hidden_states": None}
        for name, value in embedding.items():
            dtype = self._dtype if value.is_floating_point() else value.dtype
            given[name] = value.to(x.device, dtype).expand(len(x), *value.shape[1:])
        timestep = torch.tensor(t, device=x.device)
        with computing("unet"):
            return self.networks("unet")(x.to(self._dtype), timestep, **given).sample.float()

    def _encoded(self, mel: torch.Tensor, take: Callable[[Any], torch.Tensor]) -> torch.Tensor:
        def stage(piece: torch.Tensor) -> torch.Tensor:
            with computing("vae"):
                return take(self.networks("vae").encode(piece).latent_dist) * self._scale

        return self._windowed(stage, reads=self.info.feature_frames)(mel)

    def _windowed(
        self, stage: Callable[[torch.Tensor], torch.Tensor], **steps: int
    ) -> Callable[[torch.Tensor], torch.Tensor]:
        """The autoencoder attends to all it is given and normalises by it, so it is given what it was trained on."""
        window = self.info.window_frames
        return over_windows(torch.no_grad()(stage), window=window, overlap=_OVERLAP, batch=_BATCH, **steps)

    def _load(self, part: str) -> torch.nn.Module:
        return load_part(self.checkpoint, part, self._dtype if part == "unet" else torch.float32)


def load_part(checkpoint: Checkpoint, part: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
    """The network of a part, for inference.

    Raises:
        ModelError: its class is unknown, or its weights are damaged.
    """
    return checkpoint.load(part, CLASSES[part], dtype, as_class=_LOADED_AS.get(part))


def empty_prompt(checkpoint: Checkpoint) -> Path:
    """The file in which what the empty prompt became is kept, once it was needed."""
    return checkpoint.store(weights_digest(checkpoint)) / "null-prompt.safetensors"


def weights_digest(checkpoint: Checkpoint) -> bytes:
    """SHA-256 over what decides the meaning of a stream, but for the error curve."""
    # The pipeline's name too: the empty prompt, with which every stream is made, depends on it.
    return sha256(checkpoint.pipeline.encode() + checkpoint.digest(_DECIDING)).digest()


def info_of(checkpoint: Checkpoint) -> BackendInfo:
    """What is fixed about a checkpoint, from its files, without building its networks.

    Raises:
        ModelError: a part is missing or damaged, or is not of this family's shape.
    """
    checkpoint.require(CODING_PARTS)
    vae, unet, vocoder = (checkpoint.config(part) for part in ("vae", "unet", "vocoder"))
    schedule = schedule_of(checkpoint.config("scheduler"), checkpoint.name)
    factor = 2 ** (len(vae.get("block_out_channels", ())) - 1)
    hop = prod(vocoder.get("upsample_rates", ()))
    found = (vae.get("in_channels"), unet.get("in_channels"), vocoder.get("model_in_dim"), vocoder.get("sampling_rate"))
    if found != (1, vae.get("latent_channels"), _MEL.bins, _MEL.sample_rate) or hop != _MEL.hop_length:
        raise ModelError(
            f"{checkpoint.name}: mel channels {found[0]}, latent channels {found[1]}, {found[2]} mel bins at "
            f"{found[3]} Hz with hop {hop}; this family has 1, those of its VAE ({vae.get('latent_channels')}), "
            f"{_MEL.bins} at {_MEL.sample_rate} Hz with hop {_MEL.hop_length}"
        )
    digest = weights_digest(checkpoint)
    curve = load_curve(curve_folder(checkpoint, digest)) or typical_curve(schedule)
    size = unet.get("sample_size") or 256
    return BackendInfo(
        name=checkpoint.name,
        fingerprint=sha256(digest + json.dumps([curve.timesteps, curve.errors]).encode()).digest(),
        autoencoder=checkpoint.digest(["vae"]),
        sample_rate=_MEL.sample_rate,
        features=_MEL,
        frame_samples=factor * _MEL.hop_length,
        latent_channels=vae["latent_channels"],
        latent_bins=_MEL.bins // factor,
        frame_multiple=2 ** (len(unet["block_out_channels"]) - 1),
        window_frames=size[0] if isinstance(size, list) else size,
        margin_frames=_OVERLAP,
        schedule=schedule,
        curve=curve,
        tags=(),
    )


def schedule_of(config: dict[str, Any], name: str) -> Schedule:
    """The noise schedule of a scheduler's configuration.

    Raises:
        ModelError: one that noisebook does not know.
    """
    kind, prediction = config.get("beta_schedule"), config.get("prediction_type", "epsilon")
    betas = (config.get("beta_start", 0.0001), config.get("beta_end", 0.02), config.get("num_train_timesteps", 1000))
    if config.get("trained_betas") or config.get("rescale_betas_zero_snr"):
        raise ModelError(f"{name}: its scheduler has betas of its own; scaled_linear and linear ones are possible")
    if prediction not in _PREDICTIONS:
        raise ModelError(f"{name}: its denoiser predicts {prediction!r}; {', '.join(_PREDICTIONS)} are possible")
    if kind not in _SCHEDULES:
        raise ModelError(f"{name}: a schedule of betas {kind!r}; {' and '.join(_SCHEDULES)} are possible")
    try:
        return _SCHEDULES[kind](*betas)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{name}: its scheduler has no schedule ({error}); download it again") from error


_SCHEDULES = {"scaled_linear": scaled_linear, "linear": linear}
_PREDICTIONS = ("epsilon", "v_prediction", "sample")


def _x0_hat(prediction: str, x: torch.Tensor, predicted: torch.Tensor, alpha: float) -> torch.Tensor:
    """Clean data from what the network predicts (Ho et al. 2020, eq. 15; Salimans & Ho 2022, appendix D)."""
    if prediction == "epsilon":
        return (x - (1 - alpha) ** 0.5 * predicted) / alpha**0.5
    if prediction == "v_prediction":
        return alpha**0.5 * x - (1 - alpha) ** 0.5 * predicted
    return predicted


def _tell_licence_once(checkpoint: Checkpoint, digest: bytes) -> None:
    told = checkpoint.store(digest) / "licence-told.txt"
    if checkpoint.pipeline == "AudioLDM2Pipeline" and not told.is_file():
        _log.warning("%s", _NOTICE)
        write_text(told, _NOTICE + "\n")
