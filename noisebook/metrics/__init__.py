"""Metrics: pure functions of two aligned signals, and the table that knows their direction and range.

    reference [N'] --.-> alignment -> lag, gain, common part
    estimate  [N"] --'
    reference [N] -> validate -> waveform     (samples, loudness)                  -> float
    estimate  [N]             -> correlation  (tracks and spectra, numpy alone)    -> float
                              -> spectral     (spectrograms, by bands)             -> float
                              -> pitch        (whether peaks stay where they are)  -> float
                              -> perceptual   (listeners' models, optional extras) -> float
    left and right [2, N]     -> image        (level differences, coherence)       -> float
                                 suite: the table of all of them, `evaluate` -> {name: float}
                                 composite: the predecessor's weighted sums
    sets of sounds, values of clips -> distribution: distances of sets, intervals of means

They judge audio, whoever coded it, so they know no codec and no model.
"""

from noisebook.metrics.alignment import Alignment, align
from noisebook.metrics.composite import Composite, summary_score, verify_score
from noisebook.metrics.correlation import (
    centroid_correlation,
    chroma_similarity,
    mel_correlation,
    mfcc_correlation,
    mfcc_correlation_without_c0,
    onset_correlation,
    spectrum_correlation,
    tempo_agreement,
    waveform_correlation,
    zcr_correlation,
)
from noisebook.metrics.distribution import (
    bootstrap_interval,
    frechet_distance,
    frechet_distance_extrapolated,
    kernel_distance,
    mel_bands,
    mel_embedding,
    mel_patches,
)
from noisebook.metrics.image import image_coherence, image_level_db, mean_coherence
from noisebook.metrics.perceptual import cdpam, dnsmos, estoi, pesq_wb, stoi, visqol, zimtohrli
from noisebook.metrics.pitch import tuning_10, tuning_25, tuning_50, tuning_cents, tuning_grid
from noisebook.metrics.signals import validate
from noisebook.metrics.spectral import (
    band_energy_ratio_db,
    band_level_db,
    log_mel_l1_db,
    log_spectral_distance_db,
    mel_db_mae,
    multi_resolution_stft,
)
from noisebook.metrics.suite import METRICS, Metric, MetricFunction, available, evaluate
from noisebook.metrics.waveform import energy_ratio_db, loudness_difference_lu, si_sdr_db, snr_db

__all__ = [
    "METRICS",
    "Alignment",
    "Composite",
    "Metric",
    "MetricFunction",
    "align",
    "available",
    "band_energy_ratio_db",
    "band_level_db",
    "bootstrap_interval",
    "cdpam",
    "centroid_correlation",
    "chroma_similarity",
    "dnsmos",
    "energy_ratio_db",
    "estoi",
    "evaluate",
    "frechet_distance",
    "frechet_distance_extrapolated",
    "image_coherence",
    "image_level_db",
    "kernel_distance",
    "log_mel_l1_db",
    "log_spectral_distance_db",
    "loudness_difference_lu",
    "mean_coherence",
    "mel_bands",
    "mel_correlation",
    "mel_db_mae",
    "mel_embedding",
    "mel_patches",
    "mfcc_correlation",
    "mfcc_correlation_without_c0",
    "multi_resolution_stft",
    "onset_correlation",
    "pesq_wb",
    "si_sdr_db",
    "snr_db",
    "spectrum_correlation",
    "stoi",
    "summary_score",
    "tempo_agreement",
    "tuning_10",
    "tuning_25",
    "tuning_50",
    "tuning_cents",
    "tuning_grid",
    "validate",
    "verify_score",
    "visqol",
    "waveform_correlation",
    "zcr_correlation",
    "zimtohrli",
]
