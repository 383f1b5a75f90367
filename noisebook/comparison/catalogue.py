"""The table of all methods: noisebook's own and the controls here, those of others in `programs` and `neural`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import presets
from noisebook.codec.options import EncodeOptions
from noisebook.comparison import neural, programs
from noisebook.comparison.methods import Coded, Family, Job, Method, round_trip
from noisebook.errors import AudioError, ConfigError
from noisebook.quantizers.files import shipped_names
from noisebook.synthesis import reconstruction_presets
from noisebook.synthesis.options import TRANSFORM_METHODS
from noisebook.verification import controls

if TYPE_CHECKING:
    import torch

    from noisebook.codec.segment import Target
    from noisebook.diffusion.backend import Backend
    from noisebook.diffusion.plan import Step

_PIECE = 0.5  # seconds that a shuffle keeps together
_PINK_FROM = 20.0  # Hz, from which on the power of pink noise falls


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
        prompt: of the transformations, which cannot run without.
        weights: folder with the folders of neural codecs.
        seed: of all random choices, 0 to 255; ConfigError outside of that, and for a rate outside the allowed.
        model: as `api.load_backend` takes it; only shown.
    """
    if not 0 <= seed <= 255:
        raise ConfigError(f"seed {seed}: 0 to 255 are possible")
    drawn_by = f" --model {model}" if model != "mini" else ""
    options = drawn_by + (f" --seed {seed}" if seed else "")
    return (
        _own("vocoder", "Vocoder on true features", "ceiling", "vocoder", _made(_vocoded)),
        _own("autoencoder", "Autoencoder", "ceiling", "latent, sound", _made(_autoencoded)),
        *(
            _own(
                f"reconstruct-{preset.name}", f"Reconstruction {preset.name}", "reconstruct",
                f"noisebook reconstruct IN OUT --preset {preset.name}{options}",
                _made(partial(_reconstructed, preset=preset.name, seed=seed)),
            )
            for preset in reconstruction_presets.PRESETS
        ),
        *(
            _own(
                f"vq-{name}", f"VQ {name}", "vq",
                f"noisebook compress IN FILE --codec vq --codebook {name}{drawn_by}; noisebook decompress FILE OUT",
                partial(_quantised, codebook=name), suffix=".ddcm",
            )
            for name in shipped_names()
        ),
        *(_ddcm(rate, seed, options) for rate in rates or [float(preset.name) for preset in presets.PRESETS]),
        *(
            _own(
                f"transform-{method}", f"Transformation {method}", "transform",
                f"noisebook transform IN OUT --prompt '{prompt}' --method {method}{options}",
                _made(partial(api.transform, prompt=prompt or "", method=method, seed=seed)),
                missing=None if prompt else "needs a prompt: give --prompt",
            )
            for method in TRANSFORM_METHODS
        ),
        *programs.methods(),
        *neural.methods(weights=weights),
        _control("silence", "Silence", "digital silence", lambda sound, other: 0 * sound.samples[0]),
        _control("pink-noise", "Pink noise", f"pink noise of the same level, seed {seed}", partial(_pink, seed=seed)),
        _control(
            "shuffled", "Shuffled", f"its own half seconds in another order, seed {seed}",
            partial(_shuffled, seed=seed),
        ),
        _control(
            "another-clip", "Another clip", "the next input at the same level", _another_clip, needs_other=True
        ),
    )  # fmt: skip


def _own(name: str, label: str, family: Family, command: str, run: Callable[[Job], Coded], **more: Any) -> Method:
    return Method(name, label, family, family, command, run, generative=True, needs_model=True, **more)


def _ddcm(rate: float, seed: int, options: str) -> Method:
    preset = next((preset.name for preset in presets.PRESETS if float(preset.name) == rate), None)
    if preset is None:
        presets.params_for(rate)  # the error
        how, asked, nominal = f"--bitrate {rate:g}", EncodeOptions(bitrate=rate, seed=seed), rate
    else:
        how, asked, nominal = (
            f"--preset {preset}",
            EncodeOptions(preset=preset, seed=seed),
            presets.by_name(preset).bitrate,
        )
    return _own(
        f"ddcm-{rate:g}", f"DDCM {rate:g} bit/s", "ddcm",
        f"noisebook compress IN FILE {how}{options}; noisebook decompress FILE OUT",
        partial(_diffused, options=asked), bit_per_second=nominal, suffix=".ddcm",
    )  # fmt: skip


def _control(name: str, label: str, command: str, make: Callable[..., np.ndarray], **more: Any) -> Method:
    """A sound that knows nothing of the input, or nothing of its order: a metric on which it does well says nothing."""

    def run(job: Job) -> Coded:
        samples = make(job.sound, job.other)
        return Coded(Waveform(np.ascontiguousarray(samples[None], np.float32), job.sound.sample_rate))

    return Method(name, label, "control", "control", command, run, mono=True, **more)


def _made(make: Callable[..., Waveform]) -> Callable[[Job], Coded]:
    """A method without bits, of (sound, backend=backend) -> sound."""

    def run(job: Job) -> Coded:
        started = time.perf_counter()
        sound = make(job.sound, backend=_backend(job))
        return Coded(sound, encode_seconds=time.perf_counter() - started)

    return run


def _vocoded(sound: Waveform, backend: Backend) -> Waveform:
    """The vocoder on the features of the sound itself: all but the vocoder is perfect."""
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis.sound import vocoded

    return vocoded(sound, with_features(backend))


def _autoencoded(sound: Waveform, backend: Backend) -> Waveform:
    """The latent of the sound, decoded: all but autoencoder and vocoder is perfect."""
    from noisebook.synthesis.sound import from_latent, to_latent

    return from_latent(*to_latent(sound, backend=backend), backend=backend)


def _reconstructed(sound: Waveform, backend: Backend, **options: Any) -> Waveform:
    return api.reconstruct(sound, backend=backend, **options).waveform


def _quantised(job: Job, *, codebook: str) -> Coded:
    backend = _backend(job)
    return round_trip(
        lambda: api.compress_with_codebook(job.sound, backend=backend, codebook=codebook),
        lambda data: api.decompress(data, backend=backend),
    )


def _diffused(job: Job, *, options: EncodeOptions) -> Coded:
    """`noisebook compress` and `decompress`, which also say how far the latent is off after every step."""
    from noisebook.codec.decoder import Decoder
    from noisebook.codec.encoder import compress_towards, prepare, targets
    from noisebook.codec.signal import sound_of

    backend = _backend(job)
    started = time.perf_counter()
    prepared = prepare(job.sound, options, backend)
    latent, target_of = prepared.latent, targets(prepared, options, backend)
    errors: defaultdict[int, float] = defaultdict(float)  # of each step, summed over segments

    def traced(start: int, end: int) -> Target:
        wanted, steps = target_of(start, end), count()

        def target(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
            errors[next(steps)] += float((latent[:, :, start:end] - x0_hat).square().sum())
            return wanted(step, x0_hat) if callable(wanted) else wanted

        return target

    data = compress_towards(traced, prepared, backend=backend)
    coded = time.perf_counter()
    decoder = Decoder(data, backend=backend)
    decoded = decoder.latent()
    sound = sound_of(decoded, decoder.header, backend, decoder.image)
    ended = time.perf_counter()
    errors[len(errors)] = float((decoded - latent).square().sum())
    energy = max(float(latent.square().sum()), 1e-30)
    residuals = tuple(10 * log10(max(error, 1e-30) / energy) for error in errors.values())
    return Coded(sound, data, coded - started, ended - coded, residuals)


def _pink(sound: Waveform, other: Waveform | None, *, seed: int) -> np.ndarray:
    """Gaussian noise whose power falls by 3 dB an octave from 20 Hz, at the RMS of the sound."""
    noise = controls.pink_noise(sound.sample_count, seed=seed, flat_below=_PINK_FROM * sound.duration)
    return controls.levelled(noise, sound.samples[0])


def _shuffled(sound: Waveform, other: Waveform | None, *, seed: int) -> np.ndarray:
    return controls.shuffled(sound.samples[0], sample_rate=sound.sample_rate, seed=seed, piece=_PIECE)


def _another_clip(sound: Waveform, other: Waveform | None) -> np.ndarray:
    """The other sound, repeated or cut to the length of this one, at its RMS."""
    if other is None:
        raise AudioError("there is no other clip: compare two inputs or more")
    return controls.levelled(np.resize(other.samples[0], sound.sample_count), sound.samples[0])


def _backend(job: Job) -> Backend:
    if job.backend is None:
        raise ConfigError("this method needs a model: give the job a backend")
    return job.backend
