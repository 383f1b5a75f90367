"""What every metric family shares: the one validation, resampling, the power spectrogram."""

from __future__ import annotations

import numpy as np

from noisebook.errors import AudioError, ConfigError

__all__ = ["power_spectrogram", "resample", "validate"]


def validate(reference: np.ndarray, estimate: np.ndarray, *, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Check a pair of signals and return both as float64, so that energies do not lose digits.

    Args:
        reference: `[N]` real samples, N >= 1.
        estimate: `[N]` real samples, aligned to the reference by the caller.
        sample_rate: Hz, positive, of both signals.

    Raises:
        AudioError: not `[N]`, no sample at all, lengths that differ, complex or non-finite samples.
        ConfigError: a sample rate that is not positive.
    """
    if sample_rate <= 0:
        raise ConfigError(f"sample_rate {sample_rate} is not a rate: give a positive number of Hz")
    reference, estimate = _samples("reference", reference), _samples("estimate", estimate)
    if reference.size != estimate.size:
        raise AudioError(
            f"reference has {reference.size} samples and estimate {estimate.size}: "
            "cut or extend one, metrics compare equal lengths"
        )
    return reference, estimate


def _samples(name: str, signal: np.ndarray) -> np.ndarray:
    signal = np.asarray(signal)
    if signal.ndim != 1 or signal.size == 0:
        raise AudioError(f"{name} has shape {signal.shape}: give one channel, [N] with N >= 1")
    if signal.dtype.kind not in "fiu":
        raise AudioError(f"{name} has dtype {signal.dtype}: give real samples")
    signal = signal.astype(np.float64)
    if not np.isfinite(signal).all():
        raise AudioError(f"{name} holds NaN or infinite samples: repair the signal before judging it")
    return signal


def resample(signal: np.ndarray, *, sample_rate: int, to: int) -> np.ndarray:
    """`[N]` at `sample_rate` Hz to `to` Hz; the very same array where the rates are equal."""
    if sample_rate == to:
        return signal
    import soxr

    return soxr.resample(signal, sample_rate, to)


def power_spectrogram(signal: np.ndarray, *, n_fft: int, hop_length: int) -> np.ndarray:
    """Power of the short-time Fourier transform, `[1 + N // hop_length, n_fft // 2 + 1]`.

    Periodic Hann window of `n_fft` samples; frame t is centred on sample `t * hop_length` by reflecting
    `n_fft // 2` samples at both ends. A signal too short to be reflected is first extended with silence to
    `n_fft // 2 + 1` samples (and N counts those).
    """
    half = n_fft // 2
    signal = np.pad(signal, (0, max(0, half + 1 - signal.size)))
    padded = np.pad(signal, half, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop_length]
    spectrum = np.fft.rfft(frames * np.hanning(n_fft + 1)[:-1])
    return spectrum.real**2 + spectrum.imag**2
