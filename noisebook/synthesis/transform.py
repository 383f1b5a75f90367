"""Input-based transformation: a sound becomes what a prompt says, as far as `strength` allows.

input-based  latent --hard codebook--> target --noised to t0--> reverse() from t0
improved     latent --soft codebook, mixed with the latent--> target --noised to t0--> reverse() from t0
guided       noise --> reverse() from the start, x0_hat or the noise pulled towards the latent down to t0

The target is clean data: it is noised before the diffusion goes on from it (SDEdit, Meng et al. 2022), and never given
to it as noise. How far t0 is follows from the strength, see `diffusion.pulling.Course`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from math import sqrt

import torch

from noisebook.audio.waveform import Waveform
from noisebook.codec.noise import gaussian_noise, start_noise
from noisebook.codec.steering import OnStep, prompted
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import NoiseFor, Step, reverse
from noisebook.diffusion.pulling import Course
from noisebook.diffusion.samplers import SAMPLERS, SPACINGS, sampled, sampling_timesteps
from noisebook.errors import ConfigError, ModelError
from noisebook.quantizers.codebook import MIX, TEMPERATURE, LatentCodebook, quantise
from noisebook.quantizers.config import SOFT_ATOMS
from noisebook.quantizers.fitting import fit
from noisebook.quantizers.nearest import mixed
from noisebook.synthesis.pull import Pull, chosen_noise, pulled_towards
from noisebook.synthesis.sound import from_latent, to_latent

__all__ = ["OWN_SIZE", "Quantised", "Settings", "own_codebook", "transform", "transform_latent"]

OWN_SIZE = 1024  # atoms of a sound's own codebook, at most
_VECTORS_PER_ATOM = 4  # with fewer, a codebook fitted to a sound would merely copy it
_FEWEST = 8  # atoms, of the shortest sounds
_FIT_FRAMES = 512  # latent frames that a sound's own codebook is fitted to, at most: 20 s


@dataclass(frozen=True)
class Quantised:
    """How a latent is quantised before it is transformed.

    Attributes:
        codebook: fitted for the model; None is one fitted to the sound itself.
        soft: mean of the nearest atoms, mixed with the latent, in place of the nearest atom.
        temperature, top_k, preserve_variance: of the mean, see `quantizers.quantise`.
        mix: share of the mean in the mixture; the rest is the latent.
    """

    codebook: LatentCodebook | None = None
    soft: bool = False
    temperature: float = TEMPERATURE
    top_k: int = SOFT_ATOMS
    mix: float = MIX

    def __post_init__(self) -> None:
        if not 0 <= self.mix <= 1:
            raise ConfigError(f"a mix of {self.mix:g}: 0 (the latent) to 1 (quantised) are possible")


@dataclass(frozen=True)
class Settings:
    """What may be chosen about a transformation.

    Attributes:
        strength: 0 (the target itself; no diffusion runs) to 1 (from pure noise), see `Course`.
        prompt: what the sound becomes; None is any sound.
        negative: what it stays away from.
        guidance, rescale: of the prompt, see `diffusion.guidance`.
        steps: of the diffusion, from t0 on; with a pull, from noise on.
        scheduler, spacing: of `diffusion.samplers`.
        seed: of the noise.
        quantised: the target is the quantised latent; None: the latent itself.
        pull: from noise, pulled towards the target; None: from the noised target.

    Raises:
        ConfigError: says what is allowed.
    """

    strength: float = 0.5
    prompt: str | None = None
    negative: str | None = None
    guidance: float = 3.0
    rescale: float = 0.7
    steps: int = 20
    scheduler: str = "ddim"
    spacing: str = "quadratic"
    seed: int = 0
    quantised: Quantised | None = None
    pull: Pull | None = None

    def __post_init__(self) -> None:
        for name, value, known in (("scheduler", self.scheduler, SAMPLERS), ("spacing", self.spacing, SPACINGS)):
            if value not in known:
                raise ConfigError(f"{name} {value!r}: {', '.join(known)} are possible")
        if self.steps < 1:
            raise ConfigError(f"{self.steps} steps: at least 1 is needed")
        if self.pull is not None and self.pull.chooses and self.scheduler != "ddpm":
            raise ConfigError(f"choosing the noise needs a scheduler with noise: ddpm, not {self.scheduler}")


def transform(waveform: Waveform, *, backend: Backend, settings: Settings, on_step: OnStep | None = None) -> Waveform:
    """The transformed sound, with the rate, channels, level and exact length of the original.

    Two channels are transformed as one, and spread again as the original is.

    Raises:
        ConfigError: a prompt or option that is not possible.
        ModelError: a codebook of another model.
    """
    latent, frame = to_latent(waveform, backend=backend)
    changed = transform_latent(latent, backend=backend, settings=settings, on_step=on_step)
    return from_latent(changed, frame, backend=backend)


def transform_latent(
    latent: torch.Tensor, *, backend: Backend, settings: Settings, on_step: OnStep | None = None
) -> torch.Tensor:
    """The transformed latent `[channels, C, L, F']`.

    Raises:
        ConfigError, ModelError: as `transform`.
    """
    info, device = backend.info, latent.device
    course = Course(info.schedule, info.curve, settings.strength)
    target = latent if settings.quantised is None else quantised_latent(latent, settings.quantised, info)
    timesteps = _timesteps(settings, course, info)
    denoise = prompted(
        backend, prompt=settings.prompt, negative=settings.negative, guidance=settings.guidance,
        rescale=settings.rescale, on_step=on_step, total=len(timesteps),
    )  # fmt: skip
    if settings.strength == 0:
        return target
    noise = start_noise((1, *latent.shape[1:]), seed=settings.seed, segment=0, device=device).expand_as(latent)
    alpha = info.schedule.alpha(timesteps[0])
    if settings.pull is not None:
        denoise = pulled_towards(denoise, target, settings.pull, course)
    x = noise if settings.pull or settings.strength == 1 else sqrt(alpha) * target + sqrt(1 - alpha) * noise
    denoise, plan = sampled(settings.scheduler, denoise, info.schedule, timesteps)
    return reverse(denoise, plan, x, _noise_for(settings, target, course, info))


def quantised_latent(latent: torch.Tensor, quantised: Quantised, info: BackendInfo) -> torch.Tensor:
    """The latent `[channels, C, L, F']` as a codebook sees it.

    Raises:
        ConfigError: a temperature or number of atoms that is not possible.
        ModelError: a codebook of another model.
    """
    codebook = quantised.codebook or own_codebook(latent, info)
    if codebook.model != info.autoencoder.hex():
        raise ModelError(
            f"the codebook was fitted for autoencoder {codebook.model[:4] or 'none'}, and that of {info.name} is "
            f"{info.autoencoder.hex()[:4]}; fit one for it"
        )
    if not quantised.soft:
        return quantise(latent, codebook)
    soft = quantise(latent, codebook, rule="soft", temperature=quantised.temperature, top_k=quantised.top_k)
    return _mixture(soft, latent, quantised.mix)


def own_codebook(latent: torch.Tensor, info: BackendInfo) -> LatentCodebook:
    """A codebook of latent cells fitted to `[channels, C, L, F']` itself: k-means, `OWN_SIZE` atoms at most."""
    every = -(-latent.shape[0] * latent.shape[2] // _FIT_FRAMES)
    frames = latent[:, :, ::every]
    size = min(OWN_SIZE, max(_FEWEST, frames.numel() // info.latent_channels // _VECTORS_PER_ATOM))
    return fit([frames], unit="position", method="kmeans", size=size, model=info.autoencoder.hex())


def _mixture(quantised: torch.Tensor, latent: torch.Tensor, mix: float) -> torch.Tensor:
    """`mix` of the one and the rest of the other, each frame with the energy that the two have on average."""
    parts = torch.stack([quantised, latent]).transpose(2, 3).flatten(3)  # [2, channels, L, C F']
    weights = torch.tensor([mix, 1 - mix], device=latent.device).view(2, 1, 1).expand(parts.shape[:3])
    frames = mixed(parts, weights, preserve_variance=True)
    return frames.unflatten(2, (latent.shape[1], latent.shape[3])).transpose(1, 2)


def _timesteps(settings: Settings, course: Course, info: BackendInfo) -> tuple[int, ...]:
    """From t0; with a pull from noise, and t0 is among them, so that the pull ends there and not a step later."""
    start = None if settings.pull is not None else max(0, course.start)
    most = len(info.schedule) if start is None else start + 1
    steps = min(settings.steps, most)
    timesteps = sampling_timesteps(info.schedule, info.curve, steps=steps, spacing=settings.spacing, start=start)
    return tuple(sorted({*timesteps, max(0, course.start)}, reverse=True))


def _noise_for(settings: Settings, target: torch.Tensor, course: Course, info: BackendInfo) -> NoiseFor:
    """Gaussian noise, the same for all channels; chosen while a choosing pull lasts."""
    steps = count(1)

    def gaussian(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        shape = (1, x0_hat.shape[1], x0_hat.shape[2], x0_hat.shape[3])
        return gaussian_noise(shape, seed=settings.seed, step=next(steps), device=x0_hat.device).expand_as(x0_hat)

    if settings.pull is None or not settings.pull.chooses:
        return gaussian
    return chosen_noise(gaussian, target, settings.pull, course, info, seed=settings.seed)
