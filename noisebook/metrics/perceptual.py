"""Perceptual metrics: models of a listener's opinion, each in an optional package; nothing is downloaded.

Arguments and errors as in `validate`, samples in [-1, 1]; MissingExtra where the package is not installed. Undefined
cases (silence, too short, no utterance) as in `judged`; rate, shortest clip and ends of the scale are in its arguments.

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
from typing import Any

import numpy as np

from noisebook.metrics.signals import MetricFunction, judged, require, resample, validate

__all__ = ["cdpam", "dnsmos", "estoi", "pesq_wb", "stoi", "visqol", "zimtohrli"]

_SPEECH_RATE, _DNSMOS_SECONDS = 16000, 0.25


@judged(48000, seconds=1.0, worst=1.0, best=4.732101)
def visqol(reference: np.ndarray, estimate: np.ndarray) -> float:
    """ViSQOL v3 MOS-LQO in audio mode, 1 to 4.73, blind to lag and gain.

    Its noise floor is absolute: defects cost nothing when the reference lies below about -70 dBFS. The first call
    compiles for a minute where numba is installed.
    """
    return _visqol_api().measure_from_arrays(reference, estimate, 48000).moslqo


@judged(48000, seconds=0.25, worst=1.0, best=5.0)  # below 0.09 s the package corrupts its heap
def zimtohrli(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Zimtohrli's mean opinion score, 1 to 5; rises again under gross defects (noise within some 5 dB of the sound)."""
    return require("zimtohrli").mos_from_signals(reference, estimate)


def _intelligibility(*, extended: bool) -> MetricFunction:
    """(Extended) short-time objective intelligibility of speech, about 0 (nothing understood) to 1."""

    @judged(_SPEECH_RATE, seconds=0.5, worst=0.0, best=1.0)
    def intelligibility(reference: np.ndarray, estimate: np.ndarray) -> float | None:
        package = require("pystoi")
        with warnings.catch_warnings():
            # pystoi returns 1e-5 with this warning where less than 30 frames carry speech
            warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
            try:
                return package.stoi(reference, estimate, _SPEECH_RATE, extended=extended)
            except RuntimeWarning:
                return None

    return intelligibility


stoi = _intelligibility(extended=False)  # of additive noise and clipping
estoi = _intelligibility(extended=True)  # of modulated maskers too: codecs, and speech in other speech


@judged(_SPEECH_RATE, seconds=0.25, worst=1.0, best=4.643888)
def pesq_wb(reference: np.ndarray, estimate: np.ndarray) -> float | None:
    """Wide-band PESQ of speech, MOS-LQO of ITU-T P.862.2, 1 to 4.64."""
    package = require("pesq")
    try:
        return package.pesq(_SPEECH_RATE, reference, estimate, "wb")
    except package.NoUtterancesError:
        return None


def dnsmos(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
    """DNSMOS P.835, overall quality of the estimate as speech, 1 to 5, without looking at the reference.

    Clean speech of another sentence scores as well; what is below `dnsmos(reference, reference)` was lost. At 16 kHz;
    samples beyond full scale are scaled down to it. Silence, and a clip below 0.25 s, score 1.
    """
    require("onnxruntime")
    package = require("speechmos.dnsmos")
    _, estimate = validate(reference, estimate, sample_rate=sample_rate)
    if estimate.size < _DNSMOS_SECONDS * sample_rate or not estimate.astype(np.float32).any():
        return 1.0
    estimate = resample(estimate, sample_rate=sample_rate, to=_SPEECH_RATE)
    score = package.run(estimate / max(1.0, np.abs(estimate).max()), _SPEECH_RATE)["ovrl_mos"]
    return float(np.clip(score, 1.0, 5.0))


@judged(22050, seconds=0.1, worst=2.0, best=0.0)
def cdpam(reference: np.ndarray, estimate: np.ndarray) -> float:
    """CDPAM, a distance that was learned from just noticeable differences of speech, >= 0: above 1 are other sounds.

    Takes some seconds of one core for a second of sound.
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

    with torch.inference_mode():
        return float(network.model_dist(embed(reference), embed(estimate)))


@lru_cache(maxsize=1)
def _visqol_api() -> Any:
    package = require("visqol")
    # Without a handler Python would write the package's remarks on dropped patches to stderr.
    logging.getLogger("visqol").addHandler(logging.NullHandler())
    api = package.VisqolApi()
    api.create(mode="audio")
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
