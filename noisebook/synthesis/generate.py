"""Sound from a prompt: `reverse` from noise to a latent, and from there the way that a decoder goes.

prompt, seed --reverse(guided denoiser, Gaussian noise)--> latent --VAE, vocoder--> Waveform
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import count
from math import ceil, isfinite, log10

import numpy as np
import torch

from noisebook.audio.level import apply_gain
from noisebook.audio.waveform import Waveform
from noisebook.coding.container import ChannelMode
from noisebook.diffusion.backend import Backend, BackendInfo, with_ranking
from noisebook.diffusion.guidance import prompted
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import reverse
from noisebook.diffusion.samplers import sampled, sampling_timesteps
from noisebook.errors import ConfigError
from noisebook.options import OnStep
from noisebook.synthesis.options import GenerateOptions
from noisebook.synthesis.sound import AudioFormat, from_latent

__all__ = ["clipping_gain", "format_of", "generate", "generate_best", "generate_latents"]


_LONGEST = 86400  # seconds


def generate(options: GenerateOptions, *, backend: Backend, on_step: OnStep | None = None) -> Waveform:
    """A new sound at the model's rate and channels, of that many seconds to the sample; quieter where it would clip.

    Without a seed it is that of seed 0.

    Raises:
        ConfigError: a setting outside its range, or a prompt of which no word is known.
    """
    form = format_of(options.seconds, backend.info)
    frames = form.timeline(backend.info).frames
    latent = generate_latents(options, seeds=(options.seed or 0,), frames=frames, backend=backend, on_step=on_step)
    sound = from_latent(latent, form, backend=backend)
    return Waveform(apply_gain(sound.samples, -clipping_gain(sound.samples)), sound.sample_rate)


def generate_best(
    options: GenerateOptions, *, backend: Backend, on_step: OnStep | None = None
) -> tuple[Waveform, int, tuple[float, ...]]:
    """Of `num_candidates` sounds, of this seed and those after it, that which suits the prompt best.

    Returns:
        The sound, its own seed, and how well each of them suits (Liu et al. 2023, "AudioLDM": cosines of CLAP).

    Raises:
        ConfigError: as `generate`, or candidates that nothing can be told of.
    """
    many, judge = options.num_candidates, with_ranking(backend)
    if not options.prompt:
        raise ConfigError("candidates are ranked by how well they suit a prompt; give one, or make one candidate")
    seeds, sounds = [((options.seed or 0) + i) % 2**64 for i in range(many)], list[Waveform]()
    for index, seed in enumerate(seeds):
        counted = None if on_step is None else partial(_told, on_step, index, many)
        sounds.append(generate(options.replaced(seed=seed), backend=backend, on_step=counted))
    suits = judge.similarity(options.prompt, torch.from_numpy(np.stack([sound.samples.mean(0) for sound in sounds])))
    best = int(suits.argmax())
    return sounds[best], seeds[best], tuple(suits.tolist())


def _told(on_step: OnStep, index: int, many: int, done: int, total: int) -> None:
    on_step(index * total + done, many * total)


def generate_latents(
    options: GenerateOptions, *, seeds: Sequence[int], frames: int, backend: Backend, on_step: OnStep | None = None
) -> torch.Tensor:
    """New latents `[len(seeds), C, frames, F']`, one for each seed, as if each were made alone.

    Raises:
        ConfigError: as `generate`.
    """
    info, how = backend.info, options.sampling(backend.info.sampling)
    timesteps = sampling_timesteps(info.schedule, info.curve, steps=how.steps, spacing=how.spacing)
    denoise = prompted(
        backend,
        prompt=options.prompt,
        negative=options.negative,
        guidance=how.guidance,
        rescale=how.rescale,
        on_step=on_step,
        total=len(timesteps),
    )
    denoise, plan = sampled(how.sampler, denoise, info.schedule, timesteps)
    shape = (1, info.latent_channels, frames, info.latent_bins)
    draws = count()

    def draw() -> torch.Tensor:
        step = next(draws)
        return torch.cat([gaussian_noise(shape, seed=seed, step=step, device=backend.device) for seed in seeds])

    return reverse(denoise, plan, draw(), lambda step, x0_hat: draw())


def format_of(seconds: float, info: BackendInfo) -> AudioFormat:
    """Of a sound of so many seconds, at the model's rate and channels.

    Raises:
        ConfigError: less than one sample, or more than a day.
    """
    if not (isfinite(seconds) and round(seconds * info.sample_rate) >= 1 and seconds <= _LONGEST):
        raise ConfigError(f"{seconds:g} seconds: more than 0 and at most {_LONGEST} are possible")
    mode = ChannelMode.MONO if info.audio_channels == 1 else ChannelMode.JOINT
    return AudioFormat(info.sample_rate, round(seconds * info.sample_rate), mode)


def clipping_gain(samples: np.ndarray) -> int:
    """Half dB by which a sound exceeds full scale, rounded up; 0 where it does not."""
    peak = float(np.abs(samples).max())
    return ceil(40 * log10(peak)) if peak > 1 else 0
