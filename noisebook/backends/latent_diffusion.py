"""AudioLDM, AudioLDM 2 and MusicLDM: mel VAE, U-Net and HiFi-GAN from a checkpoint in the layout of diffusers.

fingerprint   SHA-256 over the weight files and configurations of vae, unet and scheduler, and the error curve
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from hashlib import sha256
from math import prod
from typing import Any, ClassVar

import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.backends.cache import write_text
from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.backends.pipeline import PREDICTIONS, PipelineBackend
from noisebook.backends.placement import computing
from noisebook.backends.text import ENCODERS, EncodedPrompt, clap_of_sounds, clap_of_text
from noisebook.diffusion.backend import BackendInfo, FeatureModel
from noisebook.diffusion.denoisers import over_windows
from noisebook.diffusion.plan import Schedule, linear, scaled_linear
from noisebook.diffusion.samplers import Sampling
from noisebook.errors import ModelError

_MEL = MEL_FEATURES
_OVERLAP = 64  # latent frames that neighbouring windows of the autoencoder share
_SCHEDULES = {"scaled_linear": scaled_linear, "linear": linear}
_PUBLISHED = {  # steps and guidance that the pipelines have by default
    "AudioLDM2Pipeline": (200, 3.5),
    "AudioLDMPipeline": (10, 2.5),
    "MusicLDMPipeline": (200, 2.0),
}
_NOTICE = (
    "The weights of AudioLDM 2 as its authors published them are licensed CC BY-NC-SA 4.0: for non-commercial use, "
    "with attribution, shared alike."
)

_log = logging.getLogger(__name__)


class LatentDiffusion(PipelineBackend, FeatureModel):
    """Satisfies `noisebook.diffusion.backend.FeatureBackend`."""

    CODING_PARTS = ("vae", "unet", "scheduler", "vocoder")
    EMPTY_PROMPT_PARTS = (
        "text_encoder", "text_encoder_2", "projection_model", "language_model", "tokenizer", "tokenizer_2",
    )  # fmt: skip
    CLASSES: ClassVar = {
        "vae": ("AutoencoderKL",),
        "unet": ("AudioLDM2UNet2DConditionModel", "UNet2DConditionModel"),
        "vocoder": ("SpeechT5HifiGan",),
        "text_encoder": ("ClapModel", "ClapTextModelWithProjection"),
        "text_encoder_2": ("T5EncoderModel",),
        "projection_model": ("AudioLDM2ProjectionModel",),
        "language_model": ("GPT2Model", "GPT2LMHeadModel"),
    }
    # Most checkpoints name GPT2Model; weights that were saved with a head load as the model without it just as well.
    LOADED_AS: ClassVar = {"language_model": "GPT2Model"}
    DENOISER = "unet"
    BATCH = 8

    def __init__(self, checkpoint: Checkpoint, **where: Any) -> None:
        super().__init__(checkpoint, **where)
        self._scale = float(checkpoint.config("vae").get("scaling_factor", 0.18215))  # the library's default
        self._prediction = checkpoint.config("scheduler").get("prediction_type", "epsilon")
        shown = checkpoint.store(self.weights_digest(checkpoint)) / "licence-shown.txt"
        if checkpoint.pipeline == "AudioLDM2Pipeline" and not shown.is_file():
            _log.warning("%s", _NOTICE)
            write_text(shown, _NOTICE + "\n")

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        return self._encoded(features, lambda distribution: distribution.mode())

    def posterior(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self._encoded(features, lambda distribution: torch.cat((distribution.mean, distribution.std), dim=1))
        mean, std = both.chunk(2, dim=1)
        return mean, std

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        def stage(piece: torch.Tensor) -> torch.Tensor:
            with computing("vae"):
                return self.networks("vae").decode(piece / self._scale).sample

        return self._windowed(stage, writes=self.info.feature_frames)(latent)

    def vocode(self, features: torch.Tensor, first_frame: int = 0) -> torch.Tensor:
        with torch.no_grad(), computing("vocoder"):
            waveform = self.networks("vocoder")(features.squeeze(1))
        # Its first transposed convolution makes one step too many: 32 samples more than the mel has.
        return waveform[:, : features.shape[2] * _MEL.hop_length]

    @property
    def ranks(self) -> bool:
        """AudioLDM has the text branch of CLAP alone."""
        return self.checkpoint.parts.get("text_encoder", ("", ""))[1] == "ClapModel"

    def similarity(self, prompt: str, samples: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), computing("the audio branch of CLAP"), self.networks.briefly("text_encoder") as clap:
            text = clap_of_text(clap, self.checkpoint, prompt)
            return (clap_of_sounds(clap, self.checkpoint, samples, self.info.sample_rate) @ text[0]).cpu()

    def _prediction_of(self, x: torch.Tensor, t: int, given: dict[str, Any]) -> torch.Tensor:
        """AudioLDM's U-Net listens to a class embedding and has no hidden states to attend to."""
        prompt = {"encoder_hidden_states": None, **given}
        return self.networks("unet")(x, torch.tensor(t, device=x.device), **prompt).sample

    def _encode_prompt(self, text: str) -> EncodedPrompt:
        return ENCODERS[self.checkpoint.pipeline](text, self.networks.briefly, self.checkpoint)

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
        return over_windows(torch.no_grad()(stage), window=window, overlap=_OVERLAP, batch=self.BATCH, **steps)

    @classmethod
    def weights_digest(cls, checkpoint: Checkpoint) -> bytes:
        # The pipeline's name too: the empty prompt, with which every stream is made, depends on it. Another vocoder
        # plays the same stream.
        return sha256(checkpoint.pipeline.encode() + checkpoint.digest(("vae", "unet", "scheduler"))).digest()

    @classmethod
    def info_of(cls, checkpoint: Checkpoint) -> BackendInfo:
        checkpoint.require(cls.CODING_PARTS)
        vae, unet, vocoder = (checkpoint.config(part) for part in ("vae", "unet", "vocoder"))
        schedule = _schedule_of(checkpoint.config("scheduler"), checkpoint.name)
        factor = 2 ** (len(vae.get("block_out_channels", ())) - 1)
        hop = prod(vocoder.get("upsample_rates", ()))
        latents, bins, rate = vae.get("latent_channels"), vocoder.get("model_in_dim"), vocoder.get("sampling_rate")
        found = (vae.get("in_channels"), unet.get("in_channels"), bins, rate, hop)
        if found != (1, latents, _MEL.bins, _MEL.sample_rate, _MEL.hop_length):
            raise ModelError(
                f"{checkpoint.name}: mel channels {found[0]}, latent channels {found[1]}, {bins} mel bins at "
                f"{rate} Hz with hop {hop}; this family has 1, those of its VAE ({latents}), "
                f"{_MEL.bins} at {_MEL.sample_rate} Hz with hop {_MEL.hop_length}"
            )
        size = unet.get("sample_size") or 256
        return cls.info_with_curve(
            checkpoint,
            schedule,
            sample_rate=_MEL.sample_rate,
            features=_MEL,
            frame_samples=factor * _MEL.hop_length,
            latent_channels=latents,
            latent_bins=_MEL.bins // factor,
            frame_multiple=2 ** (len(unet["block_out_channels"]) - 1),
            window_frames=size[0] if isinstance(size, list) else size,
            margin_frames=_OVERLAP,
            sampling=Sampling(*_PUBLISHED[checkpoint.pipeline], 0.0, "ddim", "uniform"),
        )


def _schedule_of(config: dict[str, Any], name: str) -> Schedule:
    """The noise schedule of a scheduler's configuration; a `ModelError` for one that noisebook does not know."""
    kind, prediction = config.get("beta_schedule"), config.get("prediction_type", "epsilon")
    betas = (config.get("beta_start", 0.0001), config.get("beta_end", 0.02), config.get("num_train_timesteps", 1000))
    if config.get("trained_betas") or config.get("rescale_betas_zero_snr"):
        raise ModelError(f"{name}: its scheduler has betas of its own; scaled_linear and linear ones are possible")
    if prediction not in PREDICTIONS:
        raise ModelError(f"{name}: its denoiser predicts {prediction!r}; {', '.join(PREDICTIONS)} are possible")
    if kind not in _SCHEDULES:
        raise ModelError(f"{name}: a schedule of betas {kind!r}; {' and '.join(_SCHEDULES)} are possible")
    try:
        return _SCHEDULES[kind](*betas)
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise ModelError(f"{name}: its scheduler has no schedule ({error}); download it again") from error
