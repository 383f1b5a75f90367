"""Input-based transformation: a sound becomes what a prompt says, as far as `strength` allows.

input-based     latent --hard codebook--> target --noised to t0--> reverse() from t0
improved        latent --soft codebook, mixed with the latent--> target --noised to t0--> reverse() from t0
guided          noise --> reverse() over the whole schedule, x0_hat or the noise pulled towards the latent down to t0
full-diffusion  latent --noised to T - 1--> reverse() over the whole schedule, x0_hat pulled all the way

The target is clean data: it is noised before the diffusion goes on from it (SDEdit, Meng et al. 2022), and never given
to it as noise. How far t0 is follows from the strength, see `diffusion.pulling.Course`.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from math import sqrt

import torch

from noisebook.audio.waveform import Waveform
from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.denoisers import prompted
from noisebook.diffusion.noise import gaussian_noise, start_noise
from noisebook.diffusion.plan import NoiseFor, Step, reverse
from noisebook.diffusion.pulling import Course, low_pass, multi_scale, pull_weight, pulled
from noisebook.diffusion.samplers import sampled, sampling_timesteps
from noisebook.errors import ModelError
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook, hybrid, quantise
from noisebook.quantizers.fitting import fit
from noisebook.synthesis.options import TRANSFORM_METHODS, TransformOptions
from noisebook.synthesis.sound import from_latent, to_latent

_PARAMS = by_name("6000").params  # of chosen noise: parts of 64 values; nothing is sent, so bits cost nothing
_OWN_SIZE = 1024  # atoms of a sound's own codebook, at most
_VECTORS_PER_ATOM = 4  # with fewer, a codebook fitted to a sound would merely copy it
_FEWEST = 8  # atoms, of the shortest sounds
_FIT_FRAMES = 512  # latent frames that a sound's own codebook is fitted to, at most: 20 s


def transform(
    waveform: Waveform, *, backend: Backend, options: TransformOptions, on_step: OnStep | None = None
) -> Waveform:
    """The transformed sound, with the rate, channels, level and exact length of the original; two channels are
    transformed as one, and spread again as the original is."""
    latent, frame = to_latent(waveform, backend=backend)
    changed = transform_latent(latent, backend=backend, options=options, on_step=on_step)
    return from_latent(changed, frame, backend=backend)


def transform_latent(
    latent: torch.Tensor, *, backend: Backend, options: TransformOptions, on_step: OnStep | None = None
) -> torch.Tensor:
    """The transformed latent `[channels, C, L, F']`."""
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
    if options.weight is not None:
        weight = pull_weight(options.weight, course, strength=options.own("pull_strength"))
        denoise = pulled(denoise, target, weight=weight, width=multi_scale(course, options.own("scales")))
    noise = start_noise((1, *latent.shape[1:]), seed=options.seed, segment=0, device=device).expand_as(latent)
    noisy = options.method == "guided" or options.strength == 1
    x = noise if noisy else info.schedule.add_noise(target, noise, timesteps[0])
    denoise, plan = sampled(options.sampler, denoise, info.schedule, timesteps)
    steps = count(1)

    def gaussian(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        """The same for all channels."""
        drawn = gaussian_noise(x0_hat[:1].shape, seed=options.seed, step=next(steps), device=device)
        return drawn.expand_as(x0_hat)

    noise_for = chosen_noise(gaussian, target, options, course, info) if options.chooses else gaussian
    return reverse(denoise, plan, x, noise_for)


def quantised_latent(latent: torch.Tensor, options: TransformOptions, info: BackendInfo) -> torch.Tensor:
    """The latent `[channels, C, L, F']` as a codebook sees it; itself where none is wanted."""
    codebook = options.own("codebook")
    if codebook == "none" or "codebook" not in TRANSFORM_METHODS[options.method]:
        return latent
    if codebook == "own":
        codebook = own_codebook(latent, info)
    if not isinstance(codebook, LatentCodebook):
        raise ModelError(f"codebook {codebook!r} has to be loaded: give what load_codebook makes of it")
    codebook.check_fits(info)
    if options.method == "input-based":
        return quantise(latent, codebook)
    temperature, top_k = options.own("temperature"), options.own("top_k")
    soft = quantise(latent, codebook, rule="soft", temperature=temperature, top_k=top_k)
    return hybrid(soft, latent, options.own("mix"))


def own_codebook(latent: torch.Tensor, info: BackendInfo) -> LatentCodebook:
    """A codebook of latent cells fitted to `[channels, C, L, F']` itself: k-means, 1024 atoms at most."""
    every = -(-latent.shape[0] * latent.shape[2] // _FIT_FRAMES)
    frames = latent[:, :, ::every]
    size = min(_OWN_SIZE, max(_FEWEST, frames.numel() // info.latent_channels // _VECTORS_PER_ATOM))
    return fit([frames], unit="position", method="kmeans", size=size, model=info.autoencoder.hex())


def _timesteps(options: TransformOptions, course: Course, info: BackendInfo) -> tuple[int, ...]:
    """From t0, or over the whole schedule; t0 is among them, so that what ends there does so and not a step later."""
    start = None if options.whole else max(0, course.start)
    most = len(info.schedule) if start is None else start + 1
    steps = min(options.steps, most)
    timesteps = sampling_timesteps(info.schedule, info.curve, steps=steps, spacing=options.spacing, start=start)
    return tuple(sorted({*timesteps, max(0, course.start)}, reverse=True))


def chosen_noise(
    gaussian: NoiseFor, target: torch.Tensor, options: TransformOptions, course: Course, info: BackendInfo
) -> NoiseFor:
    """The noise of each step chosen against `target - x0_hat` down to t0, and from there on `gaussian`.

    The atoms are those of a stream of preset 6000 (Ohayon et al. 2025, with partitioned structured codebooks). An
    encoder's noise leads as far as its bits allow, and in few large steps too far. Here Gaussian noise is mixed in so
    that it leads exactly as far as the true posterior would: `z = sqrt(SNR_s - SNR_t) (target - x0_hat) + ...`.
    """
    coder = SegmentCoder(_PARAMS, (), info, target.shape[0], target.shape[2], options.seed)
    mean = partial(torch.mean, dim=(1, 2, 3), keepdim=True)
    width, steps = multi_scale(course, options.own("scales")), count()

    def choose(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        random = gaussian(step, x0_hat)
        if step.t <= course.start or step.s is None:
            return random
        residual, index = low_pass(target - x0_hat, width(step.t)), next(steps)
        chosen = coder.noise(coder.choose(residual, index), index)
        needed = sqrt(info.schedule.snr(step.s) - info.schedule.snr(step.t))
        # How many times the residual the noise contains, [channels, 1, 1, 1].
        contained = mean(chosen * residual) / mean(residual.square()).clamp_min(1e-12)
        share = options.own("pull_strength") * (needed / contained.clamp_min(1e-12)).clamp(max=1)
        return share * chosen + (1 - share.square()).sqrt() * random

    return choose
