"""Perceptual metrics: models of a listener's opinion, each in an optional package.

Aim: what a listening panel would have said. They disagree on generative codecs: ViSQOL forgives invented
detail under a right envelope, ESTOI and PESQ show what that does to speech. So read them together.

Conventions: `reference` and `estimate` are `[N]` real samples in [-1, 1], aligned and of equal length, at
any rate (resampled inside); higher is better. A mean opinion score (MOS) runs from 1 to 5. A clip on which
a measure has no meaning - one side digital silence, shorter than the measure's minimum, or no utterance in
it - scores the measure's best if the estimate is identical, else its worst: never NaN, and never the high
marks that level matching gives to silence. All raise AudioError and ConfigError as `validate` does, and MissingExtra
where their package is not installed.

    | metric    | rate of analysis | minimum | worst | best (identical)     | package        |
    |-----------|------------------|---------|-------|----------------------|----------------|
    | visqol    | 48 or 16 kHz     | 1 s     | 1     | 4.73 audio, 5 speech | visqol-python  |
    | zimtohrli | 48 kHz           | 0.25 s  | 1     | 5                    | zimtohrli      |
    | stoi      | 16 kHz, speech   | 0.5 s   | 0     | 1                    | pystoi         |
    | estoi     | 16 kHz, speech   | 0.5 s   | 0     | 1                    | pystoi         |
    | pesq_wb   | 16 kHz, speech   | 0.25 s  | 1     | 4.64                 | pesq           |

Metrics: `visqol`, `zimtohrli`, `stoi`, `estoi`, `pesq_wb`. All need `pip install 'noisebook[metrics]'`.

Sources: Chinen et al., "ViSQOL v3", QoMEX 2020. Alakuijala et al., "Zimtohrli", 2025. Taal et al., "An
algorithm for intelligibility prediction of time-frequency weighted noisy speech", TASLP 2011. Jensen & Taal, "An
algorithm for predicting the intelligibility of speech masked by modulated noise maskers", TASLP 2016. ITU-T
P.862.2, 2007.
"""

from __future__ import annotations

import logging
import warnings
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from noisebook.errors import ConfigError
from noisebook.metrics.signals import Scale, judge, require

__all__ = ["estoi", "pesq_wb", "stoi", "visqol", "zimtohrli"]

_VISQOL = {"audio": Scale(48000, 1.0, 1.0, 4.732101), "speech": Scale(16000, 1.0, 1.0, 5.0)}
_ZIMTOHRLI = Scale(48000, 0.25, 1.0, 5.0)  # below 0.09 s the package corrupts its heap
_STOI = Scale(16000, 0.5, 0.0, 1.0)
_PESQ = Scale(16000, 0.25, 1.0, 4.643888)


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
        reference, estimate, sample_rate: as everywhere here.
        mode: "audio" judges at 48 kHz, "speech" at 16 kHz; another is a ConfigError.
    """
    if mode not in _VISQOL:
        raise ConfigError(f"ViSQOL mode {mode!r} is not one of {', '.join(_VISQOL)}")
    api, rate = _visqol_api(mode), _VISQOL[mode].rate

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        return api.measure_from_arrays(reference, estimate, rate).moslqo

    return judge(reference, estimate, sample_rate, _VISQOL[mode], measure)


def zimtohrli(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Zimtohrli's mean opinion score, 1 to 5, at 48 kHz.

    Orders small and moderate defects; under gross ones (noise within some 5 dB of the sound) it rises again.
    """
    package = require("zimtohrli")
    return judge(reference, estimate, sample_rate, _ZIMTOHRLI, package.mos_from_signals)


def stoi(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Short-time objective intelligibility of speech, about 0 to 1: what additive noise and clipping leave."""
    return _intelligibility(reference, estimate, sample_rate, extended=False)


def estoi(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Extended short-time objective intelligibility of speech, about 0 (nothing understood) to 1.

    Like `stoi`, for maskers that are modulated too: codecs and speech in other speech.
    """
    return _intelligibility(reference, estimate, sample_rate, extended=True)


def pesq_wb(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """Wide-band PESQ, MOS-LQO of ITU-T P.862.2, 1 to 4.64."""
    package = require("pesq")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        try:
            return package.pesq(_PESQ.rate, reference, estimate, "wb")
        except package.NoUtterancesError:
            return None

    return judge(reference, estimate, sample_rate, _PESQ, measure)


def _intelligibility(reference: np.ndarray, estimate: np.ndarray, sample_rate: int, *, extended: bool) -> float:
    package = require("pystoi")

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        with warnings.catch_warnings():
            # pystoi returns 1e-5 with this warning where less than 30 frames carry speech
            warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
            try:
                return package.stoi(reference, estimate, _STOI.rate, extended=extended)
            except RuntimeWarning:
                return None

    return judge(reference, estimate, sample_rate, _STOI, measure)


@lru_cache(maxsize=2)
def _visqol_api(mode: str) -> Any:
    package = require("visqol")
    # Without a handler Python would write the package's remarks on dropped patches to stderr.
    logging.getLogger("visqol").addHandler(logging.NullHandler())
    api = package.VisqolApi()
    api.create(mode=mode, use_lattice_model=False if mode == "speech" else None)
    return api
