"""Which models and libraries there are on this machine, and whether a round trip works."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.errors import Error

if TYPE_CHECKING:
    import torch

    from noisebook.backends.checkpoint_folder import Checkpoint
    from noisebook.diffusion.backend import Backend

_CURVE = "error curve"
_WORKING = 1.5e9  # bytes, measured at the size of AudioLDM 2 (docs/audioldm2.md)
_FFMPEG = "not on the PATH; needed for other sound formats (m4a, wma, video)"
_NEEDED = ("numpy", "safetensors", "soundfile", "soxr", "click", "rich")
_OPTIONAL = {
    "matplotlib": "figures: pip install 'noisebook[plot]'",
    "visqol-python": "the metric ViSQOL: pip install 'noisebook[metrics]'",
    "zimtohrli": "the metric Zimtohrli: pip install 'noisebook[metrics]'",
    "pystoi": "the metric ESTOI: pip install 'noisebook[metrics]'",
    "pesq": "the metric PESQ: pip install 'noisebook[metrics]'",
    "diffusers": "AudioLDM 2 and its family: pip install 'noisebook[audioldm2]'",
    "transformers": "AudioLDM 2 and its family: pip install 'noisebook[audioldm2]'",
}


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report; state is "ok", "missing" (optional) or "failed"."""

    name: str
    state: str
    detail: str


def list_models() -> list[dict[str, Any]]:
    """The installed models, the embedded one first: name, folder, source, fingerprint, parameters, and each file's
    training record. ModelError if the embedded one cannot be read."""
    from noisebook.backends import mini_files as mini
    from noisebook.backends.installed import installed

    return [
        {
            "name": model.name,
            "folder": str(model.folder),
            "source": model.source,
            "fingerprint": model.fingerprint,
            "parameters": mini.count_parameters(filter(Path.is_file, (model.folder / name for name in mini.FILES))),
            "training": {name: parts.get("record", {}) for name, parts in mini.describe(model.folder).items()},
        }
        for model in installed()
    ]


def diagnose() -> list[Check]:
    """Every check, in order; never raises."""

    def embedded_model() -> str:
        model = list_models()[0]
        return f"{model['parameters'] / 1e6:.1f} M parameters, fingerprint {model['fingerprint'][:4]}"

    checks = [
        _attempt("python", lambda: f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        _attempt("libraries", lambda: ", ".join(f"{name} {version(name)}" for name in _NEEDED)),
        _attempt("torch", _torch),
        _attempt("embedded model", embedded_model),
        _attempt("round trip", _round_trip),
        _optional("ffmpeg", shutil.which("ffmpeg"), _FFMPEG),
    ]
    versions = {name: next((found.version for found in distributions(name=name)), None) for name in _OPTIONAL}
    return checks + [_optional(name, versions[name], use) for name, use in _OPTIONAL.items()]


def diagnose_model(model: str, device: str = "auto") -> list[Check]:
    """What of a model is here and whether it fits; downloads nothing and never raises."""
    checks: list[Check] = []
    try:
        for stage in _stages(model, device):
            checks += stage
            if any(check.state == "failed" for check in stage):
                break  # what follows would mean nothing
    except Error as error:
        checks.append(Check("model", "failed", str(error)))
    return checks


def _stages(model: str, device: str) -> Iterator[list[Check]]:
    from noisebook import api
    from noisebook.api.models import diffusers_checkpoint, mini_folder
    from noisebook.backends.mini_files import FILES

    folder = mini_folder(model)
    if folder is not None:
        found = f"mini model in {folder}, stream id {api.model_info(model).fingerprint.hex()[:4]}"
        curve = f"measured in training or by calibrate, in {folder / FILES[1]}"
        yield [Check("model", "ok", found), Check(_CURVE, "ok", curve)]
        yield [_forward_pass(model, device, prompts=True)]
        return
    checkpoint, family = diffusers_checkpoint(model, offline=True)

    def latents() -> str:
        info = family.info_of(checkpoint)
        shape = f"{info.latent_channels} x {info.latent_bins} values, {info.frames_per_second:.4g} frames a second"
        return f"{shape}, stream id {info.fingerprint.hex()[:4]}"

    parts = [_part(checkpoint, part, family) for part in checkpoint.parts]
    yield [Check("model", "ok", f"{checkpoint.pipeline} in {checkpoint.folder}"), *parts]
    yield [_attempt("latents", latents), _attempt(_CURVE, lambda: _curve_in_use(checkpoint, family))]
    missing = [check.name for check in parts if check.state == "missing"]
    yield [_empty_prompt(checkpoint, family, missing), _memory(checkpoint, family.CODING_PARTS, device)]
    prompts = not any(_only_for_prompts(part, family) for part in missing)
    yield [_forward_pass(model, device, prompts=prompts)]


def _only_for_prompts(part: str, family: Any) -> bool:
    return part not in family.CODING_PARTS and (part in family.CLASSES or part.startswith("tokenizer"))


def _forward_pass(model: str, device: str, *, prompts: bool) -> Check:
    """Of every part: files do not tell whether what one part gives is what the next one takes."""
    from noisebook import api

    name, done = "forward pass", list[str]()
    try:
        backend = api.load_backend(model, device=device, offline=True)
        for part, output in _forward(backend, prompts=prompts):
            if not output.isfinite().all():
                return Check(name, "failed", f"{part}: the output is not finite")
            done.append(part)
    except Exception as error:  # whatever goes wrong is the finding
        return Check(name, "failed", (f"after {', '.join(done)}: " if done else "") + _in_a_line(error))
    return Check(name, "ok", f"{', '.join(done)}: finite")


def _forward(backend: Backend, *, prompts: bool) -> Iterator[tuple[str, torch.Tensor]]:
    import torch

    from noisebook.diffusion.backend import with_features

    info, generator = backend.info, torch.Generator().manual_seed(0)
    frames = -(-round(info.frames_per_second) // info.frame_multiple) * info.frame_multiple

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator).to(backend.device)

    with torch.no_grad():
        latent = backend.to_latent(0.1 * noise(1, info.audio_channels, frames * info.frame_samples))
        yield "encoder", latent
        # With a prompt where there can be one: the empty one would be cached, and a diagnosis changes nothing.
        condition = backend.condition("music") if prompts else None
        denoised = backend.denoise(noise(*latent.shape), len(info.schedule) // 2, condition=condition)
        yield "denoiser with a prompt" if prompts else "denoiser", denoised
        if info.features:
            features = with_features(backend).decode(latent)
            yield "decoder", features
            yield "vocoder", with_features(backend).vocode(features)
        else:
            yield "decoder", backend.to_waveform(latent)


def _part(checkpoint: Checkpoint, part: str, family: Any) -> Check:
    """One part: its class and size, or what is wrong; a part that only prompts need may be missing."""
    detail = checkpoint.parts[part][1]
    try:
        if part.startswith("tokenizer"):
            checkpoint.preprocessor(part)
        elif part in family.CLASSES:
            family.load_part(checkpoint, part)  # files alone do not tell whether their tensors fit
            size = sum(path.stat().st_size for path in checkpoint.weights(part))
            detail += f", {size / 1e6:.0f} MB"
        elif part == "scheduler":
            checkpoint.config(part)
        else:
            checkpoint.require([part])
        return Check(part, "ok", detail)
    except Error as error:
        if part in family.CODING_PARTS:
            return Check(part, "failed", str(error))
        use = "only prompts need it" if _only_for_prompts(part, family) else "not needed"
        return Check(part, "missing", f"{error} ({use})")


def _curve_in_use(checkpoint: Checkpoint, family: Any) -> str:
    """It decides where the steps of streams lie, and what a strength means."""
    from noisebook.backends.pipeline import load_curve

    path = family.curve_file(checkpoint)
    curve = load_curve(path)
    if curve is None:
        return f"assumed, that of a typical denoiser; noisebook calibrate measures this one's and keeps it in {path}"
    beyond = max(curve.errors) > 1
    return f"measured, in {path}" + (", by an older version: it exceeds 1; calibrate again" if beyond else "")


def _empty_prompt(checkpoint: Checkpoint, family: Any, missing: list[str]) -> Check:
    """Every stream is made with it, so what makes it is needed until it is known."""
    name = "empty prompt"
    if family.empty_prompt(checkpoint).is_file():
        return Check(name, "ok", "known, so that coding needs no part for prompts")
    makers = [part for part in missing if part in family.EMPTY_PROMPT_PARTS]
    if makers:
        return Check(name, "failed", f"coding needs it once, and {', '.join(makers)} to make it are missing; get them")
    return Check(name, "ok", "made at the first use")


def _memory(checkpoint: Checkpoint, coding_parts: tuple[str, ...], device: str) -> Check:
    """What coding needs, at most, beside what is free. A window of 10 s takes `_WORKING` beyond the weights, of which a
    CPU holds those of one large network at a time."""
    from noisebook.backends.mini_files import count_parameters
    from noisebook.backends.placement import free_memory, usable_device

    try:
        place = usable_device(device)
        free = free_memory(place)
        counts = {part: count_parameters(checkpoint.weights(part)) for part in coding_parts if part != "scheduler"}
    except Error as error:
        return Check("memory", "failed", str(error))
    denoiser = max(counts.values())
    held = max(counts.values()) if place.type == "cpu" else sum(counts.values())
    full = 4 * held + _WORKING
    half = full - 2 * denoiser
    takes = f"coding takes {full / 1e9:.1f}, with a 16-bit denoiser {half / 1e9:.1f}"
    advice = "" if free >= full else ": use --dtype bfloat16" if free >= half else ": use --offload, or another device"
    return Check("memory", "ok" if free >= half else "failed", f"{free / 1e9:.1f} GB free on {place}; {takes}{advice}")


def _attempt(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except Exception as error:  # whatever goes wrong is the finding
        return Check(name, "failed", _in_a_line(error))


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _torch() -> str:
    import torch

    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append(f"cuda ({torch.cuda.get_device_name()})")
    if torch.backends.mps.is_available():
        devices.append("mps")
    return f"{torch.__version__}, {torch.get_num_threads()} threads, devices: {', '.join(devices)}"


def _round_trip() -> str:
    import numpy as np

    from noisebook import api

    backend = api.load_backend(device="cpu")
    tone = (0.3 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype(np.float32)
    stream = api.compress(tone, sample_rate=16000, backend=backend, preset="300")
    sound = api.decompress(stream, backend=backend)
    if sound.samples.shape != (1, 16000) or not np.isfinite(sound.samples).all():
        raise RuntimeError(f"1 s of sound came back as {sound.samples.shape}")
    return f"1 s of sound through {len(stream)} bytes"


def _optional(name: str, found: str | None, use: str) -> Check:
    return Check(name, "missing", use) if found is None else Check(name, "ok", found)
