"""Perceptual metrics: models of a listener's opinion, each in an optional package.

Aim: what a listening panel would have said. They disagree on generative codecs: ViSQOL forgives invented
detail under a right envelope, ESTOI and PESQ show what that does to speech. So read them together.

Conventions: `reference` and `estimate` are `[N]` real samples in [-1, 1], aligned and of equal length, at
any rate (resampled inside); higher is better. A mean opinion score (MOS) runs from 1 to 5. A clip on which
a measure has no meaning - one side digital silence, shorter than the measure's minimum, or no utterance in
it - scores the measure's best if the estimate is identical, else its worst: never NaN, and never the high
marks that level matching gives to silence.

    | metric    | rate of analysis | minimum | worst | best (identical)     | package        |
    |-----------|------------------|---------|-------|----------------------|----------------|
    | visqol    | 48 or 16 kHz     | 1 s     | 1     | 4.73 audio, 5 speech | visqol-python  |
    | zimtohrli | 48 kHz           | 0.25 s  | 1     | 5                    | zimtohrli      |
    | estoi     | 16 kHz, speech   | 0.5 s   | 0     | 1                    | pystoi         |
    | pesq_wb   | 16 kHz, speech   | 0.25 s  | 1     | 4.64                 | pesq           |

Metrics: `visqol`, `zimtohrli`, `estoi`, `pesq_wb`. All need `pip install 'noisebook[metrics]'`.

Sources: Chinen et al., "ViSQOL v3", QoMEX 2020. Alakuijala et al., "Zimtohrli", 2025. Jensen & Taal, "An
algorithm for predicting the intelligibility of speech masked by modulated noise maskers", TASLP 2016. ITU-T
P.862.2, 2007.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any, Literal

import numpy as np

from noisebook.errors import ConfigError, MissingExtra
from noisebook.metrics._signals import resample, validate

__all__ = ["INSTALL", "estoi", "pesq_wb", "visqol", "zimtohrli"]

INSTALL = "pip install 'noisebook[metrics]'"


@dataclass(frozen=True)
class _Scale:
    """Where a measure is defined and what it says where it is not."""

    rate: int  # Hz
    seconds: float  # shortest clip
    worst: float
    best: float


_VISQOL = {"audio": _Scale(48000, 1.0, 1.0, 4.732101), "speech": _Scale(16000, 1.0, 1.0, 5.0)}
_ZIMTOHRLI = _Scale(48000, 0.25, 1.0, 5.0)  # below 0.09 s the package corrupts its heap
_ESTOI = _Scale(16000, 0.5, 0.0, 1.0)
_PESQ = _Scale(16000, 0.25, 1.0, 4.643888)


def visqol(
    reference: np.ndarray,
    estimate: np.ndarray,
    *,
    sample_rate: int,
    mode: Literal["audio", "speech"] = "audio",
) -> float:
    """ViSQOL v3 MOS-LQO, 1 to 4.73 in audio mode, 1 to 5 in speech mode.

    Realigns in time by itself, so a lag costs nothing, and matches levels, so gain costs nothing. Its noise
    floor is absolute: the same defect costs less in a quieter clip, and nothing when the reference lies
    below about -70 dBFS. Speech mode always uses the exponential mapping, never the optional lattice
    network, so that the value depends on no further package. The first call compiles for a minute where
    numba is installed.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.
        mode: "audio" judges at 48 kHz, "speech" at 16 kHz.

    Raises:
        AudioError, ConfigError: see `validate`; ConfigError also for another mode.
        MissingExtra: visqol-python is not installed.
    """
    if mode not in _VISQOL:
        raise ConfigError(f"ViSQOL mode {mode!r} is not one of {', '.join(_VISQOL)}")
    api, rate = _visqol_api(mode), _VISQOL[mode].rate

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        return api.measure_from_arrays(reference, estimate, rate).moslqo

    return _judge(reference, estimate, sample_rate, _VISQOL[mode], measure)


def zimtohrli(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Zimtohrli's mean opinion score, 1 to 5, at 48 kHz.

    Orders small and moderate defects; under gross ones (noise within some 5 dB of the sound) it rises again.

    Args:
        reference: `[N]`.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: zimtohrli is not installed.
    """
    package = _extra("zimtohrli")
    return _judge(reference, estimate, sample_rate, _ZIMTOHRLI, package.mos_from_signals)


def estoi(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Extended short-time objective intelligibility of speech, about 0 (nothing understood) to 1.

    Args:
        reference: `[N]` clean speech.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: pystoi is not installed.
    """
    package = _extra("pystoi")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        with warnings.catch_warnings():
            # pystoi returns 1e-5 with this warning where less than 30 frames carry speech
            warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
            try:
                return package.stoi(reference, estimate, _ESTOI.rate, extended=True)
            except RuntimeWarning:
                return None

    return _judge(reference, estimate, sample_rate, _ESTOI, measure)


def pesq_wb(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Wide-band PESQ, MOS-LQO of ITU-T P.862.2, 1 to 4.64.

    Args:
        reference: `[N]` clean speech.
        estimate: `[N]`.
        sample_rate: Hz of both.

    Raises:
        AudioError, ConfigError: see `validate`.
        MissingExtra: pesq is not installed.
    """
    package = _extra("pesq")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        try:
            return package.pesq(_PESQ.rate, reference, estimate, "wb")
        except package.NoUtterancesError:
            return None

    return _judge(reference, estimate, sample_rate, _PESQ, measure)


def _judge(
    reference: np.ndarray,
    estimate: np.ndarray,
    sample_rate: int,
    scale: _Scale,
    measure: Callable[[np.ndarray, np.ndarray], float | None],
) -> float:
    """Run `measure` at the scale's rate, or give the scale's documented end where it is undefined (None)."""
    reference, estimate = validate(reference, estimate, sample_rate=sample_rate)
    audible = all(s.astype(np.float32).any() for s in (reference, estimate))
    score = None
    if audible and reference.size >= scale.seconds * sample_rate:
        score = measure(*(resample(s, sample_rate=sample_rate, to=scale.rate) for s in (reference, estimate)))
    if score is None:
        return scale.best if np.array_equal(reference, estimate) else scale.worst
    return float(score)


def _extra(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(f"this metric needs the package {module}, not importable here: {INSTALL}") from error


@lru_cache(maxsize=2)
def _visqol_api(mode: str) -> Any:
    package = _extra("visqol")
    # Without a handler Python would write the package's remarks on dropped patches to stderr.
    logging.getLogger("visqol").addHandler(logging.NullHandler())
    api = package.VisqolApi()
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    return api
