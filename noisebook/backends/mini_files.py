"""The files of a model of our own, and what they say without a network being built.

Each is one network in safetensors: float16 weights, with its configuration and training record as metadata. torch is
loaded to load and save weights alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from noisebook.audio.bands import BANKS, HOP_LENGTH, SAMPLE_RATE, SYNTHESIS_REACH
from noisebook.audio.features import BAND_FEATURES
from noisebook.config import from_dict
from noisebook.diffusion.backend import BackendInfo
from noisebook.diffusion.plan import Curve, scaled_linear
from noisebook.diffusion.samplers import Sampling
from noisebook.errors import ConfigError, ModelError
from noisebook.networks.configs import PATCH, BandVaeConfig, DenoiserConfig

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = Path(__file__).parent / "weights"
FILES = ("vae.safetensors", "denoiser.safetensors")
# Guidance's loudness is taken back whole, which is nearest to real sound (docs/systems.md); Lin et al. 2024 take 0.7.
_SAMPLING = Sampling(20, 7.5, 1.0, "ddim", "quadratic")
_WINDOW_FRAMES = 256  # 10.24 s, the longest the denoiser was trained on

Network = TypeVar("Network", bound="nn.Module")
Config = TypeVar("Config")


def fingerprint(folder: Path) -> bytes:
    """SHA-256 over all that decides what a stream means: weights of VAE and denoiser, and the error curve."""
    _require_files(folder)
    digest = sha256()
    for name in FILES:
        digest.update(_content_digest(folder / name))
    curve = _curve(folder / FILES[1])
    digest.update(json.dumps([curve.timesteps, curve.errors]).encode())
    return digest.digest()


def describe(folder: Path) -> dict[str, dict[str, object]]:
    """Configuration and training record of each file of a mini model."""
    metadata = {name: read_metadata(folder / name) for name in FILES}
    return {
        name: {key: json.loads(values[key]) for key in ("config", "record") if key in values}
        for name, values in metadata.items()
    }


def model_info(folder: Path = WEIGHTS) -> BackendInfo:
    """What is fixed about a model, read from its files without building its networks. ModelError where one is missing,
    damaged, or of another model than the other."""
    _require_files(folder)
    if read_metadata(folder / FILES[0]).get("network") == "MelVae":
        raise ModelError(f"{folder} holds a model of mels at 16 kHz, which noisebook 0.1 reads and no later version")
    vae = _read_config(folder / FILES[0], "BandVae", BandVaeConfig)
    denoiser = _read_config(folder / FILES[1], "Denoiser", DenoiserConfig)
    latents = (vae.latent_channels, vae.latent_bins), (denoiser.latent_channels, denoiser.latent_bins)
    if latents[0] != latents[1] or vae.bands != BAND_FEATURES.bins:
        raise ModelError(f"{folder}: VAE and denoiser have different shapes; they are of different models")
    window = max(bank.n_fft for bank in BANKS) // 2 // (PATCH * HOP_LENGTH)
    return BackendInfo(
        name="mini",
        fingerprint=fingerprint(folder),
        autoencoder=_content_digest(folder / FILES[0]),
        sample_rate=SAMPLE_RATE,
        features=BAND_FEATURES,
        frame_samples=PATCH * HOP_LENGTH,
        latent_channels=vae.latent_channels,
        latent_bins=vae.latent_bins,
        frame_multiple=1,
        window_frames=_WINDOW_FRAMES,
        margin_frames=max(1 + window + vae.encoder_reach, vae.decoder_reach + SYNTHESIS_REACH // PATCH),
        schedule=scaled_linear(),
        curve=_curve(folder / FILES[1]),
        tags=denoiser.tags,
        sampling=_SAMPLING,
    )


def save_network(path: Path, network: nn.Module, record: dict[str, Any]) -> None:
    """Write `network` (which has a dataclass `config`) as float16, with `record` (any JSON) beside it."""
    import torch
    from safetensors.torch import save_file

    state = network.state_dict().items()
    tensors = {name: value.detach().to("cpu", torch.float16).contiguous() for name, value in state}
    config, partial = json.dumps(vars(network.config)), path.with_suffix(".partial")
    save_file(tensors, partial, {"network": type(network).__name__, "config": config, "record": json.dumps(record)})
    partial.replace(path)


def load_network(path: Path, network_class: type[Network], config_class: type) -> Network:
    """Rebuild the network of `path` in float32, in evaluation mode. ModelError where there is no such file, or it holds
    no safetensors, another network, or tensors that do not fit its configuration."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config: Any = _read_config(path, network_class.__name__, config_class)
    try:
        network = network_class(config)
        network.load_state_dict({name: value.to(torch.float32) for name, value in load_file(path).items()})
    except (ArithmeticError, KeyError, RuntimeError, SafetensorError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the weights do not fit: {error}") from error
    return network.eval().requires_grad_(False)


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file (`network`, `config`, `record`: JSON texts) without its tensors. ModelError
    where there is no such file, or it is not safetensors."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise ModelError(f"{path}: no such weights file")
    try:
        with safe_open(path, "numpy") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file: {error}") from error


def count_parameters(paths: Iterable[Path]) -> int:
    """Number of weights in some files, without reading them; errors as of `read_metadata`."""
    from safetensors import safe_open

    count = 0
    for path in paths:
        read_metadata(path)
        with safe_open(path, "numpy") as file:
            count += sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return count


def _read_config(path: Path, network: str, config_class: type[Config]) -> Config:
    """The configuration in a file that holds the named network."""
    metadata = read_metadata(path)
    if metadata.get("network") != network:
        raise ModelError(f"{path} holds {metadata.get('network', 'an unknown network')}, not {network}")
    try:
        return from_dict(config_class, json.loads(metadata["config"]))
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: the weights do not fit: {error}") from error


def _content_digest(path: Path) -> bytes:
    """SHA-256 over what a file's weights and configuration are, whatever order they are stored in."""
    from safetensors import safe_open

    config = json.loads(read_metadata(path).get("config", "{}"))
    digest = sha256(json.dumps(config, sort_keys=True).encode())
    with safe_open(path, "numpy") as file:
        for name in sorted(file.keys()):
            tensor = file.get_tensor(name)
            digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode())
            digest.update(tensor.tobytes())
    return digest.digest()


def _require_files(folder: Path) -> None:
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise ModelError(f"{folder} has no {', '.join(missing)}; a mini model is a folder with {', '.join(FILES)}")


def _curve(path: Path) -> Curve:
    try:
        return from_dict(Curve, json.loads(read_metadata(path).get("record", "{}"))["curve"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path} has no error curve in its record ({error}): training.train writes one") from error
