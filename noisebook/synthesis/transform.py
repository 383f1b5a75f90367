"""Input-based transformation: a sound becomes what a prompt says, as far as `strength` allows.

input-based     latent --hard codebook--> target --noised to t0--> reverse() from t0
improved        latent --soft codebook, mixed with the latent--> target --noised to t0--> reverse() from t0
guided          noise --> reverse() over the whole schedule, x0_hat or the noise pulled towards the latent down to t0
full-diffusion  latent --noised to T - 1--> reverse() over the whole schedule, x0_hat pulled all the way

The target is clean data: it is noised before the diffusion goes on from it (SDEdit, Meng et al. 2022), and never given
to it as noise. How far t0 is follows from the strength, see `diffusion.pulling.Course`.
"""

from __future__ import annotations

from itertools import count

import torch

from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.guidance import prompted
from noisebook.diffusion.noise import gaussian_noise, start_noise
from noisebook.diffusion.plan import NoiseFor, Step, reverse
from noisebook.diffusion.pulling import Course
from noisebook.diffusion.samplers import sampled, sampling_timesteps
from noisebook.errors import ModelError
from noisebook.options import OnStep
from noisebook.quantizers.codebook import MIX, TEMPERATURE, LatentCodebook, hybrid, quantise
from noisebook.quantizers.config import SOFT_ATOMS
from noisebook.quantizers.fitting import fit
from noisebook.synthesis.options import TRANSFORM_METHODS, TransformOptions
from noisebook.synthesis.pull import chosen_noise, pulled_towards
from noisebook.synthesis.sound import from_latent, to_latent

__all__ = ["OWN_SIZE", "own_codebook", "transform", "transform_latent"]

OWN_SIZE = 1024  # atoms of a sound's own codebook, at most
_VECTORS_PER_ATOM = 4  # with fewer, a codebook fitted to a sound would merely copy it
_FEWEST = 8  # atoms, of the shortest sounds
_FIT_FRAMES = 512  # latent frames that a sound's own codebook is fitted to, at most: 20 s


def transform(
    waveform: Waveform, *, backend: Backend, options: TransformOptions, on_step: OnStep | None = None
) -> Waveform:
    """The transformed sound, with the rate, channels, level and exact length of the original.

    Two channels are transformed as one, and spread again as the original is.

    Raises:
        ConfigError: a prompt or option that is not possible.
        ModelError: a codebook of another model.
    """
    latent, frame = to_latent(waveform, backend=backend)
    changed = transform_latent(latent, backend=backend, options=options, on_step=on_step)
    return from_latent(changed, frame, backend=backend)


def transform_latent(
    latent: torch.Tensor, *, backend: Backend, options: TransformOptions, on_step: OnStep | None = None
) -> torch.Tensor:
    """The transformed latent `[channels, C, L, F']`.

    Raises:
        ConfigError, ModelError: as `transform`.
    """
    info, device = backend.info, latent.device
    course = Course(info.schedule, info.curve, options.strength)
    target = quantised_latent(latent, options, info)
    timesteps = _timesteps(options, course, info)
    denoise = prompted(
        backend, prompt=options.prompt, negative=options.negative, guidance=options.guidance,
        rescale=options.rescale, on_step=on_step, total=len(timesteps),
    )  # fmt: skip
    if options.strength == 0:
        return target
    noise = start_noise((1, *latent.shape[1:]), seed=options.seed, segment=0, device=device).expand_as(latent)
    denoise = pulled_towards(denoise, target, options, course)
    noisy = options.method == "guided" or options.strength == 1
    x = noise if noisy else info.schedule.add_noise(target, noise, timesteps[0])
    denoise, plan = sampled(options.sampler, denoise, info.schedule, timesteps)
    return reverse(denoise, plan, x, _noise_for(options, target, course, info))


def quantised_latent(latent: torch.Tensor, options: TransformOptions, info: BackendInfo) -> torch.Tensor:
    """The latent `[channels, C, L, F']` as a codebook sees it; itself where none is wanted.

    Raises:
        ConfigError: a temperature or number of atoms that is not possible.
        ModelError: a codebook of another model.
    """
    if options.codebook == "none" or "codebook" not in TRANSFORM_METHODS[options.method]:
        return latent
    codebook = own_codebook(latent, info) if options.codebook in (None, "own") else options.codebook
    if not isinstance(codebook, LatentCodebook):
        raise ModelError(f"codebook {codebook!r} has to be loaded: give what load_codebook makes of it")
    codebook.check_fits(info)
    if options.method == "input-based":
        return quantise(latent, codebook)
    temperature = TEMPERATURE if options.temperature is None else options.temperature
    soft = quantise(latent, codebook, rule="soft", temperature=temperature, top_k=options.top_k or SOFT_ATOMS)
    return hybrid(soft, latent, MIX if options.mix is None else options.mix)


def own_codebook(latent: torch.Tensor, info: BackendInfo) -> LatentCodebook:
    """A codebook of latent cells fitted to `[channels, C, L, F']` itself: k-means, `OWN_SIZE` atoms at most."""
    every = -(-latent.shape[0] * latent.shape[2] // _FIT_FRAMES)
    frames = latent[:, :, ::every]
    size = min(OWN_SIZE, max(_FEWEST, frames.numel() // info.latent_channels // _VECTORS_PER_ATOM))
    return fit([frames], unit="position", method="kmeans", size=size, model=info.autoencoder.hex())


def _timesteps(options: TransformOptions, course: Course, info: BackendInfo) -> tuple[int, ...]:
    """From t0, or over the whole schedule; t0 is among them, so that what ends there does so and not a step later."""
    start = None if options.whole else max(0, course.start)
    most = len(info.schedule) if start is None else start + 1
    steps = min(options.steps, most)
    timesteps = sampling_timesteps(info.schedule, info.curve, steps=steps, spacing=options.spacing, start=start)
    return tuple(sorted({*timesteps, max(0, course.start)}, reverse=True))


def _noise_for(options: TransformOptions, target: torch.Tensor, course: Course, info: BackendInfo) -> NoiseFor:
    """Gaussian noise, the same for all channels; chosen while a choosing pull lasts."""
    steps = count(1)

    def gaussian(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        shape = x0_hat[:1].shape
        return gaussian_noise(shape, seed=options.seed, step=next(steps), device=x0_hat.device).expand_as(x0_hat)

    if not options.chooses:
        return gaussian
    return chosen_noise(gaussian, target, options, course, info)
