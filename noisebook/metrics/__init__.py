"""Metrics: pure functions of two aligned signals, and the table that knows their direction and range.

    reference [N] -> validate -> waveform    (samples)                            -> float
    estimate  [N]             -> spectral    (spectrograms)                       -> float
                              -> perceptual  (listeners' models, optional extras) -> float
                                 suite: the table of all of them, `evaluate` -> {name: float}

They judge audio, whoever coded it, so they know no codec and no model.
"""

from noisebook.metrics._signals import validate
from noisebook.metrics.perceptual import estoi, pesq_wb, visqol, zimtohrli
from noisebook.metrics.spectral import (
    log_mel_l1_db,
    log_spectral_distance_db,
    mel_db_mae,
    multi_resolution_stft,
)
from noisebook.metrics.suite import METRICS, Metric, MetricFunction, available, evaluate
from noisebook.metrics.waveform import energy_ratio_db, si_sdr_db, snr_db

__all__ = [
    "METRICS",
    "Metric",
    "MetricFunction",
    "available",
    "energy_ratio_db",
    "estoi",
    "evaluate",
    "log_mel_l1_db",
    "log_spectral_distance_db",
    "mel_db_mae",
    "multi_resolution_stft",
    "pesq_wb",
    "si_sdr_db",
    "snr_db",
    "validate",
    "visqol",
    "zimtohrli",
]
