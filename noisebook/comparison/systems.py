"""The methods of noisebook itself, as rows: what they do is in `coding`, which loads torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from noisebook.codec import presets
from noisebook.comparison.methods import Coded, Family, Job, Method
from noisebook.errors import ConfigError
from noisebook.synthesis import reconstruction_presets

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["methods"]

_TRANSFORMATIONS = ("input-based", "improved", "guided")


def methods(*, rates: Sequence[float], prompt: str | None, seed: int, model: str) -> tuple[Method, ...]:
    """Ceilings, reconstruction presets, shipped codebooks, DDCM at some rates, and transformations.

    Args:
        rates: of DDCM, bit/s; those of the presets where empty.
        prompt: of the transformations, which are not at hand without.
        seed: of all random choices, 0 to 255.
        model: as `api.load_backend` takes it; only shown.

    Raises:
        ConfigError: a seed or a rate outside the allowed.
    """
    if not 0 <= seed <= 255:
        raise ConfigError(f"seed {seed}: 0 to 255 are possible")
    engine = f" --model {model}" if model != "mini" else ""
    options = engine + (f" --seed {seed}" if seed else "")
    return (
        _row("vocoder", "Vocoder on true features", "ceiling", "ceiling", "vocoder", lambda c, job: c.vocoded(job)),
        _row("autoencoder", "Autoencoder", "ceiling", "ceiling", "latent, sound", lambda c, job: c.autoencoded(job)),
        *(_reconstruction(preset.name, seed, options) for preset in reconstruction_presets.PRESETS),
        *(_codebook(name, engine) for name in _shipped_names()),
        *(_ddcm(rate, seed, options) for rate in rates or [float(preset.name) for preset in presets.PRESETS]),
        *(_transformation(method, prompt, seed, options) for method in _TRANSFORMATIONS),
    )


def _row(
    name: str,
    label: str,
    family: Family,
    series: str,
    command: str,
    act: Callable[[Any, Job], Coded],
    **more: Any,
) -> Method:
    def run(job: Job) -> Coded:
        return act(_coding(), job)

    return Method(name, label, family, series, command, run, generative=True, needs_model=True, **more)


def _coding() -> ModuleType:
    """Loads torch, and is imported only when a method runs."""
    from noisebook.comparison import coding

    return coding


def _shipped_names() -> tuple[str, ...]:
    from noisebook.quantizers.files import shipped_names

    return shipped_names()


def _reconstruction(preset: str, seed: int, options: str) -> Method:
    return _row(
        f"reconstruct-{preset}", f"Reconstruction {preset}", "reconstruct", "reconstruct",
        f"noisebook reconstruct IN OUT --preset {preset}{options}",
        lambda coding, job: coding.reconstructed(job, preset=preset, seed=seed),
    )  # fmt: skip


def _codebook(name: str, options: str) -> Method:
    return _row(
        f"vq-{name}", f"VQ {name}", "vq", "vq",
        f"noisebook compress IN FILE --codec vq --codebook {name}{options}; noisebook decompress FILE OUT",
        lambda coding, job: coding.quantised(job, codebook=name),
        suffix=".ddcm",
    )  # fmt: skip


def _ddcm(rate: float, seed: int, options: str) -> Method:
    preset = next((preset.name for preset in presets.PRESETS if float(preset.name) == rate), None)
    how = f"--bitrate {rate:g}" if preset is None else f"--preset {preset}"
    bit_per_second = rate if preset is None else presets.by_name(preset).bitrate
    if preset is None:
        presets.engine_for(rate)  # the error
    return _row(
        f"ddcm-{rate:g}", f"DDCM {rate:g} bit/s", "ddcm", "ddcm",
        f"noisebook compress IN FILE {how}{options}; noisebook decompress FILE OUT",
        lambda coding, job: coding.diffused(job, preset=preset, bitrate=None if preset else rate, seed=seed),
        bit_per_second=bit_per_second, suffix=".ddcm",
    )  # fmt: skip


def _transformation(method: str, prompt: str | None, seed: int, options: str) -> Method:
    return _row(
        f"transform-{method}", f"Transformation {method}", "transform", "transform",
        f"noisebook transform IN OUT --prompt '{prompt}' --method {method}{options}",
        lambda coding, job: coding.transformed(job, prompt=prompt, method=method, seed=seed),
        missing=None if prompt else "needs a prompt: give --prompt",
    )  # fmt: skip
