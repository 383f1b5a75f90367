"""Left and right of two sounds: whether what is heard at a place is heard there in the other one too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebook.metrics.image import image_coherence, image_level_db, mean_coherence

__all__ = ["ImageComparison", "compare_images"]

_AN_IMAGE = 0.5  # dB of level difference, from which on a sound has sides
_LOST = 0.25  # of the reference's level differences: with less than that an estimate has no image
_BACK = 0.7  # of the error: what exchanging left and right has to bring
_FAR_DB, _FAR = 4.0, 1.25  # an error, in dB and beside that of a mono sound, that no decode with an image has
_WIDTH = 0.3  # of mean coherence


@dataclass(frozen=True)
class ImageComparison:
    """How far left and right of an estimate are from where they should be."""

    image_level_db: float  # the metric
    image_coherence: float  # the metric
    alike_level_db: float  # `image_level_db` of a sound with two equal channels
    exchanged_level_db: float  # and of the estimate with left and right exchanged
    coherences: tuple[float, float]  # mean coherence of left and right of the reference, and of the estimate
    warning: str | None = None  # what is wrong with left and right


def compare_images(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> ImageComparison:
    """The images of two sounds `[2, N]` that are aligned.

    Raises:
        AudioError, ConfigError: as the metrics.
    """

    def level(sound: np.ndarray, other: np.ndarray) -> float:
        return image_level_db(sound, other, sample_rate=sample_rate)

    alike, own_alike = (np.repeat(sound[:1], 2, axis=0) for sound in (reference, estimate))
    error, sides, exchanged = (level(reference, sound) for sound in (estimate, alike, estimate[::-1]))
    width, own_width = (
        mean_coherence(sound, sample_rate=sample_rate, weights=reference) for sound in (reference, estimate)
    )
    wrong = None
    if sides >= _AN_IMAGE and level(estimate, own_alike) < _LOST * sides:
        wrong = f"those of EST are alike, and in REF they differ by {sides:.1f} dB"
    elif sides >= _AN_IMAGE and exchanged < _BACK * error:
        wrong = f"exchanged, EST is nearer ({exchanged:.1f} dB off, not {error:.1f})"
    elif error > max(_FAR_DB, _FAR * sides):
        wrong = f"by {error:.1f} dB from how they do in REF"
    elif abs(width - own_width) > _WIDTH:
        wider = "wider" if own_width < width else "narrower"
        wrong = f"EST is {wider} (coherence {own_width:.2f}, of REF {width:.2f})"
    coherence = image_coherence(reference, estimate, sample_rate=sample_rate)
    warning = f"left and right differ: {wrong}" if wrong else None
    return ImageComparison(error, coherence, sides, exchanged, (width, own_width), warning)
