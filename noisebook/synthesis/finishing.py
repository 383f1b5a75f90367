"""After the vocoder: lifts of the highs that prove themselves, loudness, and how near the original the result is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import inf, log10

import numpy as np
import torch

from noisebook.audio.level import apply_gain
from noisebook.audio.post import (
    band_lifted,
    energy,
    high_band_energy,
    high_band_loss_db,
    high_passed,
    lifted,
    loudness_ratio,
)
from noisebook.codec.signal import segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import FeatureBackend, front_end_of
from noisebook.metrics import log_mel_l1_db, log_spectral_distance_db
from noisebook.synthesis.reconstruction_presets import Post
from noisebook.synthesis.vocoding import Vocoder

__all__ = ["Original", "finished", "measured"]

_SHARES = (1.0, 0.5, 0.25)  # of the measured loss, tried in turn
_LEAST_LIFT_DB = 0.1
_BLOCK_SECONDS = 60


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
        return self.heard(self.samples)

    def heard(self, samples: np.ndarray) -> np.ndarray:
        """Levelled samples as they will be heard."""
        return apply_gain(samples, -self.gain_half_db)


def finished(features: torch.Tensor, vocoder: Vocoder, post: Post, original: Original) -> tuple[np.ndarray, str]:
    """The vocoder's sound after lifts, high-pass and loudness match, `[channels, N']`, and what was done."""
    told = [f"smooth {post.smooth} frames"] if post.smooth > 1 else []
    samples, rate = vocoder.samples, original.sample_rate
    if post.mel_lift_db > 0:
        front_end = front_end_of(original.timeline.info)

        def mel_lift(gain_db: float) -> np.ndarray:
            return vocoder.run(lifted(features, gain_db, front_end))

        samples, words = _lift(mel_lift, post.mel_lift_db, samples, post, original)
        told.append(f"mel-lift {words}")
    if post.band_lift > 1:
        before = samples

        def band_lift(gain_db: float) -> np.ndarray:
            return band_lifted(before, rate, 10 ** (gain_db / 20))

        samples, words = _lift(band_lift, 20 * log10(post.band_lift), before, post, original)
        told.append(f"band-lift {words}")
    samples, ratio = _levelled(samples, post, original)
    told += [f"high-pass {post.high_pass:g} Hz"] if post.high_pass else []
    told += [f"loudness x{ratio:.3f}"] if post.loudness else []
    return samples, ", ".join(told) or "none"


def _levelled(samples: np.ndarray, post: Post, original: Original) -> tuple[np.ndarray, float]:
    """High-passed and matched in loudness; the factor of the match too."""
    if post.high_pass:
        samples = high_passed(samples, original.sample_rate, post.high_pass)
    if post.loudness is None:
        return samples, 1.0
    ratio = loudness_ratio(original.samples, samples, post.loudness, softness=post.softness)
    return samples * np.float32(ratio), ratio


def _lift(
    with_gain: Callable[[float], np.ndarray], most_db: float, samples: np.ndarray, post: Post, original: Original
) -> tuple[np.ndarray, str]:
    """Lift by the measured loss, or by as much of it as makes nothing worse.

    A lift is kept only if, after all that follows it, the energy from 4 kHz up is nearer the original's and the log
    spectral distance is no larger.

    Args:
        with_gain: samples for a gain in dB.
        samples: those for none.
    """
    loss, distance = _errors(samples, post, original)
    for share in _SHARES:
        gain_db = share * min(loss, most_db)
        if gain_db < _LEAST_LIFT_DB:
            break
        candidate = with_gain(gain_db)
        loss_now, distance_now = _errors(candidate, post, original)
        if abs(loss_now) < abs(loss) and distance_now <= distance:
            return candidate, f"{gain_db:.2f} dB of {loss:.2f} lost"
    return samples, f"0 dB of {loss:.2f} lost" if loss > 0 else "0 dB, nothing lost"


def _errors(samples: np.ndarray, post: Post, original: Original) -> tuple[float, float]:
    """Lost high-band energy in dB, and log spectral distance, of what these samples will be."""
    sound = original.heard(_levelled(samples, post, original)[0])
    return high_band_loss_db(original.sound, sound, original.sample_rate), _distance_db(original, sound)


def measured(original: Original, samples: np.ndarray, backend: FeatureBackend) -> dict[str, float]:
    """How near `samples`, `[channels, N']` as coded, are to the original: see `Reconstruction.measures`."""
    sound, wanted = original.heard(samples), energy(original.sound)
    features = [_features(coded, original.timeline, backend) for coded in (original.samples, samples)]
    return {
        "energy_ratio_db": _ratio_db(energy(sound), wanted),
        "high_band_db": _ratio_db(*(high_band_energy(x, original.sample_rate) for x in (sound, original.sound))),
        "features_error_db": log_mel_l1_db(*features),
        "log_spectral_distance_db": _distance_db(original, sound),
        "snr_db": _ratio_db(wanted, energy(original.sound - sound)),
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


def _features(samples: np.ndarray, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    info = timeline.info

    def features(piece: torch.Tensor) -> torch.Tensor:
        return backend.features(piece.to(backend.device)).cpu()

    heard = torch.from_numpy(samples)
    return segmentwise(features, heard, timeline, reads=info.frame_samples, writes=info.feature_frames).numpy()


def _ratio_db(wanted: float, unwanted: float) -> float:
    if wanted == 0:
        return -inf if unwanted > 0 else 0.0
    return 10 * (log10(wanted) - log10(unwanted)) if unwanted > 0 else inf
