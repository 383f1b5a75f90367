"""Two sounds side by side: brought to one rate and into time, every metric, every control, the verdict.

reference, estimate -> 16 kHz mono -> aligned, cut to what they have in common -> composite scores, verdict
                    -> 48 kHz mono, where one of them has more than 16 -> the same part -> metrics
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from noisebook.audio.level import loudness_lufs
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.errors import ConfigError
from noisebook.metrics import signals
from noisebook.metrics.correlation import Composite, summary_score, verify_score
from noisebook.metrics.image import image_coherence, image_level_db, mean_coherence
from noisebook.metrics.suite import METRICS, available, evaluate
from noisebook.metrics.waveform import Alignment, align
from noisebook.options import OnStep
from noisebook.verification.controls import control_sounds
from noisebook.verification.listening import listen
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, features, likeness
from noisebook.verification.verdict import Verdict, judge

_STEREO = {metric.name for metric in METRICS if metric.kind == "stereo"}
_SILENT = "the original is silence: there is nothing to compare, and no metric"
_CANCELS = "left and right of the original cancel: their sum, which metrics hear, is silence; only the image counts"
_OFFSET_DB, _SHORTEST_OFFSET = -40.0, 0.5  # of full scale; seconds, within which a mean may be a tone's
_LOUDNESS_LU = 1.0  # difference that is worth a note
_FULL_RATE = 48_000  # Hz, of the metrics where there are highs to hear
_AN_IMAGE = 0.5  # dB of level difference, from which on a sound has sides
_LOST = 0.25  # of the reference's level differences: with less than that an estimate has no image
_BACK = 0.7  # of the error: what exchanging left and right has to bring
_FAR_DB, _FAR = 4.0, 1.25  # an error, in dB and beside that of a mono sound, that no decode with an image has
_WIDTH = 0.3  # of mean coherence
_COMPOSITES = {"summary": summary_score, "verify": verify_score}
_APART = _STEREO.union(_COMPOSITES)  # which rows of metrics leave out
_FACTS = {metric.name: (metric.unit, metric.direction) for metric in METRICS} | {"similarity": ("", "higher")}


@dataclass(frozen=True)
class Side:
    """One of two sounds as it came."""

    sample_rate: int  # Hz
    channels: int
    seconds: float
    cut_seconds: float  # the part that the other sound does not have


@dataclass(frozen=True)
class Comparison:
    """What was compared."""

    sample_rate: int  # Hz at which it was brought into time and judged, mono
    metric_rate: int  # Hz at which metrics heard it
    reference: Side
    estimate: Side
    seconds: float  # in common
    lag: int  # samples at `sample_rate` by which the estimate is late
    searched: bool  # for the lag
    gain_db: float  # level of the estimate over that of the reference
    correlation: float  # of the two waveforms at that lag


@dataclass(frozen=True)
class MetricRow:
    """A metric: its value for the estimate, and for each control."""

    name: str
    unit: str
    direction: str
    value: float
    controls: dict[str, float]


@dataclass(frozen=True)
class CompositeRow:
    """A composite score: its value and parts for the estimate, and its value for each control and ceiling."""

    score: float
    parts: dict[str, float]
    controls: dict[str, float]
    ceilings: dict[str, float]


@dataclass(frozen=True)
class ImageComparison:
    """How far left and right of an estimate are from where they should be."""

    image_level_db: float  # the metric
    image_coherence: float  # the metric
    alike_level_db: float  # `image_level_db` of a sound with two equal channels
    exchanged_level_db: float  # and of the estimate with left and right exchanged
    coherences: tuple[float, float]  # mean coherence of left and right of the reference, and of the estimate
    warning: str | None = None  # what is wrong with left and right


@dataclass(frozen=True)
class Verification:
    """What is known of an estimate beside its reference."""

    alignment: Comparison
    metrics: tuple[MetricRow, ...]  # none where the reference is silence, with which nothing can be compared
    composites: dict[str, CompositeRow]  # by name, "summary" and "verify"
    verdict: Verdict
    ceilings: dict[str, dict[str, float]]  # of what the best coder over a model's latent would give: metric -> value
    notes: tuple[str, ...] = ()  # what could not be computed, and what is wrong with level, left and right
    image: ImageComparison | None = None  # left and right, where one of the sounds is stereo

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it: an infinite value is None."""
        values: dict[str, Any] = _plain(asdict(self))
        values["verdict"]["n_controls"] = self.verdict.n_controls
        return values


def verify_sounds(
    reference: Waveform,
    estimate: Waveform,
    *,
    lag: int | None = None,
    metrics: Sequence[str] | None = None,
    controls: bool = True,
    further_controls: Mapping[str, Waveform] | None = None,
    ceilings: Mapping[str, Waveform] | None = None,
    on_step: OnStep | None = None,
) -> Verification:
    """Compare two sounds of any rate, length and channels, as `noisebook.verify`, which explains arguments and errors.

    Args:
        metrics: names of rows of `metrics.METRICS`, and of composite scores, "summary" and "verify".
        further_controls, ceilings: sounds to compare in the same way, in time with the reference.
    """
    names, notes = _names(metrics, reference)
    aligned, other = _aligned(_heard(reference), _heard(estimate), lag)
    rate = _FULL_RATE if max(reference.sample_rate, estimate.sample_rate) > SAMPLE_RATE else SAMPLE_RATE
    image = _image(reference, estimate, aligned)
    if image is None and (of_two := _STEREO.intersection(metrics or ())):
        raise ConfigError(f"{min(of_two)} compares left and right, and neither sound is stereo")
    warning = (image.warning,) if image is not None and image.warning else ()
    alignment = _comparison(reference, estimate, aligned, rate, searched=lag is None)
    original = features(aligned.reference)
    verdict = judge(original, features(aligned.estimate), lag=other)
    if original.silent:  # every ratio to it is infinite, and none means anything
        apart = (Waveform(samples[None], reference.sample_rate) for samples in reference.samples)
        if image is not None and not all(features(_heard(channel)).silent for channel in apart):
            return Verification(alignment, (), {}, verdict, {}, (_CANCELS, *warning), image=image)
        return Verification(alignment, (), {}, verdict, {}, (_SILENT,))
    whole = _part(reference, aligned, rate)
    beside = control_sounds(whole, rate) if controls else {}
    beside |= {name: _part(sound, aligned, rate) for name, sound in (further_controls or {}).items()}
    above = {name: _part(sound, aligned, rate) for name, sound in (ceilings or {}).items()}
    sounds = {"": _part(estimate, aligned, rate, late=aligned.lag)} | beside | above
    values: dict[str, dict[str, float]] = {}
    composites: dict[str, dict[str, Composite]] = {}
    for name, sound in sounds.items():
        low = signals.resample(sound, sample_rate=rate, to=SAMPLE_RATE) if name else aligned.estimate
        values[name] = {"similarity": likeness(original, features(low))}
        values[name] |= evaluate(whole, sound, sample_rate=rate, names=[one for one in names if one not in _APART])
        scores = {one: _COMPOSITES[one] for one in names if one in _COMPOSITES}
        composites[name] = {
            one: score(aligned.reference, low, sample_rate=SAMPLE_RATE) for one, score in scores.items()
        }
        if on_step is not None:
            on_step(len(values), len(sounds))
    return Verification(
        alignment=alignment,
        metrics=tuple(
            MetricRow(name, *_FACTS[name], value, {one: values[one][name] for one in beside})
            for name, value in values[""].items()
        ),
        composites={
            name: CompositeRow(
                own.score,
                own.parts,
                *({one: composites[one][name].score for one in group} for group in (beside, above)),
            )
            for name, own in composites[""].items()
        },
        verdict=verdict,
        ceilings={name: values[name] for name in above},
        notes=(*notes, *_level_notes(reference, estimate), *warning),
        image=image,
    )


def _level_notes(reference: Waveform, estimate: Waveform) -> list[str]:
    """What is wrong with the level of the whole sounds: their loudness, and offsets."""
    notes, loudness = [], []
    for name, sound in (("REF", reference), ("EST", estimate)):
        if (offset := float(np.abs(_offsets(sound)).max())) > 0:
            notes.append(f"{name} has an offset of {offset:.3f} of full scale, which no codec of this package keeps")
        # Of a mean channel, so that mono has the level of two equal ones.
        loudness.append(loudness_lufs(sound) - 10 * math.log10(sound.channels))
    difference = loudness[1] - loudness[0]
    if np.isfinite(difference) and abs(difference) > _LOUDNESS_LU:
        notes.append(f"EST is {abs(difference):.1f} LU {'louder' if difference > 0 else 'quieter'} than REF")
    return notes


def _names(metrics: Sequence[str] | None, reference: Waveform) -> tuple[Sequence[str], tuple[str, ...]]:
    """What to compute, and what had to be left out where the choice is not the user's."""
    if metrics is not None:
        return metrics, ()
    speech = listen(reference).kind == "speech"
    names = available(speech=speech)
    missing = {m.name: m.extra for m in METRICS if not m.installed and (speech or m.kind == "all")}
    if find_spec("librosa") is not None:
        names = (*names, *_COMPOSITES)
    else:
        missing |= dict.fromkeys(_COMPOSITES, "metrics")
    note = f"left out, since not installed: {', '.join(missing)}; {signals.install_line(*missing.values())}"
    return names, (note,) if missing else ()


def _offsets(sound: Waveform) -> np.ndarray:
    """`[C, 1]` float32: the means of a sound of which one is an offset, else 0."""
    means = sound.samples.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    is_offset = sound.duration > _SHORTEST_OFFSET and np.abs(means).max() > 10 ** (_OFFSET_DB / 20)
    return means if is_offset else np.zeros_like(means)


def _centred(sound: Waveform) -> Waveform:
    """Without an offset, which would count as level and as a steady tone; no copy of a sound that has none."""
    offsets = _offsets(sound)
    return Waveform(sound.samples - offsets, sound.sample_rate) if offsets.any() else sound


def _heard(sound: Waveform, rate: int = SAMPLE_RATE) -> np.ndarray:
    """`[N]`, mono, without an offset."""
    return resample(downmix(_centred(sound)), rate).samples[0]


def _image(reference: Waveform, estimate: Waveform, aligned: Alignment) -> ImageComparison | None:
    """Of the part that is compared, at 16 kHz; a mono sound is heard left and right alike."""
    if {reference.channels, estimate.channels} not in ({2}, {1, 2}):
        return None
    start, count = max(0, -aligned.lag), len(aligned.reference)
    sides = []
    for sound, first in ((reference, start), (estimate, start + aligned.lag)):
        samples = resample(_centred(sound), SAMPLE_RATE).samples
        sides.append(np.broadcast_to(samples, (2, samples.shape[1]))[:, first : first + count].astype(np.float64))
    return _compared_images(*sides)


def _compared_images(reference: np.ndarray, estimate: np.ndarray) -> ImageComparison:
    """The images of two sounds `[2, N]` at 16 kHz that are aligned."""
    level, coherence, mean = (
        partial(measure, sample_rate=SAMPLE_RATE) for measure in (image_level_db, image_coherence, mean_coherence)
    )
    alike, own_alike = (np.repeat(sound[:1], 2, axis=0) for sound in (reference, estimate))
    error, sides, exchanged = (level(reference, sound) for sound in (estimate, alike, estimate[::-1]))
    width, own_width = (mean(sound, weights=reference) for sound in (reference, estimate))
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
    warning = f"left and right differ: {wrong}" if wrong else None
    return ImageComparison(error, coherence(reference, estimate), sides, exchanged, (width, own_width), warning)


def _aligned(reference: np.ndarray, estimate: np.ndarray, lag: int | None) -> tuple[Alignment, int]:
    """The two in time, and how many frames away the other alignment was that could have been taken."""
    found = align(reference, estimate, sample_rate=SAMPLE_RATE, lag=lag)
    if lag is not None or found.lag == 0:
        return found, 0
    unmoved = align(reference, estimate, sample_rate=SAMPLE_RATE, lag=0)
    frames = round(found.lag * FRAME_RATE / SAMPLE_RATE)
    scores = [likeness(features(pair.reference), features(pair.estimate)) for pair in (found, unmoved)]
    return (found, frames) if scores[0] > scores[1] else (unmoved, -frames)


def _part(sound: Waveform, aligned: Alignment, rate: int, *, late: int = 0) -> np.ndarray:
    """`[N]` at a multiple of 16 kHz: what is compared of a sound `late` samples at 16 kHz behind the reference; at its
    end there may be silence."""
    factor = rate // SAMPLE_RATE
    start, count = factor * (max(0, -aligned.lag) + late), factor * len(aligned.reference)
    samples = _heard(sound, rate)[start : start + count].astype(np.float64)
    return np.pad(samples, (0, count - len(samples)))


def _comparison(
    reference: Waveform, estimate: Waveform, aligned: Alignment, rate: int, *, searched: bool
) -> Comparison:
    seconds = len(aligned.reference) / SAMPLE_RATE
    ours, theirs = (
        Side(sound.sample_rate, sound.channels, sound.duration, max(0.0, sound.duration - seconds))
        for sound in (reference, estimate)
    )
    found = (aligned.lag, searched, aligned.gain_db, aligned.correlation)
    return Comparison(SAMPLE_RATE, rate, ours, theirs, seconds, *found)


def _plain(value: Any) -> Any:
    """Numbers of Python, lists and dictionaries, without what JSON cannot say."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
