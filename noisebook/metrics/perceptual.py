"""Perceptual metrics: models of a listener's opinion, each in an optional package; nothing is downloaded.

Aim: what a listening panel would have said. They disagree on generative codecs: ViSQOL forgives invented
detail under a right envelope, ESTOI and PESQ show what that does to speech. So read them together. DNSMOS and CDPAM
are networks that were trained on listeners' answers, and know what they were trained on: speech, and the damage of
their day.

Conventions: `reference` and `estimate` are `[N]` real samples in [-1, 1], aligned and of equal length, at
any rate (resampled inside); higher is better. A mean opinion score (MOS) runs from 1 to 5. A clip on which
a measure has no meaning - one side digital silence, shorter than the measure's minimum, or no utterance in
it - scores the measure's best if the estimate is identical, else its worst: never NaN, and never the high
marks that level matching gives to silence. All raise AudioError and ConfigError as `validate` does, and MissingExtra
where their package is not installed.

    | metric    | rate of analysis             | minimum | worst | best (identical)     | package       |
    |-----------|------------------------------|---------|-------|----------------------|---------------|
    | visqol    | 48 or 16 kHz                 | 1 s     | 1     | 4.73 audio, 5 speech | visqol-python |
    | zimtohrli | 48 kHz                       | 0.25 s  | 1     | 5                    | zimtohrli     |
    | stoi      | 16 kHz, speech               | 0.5 s   | 0     | 1                    | pystoi        |
    | estoi     | 16 kHz, speech               | 0.5 s   | 0     | 1                    | pystoi        |
    | pesq_wb   | 16 kHz, speech               | 0.25 s  | 1     | 4.64                 | pesq          |
    | dnsmos    | 16 kHz, speech, the estimate | 0.25 s  | 1     | 5                    | speechmos     |
    | cdpam     | 22.05 kHz, speech            | 0.1 s   | 2     | 0: lower is better   | cdpam         |

Metrics: those of the table. All need `pip install 'noisebook[metrics]'`, but `cdpam` `noisebook[cdpam]` (98 MB).

Sources: Chinen et al., "ViSQOL v3", QoMEX 2020. Alakuijala et al., "Zimtohrli", 2025. Taal et al., "An
algorithm for intelligibility prediction of time-frequency weighted noisy speech", TASLP 2011. Jensen & Taal, "An
algorithm for predicting the intelligibility of speech masked by modulated noise maskers", TASLP 2016. ITU-T
P.862.2, 2007. Reddy, Gopal, Cutler, "DNSMOS P.835", ICASSP 2022. Manocha et al., "CDPAM: Contrastive learning for
perceptual audio similarity", ICASSP 2021.
"""

from __future__ import annotations

import logging
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from noisebook.errors import ConfigError
from noisebook.metrics.signals import Scale, judge, require, resample, validate

__all__ = ["cdpam", "dnsmos", "estoi", "pesq_wb", "stoi", "visqol", "zimtohrli"]

_VISQOL = {"audio": Scale(48000, 1.0, 1.0, 4.732101), "speech": Scale(16000, 1.0, 1.0, 5.0)}
_ZIMTOHRLI = Scale(48000, 0.25, 1.0, 5.0)  # below 0.09 s the package corrupts its heap
_STOI = Scale(16000, 0.5, 0.0, 1.0)
_PESQ = Scale(16000, 0.25, 1.0, 4.643888)
_DNSMOS = Scale(16000, 0.25, 1.0, 5.0)
_CDPAM = Scale(22050, 0.1, 2.0, 0.0)


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


def dnsmos(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """DNSMOS P.835, overall quality of the estimate as speech, 1 to 5, without looking at the reference.

    So it does not see whether the words are right: clean speech of another sentence scores as well. The reference's own
    score is `dnsmos(reference, reference)`, and what is below it was lost. Music scores near 1. Clips below 9.01 s are
    repeated by the package; samples beyond full scale are scaled down to it.
    """
    require("onnxruntime")
    package = require("speechmos.dnsmos")
    _, estimate = validate(reference, estimate, sample_rate=sample_rate)
    if estimate.size < _DNSMOS.seconds * sample_rate or not estimate.astype(np.float32).any():
        return _DNSMOS.worst
    estimate = resample(estimate, sample_rate=sample_rate, to=_DNSMOS.rate)
    score = package.run(estimate / max(1.0, np.abs(estimate).max()), _DNSMOS.rate)["ovrl_mos"]
    return float(np.clip(score, _DNSMOS.worst, _DNSMOS.best))


def cdpam(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """CDPAM, a distance that was learned from just noticeable differences, >= 0: 0 identical, above 1 other sounds.

    Some seconds of one core for a second of sound.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the package imports numpy.matlib
        require("resampy", extra="cdpam")
        network = _cdpam_network(require("cdpam", extra="cdpam"))
    import torch
    from torch.nn.functional import normalize

    def embed(signal: np.ndarray) -> torch.Tensor:
        scaled = torch.from_numpy(np.round(signal * 32768)).float()  # as the package reads its files
        return normalize(network.base_encoder(scaled[None, None])[1], dim=1)

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        with torch.inference_mode():
            return float(network.model_dist(embed(reference), embed(estimate)))

    return judge(reference, estimate, sample_rate, _CDPAM, measure)


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


@lru_cache(maxsize=1)
def _cdpam_network(package: Any) -> Any:
    """The package's network with the package's weights; its own loader gives up with PyTorch since 2.6."""
    import torch

    weights = Path(package.__file__).parent / "CDPAM_trained" / "scratchJNDdefault_best_model.pth"
    # A pickle, and one that the restricted loader refuses. It lies in the package whose code was just imported.
    state = torch.load(weights, map_location="cpu", weights_only=False)["state"]
    options = {"encoder_layers": 16, "encoder_filters": 64, "ndim": [16, 6], "input_size": 512}
    options |= {"classif_dp": 0.05, "classif_BN": 0, "classif_act": "no"}
    network = package.models.FINnet(dev=torch.device("cpu"), **options)
    network.load_state_dict(state)
    return network.eval()
