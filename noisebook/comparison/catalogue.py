"""All methods that there are, as one table: noisebook's own here, those of others in `programs`, `neural`, `controls`.

What an own method does stands below the table, and loads torch only when it runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import presets
from noisebook.comparison import controls, neural, programs
from noisebook.comparison.methods import Coded, Family, Job, Method, round_trip
from noisebook.errors import ConfigError
from noisebook.quantizers.files import shipped_names
from noisebook.synthesis import reconstruction_presets
from noisebook.synthesis.options import TRANSFORM_METHODS

if TYPE_CHECKING:
    import torch

    from noisebook.codec.segment import Target
    from noisebook.diffusion.backend import Backend
    from noisebook.diffusion.plan import Step

__all__ = ["Residuals", "autoencoded", "catalogue", "diffused", "quantised", "reconstructed", "transformed", "vocoded"]


def catalogue(
    *,
    rates: Sequence[float] = (),
    prompt: str | None = None,
    weights: Path | None = None,
    seed: int = 0,
    model: str = "mini",
) -> tuple[Method, ...]:
    """Every method, whether or not it can run here.

    Args:
        rates: of DDCM, bit/s; those of the presets where empty.
        prompt: of the transformations, which are not at hand without.
        weights: folder with the folders of neural codecs.
        seed: of all random choices, 0 to 255.
        model: as `api.load_backend` takes it; only shown.

    Raises:
        ConfigError: a seed or a rate outside the allowed.
    """
    if not 0 <= seed <= 255:
        raise ConfigError(f"seed {seed}: 0 to 255 are possible")
    drawn_by = f" --model {model}" if model != "mini" else ""
    options = drawn_by + (f" --seed {seed}" if seed else "")
    return (
        _own("vocoder", "Vocoder on true features", "ceiling", "vocoder", vocoded),
        _own("autoencoder", "Autoencoder", "ceiling", "latent, sound", autoencoded),
        *(
            _own(
                f"reconstruct-{preset.name}", f"Reconstruction {preset.name}", "reconstruct",
                f"noisebook reconstruct IN OUT --preset {preset.name}{options}",
                partial(reconstructed, preset=preset.name, seed=seed),
            )
            for preset in reconstruction_presets.PRESETS
        ),
        *(
            _own(
                f"vq-{name}", f"VQ {name}", "vq",
                f"noisebook compress IN FILE --codec vq --codebook {name}{drawn_by}; noisebook decompress FILE OUT",
                partial(quantised, codebook=name), suffix=".ddcm",
            )
            for name in shipped_names()
        ),
        *(_ddcm(rate, seed, options) for rate in rates or [float(preset.name) for preset in presets.PRESETS]),
        *(
            _own(
                f"transform-{method}", f"Transformation {method}", "transform",
                f"noisebook transform IN OUT --prompt '{prompt}' --method {method}{options}",
                partial(transformed, prompt=prompt or "", method=method, seed=seed),
                missing=None if prompt else "needs a prompt: give --prompt",
            )
            for method in TRANSFORM_METHODS
        ),
        *programs.methods(),
        *neural.methods(weights=weights),
        *controls.methods(seed=seed),
    )  # fmt: skip


def _own(name: str, label: str, family: Family, command: str, run: Callable[[Job], Coded], **more: Any) -> Method:
    return Method(name, label, family, family, command, run, generative=True, needs_model=True, **more)


def _ddcm(rate: float, seed: int, options: str) -> Method:
    preset = next((preset for preset in presets.PRESETS if float(preset.name) == rate), None)
    if preset is None:
        presets.params_for(rate)  # the error
    how = f"--bitrate {rate:g}" if preset is None else f"--preset {preset.name}"
    run = partial(diffused, preset=preset.name if preset else None, bitrate=None if preset else rate, seed=seed)
    return _own(
        f"ddcm-{rate:g}", f"DDCM {rate:g} bit/s", "ddcm",
        f"noisebook compress IN FILE {how}{options}; noisebook decompress FILE OUT",
        run, bit_per_second=preset.bitrate if preset else rate, suffix=".ddcm",
    )  # fmt: skip


def vocoded(job: Job) -> Coded:
    """The vocoder on the features of the sound itself: all but the vocoder is perfect."""
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis.vocoding import vocoded

    backend = with_features(_backend(job))
    return _timed(lambda: vocoded(job.sound, backend))


def autoencoded(job: Job) -> Coded:
    """The latent of the sound, decoded: all but autoencoder and vocoder is perfect."""
    from noisebook.synthesis.sound import from_latent, to_latent

    backend = _backend(job)
    return _timed(lambda: from_latent(*to_latent(job.sound, backend=backend), backend=backend))


def reconstructed(job: Job, *, preset: str, seed: int) -> Coded:
    """`noisebook reconstruct`."""
    return _timed(lambda: api.reconstruct(job.sound, backend=_backend(job), preset=preset, seed=seed).waveform)


def transformed(job: Job, *, prompt: str, method: str, seed: int) -> Coded:
    """`noisebook transform`."""
    return _timed(lambda: api.transform(job.sound, prompt, backend=_backend(job), method=method, seed=seed))


def quantised(job: Job, *, codebook: str) -> Coded:
    """`noisebook compress --codec vq`, and `decompress`."""
    backend = _backend(job)
    return round_trip(
        lambda: api.compress_with_codebook(job.sound, backend=backend, codebook=codebook),
        lambda data: api.decompress(data, backend=backend),
    )


def diffused(job: Job, *, preset: str | None, bitrate: float | None, seed: int) -> Coded:
    """`noisebook compress` and `decompress`, with the error of the latent after every step."""
    from noisebook.codec.decoder import Decoder
    from noisebook.codec.encoder import compress_towards, prepare, targets
    from noisebook.codec.options import EncodeOptions
    from noisebook.codec.rendering import sound_of

    backend = _backend(job)
    started = time.perf_counter()
    options = EncodeOptions(preset=preset, bitrate=bitrate, seed=seed)
    prepared = prepare(job.sound, options, backend)
    residuals = Residuals(prepared.latent, targets(prepared.latent, prepared.header, options, backend))
    data = compress_towards(
        residuals.target_of, prepared.header, backend=backend, image=prepared.image, sound=job.sound
    )
    coded = time.perf_counter()
    decoder = Decoder(data, backend=backend)
    latent = decoder.latent()
    sound = sound_of(latent, decoder.header, backend, decoder.image)
    decoded = time.perf_counter()
    return Coded(sound, data, coded - started, decoded - coded, (*residuals.nmse_db(), residuals.of(latent)))


class Residuals:
    """The targets of an encoder, with how far each step's estimate is from the latent written down.

    Args:
        latent: `[latents, C, L, F']`, what is coded.
        targets: of each segment, as `encoder.targets` makes them.
    """

    def __init__(self, latent: torch.Tensor, targets: Callable[[int, int], Target]) -> None:
        self._latent, self._targets = latent, targets
        self._energy = float(latent.square().sum())
        self._errors: dict[int, float] = {}  # of each step, summed over segments

    def target_of(self, start: int, end: int) -> Target:
        """The target of a segment, as `compress_towards` asks for it."""
        latent, wanted, steps = self._latent[:, :, start:end], self._targets(start, end), count()

        def target(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
            number = next(steps)
            self._errors[number] = self._errors.get(number, 0.0) + float((latent - x0_hat).square().sum())
            return wanted(step, x0_hat) if callable(wanted) else wanted

        return target

    def nmse_db(self) -> tuple[float, ...]:
        """Error of the estimate after 0, 1, ... steps in dB, relative to the energy of the latent."""
        return tuple(self._decibel(error) for error in self._errors.values())

    def of(self, latent: torch.Tensor) -> float:
        """The same of a decoded latent."""
        return self._decibel(float((latent - self._latent).square().sum()))

    def _decibel(self, error: float) -> float:
        return 10 * log10(max(error, 1e-30) / max(self._energy, 1e-30))


def _backend(job: Job) -> Backend:
    if job.backend is None:
        raise ConfigError("this method needs a model: give the job a backend")
    return job.backend


def _timed(make: Callable[[], Waveform]) -> Coded:
    started = time.perf_counter()
    sound = make()
    return Coded(sound, encode_seconds=time.perf_counter() - started)
