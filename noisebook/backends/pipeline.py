"""What the models in the layout of diffusers share: parts loaded when they are needed, prompts, fingerprints.

A family is a subclass in a module of its own. To code a sound only `CODING_PARTS` are read: less than half of the
parameters. What the denoiser hears without a prompt, the embedding of the empty text, is computed once from
`EMPTY_PROMPT_PARTS` and kept in the cache; the text parts are loaded at the first prompt.
"""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from dataclasses import asdict
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from noisebook.backends.cache import write_text
from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.backends.placement import Networks, automatic_dtype, computing, usable_device
from noisebook.backends.text import EncodedPrompt, Prompts
from noisebook.config import from_dict
from noisebook.diffusion.backend import BackendInfo, Condition
from noisebook.diffusion.calibration import TIMESTEPS
from noisebook.diffusion.plan import Curve, Schedule
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.denoiser import x0_from_v

_PIPELINES = {  # class of the pipeline -> module and class here
    "AudioLDM2Pipeline": ("latent_diffusion", "LatentDiffusion"),
    "AudioLDMPipeline": ("latent_diffusion", "LatentDiffusion"),
    "MusicLDMPipeline": ("latent_diffusion", "LatentDiffusion"),
    "StableAudioPipeline": ("stable_audio", "StableAudio"),
}
_CURVE_FILE = "noisebook-curve.json"
# Error of x0_hat at signal-to-noise ratios, by a transformer of 15.8 M parameters on mel latents of unit variance.
_TYPICAL = (
    (1.4e-4, 0.98), (0.0025, 0.82), (0.0139, 0.69), (0.0528, 0.53), (0.157, 0.44), (0.405, 0.36), (0.972, 0.28),
    (1.94, 0.22), (3.45, 0.19), (6.22, 0.15), (10.0, 0.12), (17.0, 0.097), (27.8, 0.077), (53.0, 0.057),
    (96.0, 0.042), (230.0, 0.025), (430.0, 0.012),
)  # fmt: skip
PREDICTIONS = ("epsilon", "v_prediction", "sample")
_SLOW = (
    "this processor does not multiply in bfloat16: it takes 3 to 15 times as long as in float32, for half of the "
    "denoiser's memory; --dtype auto takes what is fast here"
)

_log = logging.getLogger(__name__)


def family_of(checkpoint: Checkpoint) -> type[PipelineBackend]:
    """The class for a checkpoint's pipeline. ModelError where there is none."""
    if checkpoint.pipeline not in _PIPELINES:
        raise ModelError(f"{checkpoint.name} is a {checkpoint.pipeline}; noisebook knows {', '.join(_PIPELINES)}")
    module, name = _PIPELINES[checkpoint.pipeline]
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
        self, checkpoint: Checkpoint, *, device: str = "cpu", dtype: torch.dtype = torch.float32, offload: bool = False
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
        """What is fixed about a checkpoint, from its files, without building its networks. ModelError where a part is
        missing or damaged, or is not of this family's shape."""

    @classmethod
    @abstractmethod
    def weights_digest(cls, checkpoint: Checkpoint) -> bytes:
        """SHA-256 over what decides the meaning of a stream, but for the error curve."""

    @classmethod
    def curve_file(cls, checkpoint: Checkpoint) -> Path:
        """Where the measured error curve of a checkpoint is: in its folder, or in the cache if it is from the hub.

        The curve decides where a stream's steps lie, so it is part of the model's fingerprint: a stream made before a
        calibration is refused after it, and the other way round.
        """
        own = checkpoint.hub_id is None
        return (checkpoint.folder if own else checkpoint.store(cls.weights_digest(checkpoint))) / _CURVE_FILE

    @classmethod
    def info_with_curve(cls, checkpoint: Checkpoint, schedule: Schedule, **shape: Any) -> BackendInfo:
        """What is fixed about a checkpoint, the error curve and the fingerprint, of which it is part, among it."""
        curve = load_curve(cls.curve_file(checkpoint)) or typical_curve(schedule)
        meaning = cls.weights_digest(checkpoint) + json.dumps([curve.timesteps, curve.errors]).encode()
        return BackendInfo(
            name=checkpoint.name,
            fingerprint=sha256(meaning).digest(),
            autoencoder=checkpoint.digest(["vae"]),
            schedule=schedule,
            curve=curve,
            tags=(),
            **shape,
        )

    @classmethod
    def load_part(cls, checkpoint: Checkpoint, part: str, dtype: torch.dtype = torch.float32) -> torch.nn.Module:
        """The network of a part, for inference; errors as of `Checkpoint.load`."""
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


def _x0_hat(prediction: str, x: torch.Tensor, predicted: torch.Tensor, alpha: float) -> torch.Tensor:
    """Clean data from what the network predicts (Ho et al. 2020, eq. 15; Salimans & Ho 2022, appendix D)."""
    if prediction == "epsilon":
        return (x - (1 - alpha) ** 0.5 * predicted) / alpha**0.5
    return x0_from_v(x, predicted, alpha) if prediction == "v_prediction" else predicted


def typical_curve(schedule: Schedule) -> Curve:
    """The curve to plan with until a denoiser was measured, that of a typical one, for any schedule."""
    timesteps = tuple(sorted({t * (len(schedule) - 1) // TIMESTEPS[-1] for t in TIMESTEPS}))
    ratios, known = zip(*_TYPICAL, strict=True)
    errors = np.interp([schedule.snr(t) for t in timesteps], ratios, known)
    return Curve(timesteps, tuple(float(f"{error:.6g}") for error in errors))


def load_curve(path: Path) -> Curve | None:
    """The curve that was measured for a model and stored in a file; None where there is none. ModelError for a damaged
    file."""
    if not path.is_file():
        return None
    try:
        return from_dict(Curve, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, ConfigError) as error:
        raise ModelError(f"{path} holds no error curve ({error}); remove it or calibrate again") from error


def store_curve(path: Path, curve: Curve | None) -> None:
    """Keep a measured curve in a file, or forget it. ModelError where its folder cannot be written."""
    if curve is None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise ModelError(f"{path} cannot be removed: {error.strerror}; make its folder writable") from error
    elif not write_text(path, json.dumps(asdict(curve), indent=1) + "\n"):
        raise ModelError(f"{path} cannot be written; make its folder writable")
