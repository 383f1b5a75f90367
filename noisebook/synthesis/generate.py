"""Sound from a prompt: `reverse` from noise to a latent, and from there the way that a decoder goes.

prompt, seed --reverse(guided denoiser, Gaussian noise)--> latent --VAE, vocoder--> Waveform
prompt --reverse(noise: of a few random atoms the one that leads to the prompt)--> indices --> .ddcm stream

In a stream the noise of every step is an atom of its codebook (Ohayon et al. 2025).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import count
from math import ceil, isfinite, log10

import numpy as np
import torch

from noisebook import rng
from noisebook.audio.level import apply_gain
from noisebook.audio.waveform import Waveform
from noisebook.codec.segment import SegmentCoder, tail_after
from noisebook.codec.signal import sound_of
from noisebook.codec.timeline import SEGMENT_FRAMES, Layout
from noisebook.coding import container
from noisebook.coding.bitio import BitWriter
from noisebook.coding.container import FINGERPRINT_BYTES, ChannelMode, CodingParams, Header
from noisebook.diffusion.backend import Backend, BackendInfo, with_ranking
from noisebook.diffusion.denoisers import counted, over_timeline, prompted
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import Denoise, Step, reverse
from noisebook.diffusion.samplers import sampled, sampling_timesteps
from noisebook.errors import ConfigError
from noisebook.options import OnStep
from noisebook.synthesis.options import GenerateOptions, GenerateStreamOptions
from noisebook.synthesis.sound import AudioFormat, from_latent

_LONGEST = 86400  # seconds
_UNIT_FRAMES = 256  # of a stream: one choice a step for each 10.24 s, the denoiser's window


def generate(options: GenerateOptions, *, backend: Backend, on_step: OnStep | None = None) -> Waveform:
    """A new sound at the model's rate and channels, of that many seconds to the sample; quieter where it would clip.
    Without a seed it is that of seed 0."""
    form = _format_of(options.seconds, backend.info)
    frames = form.timeline(backend.info).frames
    latent = generate_latents(options, seeds=(options.seed or 0,), frames=frames, backend=backend, on_step=on_step)
    return within_full_scale(from_latent(latent, form, backend=backend))[0]


def generate_best(
    options: GenerateOptions, *, backend: Backend, on_step: OnStep | None = None
) -> tuple[Waveform, int, tuple[float, ...]]:
    """Of `num_candidates` sounds, of this seed and those after it, that which suits the prompt best, its own seed, and
    how well each of them suits (Liu et al. 2023, "AudioLDM": cosines of CLAP)."""
    many, judge = options.num_candidates, with_ranking(backend)
    if not options.prompt:
        raise ConfigError("candidates are ranked by how well they suit a prompt; give one, or make one candidate")
    seeds, sounds = [((options.seed or 0) + i) % 2**64 for i in range(many)], list[Waveform]()
    for index, seed in enumerate(seeds):
        step = None if on_step is None else partial(_among, on_step, index, many)
        sounds.append(generate(options.replaced(seed=seed), backend=backend, on_step=step))
    suits = judge.similarity(options.prompt, torch.from_numpy(np.stack([sound.samples.mean(0) for sound in sounds])))
    best = int(suits.argmax())
    return sounds[best], seeds[best], tuple(suits.tolist())


def _among(on_step: OnStep, index: int, many: int, done: int, total: int) -> None:
    on_step(index * total + done, many * total)


def generate_latents(
    options: GenerateOptions, *, seeds: Sequence[int], frames: int, backend: Backend, on_step: OnStep | None = None
) -> torch.Tensor:
    """New latents `[len(seeds), C, frames, F']`, one for each seed, as if each were made alone."""
    info, how = backend.info, options.sampling(backend.info.sampling)
    timesteps = sampling_timesteps(info.schedule, info.curve, steps=how.steps, spacing=how.spacing)
    denoise = prompted(
        backend, prompt=options.prompt, negative=options.negative, guidance=how.guidance, rescale=how.rescale,
        on_step=on_step, total=len(timesteps),
    )  # fmt: skip
    denoise, plan = sampled(how.sampler, denoise, info.schedule, timesteps)
    shape = (1, info.latent_channels, frames, info.latent_bins)
    draws = count()

    def draw() -> torch.Tensor:
        step = next(draws)
        return torch.cat([gaussian_noise(shape, seed=seed, step=step, device=backend.device) for seed in seeds])

    return reverse(denoise, plan, draw(), lambda step, x0_hat: draw())


def _format_of(seconds: float, info: BackendInfo) -> AudioFormat:
    """That of a sound of so many seconds, at the model's rate and channels."""
    if not (isfinite(seconds) and round(seconds * info.sample_rate) >= 1 and seconds <= _LONGEST):
        raise ConfigError(f"{seconds:g} seconds: more than 0 and at most {_LONGEST} are possible")
    mode = ChannelMode.MONO if info.audio_channels == 1 else ChannelMode.JOINT
    return AudioFormat(info.sample_rate, round(seconds * info.sample_rate), mode)


def within_full_scale(sound: Waveform) -> tuple[Waveform, int]:
    """The sound, quieter by half decibels where it exceeds full scale, and by how many of them."""
    peak = float(np.abs(sound.samples).max())
    half_db = ceil(40 * log10(peak)) if peak > 1 else 0
    return Waveform(apply_gain(sound.samples, -half_db), sound.sample_rate) if half_db else sound, half_db


def generate_stream(
    options: GenerateStreamOptions, *, backend: Backend, on_step: OnStep | None = None
) -> tuple[bytes, Waveform]:
    """A new sound as a .ddcm stream, and the sound: on the same machine, to the bit what a decoder makes of it.

    The atoms are random, as in generation with codebooks (Ohayon et al. 2025). A prompt steers the choice:
    of a few random atoms that of largest inner product with `x0_prompt - x0_without` is taken, the paper's compressed
    classifier-free guidance, of which the decoder need not know. A prompt that means just one tag is the stream's tag.
    """
    header = _header(options, backend)
    latent, payload = _draw(options, header, backend, on_step)
    sound, gain = within_full_scale(sound_of(latent, header, backend))
    return container.pack(replace(header, gain_half_db=gain), [payload]), sound


def _header(options: GenerateStreamOptions, backend: Backend) -> Header:
    info = backend.info
    log2_part = min(15, (_UNIT_FRAMES * info.frame_values - 1).bit_length())  # a unit is a part, where it can be
    form = _format_of(options.seconds, info)
    if form.timeline(info).frames > SEGMENT_FRAMES:
        longest = SEGMENT_FRAMES / info.frames_per_second
        raise ConfigError(
            f"{options.seconds:g} seconds: a generated stream is one segment, which holds {longest:g} seconds"
        )
    wanted = backend.condition(options.prompt).value
    meanings = [backend.condition(tag).value for tag in info.tags]
    return Header(
        info.fingerprint[:FINGERPRINT_BYTES], 0, form.sample_rate, form.channel_mode, form.sample_count,
        seed=options.seed or 0,
        tag=1 + meanings.index(wanted) if wanted in meanings else None,
        params=CodingParams(log2_part, options.K.bit_length() - 2, _UNIT_FRAMES, options.steps, kappa_percent=0),
    )  # fmt: skip


def _draw(
    options: GenerateStreamOptions, header: Header, backend: Backend, on_step: OnStep | None
) -> tuple[torch.Tensor, bytes]:
    """The latent `[1, C, L, F']` and the payload that leads to it."""
    layout = Layout.of_header(header, backend.info)
    coder = SegmentCoder.of(layout, 0, header.seed, backend)
    tail = tail_after(layout.plan[-1].s, backend.info.schedule)
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, layout.steps + len(tail))
    needed = bool(options.negative or (options.prompt and not header.tag))  # a choice, so that these have an effect
    if needed and options.candidates == 1:
        raise ConfigError("with 1 candidate there is nothing to choose, so this prompt would have no effect; give 2")
    steered, candidates = _Steered(denoise, options, header, backend), options.candidates or 1 + needed
    seed = header.seed if options.choice_seed is None else options.choice_seed
    writer, steps = BitWriter(), count()

    def choose(_: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        step = next(steps)
        # Random signed atoms, `[parts, candidates]`: twice the index, plus 1 for a minus.
        drawn = rng.words(coder.partition.parts * candidates, seed=seed, purpose=rng.Purpose.NOISE, step=step)
        signed = (drawn % np.uint64(2 * coder.codebook.size)).astype(np.int64)
        atoms = torch.from_numpy(signed).view(-1, candidates).to(x0_hat.device)
        choice = _choice(coder, steered.direction, atoms, step)
        coder.write(choice, writer)
        return coder.noise(choice, step)

    x = reverse(steered if candidates > 1 else denoise, coder.plan, coder.start_noise(backend.device), choose)
    return reverse(denoise, tail, x, choose), writer.getvalue()


class _Steered:
    """The decoder's denoiser, which on the way keeps where the prompt would lead: `x0_prompt - x0_without`.

    Where the prompt is a tag, the decoder's denoiser follows it already; without a negative prompt and a tag it is also
    the one that knows of nothing.
    """

    def __init__(self, denoise: Denoise, options: GenerateStreamOptions, header: Header, backend: Backend) -> None:
        def following(text: str) -> Denoise:
            return over_timeline(backend, condition=backend.condition(text))

        asked = options.prompt or options.negative
        self._denoise = denoise
        self._toward = following(options.prompt) if asked and not header.tag else None
        self._away = following(options.negative) if options.negative or header.tag else None
        self.direction = torch.zeros(())

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        x0_hat = self._denoise(x, t)
        toward = self._toward(x, t) if self._toward else x0_hat
        away = self._away(x, t) if self._away else x0_hat
        self.direction = toward - away
        return x0_hat


def _choice(coder: SegmentCoder, direction: torch.Tensor, atoms: torch.Tensor, step: int) -> torch.Tensor:
    """Of these signed atoms `[parts, N]`, for each part the one that points most in the direction."""
    if atoms.shape[1] > 1:
        products = coder.correlations(direction, step).gather(1, atoms >> 1) * (1 - 2 * (atoms & 1))
        atoms = atoms.gather(1, products.argmax(1, keepdim=True))
    return atoms[:, 0]
