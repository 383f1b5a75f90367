"""Controls: sounds that know nothing of the input, or nothing of its order. A measure on which one of them does well
says nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from noisebook.audio.waveform import Waveform
from noisebook.comparison.methods import Coded, Job, Method
from noisebook.errors import AudioError

__all__ = ["another_clip", "methods", "pink_noise", "shuffled"]

_BLOCK_SECONDS = 0.5


def methods(*, seed: int) -> tuple[Method, ...]:
    """Their rows; `seed` is of the noise and of the order."""
    of_seed = f"seed {seed}"
    return (
        _row("silence", "Silence", "digital silence", lambda job: replace(job.sound, samples=job.sound.samples * 0)),
        _row("pink-noise", "Pink noise", f"pink noise of the same level, {of_seed}", partial(pink_noise, seed=seed)),
        _row("shuffled", "Shuffled", f"its own half seconds in another order, {of_seed}", partial(shuffled, seed=seed)),
        _row("another-clip", "Another clip", "the next input at the same level", another_clip, needs_other=True),
    )


def pink_noise(job: Job, *, seed: int) -> Waveform:
    """Gaussian noise whose power falls by 3 dB an octave from 20 Hz, at the RMS of the sound."""
    count = job.sound.sample_count
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(count, 1 / job.sound.sample_rate), 20.0))
    return _at_level_of(job.sound, np.fft.irfft(spectrum, n=count))


def shuffled(job: Job, *, seed: int) -> Waveform:
    """Blocks of half a second in another order, each in another place; a sound of one block is played backwards."""
    samples, size = job.sound.samples[0], round(_BLOCK_SECONDS * job.sound.sample_rate)
    blocks = [samples[start : start + size] for start in range(0, len(samples), size)]
    if len(blocks) == 1:
        return Waveform(np.ascontiguousarray(samples[None, ::-1]), job.sound.sample_rate)
    # Along one random cycle, no block stays where it was.
    cycle = np.random.default_rng(seed).permutation(len(blocks))
    order = np.empty_like(cycle)
    order[cycle] = np.roll(cycle, 1)
    return Waveform(np.concatenate([blocks[i] for i in order])[None], job.sound.sample_rate)


def another_clip(job: Job) -> Waveform:
    """The other sound, repeated or cut to the length of this one, at its RMS.

    Raises:
        AudioError: there is no other.
    """
    if job.other is None:
        raise AudioError("there is no other clip: compare two inputs or more")
    return _at_level_of(job.sound, np.resize(job.other.samples[0], job.sound.sample_count))


def _row(name: str, label: str, command: str, make: Callable[[Job], Waveform], *, needs_other: bool = False) -> Method:
    return Method(
        name, label, "control", "control", command, lambda job: Coded(make(job)), needs_other=needs_other, mono=True
    )  # fmt: skip


def _at_level_of(sound: Waveform, samples: np.ndarray) -> Waveform:
    wanted, found = (float(np.sqrt(np.mean(np.square(x, dtype=np.float64)))) for x in (sound.samples, samples))
    scaled = samples * (wanted / found if found else 0.0)
    return Waveform(scaled[None].astype(np.float32), sound.sample_rate)
