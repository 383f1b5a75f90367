"""What a sound is like, as far as simple measures tell: for rules that choose a method, and for metrics of speech only.

Kinds are told by Fisher's linear discriminants of level-free statistics of the log-mel (spectrum, its spread and its
speed in eight bands, shares of rates of modulation, tonality, onsets), fitted on training sound by
`python -m training.kinds TRAINING`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from noisebook.audio.high_pass import high_passed
from noisebook.audio.level import peak_db
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.metrics.signals import powers
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features

__all__ = ["KINDS", "KINDS_FILE", "Traits", "kind_statistics", "listen"]

KINDS = ("music", "speech", "effects")
KINDS_FILE = Path(__file__).parents[1] / "assets" / "controls" / "kinds.json"
_LISTENED = 60.0  # seconds of the middle of a sound
_BANDS = 8
_MODULATIONS = (0.0, 0.5, 2.0, 4.0, 8.0, 16.0, 25.1)  # Hz, edges
_QUIET_DB, _AUDIBLE_DB = -40.0, -60.0  # below a sound's loudest moment, and below its loudest frequency
_ONSET_DB = 4.0  # mean rise of the bands within 40 ms


@dataclass(frozen=True)
class Traits:
    """What a sound is like.

    Attributes:
        seconds: duration.
        channels: number.
        sample_rate: Hz.
        bandwidth: Hz, highest frequency within 60 dB of the loudest one, over the long term.
        peak_dbfs: largest sample; -inf for silence.
        offset_dbfs: the mean, of the channel whose mean is furthest from 0; -inf for none.
        kind: the likeliest of `KINDS`.
        likeness: probability of each kind; even for silence.
        onsets: sudden rises a second.
        tonality: 0 to 1, share of the energy that lies in narrow spectral peaks.
        silence: 0 to 1, share of the time that is 40 dB below the loudest moment.
        side_db: level of what stereo channels do not share over what they do; None for mono.
    """

    seconds: float
    channels: int
    sample_rate: int
    bandwidth: float
    peak_dbfs: float
    offset_dbfs: float
    kind: str
    likeness: dict[str, float]
    onsets: float
    tonality: float
    silence: float
    side_db: float | None


def listen(waveform: Waveform) -> Traits:
    """Listen to a sound, of a long one to the minute in its middle; channels are mixed but for `side_db`.

    An offset, and what lies below 20 Hz, counts for `offset_dbfs` and `peak_dbfs` alone: no codec here keeps it.
    """
    count = round(_LISTENED * waveform.sample_rate)
    start = max(0, waveform.sample_count - count) // 2
    part = Waveform(waveform.samples[:, start : start + count], waveform.sample_rate)
    audible = resample(high_passed(part), part.sample_rate)  # an offset would count as a loud, steady tone
    mono = downmix(audible)
    heard = resample(mono, SAMPLE_RATE).samples[0].astype(np.float64)
    found = features(heard)
    likeness, offset = _likeness(heard), float(np.abs(part.samples.mean(axis=1, dtype=np.float64)).max())
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
        tonality=_tonality(heard),
        silence=_silence(heard),
        side_db=_side_db(audible),
    )


def kind_statistics(heard: np.ndarray) -> np.ndarray:
    """`[75]` statistics of `[N]` at 16 kHz that do not depend on the level.

    Of eight bands mean, standard deviation and mean absolute change; of each the shares of six rates of modulation;
    tonality, its square, and onsets.
    """
    sound = features(heard)
    bands = sound.log_mel.reshape(sound.frames, _BANDS, -1).mean(2)
    spectrum = np.abs(np.fft.rfft((bands - bands.mean(0)) * np.hanning(sound.frames)[:, None], axis=0)) ** 2
    rates = np.fft.rfftfreq(sound.frames, 1 / FRAME_RATE)
    energy = [spectrum[(rates >= low) & (rates < high)].sum(0) for low, high in pairwise(_MODULATIONS)]
    shares = np.log((np.array(energy) + 1e-9) / (spectrum.sum(0) + 1e-6) + 1e-3)
    speed = np.abs(np.diff(bands, axis=0)).mean(0) if sound.frames > 1 else np.zeros(_BANDS)
    tonality = _tonality(heard)
    whole = [tonality, tonality**2, _onsets(sound)]
    return np.concatenate([bands.mean(0) - bands.mean(), bands.std(0), speed, shares.ravel(), whole])


@cache
def _discriminants() -> dict[str, np.ndarray]:
    """`centre` and `scale` `[75]`, `weights` `[75, 3]`, `bias` `[3]`. Three lines apply what was fitted."""
    return {name: np.array(values) for name, values in json.loads(KINDS_FILE.read_text(encoding="utf-8")).items()}


def _likeness(heard: np.ndarray) -> dict[str, float]:
    if features(heard).silent:
        return dict.fromkeys(KINDS, 1 / len(KINDS))
    fit = _discriminants()
    scores = (kind_statistics(heard) - fit["centre"]) / fit["scale"] @ fit["weights"] + fit["bias"]
    odds = np.exp(scores - scores.max())
    return dict(zip(KINDS, (odds / odds.sum()).tolist(), strict=True))


def _power(samples: np.ndarray, size: int) -> np.ndarray:
    """Power spectra `[frames, size // 2 + 1]` of half-overlapping Hann windows; a short sound is one window."""
    return powers(np.pad(samples, (0, max(0, size - len(samples)))), size, size // 2)


def _bandwidth(mono: Waveform) -> float:
    size = 2 ** round(np.log2(mono.sample_rate / 12))  # windows of about 80 ms
    power = _power(mono.samples[0], size).mean(0)
    loud = np.flatnonzero(power > power.max() * 10 ** (_AUDIBLE_DB / 10))
    return float(loud[-1]) * mono.sample_rate / size if len(loud) else 0.0


def _onsets(sound: Features) -> float:
    """Peaks of the mean rise over all bands, a second."""
    rise = np.maximum(0, sound.log_mel[2:] - sound.log_mel[:-2]).mean(1)
    peaks = (rise[1:-1] > _ONSET_DB) & (rise[1:-1] >= rise[:-2]) & (rise[1:-1] > rise[2:])
    return float(peaks.sum()) * FRAME_RATE / sound.frames


def _tonality(heard: np.ndarray) -> float:
    """Share of the energy in bins that are 12 dB above the geometric mean of the 33 bins (260 Hz) around them."""
    power = _power(heard, 2048)
    total = float(power.sum())
    if total == 0:
        return 0.0
    around = np.pad(np.log(power + 1e-12 * power.max()), ((0, 0), (17, 16)), mode="reflect").cumsum(1)
    floor = np.exp((around[:, 33:] - around[:, :-33]) / 33)
    return float(power[power > 16 * floor].sum()) / total


def _silence(heard: np.ndarray) -> float:
    """Share of pieces of 20 ms, the last one shorter."""
    size = SAMPLE_RATE // FRAME_RATE
    energy = np.add.reduceat(np.square(heard), np.arange(0, len(heard), size))
    return float((energy <= energy.max() * 10 ** (_QUIET_DB / 10)).mean())


def _side_db(waveform: Waveform) -> float | None:
    """Of the first two channels; -inf where they are the same, inf where one is the other upside down."""
    if waveform.channels < 2:
        return None
    left, right = waveform.samples[:2].astype(np.float64)
    mid, side = float(np.square(left + right).sum()), float(np.square(left - right).sum())
    if min(mid, side) == 0:
        return float("inf") if side > mid else float("-inf")
    return 10 * float(np.log10(side / mid))
