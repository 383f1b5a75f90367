"""Left and right of two sounds: whether what is heard at a place is heard there in the other one too."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """How far left and right of an estimate are from where they should be.

    Attributes:
        image_level_db, image_coherence: the metrics.
        alike_level_db, exchanged_level_db: the first of them for a sound with two equal channels, and for the estimate
            with left and right exchanged.
        coherences: mean coherence of left and right of the reference, and of the estimate.
        warning: what is wrong with left and right; None where nothing is.
    """

    image_level_db: float
    image_coherence: float
    alike_level_db: float
    exchanged_level_db: float
    coherences: tuple[float, float]
    warning: str | None = None


def compare_images(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> ImageComparison:
    """The images of two sounds `[2, N]` that are aligned.

    Raises:
        AudioError, ConfigError: as the metrics.
    """

    def level(sound: np.ndarray, other: np.ndarray) -> float:
        return image_level_db(sound, other, sample_rate=sample_rate)

    error, alike, exchanged = (level(reference, sound) for sound in (estimate, _alike(reference), estimate[::-1]))
    coherence = image_coherence(reference, estimate, sample_rate=sample_rate)
    widths = tuple(mean_coherence(x, sample_rate=sample_rate, weights=reference) for x in (reference, estimate))
    found = ImageComparison(error, coherence, alike, exchanged, (widths[0], widths[1]))
    return replace(found, warning=_warning(found, level(estimate, _alike(estimate))))


def _alike(sound: np.ndarray) -> np.ndarray:
    """Two equal channels."""
    return np.repeat(sound[:1], 2, axis=0)


def _warning(found: ImageComparison, own_sides: float) -> str | None:
    """What is wrong, for an estimate whose own left and right differ by so many dB."""
    error, sides, (width, own_width) = found.image_level_db, found.alike_level_db, found.coherences
    if sides >= _AN_IMAGE and own_sides < _LOST * sides:
        return f"left and right differ: those of EST are alike, and in REF they differ by {sides:.1f} dB"
    if sides >= _AN_IMAGE and found.exchanged_level_db < _BACK * error:
        return (
            f"left and right differ: exchanged, EST is nearer ({found.exchanged_level_db:.1f} dB off, not {error:.1f})"
        )
    if error > max(_FAR_DB, _FAR * sides):
        return f"left and right differ: by {error:.1f} dB from how they do in REF"
    if abs(width - own_width) > _WIDTH:
        wider = "wider" if own_width < width else "narrower"
        return f"left and right differ: EST is {wider} (coherence {own_width:.2f}, of REF {width:.2f})"
    return None
