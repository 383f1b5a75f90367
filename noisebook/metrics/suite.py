"""The table of metrics and the one call that runs them: a new metric is a function and one row here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Literal

import numpy as np

from noisebook.errors import ConfigError, MissingExtra
from noisebook.metrics import correlation, perceptual, pitch, spectral, waveform
from noisebook.metrics.image import image_coherence, image_level_db
from noisebook.metrics.signals import MetricFunction, install_line
from noisebook.metrics.spectral import Band, band_energy_ratio_db, log_spectral_distance_db, multi_resolution_stft

__all__ = ["METRICS", "Metric", "available", "chosen_metrics", "evaluate"]


@dataclass(frozen=True)
class Metric:
    """One row of the table."""

    name: str  # unique; the key in `evaluate`'s result
    label: str  # what pages call it
    function: MetricFunction
    unit: str  # "dB", "LU", "MOS", "cents", or "" for a number without unit
    direction: Literal["higher", "lower", "zero"]  # which values are better; "zero": signed, and the best is 0
    range: tuple[float, float]  # smallest and largest possible value
    needs: str | None = None  # importable modules that the extra brings, separated by spaces; None: numpy suffices
    kind: Literal["all", "speech", "stereo"] = "all"  # of sound, on which alone the metric has a meaning
    extra: str = "metrics"  # of the package, which brings what it needs

    @property
    def installed(self) -> bool:
        """Whether what the metric needs can be found; nothing is imported."""
        return all(find_spec(module) is not None for module in (self.needs or "").split())


_ANY, _DISTANCE, _CORRELATION, _SHARE, _MOS = (-math.inf, math.inf), (0, math.inf), (-1, 1), (0, 1), (1, 5)
_LOW, _MID, _HIGH, _TOP, _TREBLE = (0, 1000), (1000, 4000), (4000, 8000), (8000, math.inf), (8000, 16000)  # Hz


def _correlation(name: str, label: str, function: MetricFunction, needs: str | None = None) -> Metric:
    return Metric(name, label, function, "", "higher", _CORRELATION, needs)


def _distance_db(name: str, label: str, function: Callable[..., float], band: Band | None = None) -> Metric:
    return Metric(name, label, partial(function, band=band) if band else function, "dB", "lower", _DISTANCE)


METRICS: tuple[Metric, ...] = (
    Metric("snr_db", "Signal to noise", waveform.snr_db, "dB", "higher", _ANY),
    Metric("si_sdr_db", "SI-SDR", waveform.si_sdr_db, "dB", "higher", _ANY),
    Metric("energy_ratio_db", "Level difference", waveform.energy_ratio_db, "dB", "zero", _ANY),
    Metric("loudness_difference_lu", "Loudness difference", waveform.loudness_difference_lu, "LU", "zero", _ANY),
    _correlation("waveform_correlation", "Waveform correlation", correlation.waveform_correlation),
    _correlation("spectrum_correlation", "Spectrum correlation", correlation.spectrum_correlation),
    _correlation("mel_correlation", "Mel correlation", correlation.mel_correlation),
    _correlation("centroid_correlation", "Centroid correlation", correlation.centroid_correlation),
    _correlation("zcr_correlation", "Zero-crossing correlation", correlation.zcr_correlation),
    _correlation("mfcc_correlation", "MFCC correlation", correlation.mfcc_correlation, "librosa"),
    _correlation(
        "mfcc_correlation_without_c0",
        "MFCC correlation without level",
        correlation.mfcc_correlation_without_c0,
        "librosa",
    ),
    _correlation("chroma_similarity", "Chroma similarity", correlation.chroma_similarity, "librosa"),
    _correlation("onset_correlation", "Onset correlation", correlation.onset_correlation, "librosa"),
    Metric("tempo_agreement", "Tempo agreement", correlation.tempo_agreement, "", "higher", _SHARE, "librosa"),
    _distance_db("mel_db_mae", "Mel spectrum error", spectral.mel_db_mae),
    _distance_db("mel_db_mae_low", "Mel error below 1 kHz", spectral.mel_db_mae, _LOW),
    _distance_db("mel_db_mae_mid", "Mel error, 1 to 4 kHz", spectral.mel_db_mae, _MID),
    _distance_db("mel_db_mae_high", "Mel error, 4 to 8 kHz", spectral.mel_db_mae, _HIGH),
    Metric("multi_resolution_stft", "Multi-resolution STFT error", multi_resolution_stft, "", "lower", _DISTANCE),
    _distance_db("log_spectral_distance_db", "Log-spectral distance", log_spectral_distance_db),
    _distance_db("log_spectral_distance_low_db", "Log-spectral distance below 1 kHz", log_spectral_distance_db, _LOW),
    _distance_db("log_spectral_distance_mid_db", "Log-spectral distance, 1 to 4 kHz", log_spectral_distance_db, _MID),
    _distance_db("log_spectral_distance_high_db", "Log-spectral distance, 4 to 8 kHz", log_spectral_distance_db, _HIGH),
    _distance_db("log_spectral_distance_top_db", "Log-spectral distance above 8 kHz", log_spectral_distance_db, _TOP),
    Metric(
        "high_band_ratio_db", "Level from 4 to 8 kHz", partial(band_energy_ratio_db, band=_HIGH), "dB", "zero", _ANY
    ),
    _distance_db("treble_level_db", "Level error, 8 to 16 kHz", spectral.band_level_db, _TREBLE),
    Metric("tuning_10", "In tune within 10 cents", pitch.tuning_10, "", "higher", _SHARE),
    Metric("tuning_25", "In tune within 25 cents", pitch.tuning_25, "", "higher", _SHARE),
    Metric("tuning_50", "In tune within 50 cents", pitch.tuning_50, "", "higher", _SHARE),
    Metric("tuning_cents", "Mistuning", pitch.tuning_cents, "cents", "lower", (0, 250)),
    Metric("tuning_grid", "Peaks drawn to the 50 Hz grid", pitch.tuning_grid, "", "lower", _SHARE),
    Metric("image_level_db", "Left and right: level error", image_level_db, "dB", "lower", (0, 60), kind="stereo"),
    Metric("image_coherence", "Left and right: width error", image_coherence, "", "lower", (0, 2), kind="stereo"),
    Metric("visqol", "ViSQOL", perceptual.visqol, "MOS", "higher", _MOS, "visqol"),
    Metric("zimtohrli", "Zimtohrli", perceptual.zimtohrli, "MOS", "higher", _MOS, "zimtohrli"),
    Metric("stoi", "STOI (speech)", perceptual.stoi, "", "higher", _CORRELATION, "pystoi", "speech"),
    Metric("estoi", "ESTOI (speech)", perceptual.estoi, "", "higher", _CORRELATION, "pystoi", "speech"),
    Metric("pesq_wb", "PESQ wideband (speech)", perceptual.pesq_wb, "MOS", "higher", (1, 4.65), "pesq", "speech"),
    Metric("dnsmos", "DNSMOS (speech)", perceptual.dnsmos, "MOS", "higher", _MOS, "speechmos onnxruntime", "speech"),
    Metric("cdpam", "CDPAM (speech)", perceptual.cdpam, "", "lower", _DISTANCE, "cdpam resampy", "speech", "cdpam"),
)


def available(*, speech: bool = True, stereo: bool = False) -> tuple[str, ...]:
    """Names of the metrics that can run here, in table order, with those that are for speech or for stereo only."""
    kinds = {"all": True, "speech": speech, "stereo": stereo}
    return tuple(m.name for m in METRICS if m.installed and kinds[m.kind])


def evaluate(
    reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int, names: Sequence[str] | None = None
) -> dict[str, float]:
    """Run metrics on one pair of aligned signals; `{name: value}`, +-inf where a family documents it, never NaN.

    Args:
        reference, estimate: `[N]` real samples in [-1, 1], or `[2, N]`, of which metrics of one channel take the mean.
        sample_rate: Hz of both.
        names: metrics to run, in this order; None runs all of `available()`, with those of stereo on `[2, N]`.

    Raises:
        ConfigError: a name that is not in the table, before anything is computed.
        MissingExtra: a metric asked for by name whose package is not installed, before anything is computed.
        AudioError: signals that cannot be compared; one channel where a metric compares two.
    """
    reference, estimate = np.asarray(reference), np.asarray(estimate)
    stereo = reference.ndim == estimate.ndim == 2 and len(reference) == len(estimate) == 2
    chosen = chosen_metrics(available(stereo=stereo) if names is None else names)
    pair = reference, estimate
    mono = tuple(sound.mean(axis=0) for sound in pair) if stereo else pair
    return {m.name: m.function(*(pair if m.kind == "stereo" else mono), sample_rate=sample_rate) for m in chosen}


def chosen_metrics(names: Sequence[str]) -> list[Metric]:
    """The rows of these names, all of which can run; ConfigError and MissingExtra as `evaluate`."""
    table = {metric.name: metric for metric in METRICS}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ConfigError(f"no metric named {', '.join(unknown)}: choose from {', '.join(table)}")
    chosen = [table[name] for name in names]
    missing = [metric for metric in chosen if not metric.installed]
    if missing:
        shown, extras = ", ".join(metric.name for metric in missing), (metric.extra for metric in missing)
        raise MissingExtra(f"{shown} not installed: {install_line(*extras)}")
    return chosen
