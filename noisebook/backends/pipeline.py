"""What the models in the layout of diffusers share: parts loaded when they are needed, prompts, fingerprints.

A family is a subclass in a module of its own. To code a sound only `CODING_PARTS` are read: less than half of the
parameters. What the denoiser hears without a prompt, the embedding of the empty text, is computed once from
`EMPTY_PROMPT_PARTS` and kept in the cache; the text parts are loaded at the first prompt.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import torch

from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.backends.curves import curve_file, load_curve, typical_curve
from noisebook.backends.placement import Networks, automatic_dtype, computing, usable_device
from noisebook.backends.text import EncodedPrompt, Prompts
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.denoiser import x0_from_v

__all__ = ["PIPELINES", "PREDICTIONS", "PipelineBackend", "family_of", "info_with_curve"]

PIPELINES = {  # class of the pipeline -> module and class here
    "AudioLDM2Pipeline": ("latent_diffusion", "LatentDiffusion"),
    "AudioLDMPipeline": ("latent_diffusion", "LatentDiffusion"),
    "MusicLDMPipeline": ("latent_diffusion", "LatentDiffusion"),
    "StableAudioPipeline": ("stable_audio", "StableAudio"),
}
PREDICTIONS = ("epsilon", "v_prediction", "sample")
_SLOW = (
    "this processor does not multiply in bfloat16: it takes 3 to 15 times as long as in float32, for half of the "
    "denoiser's memory; --dtype auto takes what is fast here"
)

_log = logging.getLogger(__name__)


def family_of(checkpoint: Checkpoint) -> type[PipelineBackend]:
    """The class for a checkpoint's pipeline.

    Raises:
        ModelError: there is none.
    """
    if checkpoint.pipeline not in PIPELINES:
        raise ModelError(f"{checkpoint.name} is a {checkpoint.pipeline}; noisebook knows {', '.join(PIPELINES)}")
    module, name = PIPELINES[checkpoint.pipeline]
    family: type[PipelineBackend] = getattr(import_module(f"noisebook.backends.{module}"), name)
    return family


class PipelineBackend(ABC):
    """Satisfies `noisebook.diffusion.backend.Backend`.

    Args:
        checkpoint: opened.
        device: of torch.
        dtype: of the denoiser; everything else computes in float32.
        offload: keep on the device only the network that is computing.

    Raises:
        ModelError: a part is missing, damaged or of another shape.
        ConfigError: a device that is not there, or float16 on a CPU.
    """

    CODING_PARTS: ClassVar[tuple[str, ...]]
    EMPTY_PROMPT_PARTS: ClassVar[tuple[str, ...]]
    CLASSES: ClassVar[dict[str, tuple[str, ...]]]  # of the networks, by part
    LOADED_AS: ClassVar[dict[str, str]] = {}  # where it is another class than a checkpoint names
    DENOISER: ClassVar[str]  # its part
    BATCH: ClassVar[int]  # windows that go through the denoiser together

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        offload: bool = False,
    ) -> None:
        self.checkpoint, self.info = checkpoint, self.info_of(checkpoint)
        self.device, self._dtype = usable_device(device, dtype), dtype
        if dtype == torch.bfloat16 and self.device.type == "cpu" and automatic_dtype(self.device) != dtype:
            _log.warning("%s", _SLOW)

        def load(part: str) -> torch.nn.Module:
            return self.load_part(checkpoint, part, dtype if part == self.DENOISER else torch.float32)

        self.networks = Networks(load, self.device, offload=offload)
        self._prompts = Prompts(self._encode_prompt, self.empty_prompt(checkpoint))
        self._prediction = "v_prediction"

    @classmethod
    @abstractmethod
    def info_of(cls, checkpoint: Checkpoint) -> BackendInfo:
        """What is fixed about a checkpoint, from its files, without building its networks.

        Raises:
            ModelError: a part is missing or damaged, or is not of this family's shape.
        """

    @classmethod
    @abstractmethod
    def weights_digest(cls, checkpoint: Checkpoint) -> bytes:
        """SHA-256 over what decides the meaning of a stream, but for the error curve."""

    @classmethod
    def load_part(cls, checkpoint: Checkpoint, part: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        """The network of a part, for inference.

        Raises:
            ModelError: its class is unknown, or its weights are damaged.
        """
        return checkpoint.load(part, cls.CLASSES[part], dtype, as_class=cls.LOADED_AS.get(part))

    @classmethod
    def empty_prompt(cls, checkpoint: Checkpoint) -> Path:
        """The file in which what the empty prompt became is kept, once it was needed."""
        return checkpoint.store(cls.weights_digest(checkpoint)) / "null-prompt.safetensors"

    def condition(self, text: str) -> Condition:
        return Condition(text, self._prompts(text).dropped, text)

    def denoise(self, x: torch.Tensor, t: int, tag: int = 0, condition: Condition | None = None) -> torch.Tensor:
        if tag:
            raise ConfigError(f"tag {tag}: {self.info.name} has no tags; give a prompt")
        embedding = self._prompts("" if condition is None else condition.value).embedding
        with torch.no_grad():
            predicted = torch.cat([self._predicted(some, t, embedding) for some in x.split(self.BATCH)])
        return _x0_hat(self._prediction, x, predicted, self.info.schedule.alpha(t))

    def _predicted(self, x: torch.Tensor, t: int, embedding: dict[str, torch.Tensor]) -> torch.Tensor:
        given = {
            name: value.to(x.device, self._dtype if value.is_floating_point() else value.dtype).expand(
                len(x), *value.shape[1:]
            )
            for name, value in embedding.items()
        }
        with computing(self.DENOISER):
            return self._prediction_of(x.to(self._dtype), t, given).float()

    @abstractmethod
    def _prediction_of(self, x: torch.Tensor, t: int, given: dict[str, Any]) -> torch.Tensor:
        """What the denoiser says, shaped as x; `given` are its arguments for the prompt, of x's batch size."""

    @abstractmethod
    def _encode_prompt(self, text: str) -> EncodedPrompt: ...


def info_with_curve(checkpoint: Checkpoint, digest: bytes, schedule: Schedule, **shape: Any) -> BackendInfo:
    """What is fixed about a checkpoint whose weights have that digest; the error curve is part of its fingerprint."""
    curve = load_curve(curve_file(checkpoint, digest)) or typical_curve(schedule)
    return BackendInfo(
        name=checkpoint.name,
        fingerprint=sha256(digest + json.dumps([curve.timesteps, curve.errors]).encode()).digest(),
        autoencoder=checkpoint.digest(["vae"]),
        schedule=schedule,
        curve=curve,
        tags=(),
        **shape,
    )


def _x0_hat(prediction: str, x: torch.Tensor, predicted: torch.Tensor, alpha: float) -> torch.Tensor:
    """Clean data from what the network predicts (Ho et al. 2020, eq. 15; Salimans & Ho 2022, appendix D)."""
    if prediction == "epsilon":
        return (x - (1 - alpha) ** 0.5 * predicted) / alpha**0.5
    return x0_from_v(x, predicted, alpha) if prediction == "v_prediction" else predicted
