"""The table of metrics and the one call that runs them.

Aim: direction, unit, range and need of every metric as data, so that a report never has to know a metric by
name.

Conventions: every metric has the signature of `MetricFunction`; a new metric is a function in its family's
file and one row here.

Metrics: `METRICS`; `available` names those whose packages are installed; `evaluate` runs them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np

from noisebook.errors import ConfigError, MissingExtra
from noisebook.metrics import correlation, image, perceptual, pitch, spectral, waveform
from noisebook.metrics.signals import install_line

__all__ = ["METRICS", "Metric", "MetricFunction", "available", "chosen_metrics", "evaluate"]


class MetricFunction(Protocol):
    """Two aligned signals `[N]`, or `[2, N]` for a metric of stereo, of equal length to one number, never NaN."""

    def __call__(self, reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float: ...


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: unique; the key in `evaluate`'s result.
        function: what computes it.
        unit: "dB", "LU", "MOS", "cents" or "" for a number without unit.
        direction: which values are better: "higher", "lower", or "zero" where the value is signed and the best is 0.
        range: smallest and largest possible value; a plot's axis where finite.
        needs: the importable modules that the extra brings, separated by spaces; None where numpy suffices.
        kind: "speech" where the metric means nothing on other sound, "stereo" where it compares two channels.
        extra: which of the package's extras brings what it needs.
    """

    name: str
    function: MetricFunction
    unit: str
    direction: Literal["higher", "lower", "zero"]
    range: tuple[float, float]
    needs: str | None = None
    kind: Literal["all", "speech", "stereo"] = "all"
    extra: str = "metrics"

    @property
    def label(self) -> str:
        """What pages call it."""
        return _LABELS.get(self.name, self.name[0].upper() + self.name[1:].replace("_", " "))

    @property
    def installed(self) -> bool:
        """Whether what the metric needs can be found; nothing is imported."""
        return all(find_spec(module) is not None for module in (self.needs or "").split())


_LABELS = {
    "snr_db": "Signal to noise",
    "si_sdr_db": "SI-SDR",
    "energy_ratio_db": "Level difference",
    "loudness_difference_lu": "Loudness difference",
    "zcr_correlation": "Zero-crossing correlation",
    "mfcc_correlation": "MFCC correlation",
    "mfcc_correlation_without_c0": "MFCC correlation without level",
    "mel_db_mae": "Mel spectrum error",
    "mel_db_mae_low": "Mel error below 1 kHz",
    "mel_db_mae_mid": "Mel error, 1 to 4 kHz",
    "mel_db_mae_high": "Mel error, 4 to 8 kHz",
    "multi_resolution_stft": "Multi-resolution STFT error",
    "log_spectral_distance_db": "Log-spectral distance",
    "log_spectral_distance_low_db": "Log-spectral distance below 1 kHz",
    "log_spectral_distance_mid_db": "Log-spectral distance, 1 to 4 kHz",
    "log_spectral_distance_high_db": "Log-spectral distance, 4 to 8 kHz",
    "log_spectral_distance_top_db": "Log-spectral distance above 8 kHz",
    "high_band_ratio_db": "Level from 4 to 8 kHz",
    "treble_level_db": "Level error, 8 to 16 kHz",
    "tuning_10": "In tune within 10 cents",
    "tuning_25": "In tune within 25 cents",
    "tuning_50": "In tune within 50 cents",
    "tuning_cents": "Mistuning",
    "tuning_grid": "Peaks drawn to the 50 Hz grid",
    "image_level_db": "Left and right: level error",
    "image_coherence": "Left and right: width error",
    "visqol": "ViSQOL",
    "zimtohrli": "Zimtohrli",
    "stoi": "STOI (speech)",
    "estoi": "ESTOI (speech)",
    "pesq_wb": "PESQ wideband (speech)",
    "dnsmos": "DNSMOS (speech)",
    "cdpam": "CDPAM (speech)",
}
_ANY, _DISTANCE, _CORRELATION = (-math.inf, math.inf), (0.0, math.inf), (-1.0, 1.0)
_LOW, _MID, _HIGH, _TOP = (0.0, 1000.0), (1000.0, 4000.0), (4000.0, 8000.0), (8000.0, math.inf)  # Hz


def _in_band(name: str, function: Callable[..., float], band: spectral.Band) -> Metric:
    return Metric(name, partial(function, band=band), "dB", "lower", _DISTANCE)


def _correlation(name: str, function: MetricFunction, *, needs: str | None = None) -> Metric:
    return Metric(name, function, "", "higher", _CORRELATION, needs=needs)


METRICS: tuple[Metric, ...] = (
    Metric("snr_db", waveform.snr_db, "dB", "higher", _ANY),
    Metric("si_sdr_db", waveform.si_sdr_db, "dB", "higher", _ANY),
    Metric("energy_ratio_db", waveform.energy_ratio_db, "dB", "zero", _ANY),
    Metric("loudness_difference_lu", waveform.loudness_difference_lu, "LU", "zero", _ANY),
    _correlation("waveform_correlation", correlation.waveform_correlation),
    _correlation("spectrum_correlation", correlation.spectrum_correlation),
    _correlation("mel_correlation", correlation.mel_correlation),
    _correlation("centroid_correlation", correlation.centroid_correlation),
    _correlation("zcr_correlation", correlation.zcr_correlation),
    _correlation("mfcc_correlation", correlation.mfcc_correlation, needs="librosa"),
    _correlation("mfcc_correlation_without_c0", correlation.mfcc_correlation_without_c0, needs="librosa"),
    _correlation("chroma_similarity", correlation.chroma_similarity, needs="librosa"),
    _correlation("onset_correlation", correlation.onset_correlation, needs="librosa"),
    Metric("tempo_agreement", correlation.tempo_agreement, "", "higher", (0.0, 1.0), needs="librosa"),
    Metric("mel_db_mae", spectral.mel_db_mae, "dB", "lower", _DISTANCE),
    _in_band("mel_db_mae_low", spectral.mel_db_mae, _LOW),
    _in_band("mel_db_mae_mid", spectral.mel_db_mae, _MID),
    _in_band("mel_db_mae_high", spectral.mel_db_mae, _HIGH),
    Metric("multi_resolution_stft", spectral.multi_resolution_stft, "", "lower", _DISTANCE),
    Metric("log_spectral_distance_db", spectral.log_spectral_distance_db, "dB", "lower", _DISTANCE),
    _in_band("log_spectral_distance_low_db", spectral.log_spectral_distance_db, _LOW),
    _in_band("log_spectral_distance_mid_db", spectral.log_spectral_distance_db, _MID),
    _in_band("log_spectral_distance_high_db", spectral.log_spectral_distance_db, _HIGH),
    _in_band("log_spectral_distance_top_db", spectral.log_spectral_distance_db, _TOP),
    Metric("high_band_ratio_db", partial(spectral.band_energy_ratio_db, band=_HIGH), "dB", "zero", _ANY),
    _in_band("treble_level_db", spectral.band_level_db, (8000.0, 16000.0)),
    Metric("tuning_10", pitch.tuning_10, "", "higher", (0.0, 1.0)),
    Metric("tuning_25", pitch.tuning_25, "", "higher", (0.0, 1.0)),
    Metric("tuning_50", pitch.tuning_50, "", "higher", (0.0, 1.0)),
    Metric("tuning_cents", pitch.tuning_cents, "cents", "lower", (0.0, 250.0)),
    Metric("tuning_grid", pitch.tuning_grid, "", "lower", (0.0, 1.0)),
    Metric("image_level_db", image.image_level_db, "dB", "lower", (0.0, 60.0), kind="stereo"),
    Metric("image_coherence", image.image_coherence, "", "lower", (0.0, 2.0), kind="stereo"),
    Metric("visqol", perceptual.visqol, "MOS", "higher", (1.0, 5.0), needs="visqol"),
    Metric("zimtohrli", perceptual.zimtohrli, "MOS", "higher", (1.0, 5.0), needs="zimtohrli"),
    Metric("stoi", perceptual.stoi, "", "higher", _CORRELATION, needs="pystoi", kind="speech"),
    Metric("estoi", perceptual.estoi, "", "higher", _CORRELATION, needs="pystoi", kind="speech"),
    Metric("pesq_wb", perceptual.pesq_wb, "MOS", "higher", (1.0, 4.65), needs="pesq", kind="speech"),
    Metric("dnsmos", perceptual.dnsmos, "MOS", "higher", (1.0, 5.0), needs="speechmos onnxruntime", kind="speech"),
    Metric("cdpam", perceptual.cdpam, "", "lower", _DISTANCE, needs="cdpam resampy", kind="speech", extra="cdpam"),
)


def available(*, speech: bool = True, stereo: bool = False) -> tuple[str, ...]:
    """Names of the metrics that can run here, in table order.

    Args:
        speech: with those that mean nothing on other sound.
        stereo: with those that compare two channels.
    """
    kinds = {"all": True, "speech": speech, "stereo": stereo}
    return tuple(m.name for m in METRICS if m.installed and kinds[m.kind])


def evaluate(
    reference: np.ndarray,
    estimate: np.ndarray,
    *,
    sample_rate: int,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Run metrics on one pair of signals.

    Args:
        reference: `[N]` real samples in [-1, 1], or `[2, N]`, of which metrics of one channel hear the mean.
        estimate: the same shape, aligned to the reference.
        sample_rate: Hz of both.
        names: metrics to run, in this order; None runs all of `available()`, with those of stereo on `[2, N]`.

    Returns:
        `{name: value}`, +-inf where a family documents it, never NaN.

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
    """The rows of these names, all of which can run.

    Raises:
        ConfigError, MissingExtra: as `evaluate`.
    """
    table = {metric.name: metric for metric in METRICS}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ConfigError(f"no metric named {', '.join(unknown)}: choose from {', '.join(table)}")
    chosen = [table[name] for name in names]
    missing = [m for m in chosen if not m.installed]
    if missing:
        names_missing, extras = ", ".join(m.name for m in missing), [m.extra for m in missing]
        raise MissingExtra(f"{names_missing} not installed: {install_line(*extras)}")
    return chosen
