"""A sound through the autoencoder and back, without bits: what a preset chooses, step by step.

Waveform -> features -> posterior -> latent, limited -> decoded features -> vocoder -> post-processing -> Waveform

Every step is named in the result as it ran, a fallback with its reason. What is measured (scale of a front end,
statistics of the latent, loudness, lost highs) is measured over the whole sound, and the networks run segment by
segment with margins, so that a long sound has no joints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf, log10

import numpy as np
import torch

from noisebook.audio import front_ends
from noisebook.audio import post as effects
from noisebook.audio.level import apply_gain
from noisebook.audio.waveform import Waveform
from noisebook.codec.signal import by_latent, features_of, levelled, segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import FeatureBackend, front_end_of
from noisebook.diffusion.noise import gaussian_noise
from noisebook.metrics import log_mel_l1_db, log_spectral_distance_db
from noisebook.synthesis.reconstruction_presets import LIMITS, POSTERIORS, VOCODERS, LatentLimit, Post, Preset
from noisebook.synthesis.sound import AudioFormat, Vocoder, first_working

_SHARES = (1.0, 0.5, 0.25)  # of the measured loss, tried in turn
_LEAST_LIFT_DB = 0.1
_BLOCK_SECONDS = 60


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


@dataclass(frozen=True, eq=False)
class Original:
    """The sound to come near to, as it is coded.

    Attributes:
        samples: `[channels, N']` at the model's rate, levelled.
        gain_half_db: that level.
        timeline: of its latent.
    """

    samples: np.ndarray
    gain_half_db: int
    timeline: Timeline

    @property
    def sample_rate(self) -> int:
        return self.timeline.info.sample_rate

    @cached_property
    def sound(self) -> np.ndarray:
        """Left and right, or mono, at the original's level."""
        return self.unlevelled(self.samples)

    def unlevelled(self, samples: np.ndarray) -> np.ndarray:
        """Levelled samples at the original's level."""
        return apply_gain(samples, -self.gain_half_db)


def reconstruct(waveform: Waveform, *, backend: FeatureBackend, preset: Preset, seed: int = 0) -> Reconstruction:
    """The sound that the autoencoder and a vocoder make of a sound, as a preset says; the seed is of samples."""
    info = backend.info
    form = AudioFormat.of(waveform, info)
    timeline = form.timeline(info)
    original = Original(form.levelled(waveform, info), form.gain_half_db, timeline)
    features, to_matched = _features(waveform, original, preset.front_end, backend)
    latent = _drawn(features, POSTERIORS[preset.posterior], timeline, backend, seed)
    latent, limit = limited(latent, LIMITS[preset.latent_limit])
    decoded = segmentwise(backend.decode, latent, timeline, reads=1, writes=info.feature_frames)
    matched = effects.smoothed(to_matched(decoded), preset.post.smooth)
    mono = first_working(matched, VOCODERS[preset.vocoder], timeline, backend)
    spread = replace(mono, run=lambda x: form.rendered(mono.run(x), info), samples=form.rendered(mono.samples, info))
    samples, post = finished(matched, spread, preset.post, original)
    sound = form.restored(samples, info)
    gain = effects.peak_gain(sound.samples) if preset.post.peak_guard else 1.0
    return Reconstruction(
        waveform=sound if gain == 1 else Waveform(sound.samples * np.float32(gain), sound.sample_rate),
        preset=preset,
        ran=Ran(
            preset.front_end,
            preset.posterior,
            f"{preset.latent_limit}: {limit}",
            mono.name,
            post if not preset.post.peak_guard else f"{post}, peak-guard x{gain:.3f}",
        ),
        measures=_measured(original, samples * np.float32(gain), backend),
        silence=_measured(original, np.zeros_like(samples), backend),
    )


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


def limited(latent: torch.Tensor, limit: LatentLimit) -> tuple[torch.Tensor, str]:
    """The latent within a limit on its standard deviation, then on the mean that is left, and what was done."""
    done = []
    std = float(latent.std(correction=0))
    if std > limit.above:
        latent = latent * (limit.to / std)
        done.append(f"std {std:.3f} to {limit.to:g}")
    mean = float(latent.mean())
    if abs(mean) > limit.mean_above:
        latent = latent - limit.mean_share * mean
        done.append(f"mean {mean:.3f} to {(1 - limit.mean_share) * mean:.3f}")
    return latent, ", ".join(done) or f"std {std:.3f}, mean {mean:.3f} kept"


def finished(features: torch.Tensor, vocoder: Vocoder, post: Post, original: Original) -> tuple[np.ndarray, str]:
    """The vocoder's sound after lifts, high-pass and loudness match, `[channels, N']`, and what was done."""
    done = [f"smooth {post.smooth} frames"] if post.smooth > 1 else []
    samples, front_end = vocoder.samples, front_end_of(original.timeline.info)

    def mel_lift(_: np.ndarray, gain_db: float) -> np.ndarray:
        return vocoder.run(effects.lifted(features, gain_db, front_end))

    def band_lift(unlifted: np.ndarray, gain_db: float) -> np.ndarray:
        return effects.band_lifted(unlifted, original.sample_rate, 10 ** (gain_db / 20))

    for name, most_db, lift in (
        ("mel-lift", post.mel_lift_db, mel_lift),
        ("band-lift", 20 * log10(post.band_lift), band_lift),
    ):
        if most_db > 0:
            samples, words = _lifted(samples, lift, most_db, post, original)
            done.append(f"{name} {words}")
    samples, ratio = _levelled(samples, post, original)
    done += [f"high-pass {post.high_pass:g} Hz"] if post.high_pass else []
    done += [f"loudness x{ratio:.3f}"] if post.loudness else []
    return samples, ", ".join(done) or "none"


def _levelled(samples: np.ndarray, post: Post, original: Original) -> tuple[np.ndarray, float]:
    """High-passed and matched in loudness; the factor of the match too."""
    if post.high_pass:
        samples = effects.high_passed(samples, original.sample_rate, post.high_pass)
    if post.loudness is None:
        return samples, 1.0
    ratio = effects.loudness_ratio(original.samples, samples, post.loudness, softness=post.softness)
    return samples * np.float32(ratio), ratio


def _lifted(
    samples: np.ndarray, lift: Callable[[np.ndarray, float], np.ndarray], most_db: float, post: Post, original: Original
) -> tuple[np.ndarray, str]:
    """Samples lifted by the measured loss, or by as much of it as makes nothing worse: after all that follows the lift,
    the energy from 4 kHz up has to be nearer the original's and the log spectral distance no larger."""

    def errors(candidate: np.ndarray) -> tuple[float, float]:
        sound = original.unlevelled(_levelled(candidate, post, original)[0])
        return effects.high_band_loss_db(original.sound, sound, original.sample_rate), _distance_db(original, sound)

    loss, distance = errors(samples)
    for share in _SHARES:
        gain_db = share * min(loss, most_db)
        if gain_db < _LEAST_LIFT_DB:
            break
        candidate = lift(samples, gain_db)
        loss_now, distance_now = errors(candidate)
        if abs(loss_now) < abs(loss) and distance_now <= distance:
            return candidate, f"{gain_db:.2f} dB of {loss:.2f} lost"
    return samples, f"0 dB of {loss:.2f} lost" if loss > 0 else "0 dB, nothing lost"


def _measured(original: Original, samples: np.ndarray, backend: FeatureBackend) -> dict[str, float]:
    """How near `samples`, `[channels, N']` as coded, are to the original: see `Reconstruction.measures`."""
    sound, wanted = original.unlevelled(samples), effects.energy(original.sound)
    features = [features_of(x, original.timeline, backend).cpu().numpy() for x in (original.samples, samples)]
    return {
        "energy_ratio_db": _ratio_db(effects.energy(sound), wanted),
        "high_band_db": _ratio_db(
            *(effects.high_band_energy(x, original.sample_rate) for x in (sound, original.sound))
        ),
        "features_error_db": log_mel_l1_db(*features),
        "log_spectral_distance_db": _distance_db(original, sound),
        "snr_db": _ratio_db(wanted, effects.energy(original.sound - sound)),
    }


def _distance_db(original: Original, sound: np.ndarray) -> float:
    """Log spectral distance: mean over channels and over blocks, so that memory does not grow with the length."""
    rate, count = original.sample_rate, sound.shape[1]
    total = 0.0
    for reference, estimate in zip(original.sound, sound, strict=True):
        for start in range(0, count, _BLOCK_SECONDS * rate):
            block = slice(start, start + _BLOCK_SECONDS * rate)
            distance = log_spectral_distance_db(reference[block], estimate[block], sample_rate=rate)
            total += distance * len(reference[block])
    return total / (len(sound) * count)


def _ratio_db(wanted: float, unwanted: float) -> float:
    if wanted == 0:
        return -inf if unwanted > 0 else 0.0
    return 10 * (log10(wanted) - log10(unwanted)) if unwanted > 0 else inf
