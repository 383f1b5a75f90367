"""What the metric families share: checks of signals, resampling, spectrograms, correlation, and the ends of a scale."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np

from noisebook.errors import AudioError, ConfigError, MissingExtra


class MetricFunction(Protocol):
    """Two aligned signals `[N]`, or `[2, N]` for a metric of stereo, of equal length to one number, never NaN."""

    def __call__(self, reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float: ...


def validate(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Two aligned signals `[N]`, N >= 1, real, finite and of equal length, as float64; AudioError for signals that are
    not, ConfigError for a sample rate that is not positive."""
    check_rate(sample_rate)
    reference, estimate = check_samples("reference", reference), check_samples("estimate", estimate)
    check_lengths(reference, estimate)
    return reference, estimate


def check_rate(sample_rate: int) -> None:
    """Raise ConfigError unless `sample_rate` is positive."""
    if sample_rate <= 0:
        raise ConfigError(f"sample_rate {sample_rate} is not a rate: give a positive number of Hz")


def check_samples(name: str, signal: np.ndarray) -> np.ndarray:
    """`[N]` real finite samples, N >= 1, as a new float64 array; AudioError names the signal that is not."""
    signal = np.asarray(signal)
    if signal.ndim != 1 or signal.size == 0:
        raise AudioError(f"{name} has shape {signal.shape}: give one channel, [N] with N >= 1")
    if signal.dtype.kind not in "fiu":
        raise AudioError(f"{name} has dtype {signal.dtype}: give real samples")
    signal = signal.astype(np.float64)
    if not np.isfinite(signal).all():
        raise AudioError(f"{name} holds NaN or infinite samples: repair the signal before judging it")
    return signal


def check_lengths(reference: np.ndarray, estimate: np.ndarray) -> None:
    """Raise AudioError unless `[..., N]` and `[..., N']` are equally long."""
    if reference.shape[-1] != estimate.shape[-1]:
        raise AudioError(
            f"reference has {reference.shape[-1]} samples and estimate {estimate.shape[-1]}: "
            "cut or extend one, metrics compare equal lengths"
        )


def judged(
    rate: int, *, seconds: float, worst: float, best: float
) -> Callable[[Callable[[np.ndarray, np.ndarray], float | None]], MetricFunction]:
    """Make a metric of a measure, a function of two signals `[N]` that are resampled to `rate` Hz.

    Where the measure returns None, where one side is silent to single precision, and below the shortest clip of so many
    `seconds` the metric is `best` if the signals are identical, else `worst`.
    """

    def decorate(measure: Callable[[np.ndarray, np.ndarray], float | None]) -> MetricFunction:
        def metric(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> float:
            reference, estimate = validate(reference, estimate, sample_rate=sample_rate)
            pair, score = (reference, estimate), None
            audible = all(signal.astype(np.float32).any() for signal in pair)
            if audible and reference.size >= seconds * sample_rate:
                score = measure(*(resample(signal, sample_rate=sample_rate, to=rate) for signal in pair))
            if score is None:
                return best if np.array_equal(*pair) else worst
            return float(score)

        metric.__name__ = metric.__qualname__ = measure.__name__
        metric.__module__, metric.__doc__ = measure.__module__, measure.__doc__
        return metric

    return decorate


def resample(signal: np.ndarray, *, sample_rate: int, to: int) -> np.ndarray:
    """`[N]` at `sample_rate` Hz to `to` Hz; the very same array where the rates are equal."""
    if sample_rate == to:
        return signal
    import soxr

    return soxr.resample(signal, sample_rate, to)


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson correlation of all entries, -1 to 1, never NaN: 1 for equal arrays, else 0 where one is constant.

    Constant is what varies by less than rounding does, 1e-12 of its size. (`scipy.stats.pearsonr` gives NaN there.)
    """
    if np.array_equal(a, b):
        return 1.0
    a, b = (_deviations(x) for x in (a, b))
    return float(np.clip(a @ b, -1.0, 1.0))


def _deviations(values: np.ndarray) -> np.ndarray:
    """Deviations from the mean as a vector of length 1, or zeros."""
    values = np.ravel(values).astype(np.float64)
    largest = np.abs(values).max()
    if largest == 0:
        return values
    values = values / largest  # so that no square underflows
    values = values - values.mean()
    length = np.linalg.norm(values)
    return values / length if length > 1e-12 * np.sqrt(values.size) else np.zeros_like(values)


def windows(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    """`[..., N]` cut into `[..., T, size]`, one every `hop` samples, those that lie inside; a view."""
    return np.lib.stride_tricks.sliding_window_view(signal, size, axis=-1)[..., ::hop, :]


def power_spectrogram(signal: np.ndarray, *, n_fft: int, hop_length: int, pad_mode: str = "reflect") -> np.ndarray:
    """Power of the short-time Fourier transform, `[1 + N // hop_length, n_fft // 2 + 1]`, periodic Hann.

    Frame t is centred on sample `t * hop_length` by padding both ends. A signal too short to be reflected is first
    extended with silence to `n_fft // 2 + 1` samples (and N counts those).
    """
    half = n_fft // 2
    if pad_mode == "reflect":
        signal = np.pad(signal, (0, max(0, half + 1 - signal.size)))
    return powers(np.pad(signal, half, mode=pad_mode), n_fft, hop_length)  # type: ignore[call-overload]


def powers(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Power of the spectra of `windows`, `[..., T, size // 2 + 1]`, with periodic Hann windows."""
    spectrum = np.fft.rfft(windows(signal, size, hop) * np.hanning(size + 1)[:-1])
    return spectrum.real**2 + spectrum.imag**2


def install_line(*extras: str) -> str:
    """The command that installs the packages of these extras."""
    return f"pip install 'noisebook[{','.join(sorted(set(extras)))}]'"


def require(module: str, *, extra: str = "metrics") -> Any:
    """Import an optional module; MissingExtra, with the command that installs it, where that is not possible."""
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"this metric needs the package {module}, not importable here: {install_line(extra)}"
        ) from error
