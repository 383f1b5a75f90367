"""What a sound is like, as far as simple measures tell: to choose a method, and for metrics of speech only.

Whether it is music, speech or effects: multinomial logistic regression of 26 numbers that do not depend on the level.

lines    how much of the energy in spectral peaks stays at its frequency, or within 8 Hz of it, for 0.13, 0.26 and
         0.51 s: notes stay, vowels glide, birds chirp, rain has no peaks
octaves  share of the energy that is in peaks, in six bands: birds sing above 2 kHz, and voices do not
peaks    how many there are at a time, and how much that varies
pitch    how near they are to one grid of semitones, whatever its tuning; entropy of their pitch classes
level    pauses, spread and speed of the level in pieces of 20 ms: speech pauses, and music rarely does
colour   flatness, centroid, and how much they vary; zero crossings

`python -m training.kinds TRAINING` fits them on training sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from noisebook.audio.level import high_passed, peak_db
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.metrics.signals import powers
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features

KINDS = ("music", "speech", "effects")
KINDS_FILE = Path(__file__).parents[1] / "assets" / "controls" / "kinds.json"
_LASTING = (2, 4, 8)  # spectra, of 64 ms
_OCTAVES = (0, 250, 500, 1000, 2000, 4000, 8000)  # Hz, edges
STATISTICS = (
    *(f"{what} for {64 * lasting} ms" for lasting in _LASTING for what in ("steady", "nearly steady")),
    *(f"peaks of {low} to {high} Hz" for low, high in pairwise(_OCTAVES)),
    "log number of peaks", "its spread", "semitone grid", "entropy of pitch classes",
    "pauses", "median level", "quiet level", "spread of level", "speed of level",
    "flatness", "its spread", "log centroid", "log spread of centroid", "zero crossings",
)  # fmt: skip

_LISTENED = 60.0  # seconds of the middle of a sound
_QUIET_DB, _AUDIBLE_DB = -40.0, -60.0  # below a sound's loudest moment, and below its loudest frequency
_ONSET_DB = 4.0  # mean rise of the bands within 40 ms
_SIZE = 2048  # samples of a window, 128 ms; they overlap by half
_FREQUENCIES = np.arange(_SIZE // 2 + 1) * SAMPLE_RATE / _SIZE  # Hz
_PITCHED = (200.0, 3000.0)  # Hz, where peaks are resolved well enough to be notes
_CLASSES = 60  # pitch classes, a fifth of a semitone each
_PAUSE_DB = -30.0  # below the loudest piece


@dataclass(frozen=True)
class Traits:
    """What a sound is like."""

    seconds: float
    channels: int
    sample_rate: int  # Hz
    bandwidth: float  # Hz, highest frequency within 60 dB of the loudest one, over the long term
    peak_dbfs: float  # largest sample; -inf for silence
    offset_dbfs: float  # the mean, of the channel whose mean is furthest from 0; -inf for none
    kind: str  # the likeliest of `KINDS`
    likeness: dict[str, float]  # probability of each kind; even for silence
    onsets: float  # sudden rises a second
    tonality: float  # 0 to 1, share of the energy that is in narrow spectral peaks
    silence: float  # 0 to 1, share of the time that is 40 dB below the loudest moment
    side_db: float | None  # level of what stereo channels do not share over what they do; None for mono


def listen(waveform: Waveform) -> Traits:
    """The traits of a sound, of a long one of the minute in its middle; channels are mixed but for `side_db`.

    An offset, and what lies below 20 Hz, counts for `offset_dbfs` and `peak_dbfs` alone: no codec here keeps it.
    """
    count = round(_LISTENED * waveform.sample_rate)
    start = max(0, waveform.sample_count - count) // 2
    part = Waveform(waveform.samples[:, start : start + count], waveform.sample_rate)
    audible = resample(high_passed(part), part.sample_rate)  # an offset would count as a loud, steady tone
    mono = downmix(audible)
    heard = resample(mono, SAMPLE_RATE).samples[0].astype(np.float64)
    found, spectrum = features(heard), _spectrum(heard)
    likeness, offset = _likeness(heard, found), float(np.abs(part.samples.mean(axis=1, dtype=np.float64)).max())
    return Traits(
        seconds=waveform.duration,
        channels=waveform.channels,
        sample_rate=waveform.sample_rate,
        bandwidth=_bandwidth(mono),
        peak_dbfs=peak_db(waveform.samples),
        offset_dbfs=20 * float(np.log10(offset)) if offset > 0 else float("-inf"),
        kind=max(likeness, key=likeness.__getitem__),
        likeness=likeness,
        onsets=_onsets(found),
        tonality=float(spectrum.power[spectrum.tonal].sum() / (spectrum.power.sum() or 1.0)),
        silence=float((_levels(heard) <= _QUIET_DB).mean()),
        side_db=_side_db(audible),
    )


def kind_statistics(heard: np.ndarray) -> np.ndarray:
    """`[26]` numbers, named by `STATISTICS`, of a sound `[N]` at 16 kHz that is not silent."""
    spectrum = _spectrum(heard)
    in_peaks, total = (spectrum.power * spectrum.peaks).sum(0), spectrum.power.sum() + 1e-30
    octaves = pairwise(np.searchsorted(_FREQUENCIES, _OCTAVES))
    number = spectrum.peaks.sum(1)[spectrum.loud]
    level = _levels(heard)
    low, middle = np.percentile(level, (10, 50))
    power = spectrum.power[spectrum.loud]
    flatness = spectrum.log[spectrum.loud].mean(1) - np.log(power.mean(1) + 1e-30)
    centroid = power @ _FREQUENCIES / (power.sum(1) + 1e-30)
    return np.array([
        *_lines(spectrum),
        *(in_peaks[a:b].sum() / total for a, b in octaves),
        np.log1p(number.mean()), number.std() / (number.mean() + 1),
        *_pitch(spectrum),
        (level < _PAUSE_DB).mean(), middle, low, level.std(), np.abs(np.diff(level)).mean() if len(level) > 1 else 0.0,
        flatness.mean(), flatness.std(), np.log(centroid.mean() + 1), np.log(centroid.std() + 1),
        (np.diff(np.signbit(heard)) != 0).mean() if len(heard) > 1 else 0.0,
    ])  # fmt: skip


def _spectra(samples: np.ndarray, size: int) -> np.ndarray:
    """Powers `[frames, size // 2 + 1]` of half-overlapping Hann windows; a short sound is one window."""
    return powers(np.pad(samples, (0, max(0, size - len(samples)))), size, size // 2)


def _bandwidth(mono: Waveform) -> float:
    size = 2 ** round(np.log2(mono.sample_rate / 12))  # windows of about 80 ms
    power = _spectra(mono.samples[0], size).mean(0)
    loud = np.flatnonzero(power > power.max() * 10 ** (_AUDIBLE_DB / 10))
    return float(loud[-1]) * mono.sample_rate / size if len(loud) else 0.0


def _onsets(sound: Features) -> float:
    """Peaks of the mean rise over all bands, a second."""
    rise = np.maximum(0, sound.log_mel[2:] - sound.log_mel[:-2]).mean(1)
    peaks = (rise[1:-1] > _ONSET_DB) & (rise[1:-1] >= rise[:-2]) & (rise[1:-1] > rise[2:])
    return float(peaks.sum()) * FRAME_RATE / sound.frames


def _levels(heard: np.ndarray) -> np.ndarray:
    """dB of pieces of 20 ms, the last one shorter, below the loudest; at least -90, and so for silence."""
    energy = np.add.reduceat(np.square(heard), np.arange(0, len(heard), SAMPLE_RATE // FRAME_RATE))
    return 10 * np.log10(energy / (energy.max() or 1.0) + 1e-9)


def _side_db(waveform: Waveform) -> float | None:
    """Of the first two channels; -inf where they are the same, inf where one is the other upside down."""
    if waveform.channels < 2:
        return None
    left, right = waveform.samples[:2].astype(np.float64)
    mid, side = float(np.square(left + right).sum()), float(np.square(left - right).sum())
    if min(mid, side) == 0:
        return float("inf") if side > mid else float("-inf")
    return 10 * float(np.log10(side / mid))


def _likeness(heard: np.ndarray, found: Features) -> dict[str, float]:
    if found.silent:
        return dict.fromkeys(KINDS, 1 / len(KINDS))
    fit = _regression()
    scores = (kind_statistics(heard) - fit["centre"]) / fit["scale"] @ fit["weights"] + fit["bias"]
    odds = np.exp(scores - scores.max())
    return dict(zip(KINDS, (odds / odds.sum()).tolist(), strict=True))


@cache
def _regression() -> dict[str, np.ndarray]:
    """`centre` and `scale` `[26]`, `weights` `[26, 3]`, `bias` `[3]`."""
    return {name: np.array(values) for name, values in json.loads(KINDS_FILE.read_text(encoding="utf-8")).items()}


class _Spectrum(NamedTuple):
    """Power spectra of a sound at 16 kHz, `[spectra, 1025]`, and the peaks in them."""

    power: np.ndarray
    log: np.ndarray  # natural logarithm of the power, 120 dB below the loudest bin at least
    tonal: np.ndarray  # bool: bins that are 12 dB above the geometric mean of the 33 bins (260 Hz) around them
    peaks: np.ndarray  # bool: tonal bins, but for the first and the last, that are no smaller than their neighbours
    loud: np.ndarray  # [spectra] bool: within 30 dB of the loudest


def _spectrum(heard: np.ndarray) -> _Spectrum:
    from scipy.ndimage import uniform_filter1d

    power = _spectra(heard, _SIZE)
    log = np.log(power + 1e-12 * power.max() + 1e-300)
    tonal = power > 16 * np.exp(uniform_filter1d(log, 33, axis=1, mode="mirror"))
    peaks = tonal & (power == _largest_of_three(power))
    peaks[:, [0, -1]] = False
    energy = power.sum(1)
    return _Spectrum(power, log, tonal, peaks, energy > 1e-3 * energy.max())


def _largest_of_three(rows: np.ndarray) -> np.ndarray:
    """Each value or that of a neighbour in its row."""
    from scipy.ndimage import maximum_filter1d

    return np.asarray(maximum_filter1d(rows, 3, axis=1))


def _lines(spectrum: _Spectrum) -> list[float]:
    """Shares of the peaks' energy that were peaks before: in the same bin, and in that or a neighbour."""
    peaks, energy = spectrum.peaks, spectrum.power * spectrum.peaks
    earlier, total = (peaks, _largest_of_three(peaks)), energy.sum() + 1e-30
    return [(energy[ago:] * before[:-ago]).sum() / total for ago in _LASTING for before in earlier]


def _pitch(spectrum: _Spectrum) -> list[float]:
    """Resultant length of peaks on a circle of one semitone, and entropy of sixty classes of an octave, in nats."""
    hz, (low, high) = _FREQUENCIES, _PITCHED
    wanted = (hz > low) & (hz < high)
    frame, peak = np.nonzero(spectrum.peaks & spectrum.loud[:, None] & wanted)
    if len(peak) < 4:
        return [0.0, float(np.log(_CLASSES))]
    left, middle, right = (spectrum.log[frame, peak + side] for side in (-1, 0, 1))
    apex = 0.5 * (left - right) / np.minimum(left - 2 * middle + right, -1e-9)  # of a parabola through the three
    cents = 1200 * np.log2((peak + np.clip(apex, -0.5, 0.5)) * SAMPLE_RATE / _SIZE / 440)
    weight = np.sqrt(spectrum.power[frame, peak])
    weight = weight / weight.sum()
    grid = abs((weight * np.exp(2j * np.pi * cents / 100)).sum())
    classes = np.bincount((cents % 1200 * _CLASSES / 1200).astype(int) % _CLASSES, weight, _CLASSES)
    return [float(grid), float(-(classes * np.log(classes + 1e-12)).sum())]
