"""Sound from a prompt as a .ddcm stream: the noise of every step is an atom of its codebook (Ohayon et al. 2025).

prompt --reverse(noise: of a few random atoms the one that leads to the prompt)--> indices --> stream
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import numpy as np
import torch

from noisebook import rng
from noisebook.audio.level import apply_gain
from noisebook.audio.waveform import Waveform
from noisebook.codec.allocation import Layout
from noisebook.codec.encoder import header_with
from noisebook.codec.rendering import sound_of
from noisebook.codec.segment import SegmentCoder, tail_after
from noisebook.codec.timeline import SEGMENT_FRAMES
from noisebook.coding import container
from noisebook.coding.bitio import BitWriter
from noisebook.coding.container import CodingParams, Header
from noisebook.diffusion.backend import Backend
from noisebook.diffusion.guidance import counted, over_timeline
from noisebook.diffusion.plan import Denoise, Step, reverse
from noisebook.errors import ConfigError
from noisebook.options import OnStep
from noisebook.synthesis.generate import clipping_gain, format_of
from noisebook.synthesis.options import GenerateStreamOptions

__all__ = ["generate_stream"]

_UNIT_FRAMES = 256  # one choice a step for each 10.24 s, the denoiser's window


def generate_stream(
    options: GenerateStreamOptions, *, backend: Backend, on_step: OnStep | None = None
) -> tuple[bytes, Waveform]:
    """A new sound as a .ddcm stream, and the sound: on the same machine, to the bit what a decoder makes of it.

    The atoms are random, as in generation with codebooks (Ohayon et al. 2025). A prompt steers the choice:
    of a few random atoms that of largest inner product with `x0_prompt - x0_without` is taken, the paper's compressed
    classifier-free guidance, of which the decoder need not know. A prompt that means just one tag is the stream's tag.

    Raises:
        ConfigError: a setting outside its range, a prompt of which no word is known, or more than one segment (64 s).
    """
    header = _header(options, backend)
    latent, payload = _draw(options, header, backend, on_step)
    sound = sound_of(latent, header, backend)
    gain = clipping_gain(sound.samples)
    stream = container.pack(replace(header, gain_half_db=gain), [payload])
    return stream, Waveform(apply_gain(sound.samples, -gain), sound.sample_rate)


def _header(options: GenerateStreamOptions, backend: Backend) -> Header:
    info = backend.info
    log2_part = min(15, (_UNIT_FRAMES * info.frame_values - 1).bit_length())  # a unit is a part, where it can be
    form = format_of(options.seconds, info)
    if form.timeline(info).frames > SEGMENT_FRAMES:
        longest = SEGMENT_FRAMES / info.frames_per_second
        raise ConfigError(
            f"{options.seconds:g} seconds: a generated stream is one segment, which holds {longest:g} seconds"
        )
    return header_with(
        form.sample_rate,
        form.sample_count,
        form.channel_mode,
        info,
        seed=options.seed or 0,
        tag=_tag(options.prompt, backend) or None,
        params=CodingParams(log2_part, options.K.bit_length() - 2, _UNIT_FRAMES, options.steps, kappa_percent=0),
    )


def _tag(prompt: str, backend: Backend) -> int:
    """The tag whose name means the same as the prompt, 0 for none."""
    wanted = backend.condition(prompt).value
    meanings = (backend.condition(tag).value for tag in backend.info.tags)
    return next((i for i, meaning in enumerate(meanings, start=1) if meaning == wanted), 0)


def _candidates(options: GenerateStreamOptions, header: Header) -> int:
    """How many atoms to choose from, so that all that is asked for has an effect."""
    steered = bool(options.negative or (options.prompt and not header.tag))
    if steered and options.candidates == 1:
        raise ConfigError("with 1 candidate there is nothing to choose, so this prompt would have no effect; give 2")
    return options.candidates or 1 + steered


def _draw(
    options: GenerateStreamOptions, header: Header, backend: Backend, on_step: OnStep | None
) -> tuple[torch.Tensor, bytes]:
    """The latent `[1, C, L, F']` and the payload that leads to it."""
    layout = Layout.of_header(header, backend.info)
    coder = SegmentCoder.of(layout, 0, header.seed, backend)
    tail = tail_after(layout.plan[-1].s, backend.info.schedule)
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, layout.steps + len(tail))
    candidates = _candidates(options, header)
    directions = _directions(options, header, backend) if candidates > 1 else (None, None)
    steered = _Steered(denoise, *directions)
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

    x = reverse(steered, coder.plan, coder.start(backend.device), choose)
    return reverse(denoise, tail, x, choose), writer.getvalue()


class _Steered:
    """The decoder's denoiser, which on the way keeps where the prompt would lead: `x0_prompt - x0_without`.

    `toward` and `away` are None where they are the decoder's denoiser itself.
    """

    def __init__(self, denoise: Denoise, toward: Denoise | None, away: Denoise | None) -> None:
        self._denoise, self._toward, self._away = denoise, toward, away
        self.direction = torch.zeros(())

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        x0_hat = self._denoise(x, t)
        toward = self._toward(x, t) if self._toward else x0_hat
        away = self._away(x, t) if self._away else x0_hat
        self.direction = toward - away
        return x0_hat


def _directions(
    options: GenerateStreamOptions, header: Header, backend: Backend
) -> tuple[Denoise | None, Denoise | None]:
    """Denoisers that follow the prompt, and that know nothing of it or follow the negative one."""
    if not (options.prompt or options.negative):
        return None, None
    toward = None if header.tag else over_timeline(backend, condition=backend.condition(options.prompt))
    avoid = options.negative or header.tag
    away = over_timeline(backend, condition=backend.condition(options.negative)) if avoid else None
    return toward, away


def _choice(coder: SegmentCoder, direction: torch.Tensor, atoms: torch.Tensor, step: int) -> torch.Tensor:
    """Of these signed atoms `[parts, N]`, for each part the one that points most in the direction."""
    if atoms.shape[1] > 1:
        products = coder.correlations(direction, step).gather(1, atoms >> 1) * (1 - 2 * (atoms & 1))
        atoms = atoms.gather(1, products.argmax(1, keepdim=True))
    return atoms[:, 0]
