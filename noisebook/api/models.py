"""Which model: from a name or a folder to a backend, and how well it was measured. The only place that names concrete
backends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import checked
from noisebook.backends import installed, mini_files
from noisebook.coding.container import parse_header
from noisebook.errors import ConfigError, ModelError
from noisebook.options import OnStep, Options, option

if TYPE_CHECKING:
    import torch

    from noisebook.audio.waveform import Waveform
    from noisebook.backends.checkpoint_folder import Checkpoint
    from noisebook.backends.installed import InstalledModel
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.diffusion.plan import Curve

EMBEDDED = "mini"
DEVICES = ("auto", "cpu", "cuda", "mps", "xpu")
DTYPES = ("auto", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class ModelOptions(Options):
    """A model, and how it runs here."""

    model: str | None = option(
        EMBEDDED, "mini, which is inside the package; the fingerprint of an installed one (noisebook models); "
        "audioldm2, -large or -music; an id of the hub (owner/name); or a folder that holds a model.", metavar="MODEL",
    )  # fmt: skip
    device: str = option(
        "auto",
        "auto (the fastest here), cpu, cuda, mps or xpu, with its number where there are several (cuda:1).",
        metavar="DEVICE",
    )
    dtype: str = option(
        "float32",
        "Precision of the networks; float32 is the reference, auto is bfloat16 where DEVICE multiplies in it; float16 "
        "is for GPUs.",
        choices=DTYPES,
    )
    offload: bool = option(False, "Keep large models in main memory, one network at a time on DEVICE.")
    offline: bool = option(False, "Download nothing: the model is here or it is an error.")
    threads: int | None = option(None, "CPU threads; by default all cores.", low=1)

    def load(self, model: str | None = None) -> Backend:
        """The backend of this model, or of another in the same way; errors as of `load_backend`."""
        return load_backend(model, options=self)

    def model_of(self, data: bytes) -> str:
        """The model for a stream: this one, or where none is named the one that made the stream."""
        return self.model or find_model(data)


@checked
def load_backend(model: str | None = None, *, options: ModelOptions = ModelOptions(), **keywords: Any) -> Backend:
    """Load a diffusion model.

    A folder holds the two files of a mini model, or a checkpoint of AudioLDM, AudioLDM 2, MusicLDM or Stable Audio Open
    in the layout of diffusers; an id of the hub is such as "cvssp/audioldm-s-full-v2".

    Args:
        model: by default that of the options.
        options: what may be chosen; each can also be given as a keyword: `device="cuda:1"`.

    Raises:
        ModelError: no such model, or damaged weights.
        ConfigError: an unknown dtype, or a device that is not there.
        MissingExtra: a model in the layout of diffusers, and the libraries are not installed.
    """
    if options.device.partition(":")[0] not in DEVICES:
        raise ConfigError(f"device {options.device!r}: {', '.join(DEVICES)} are possible")
    import torch

    from noisebook.backends.placement import automatic_dtype, usable_device

    if options.threads is not None:
        torch.set_num_threads(options.threads)
    name, device = options.model if model is None else model, options.device
    wanted = automatic_dtype(usable_device(device)) if options.dtype == "auto" else getattr(torch, options.dtype)
    folder = mini_folder(EMBEDDED if name is None else name)
    if folder is not None:
        from noisebook.backends.mini import MiniBackend

        return MiniBackend(folder, device=device, dtype=wanted)
    checkpoint, family = diffusers_checkpoint(EMBEDDED if name is None else name, offline=options.offline)
    backend: Backend = family(checkpoint, device=device, dtype=wanted, offload=options.offload)
    return backend


@checked
def model_info(model: str = EMBEDDED, *, offline: bool = False) -> BackendInfo:
    """What is fixed about a model, without loading it.

    Raises:
        ModelError: no such model, or damaged weights.
    """
    folder = mini_folder(model)
    if folder is not None:
        return mini_files.model_info(folder)
    checkpoint, family = diffusers_checkpoint(model, offline=offline)
    info: BackendInfo = family.info_of(checkpoint)
    return info


@checked
def find_model(data: bytes) -> str:
    """The model that a .ddcm stream was made with, as `load_backend` and `model_info` take it: the one inside the
    package, or one that is installed.

    Raises:
        StreamError: no header that can be read.
        WrongModel: no such model is installed; the message says which it is and which were looked at.
        ModelError: the model inside the package cannot be read.
    """
    return model_of(parse_header(data)[0].fingerprint)


def model_of(fingerprint: bytes) -> str:
    """The model of a stream by the fingerprint in its header; errors as of `find_model`."""
    found = installed.find(fingerprint)
    return EMBEDDED if found.embedded else str(found.folder)


@checked
def install_model(folder: Path | str) -> InstalledModel:
    """Copy a model of our own into the user's folder of models, so that streams find it; loads it first, to see that
    its weights fit.

    Raises:
        ModelError: no model, damaged weights, or a place that cannot be written to.
    """
    place = mini_folder(str(folder)) if Path(folder).is_dir() else None
    if place is None:
        raise ModelError(f"{folder} is no folder with a model of noisebook's own; others are given with --model")
    load_backend(str(place), device="cpu")
    return installed.install(place)


def mini_folder(model: str) -> Path | None:
    """The folder of a mini model; None where the name is that of a model in the layout of diffusers.

    Raises:
        ModelError: a folder that holds neither.
    """
    if model == EMBEDDED:
        return mini_files.WEIGHTS
    folder = Path(model)
    if not folder.exists() and re.fullmatch("[0-9a-f]{8,64}", model):
        return next((one.folder for one in installed.installed() if one.fingerprint.startswith(model)), None)
    if not folder.is_dir() or (folder / "model_index.json").is_file():
        return None
    if not any((folder / name).is_file() for name in mini_files.FILES):
        raise ModelError(
            f"{folder} holds no model: neither model_index.json, as a checkpoint in the layout of diffusers has, nor "
            f"{', '.join(mini_files.FILES)}"
        )
    return folder


def diffusers_checkpoint(model: str, *, offline: bool = False) -> tuple[Checkpoint, Any]:
    """A checkpoint in the layout of diffusers, opened and not loaded, and the class that drives it.

    Raises:
        ModelError: no such model, or a pipeline that noisebook does not know.
        MissingExtra: the libraries are not installed.
    """
    from noisebook.backends.checkpoint_folder import ALIASES, is_hub_id, open_checkpoint
    from noisebook.backends.pipeline import family_of

    if not Path(model).exists() and model not in ALIASES and not is_hub_id(model):
        names = ", ".join((EMBEDDED, *ALIASES))
        raise ModelError(
            f"model {model!r}: there are {names}; or give an id of the hub (owner/name), a folder, "
            "or the fingerprint of an installed one (noisebook models)"
        )
    checkpoint = open_checkpoint(model, offline=offline)
    return checkpoint, family_of(checkpoint)


@checked
def calibrate(
    sounds: Iterable[Waveform],
    *,
    backend: Backend,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> Curve:
    """The error curve of a backend's denoiser on sounds: mean squared error of x0_hat at twenty timesteps.

    Args:
        sounds: of the kind that will be coded, a minute or more in all; mono or stereo, any rate.
        backend: from `load_backend`.
        seed: of the noise.
        on_step: called with (sounds done, sounds in all).

    Raises:
        AudioError: more than two channels.
        ConfigError: no sound.
    """
    from noisebook.diffusion.calibration import measure_curve
    from noisebook.synthesis.sound import to_latent

    listed = list(sounds)

    def latents() -> Iterator[torch.Tensor]:
        for index, sound in enumerate(listed):
            yield from to_latent(sound, backend=backend)[0].split(backend.info.window_frames, dim=2)
            if on_step is not None:
                on_step(index + 1, len(listed))

    return measure_curve(backend.denoise, backend.info.schedule, latents(), seed=seed)


@checked
def store_calibration(model: str, curve: Curve | None) -> Path:
    """Keep a measured curve with a model, or forget the one that is kept; gives the file that holds it.

    The curve is part of what a stream means: streams made before are refused by the model after, and the other way
    round.

    Raises:
        ConfigError: the embedded model, or a mini model without its curve: it comes with one.
        ModelError: no such model, or its folder cannot be written.
    """
    from noisebook.backends import mini, pipeline

    if model == EMBEDDED:
        raise ConfigError(f"{EMBEDDED} was calibrated when it was trained, and its streams depend on it")
    folder = mini_folder(model)
    if folder is not None:
        if curve is None:
            raise ConfigError("a mini model has no typical curve to go back to; calibrate it anew")
        return mini.store_curve(folder, curve)
    checkpoint, family = diffusers_checkpoint(model, offline=True)
    path: Path = family.curve_file(checkpoint)
    pipeline.store_curve(path, curve)
    return path
