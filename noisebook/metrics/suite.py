"""The table of metrics and the one call that runs them.

Aim: direction, unit, range and need of every metric as data, so that a report never has to know a metric by
name.

Conventions: every metric has the signature of `MetricFunction`; a new metric is a function in its family's
file and one row here.

Metrics: `METRICS`; `available` names those whose packages are installed; `evaluate` runs them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal, Protocol

import numpy as np

from noisebook.errors import ConfigError, MissingExtra
from noisebook.metrics import perceptual, spectral, waveform

__all__ = ["METRICS", "Metric", "MetricFunction", "available", "evaluate"]


class MetricFunction(Protocol):
    """Two aligned signals `[N]` of equal length to one number, never NaN."""

    def __call__(self, reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float: ...


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    Attributes:
        name: unique; the key in `evaluate`'s result.
        function: what computes it.
        unit: "dB", "MOS" or "" for a number without unit.
        better: "higher", "lower", or "zero" where the value is signed and the best is 0.
        range: smallest and largest possible value; a plot's axis where finite.
        needs: the importable module that the extra `metrics` brings, None where numpy suffices.
        kind: "speech" where the metric means nothing on other sound.
    """

    name: str
    function: MetricFunction
    unit: str
    better: Literal["higher", "lower", "zero"]
    range: tuple[float, float]
    needs: str | None = None
    kind: Literal["all", "speech"] = "all"

    @property
    def installed(self) -> bool:
        """Whether the package that the metric needs can be found; nothing is imported."""
        return self.needs is None or find_spec(self.needs) is not None


_ANY, _DISTANCE = (-math.inf, math.inf), (0.0, math.inf)

METRICS: tuple[Metric, ...] = (
    Metric("snr_db", waveform.snr_db, "dB", "higher", _ANY),
    Metric("si_sdr_db", waveform.si_sdr_db, "dB", "higher", _ANY),
    Metric("energy_ratio_db", waveform.energy_ratio_db, "dB", "zero", _ANY),
    Metric("mel_db_mae", spectral.mel_db_mae, "dB", "lower", _DISTANCE),
    Metric("multi_resolution_stft", spectral.multi_resolution_stft, "", "lower", _DISTANCE),
    Metric("log_spectral_distance_db", spectral.log_spectral_distance_db, "dB", "lower", _DISTANCE),
    Metric("visqol", perceptual.visqol, "MOS", "higher", (1.0, 5.0), needs="visqol"),
    Metric("zimtohrli", perceptual.zimtohrli, "MOS", "higher", (1.0, 5.0), needs="zimtohrli"),
    Metric("estoi", perceptual.estoi, "", "higher", (-1.0, 1.0), needs="pystoi", kind="speech"),
    Metric("pesq_wb", perceptual.pesq_wb, "MOS", "higher", (1.0, 4.65), needs="pesq", kind="speech"),
)


def available(*, speech: bool = True) -> tuple[str, ...]:
    """Names of the metrics that can run here, in table order; `speech=False` leaves out those for speech."""
    return tuple(m.name for m in METRICS if m.installed and (speech or m.kind == "all"))


def evaluate(
    reference: np.ndarray,
    estimate: np.ndarray,
    *,
    sample_rate: int,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Run metrics on one pair of signals.

    Args:
        reference: `[N]` real samples in [-1, 1].
        estimate: `[N]`, aligned to the reference.
        sample_rate: Hz of both.
        names: metrics to run, in this order; None runs all of `available()`.

    Returns:
        `{name: value}`, +-inf where a family documents it, never NaN.

    Raises:
        ConfigError: a name that is not in the table, before anything is computed.
        MissingExtra: a metric asked for by name whose package is not installed, before anything is computed.
        AudioError: signals that cannot be compared.
    """
    chosen = _choose(available() if names is None else names)
    return {m.name: m.function(reference, estimate, sample_rate=sample_rate) for m in chosen}


def _choose(names: Sequence[str]) -> list[Metric]:
    table = {metric.name: metric for metric in METRICS}
    unknown = [name for name in names if name not in table]
    if unknown:
        raise ConfigError(f"no metric named {', '.join(unknown)}: choose from {', '.join(table)}")
    chosen = [table[name] for name in names]
    missing = [m for m in chosen if not m.installed]
    if missing:
        raise MissingExtra(f"{', '.join(m.name for m in missing)} not installed: {perceptual.INSTALL}")
    return chosen
