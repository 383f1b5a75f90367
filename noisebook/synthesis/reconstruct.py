"""A sound through the autoencoder and back, without bits: what a preset chooses, step by step.

Waveform -> features -> posterior -> latent, limited -> decoded features -> vocoder -> post-processing -> Waveform

Every step is named in the result as it ran, a fallback with its reason. What is measured (scale of a front end,
statistics of the latent, loudness, lost highs) is measured over the whole sound, and the networks run segment by
segment with margins, so that a long sound has no joints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from noisebook.audio import front_ends
from noisebook.audio.post import peak_gain, smoothed
from noisebook.audio.waveform import Waveform
from noisebook.codec.signal import by_latent, features_of, levelled, segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import FeatureBackend, front_end_of
from noisebook.diffusion.noise import gaussian_noise
from noisebook.synthesis.finishing import Original, finished, measured
from noisebook.synthesis.reconstruction_presets import LIMITS, POSTERIORS, VOCODERS, LatentLimit, Preset
from noisebook.synthesis.sound import AudioFormat
from noisebook.synthesis.vocoding import Vocoder, first_working

__all__ = ["Ran", "Reconstruction", "limited", "reconstruct"]


@dataclass(frozen=True)
class Ran:
    """What ran at each axis of a preset, in words: numbers that were measured, and fallbacks with their reasons."""

    front_end: str
    posterior: str
    latent_limit: str
    vocoder: str
    post: str


@dataclass(frozen=True)
class Reconstruction:
    """A reconstructed sound.

    Attributes:
        waveform: with the rate, channels and length of the original.
        preset: what was asked for.
        ran: what happened.
        measures: against the original at the model's rate: `energy_ratio_db`, `high_band_db` (from 4 kHz up,
            positive where there is too much), `features_error_db` (of what the autoencoder hears),
            `log_spectral_distance_db`, `snr_db`.
        silence: the measures of silence in its place, for comparison.
    """

    waveform: Waveform
    preset: Preset
    ran: Ran
    measures: dict[str, float]
    silence: dict[str, float]


def reconstruct(waveform: Waveform, *, backend: FeatureBackend, preset: Preset, seed: int = 0) -> Reconstruction:
    """The sound that the autoencoder and a vocoder make of a sound, as a preset says.

    Args:
        seed: of the posterior's samples, 0 to 2**64 - 1.

    Raises:
        AudioError: more than two channels.
        ModelError: no vocoder of the preset's chain gave sound; says what each of them gave.
        ConfigError: a seed outside its range.
    """
    info = backend.info
    form = AudioFormat.of(waveform, info)
    timeline = form.timeline(info)
    original = Original(form.levelled(waveform, info), form.gain_half_db, timeline)
    features, to_matched = _features(waveform, original, preset.front_end, backend)
    latent = _drawn(features, POSTERIORS[preset.posterior], timeline, backend, seed)
    latent, limit = limited(latent, LIMITS[preset.latent_limit])
    decoded = segmentwise(backend.decode, latent, timeline, reads=1, writes=info.feature_frames)
    matched = smoothed(to_matched(decoded), preset.post.smooth)
    mono = first_working(matched, VOCODERS[preset.vocoder], timeline, backend)
    vocoder = Vocoder(  # with its sound spread over the channels
        lambda features: form.rendered(mono.run(features), info), form.rendered(mono.samples, info), mono.told
    )
    samples, post = finished(matched, vocoder, preset.post, original)
    sound = form.restored(samples, info)
    gain = peak_gain(sound.samples) if preset.post.peak_guard else 1.0
    return Reconstruction(
        waveform=sound if gain == 1 else Waveform(sound.samples * np.float32(gain), sound.sample_rate),
        preset=preset,
        ran=Ran(
            preset.front_end,
            preset.posterior,
            f"{preset.latent_limit}: {limit}",
            vocoder.told,
            post if not preset.post.peak_guard else f"{post}, peak-guard x{gain:.3f}",
        ),
        measures=measured(original, samples * np.float32(gain), backend),
        silence=measured(original, np.zeros_like(samples), backend),
    )


def limited(latent: torch.Tensor, limit: LatentLimit) -> tuple[torch.Tensor, str]:
    """The latent within a limit on the statistics of all of it, and what was done.

    First the standard deviation, then the mean that is left.
    """
    told = []
    std = float(latent.std(correction=0))
    if std > limit.above:
        latent = latent * (limit.to / std)
        told.append(f"std {std:.3f} to {limit.to:g}")
    mean = float(latent.mean())
    if abs(mean) > limit.mean_above:
        latent = latent - limit.mean_share * mean
        told.append(f"mean {mean:.3f} to {(1 - limit.mean_share) * mean:.3f}")
    return latent, ", ".join(told) or f"std {std:.3f}, mean {mean:.3f} kept"


def _features(
    waveform: Waveform, original: Original, name: str, backend: FeatureBackend
) -> tuple[torch.Tensor, Callable[[torch.Tensor], torch.Tensor]]:
    """What the autoencoder is given, and the way from what it gives back to its own features."""
    timeline = original.timeline
    if name == front_ends.MATCHED:
        return features_of(original.samples, timeline, backend), lambda decoded: decoded
    front_end, matched = front_ends.by_name(name), front_end_of(backend.info)
    frames = timeline.info.feature_frames

    def listen(piece: torch.Tensor, start: int) -> torch.Tensor:
        return front_ends.levels(by_latent(piece, timeline).to(backend.device), front_end, matched, start)

    samples = torch.from_numpy(levelled(waveform, original.gain_half_db, front_end.mel.sample_rate))
    reads = front_end.frame_samples * frames
    levels = segmentwise(listen, samples, timeline, reads=reads, writes=frames, placed=True)
    mapping = front_end.mapping(levels)
    return mapping.features(levels), lambda decoded: front_ends.to_matched(mapping.levels(decoded), front_end, matched)


def _drawn(
    features: torch.Tensor, share: float, timeline: Timeline, backend: FeatureBackend, seed: int
) -> torch.Tensor:
    """Mode of the posterior, plus `share` of a sample's distance from it."""

    def posterior(piece: torch.Tensor) -> torch.Tensor:
        return torch.cat(backend.posterior(piece), dim=1)

    mean, std = segmentwise(posterior, features, timeline, reads=timeline.info.feature_frames, writes=1).chunk(2, dim=1)
    if share == 0:
        return mean
    return mean + share * std * gaussian_noise(mean.shape, seed=seed, step=0, device=mean.device)
