"""By how much a codec delays sound: measured once for a method, on speech, and then taken for granted on every clip.

A delay belongs to the codec and not to the clip. Searching it anew in every clip would find the best accident where
phases are invented (Codec2: anything between -100 and 100 ms). So the speech inside the package is coded, and the
envelopes of eight bands are compared, which any codec of speech keeps; where the waveform survived, the very sample is
found.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from noisebook.audio import io
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.comparison.inputs import SAMPLE_RATE
from noisebook.comparison.methods import Job, Method
from noisebook.metrics.alignment import align
from noisebook.metrics.signals import windows

__all__ = ["delay_of", "envelope_delay", "measured_delay", "probe"]

_PROBE = Path(__file__).parents[1] / "assets" / "demo-speech.flac"
_SECONDS = 4.0
_HOP, _WINDOW = 0.001, 0.02  # seconds
_REACH = 150  # hops, both ways
_EDGES_HZ = (150, 4000)  # of the bands: what every codec of speech carries
_BANDS, _FLOOR = 8, 1e-5  # of the loudest value
_SURVIVED = 0.35  # correlation of waveforms from which on the sample can be told; of Codec2 it is at most 0.22
_FINE = 0.0025  # seconds


def probe(sample_rate: int) -> Waveform:
    """The speech that delays are measured with, one channel."""
    sound = resample(downmix(io.read(_PROBE)), sample_rate)
    return Waveform(np.ascontiguousarray(sound.samples[:, : round(_SECONDS * sample_rate)]), sample_rate)


@cache
def delay_of(method: Method, *, timeout: float) -> int:
    """Samples at 48 kHz by which a method is late: what the speech inside the package says.

    Raises:
        Error: as the method.
    """
    if not method.delayed:
        return 0
    speech = probe(SAMPLE_RATE)
    decoded = method.run(Job(speech, timeout=timeout)).sound
    return measured_delay(speech, resample(downmix(decoded), SAMPLE_RATE))


def measured_delay(reference: Waveform, decoded: Waveform) -> int:
    """Samples by which a decoded sound is late, negative where it is early; both of one rate and one channel."""
    coarse = envelope_delay(reference, decoded)
    pair = align(reference.samples[0], decoded.samples[0], sample_rate=reference.sample_rate, lag=coarse)
    fine = align(pair.reference, pair.estimate, sample_rate=reference.sample_rate, max_lag_seconds=_FINE)
    return coarse + fine.lag if fine.correlation >= _SURVIVED else coarse


def envelope_delay(reference: Waveform, decoded: Waveform) -> int:
    """The same to a millisecond, from the envelopes alone.

    The lag of their largest correlation within 150 ms; 0 where there is none, as of silence.
    """
    a, b = (_envelopes(sound.samples[0], reference.sample_rate) for sound in (reference, decoded))
    count = min(len(a), len(b))
    reach = min(_REACH, count // 2)
    scores = [_correlation(a[:count], b[:count], lag) for lag in range(-reach, reach + 1)]
    best = int(np.argmax(scores)) - reach if max(scores) > 0 else 0
    return best * round(_HOP * reference.sample_rate)


def _envelopes(samples: np.ndarray, sample_rate: int) -> np.ndarray:
    """`[frames, bands]` dB, one frame every millisecond."""
    window, hop = round(_WINDOW * sample_rate), round(_HOP * sample_rate)
    padded = np.pad(samples, (window // 2, window // 2))
    frames = windows(padded, window, hop) * np.hanning(window).astype(np.float32)
    power = np.abs(np.fft.rfft(frames)) ** 2
    edges = np.unique(np.rint(np.geomspace(*_EDGES_HZ, _BANDS + 1) * _WINDOW).astype(int))
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    return 10 * np.log10(bands + _FLOOR * max(float(bands.max()), 1e-12))


def _correlation(a: np.ndarray, b: np.ndarray, lag: int) -> float:
    x, y = a[max(0, -lag) : len(a) - max(0, lag)], b[max(0, lag) : len(b) - max(0, -lag)]
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float((x * y).sum()) / scale if scale else 0.0
