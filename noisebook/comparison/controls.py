"""Controls: sounds that know nothing of the input, or nothing of its order, as `verification.controls` makes them. A
measure on which one of them does well says nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from noisebook.audio.waveform import Waveform
from noisebook.comparison.methods import Coded, Job, Method
from noisebook.errors import AudioError
from noisebook.verification import controls

__all__ = ["another_clip", "methods", "pink_noise", "shuffled"]

_PIECE = 0.5  # seconds that a shuffle keeps together
_FLAT_BELOW = 20.0  # Hz, of pink noise


def methods(*, seed: int) -> tuple[Method, ...]:
    """Their rows; `seed` is of the noise and of the order."""

    def row(name: str, label: str, command: str, make: Callable[[Job], Waveform], needs_other: bool = False) -> Method:
        def run(job: Job) -> Coded:
            return Coded(make(job))

        return Method(name, label, "control", "control", command, run, needs_other=needs_other, mono=True)

    of_seed = f"seed {seed}"
    return (
        row("silence", "Silence", "digital silence", lambda job: _like(job.sound, job.sound.samples[0] * 0)),
        row("pink-noise", "Pink noise", f"pink noise of the same level, {of_seed}", partial(pink_noise, seed=seed)),
        row("shuffled", "Shuffled", f"its own half seconds in another order, {of_seed}", partial(shuffled, seed=seed)),
        row("another-clip", "Another clip", "the next input at the same level", another_clip, needs_other=True),
    )


def pink_noise(job: Job, *, seed: int) -> Waveform:
    """Gaussian noise whose power falls by 3 dB an octave from 20 Hz, at the RMS of the sound."""
    count = job.sound.sample_count
    noise = controls.pink_noise(count, seed=seed, flat_below=_FLAT_BELOW * count / job.sound.sample_rate)
    return _like(job.sound, controls.levelled(noise, job.sound.samples))


def shuffled(job: Job, *, seed: int) -> Waveform:
    """Half seconds in another order, each in another place; a sound of one is played backwards."""
    sound = job.sound
    return _like(sound, controls.shuffled(sound.samples[0], sample_rate=sound.sample_rate, seed=seed, piece=_PIECE))


def another_clip(job: Job) -> Waveform:
    """The other sound, repeated or cut to the length of this one, at its RMS.

    Raises:
        AudioError: there is no other.
    """
    if job.other is None:
        raise AudioError("there is no other clip: compare two inputs or more")
    other = np.resize(job.other.samples[0], job.sound.sample_count)
    return _like(job.sound, controls.levelled(other, job.sound.samples))


def _like(sound: Waveform, samples: np.ndarray) -> Waveform:
    return Waveform(np.ascontiguousarray(samples[None], np.float32), sound.sample_rate)
