"""What a sound is like, as far as simple measures tell: to choose a method, and for metrics of speech only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noisebook.audio.level import high_passed, peak_db
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.verification.kinds import Spectrum, likeness_of_kinds, power_spectra
from noisebook.verification.similarity import FRAME_RATE, SAMPLE_RATE, Features, features

__all__ = ["Traits", "listen"]

_LISTENED = 60.0  # seconds of the middle of a sound
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
        kind: the likeliest of `kinds.KINDS`.
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
    likeness, offset = likeness_of_kinds(heard), float(np.abs(part.samples.mean(axis=1, dtype=np.float64)).max())
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


def _bandwidth(mono: Waveform) -> float:
    size = 2 ** round(np.log2(mono.sample_rate / 12))  # windows of about 80 ms
    power = power_spectra(mono.samples[0], size).mean(0)
    loud = np.flatnonzero(power > power.max() * 10 ** (_AUDIBLE_DB / 10))
    return float(loud[-1]) * mono.sample_rate / size if len(loud) else 0.0


def _onsets(sound: Features) -> float:
    """Peaks of the mean rise over all bands, a second."""
    rise = np.maximum(0, sound.log_mel[2:] - sound.log_mel[:-2]).mean(1)
    peaks = (rise[1:-1] > _ONSET_DB) & (rise[1:-1] >= rise[:-2]) & (rise[1:-1] > rise[2:])
    return float(peaks.sum()) * FRAME_RATE / sound.frames


def _tonality(heard: np.ndarray) -> float:
    """Share of the energy in bins that are 12 dB above the geometric mean of the 33 bins (260 Hz) around them."""
    spectrum = Spectrum.of(heard)
    total = float(spectrum.power.sum())
    return float(spectrum.power[spectrum.tonal].sum()) / total if total else 0.0


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
