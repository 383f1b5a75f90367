"""Learned metrics: networks that were trained on listeners' answers, with the weights their packages carry.

Aim: opinions that no formula gives. Networks know what they were trained on: speech, and the damage of their day.

Conventions: as `perceptual`, errors too. Nothing is downloaded.

    | metric | judges                     | rate     | silence, or too short  | packages            |
    |--------|----------------------------|----------|------------------------|---------------------|
    | dnsmos | the estimate alone, speech | 16 kHz   | 1 (below 0.25 s)       | speechmos           |
    | cdpam  | both, speech               | 22.05 kHz| 2 (below 0.1 s)        | cdpam               |

Metrics: `dnsmos` needs `pip install 'noisebook[metrics]'`, `cdpam` `pip install 'noisebook[cdpam]'` (98 MB).

Sources: Reddy, Gopal, Cutler, "DNSMOS P.835", ICASSP 2022. Manocha et al., "CDPAM: Contrastive learning for perceptual
audio similarity", ICASSP 2021.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from noisebook.metrics.signals import Scale, judge, require, resample, validate

__all__ = ["cdpam", "dnsmos"]

_DNSMOS = Scale(16000, 0.25, 1.0, 5.0)
_CDPAM = Scale(22050, 0.1, 2.0, 0.0)


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
    network = _cdpam_network()
    import torch
    from torch.nn.functional import normalize

    def embed(signal: np.ndarray) -> torch.Tensor:
        scaled = torch.from_numpy(np.round(signal * 32768)).float()  # as the package reads its files
        return normalize(network.base_encoder(scaled[None, None])[1], dim=1)

    def measure(reference: np.ndarray, estimate: np.ndarray) -> float:
        with torch.inference_mode():
            return float(network.model_dist(embed(reference), embed(estimate)))

    return judge(reference, estimate, sample_rate, _CDPAM, measure)


@lru_cache(maxsize=1)
def _cdpam_network() -> Any:
    """The package's network with the package's weights; its own loader gives up with PyTorch since 2.6."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the package imports numpy.matlib
        require("resampy", extra="cdpam")
        package = require("cdpam", extra="cdpam")
    import torch

    weights = Path(package.__file__).parent / "CDPAM_trained" / "scratchJNDdefault_best_model.pth"
    # A pickle, and one that the restricted loader refuses. It lies in the package whose code was just imported.
    state = torch.load(weights, map_location="cpu", weights_only=False)["state"]
    options = {"encoder_layers": 16, "encoder_filters": 64, "ndim": [16, 6], "input_size": 512}
    options |= {"classif_dp": 0.05, "classif_BN": 0, "classif_act": "no"}
    network = package.models.FINnet(dev=torch.device("cpu"), **options)
    network.load_state_dict(state)
    return network.eval()
