"""What the methods of noisebook itself do with a sound."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import count

import torch

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.codec.segment import Target
from noisebook.codec.signal import restored
from noisebook.comparison.methods import Coded, Job
from noisebook.diffusion.backend import Backend, with_features
from noisebook.diffusion.plan import Step
from noisebook.errors import ConfigError
from noisebook.synthesis.measuring import features_of
from noisebook.synthesis.sound import Frame, from_latent, to_latent
from noisebook.synthesis.vocoding import first_working

__all__ = ["Residuals", "autoencoded", "diffused", "quantised", "reconstructed", "transformed", "vocoded"]


def vocoded(job: Job) -> Coded:
    """The vocoder on the features of the sound itself: all but the vocoder is perfect."""
    backend = with_features(_backend(job))
    frame = Frame.of(job.sound, backend.info)

    def make() -> Waveform:
        features = features_of(job.sound, frame, backend)
        samples = first_working(features, ("model",), frame.timeline(backend.info), backend).samples
        return restored(frame.heard(samples, backend.info), frame.header(), backend.info)

    return _timed(make)


def autoencoded(job: Job) -> Coded:
    """The latent of the sound, decoded: all but autoencoder and vocoder is perfect."""
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
    started = time.perf_counter()
    data = api.compress_with_codebook(job.sound, backend=backend, codebook=codebook)
    coded = time.perf_counter()
    sound = api.decompress(data, backend=backend)
    return Coded(sound, data, coded - started, time.perf_counter() - coded)


def diffused(job: Job, *, preset: str | None, bitrate: float | None, seed: int) -> Coded:
    """`noisebook compress` and `decompress`, with the error of the latent after every step."""
    backend = _backend(job)
    started = time.perf_counter()
    options = EncodeOptions(preset=preset, bitrate=bitrate, seed=seed)
    header = ddcm.header_of(job.sound, options, backend.info)
    target = ddcm.target_latent(job.sound, header, backend=backend)
    residuals = Residuals(target, ddcm.aims_of(target, header, options, backend))
    image = ddcm.image_payload(job.sound, header, backend.info)
    data = ddcm.compress_towards(residuals.target_of, header, image=image, backend=backend, sound=job.sound)
    coded = time.perf_counter()
    header, latent = ddcm.decode_latent(data, backend=backend)
    sound = ddcm.synthesise(latent, header, image=ddcm.open_stream(data, backend.info).image, backend=backend)
    decoded = time.perf_counter()
    return Coded(sound, data, coded - started, decoded - coded, (*residuals.nmse_db(), residuals.of(latent)))


class Residuals:
    """The aims of an encoder, with how far each step's estimate is from the latent written down.

    Args:
        latent: `[latents, C, L, F']`, what is coded.
        aims: of the encoder, as `ddcm.aims_of` makes them.
    """

    def __init__(self, latent: torch.Tensor, aims: Callable[[int, int], Target]) -> None:
        self._latent, self._aims = latent, aims
        self._energy = float(latent.square().sum())
        self._errors: list[float] = []  # of each step, summed over segments

    def target_of(self, start: int, end: int) -> Target:
        """The target of a segment, as `compress_towards` asks for it."""
        latent, wanted, steps = self._latent[:, :, start:end], self._aims(start, end), count()

        def aim(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
            self._add(next(steps), float((latent - x0_hat).square().sum()))
            return wanted if isinstance(wanted, torch.Tensor) else wanted(step, x0_hat)

        return aim

    def nmse_db(self) -> tuple[float, ...]:
        """Error of the estimate after 0, 1, ... steps in dB, relative to the energy of the latent."""
        return tuple(self._decibel(error) for error in self._errors)

    def of(self, latent: torch.Tensor) -> float:
        """The same of a decoded latent."""
        return self._decibel(float((latent - self._latent).square().sum()))

    def _add(self, step: int, error: float) -> None:
        if step == len(self._errors):
            self._errors.append(0.0)
        self._errors[step] += error

    def _decibel(self, error: float) -> float:
        return float(10 * torch.log10(torch.tensor(max(error, 1e-30) / max(self._energy, 1e-30))))


def _backend(job: Job) -> Backend:
    if job.backend is None:
        raise ConfigError("this method needs a model: give the job a backend")
    return job.backend


def _timed(make: Callable[[], Waveform]) -> Coded:
    started = time.perf_counter()
    sound = make()
    return Coded(sound, encode_seconds=time.perf_counter() - started)
