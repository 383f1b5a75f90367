"""Restoration: what is damaged about a sound is invented again, in agreement with what is not.

sound --> features, reliability, guess --guess noised to t0--> reverse() with fitted x0_hat --> latent --> sound
                                  `-> compress_towards() a fitted x0_hat              --> .ddcm stream

Down to t0 the guess counts as known (Chung et al., "Come-closer-diffuse-faster", 2022), from there on only what is
reliable does, through `diffusion.measurement`. Into a stream it is the posterior sampling of DDCM (Ohayon et al. 2025):
the noise of every coded step is chosen against `fitted - x0_hat`, and the decoder needs to know nothing of it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import torch

from noisebook.audio.damage import clipped_samples, consistent, faded_in, with_band_above
from noisebook.audio.features import amplified
from noisebook.audio.waveform import Waveform
from noisebook.codec.encoder import Prepared, compress_towards, header_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.segment import Target
from noisebook.codec.signal import segmentwise
from noisebook.codec.timeline import Layout, Timeline
from noisebook.diffusion.backend import BackendInfo, FeatureBackend, front_end_of
from noisebook.diffusion.denoisers import prompted
from noisebook.diffusion.measurement import Measurement
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import Step, reverse
from noisebook.diffusion.pulling import Course
from noisebook.diffusion.samplers import sampled, sampling_timesteps
from noisebook.options import OnStep
from noisebook.synthesis.damage import Damage, examined
from noisebook.synthesis.options import DamageOptions, RestoreOptions
from noisebook.synthesis.sound import AudioFormat, from_latent

STRENGTHS = {"inpaint": 0.4, "bandwidth": 0.2, "declip": 0.2}
_RELIABLE = 0.99  # a segment of which every value is as reliable as that stays as it is
_MOST_GAIN = 3.0  # nepers
_PASSES = 2  # of filtering towards the restored features and putting back what was not clipped


def restore(
    waveform: Waveform,
    damage: Damage,
    *,
    backend: FeatureBackend,
    options: RestoreOptions,
    on_step: OnStep | None = None,
) -> Waveform:
    """The restored sound, with the channels, level and exact length of the damaged one, and its rate; where a lost band
    does not fit into that rate, the model's. What was clipped may exceed full scale."""
    sound, form, known, guess = examined(waveform, damage, backend)
    timeline, course = form.timeline(backend.info), _course(options, damage, backend.info)
    latent = restored_latent(known, guess, course, timeline, backend=backend, options=options, on_step=on_step)
    if options.keep and damage.task == "declip":
        decoded = segmentwise(backend.decode, latent, timeline, reads=1, writes=timeline.info.feature_frames)
        return _filtered_towards(known.completed(decoded), waveform, sound, damage, form, backend)
    synthetic = from_latent(latent, form, backend=backend)
    if not options.keep:
        return synthetic
    if damage.task == "bandwidth":
        return with_band_above(sound, synthetic, damage.cutoff)
    return faded_in(waveform, synthetic, damage.gaps)


def restore_stream(
    waveform: Waveform,
    damage: Damage,
    *,
    backend: FeatureBackend,
    options: DamageOptions,
    coding: EncodeOptions,
    on_step: OnStep | None = None,
) -> bytes:
    """The restored sound as a .ddcm stream; all of it is synthetic, as of any stream. Of the options only the strength
    counts, and the channels are left to the codec."""
    sound, form, known, guess = examined(waveform, damage, backend)
    header = header_of(sound, coding.replaced(channels="auto"), backend.info)
    if damage.task == "inpaint":
        header = replace(header, pauses=())  # a gap is silent, and shall not stay so
    timeline, course = form.timeline(backend.info), _course(options, damage, backend.info)
    guessed, hops = _encoded(guess, timeline, backend), timeline.info.feature_frames

    def target_of(start: int, end: int) -> Target:
        part, first = known.part(start * hops, end * hops), guessed[:, :, start:end]
        return lambda step, x0_hat: first if step.t > course.start else part.fitted(x0_hat, backend)

    prepared = Prepared(header, Layout.of_header(header, backend.info), guessed, form.image)
    return compress_towards(target_of, prepared, backend=backend, on_step=on_step)


def restored_latent(
    known: Measurement,
    guess: torch.Tensor,
    course: Course,
    timeline: Timeline,
    *,
    backend: FeatureBackend,
    options: RestoreOptions,
    on_step: OnStep | None = None,
) -> torch.Tensor:
    """The latent `[channels, C, L, F']` of what is known and a guess, features `[channels, 1, T, bins]`: each segment
    with something lost is a diffusion by itself; the others are the guess, encoded."""
    latent, hops = _encoded(guess, timeline, backend), timeline.info.feature_frames
    parts = {(start, end): known.part(start * hops, end * hops) for start, end in timeline.segments()}
    parts = {span: part for span, part in parts.items() if part.weight.min() < _RELIABLE}
    if course.start < 0 or not parts:
        return latent
    timesteps = sampling_timesteps(
        course.schedule, course.curve, steps=min(options.steps, course.start + 1), spacing="uniform",
        start=course.start,
    )  # fmt: skip
    denoise = prompted(
        backend, prompt=options.prompt, negative=None, guidance=options.guidance,
        on_step=on_step, total=len(timesteps) * len(parts),
    )  # fmt: skip
    draws = count()

    def noise(_: Step | None, like: torch.Tensor) -> torch.Tensor:
        return gaussian_noise(like.shape, seed=options.seed, step=next(draws), device=like.device)

    for (start, end), part in parts.items():

        def fitting(x: torch.Tensor, t: int, part: Measurement = part) -> torch.Tensor:
            return part.fitted(denoise(x, t), backend)

        fitted, plan = sampled("ddpm", fitting, course.schedule, timesteps)
        piece = latent[:, :, start:end]
        x = course.schedule.add_noise(piece, noise(None, piece), timesteps[0])
        latent[:, :, start:end] = reverse(fitted, plan, x, noise)
    return latent


def _filtered_towards(
    target: torch.Tensor, clipped: Waveform, sound: Waveform, damage: Damage, form: AudioFormat, backend: FeatureBackend
) -> Waveform:
    """The declipped sound with its features brought towards the target, as far as the clipped one lets it."""
    info, lost = backend.info, clipped_samples(clipped.samples, damage.threshold)
    padded_to = form.timeline(info).frames * info.frame_samples
    for _ in range(_PASSES):
        gain = (target - form.features(sound, backend)).clamp(-_MOST_GAIN, _MOST_GAIN).cpu()
        samples = torch.from_numpy(form.levelled(sound, info))
        gain = gain.expand(len(samples), -1, -1, -1)
        padded = torch.nn.functional.pad(samples, (0, padded_to - samples.shape[1]))
        change = (amplified(padded, gain, front_end_of(info)) - padded)[:, : samples.shape[1]]
        moved = sound.samples + form.restored(change.numpy(), info).samples
        sound = Waveform(consistent(clipped.samples, moved, lost, damage.threshold), clipped.sample_rate)
    return sound


def _encoded(features: torch.Tensor, timeline: Timeline, backend: FeatureBackend) -> torch.Tensor:
    return segmentwise(backend.encode, features, timeline, reads=timeline.info.feature_frames, writes=1)


def _course(options: DamageOptions, damage: Damage, info: BackendInfo) -> Course:
    strength = STRENGTHS[damage.task] if options.strength is None else options.strength
    return Course(info.schedule, info.curve, strength)
