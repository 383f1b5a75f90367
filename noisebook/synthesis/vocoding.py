"""A chain of vocoders: the first that gives sound, and why those before it did not.

model           the backend's vocoder
model-clamped   the same, for features brought within the range of natural sound
griffin-lim     no network; of a model whose own vocoder has none, that one
tones           no network, and in tune; the same
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from noisebook.audio.griffin_lim import griffin_lim
from noisebook.audio.mel_synthesis import synthesise_mel
from noisebook.codec.signal import segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import FeatureBackend, front_end_of
from noisebook.errors import ModelError

__all__ = ["Vocoder", "first_working"]

_log = logging.getLogger(__name__)
_NATURAL = (-10.0, 2.0)  # of log magnitudes: what clamping leaves
_AUDIBLE = 4  # nepers above silence: 35 dB
_INAUDIBLE_PEAK = 1e-4

Synthesise = Callable[[torch.Tensor], torch.Tensor]  # features [B, 1, T, F] -> [B, N']
Vocode = Callable[[torch.Tensor], np.ndarray]  # features [channels, 1, T, F] -> [channels, N']


@dataclass(frozen=True, eq=False)
class Vocoder:
    """A vocoder that gave sound.

    Attributes:
        run: it, for other features of the same timeline.
        samples: what it gave, `[channels, N']`.
        told: its name, with the names and failures of those before it.
    """

    run: Vocode
    samples: np.ndarray
    told: str


def first_working(features: torch.Tensor, names: Sequence[str], timeline: Timeline, backend: FeatureBackend) -> Vocoder:
    """The first vocoder of a chain that runs, and whose output is finite and, where the features are, audible.

    Raises:
        ModelError: there is none; says what each of them gave.
    """
    failures: list[str] = []
    for name in names:
        if name in _WEIGHTLESS and failures and front_end_of(backend.info).vocodes:
            failures.append(f"{name}: the same sound, as the model's vocoder has no network")
            continue
        run = partial(_STAGES[name], timeline=timeline, backend=backend)
        samples, failure = _attempt(run, features, backend)
        if samples is not None and failure is None:
            return Vocoder(run, samples, f"{name} (after {', '.join(failures)})" if failures else name)
        failures.append(f"{name}: {failure}")
        _log.warning("vocoder %s fails: %s", name, failure)
    raise ModelError(f"no vocoder gave sound: {', '.join(failures)}")


def _attempt(run: Vocode, features: torch.Tensor, backend: FeatureBackend) -> tuple[np.ndarray | None, str | None]:
    """What a vocoder gives, and what is wrong with it: whatever breaks inside it is a reason for the next one."""
    try:
        samples = run(features)
    except Exception as error:
        lines = str(error).strip().splitlines()
        return None, f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return samples, _failure(samples, features, front_end_of(backend.info).floor)


def _failure(samples: np.ndarray, features: torch.Tensor, floor: float) -> str | None:
    if not np.isfinite(samples).all():
        return "output that is not finite"
    # `not <=`, so that features that are not numbers count as audible.
    if not float(features.max()) <= floor + _AUDIBLE and np.abs(samples).max() < _INAUDIBLE_PEAK:
        return "silence"
    return None


def _model(features: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    info = timeline.info

    def vocode(piece: torch.Tensor, first_frame: int) -> torch.Tensor:
        return backend.vocode(piece, first_frame).cpu()

    waveform = segmentwise(
        vocode, features, timeline, reads=info.feature_frames, writes=info.frame_samples, placed=True
    )
    return waveform.numpy()[:, : timeline.sample_count]


def _clamped(features: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    return _model(features.clamp(*_NATURAL), timeline=timeline, backend=backend)


def _weightless(
    features: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend, synthesise: Synthesise
) -> np.ndarray:
    if front_end_of(backend.info).vocodes:
        return _model(features, timeline=timeline, backend=backend)
    return synthesise(features.to(backend.device)).cpu().numpy()[:, : timeline.sample_count]


_WEIGHTLESS: dict[str, Synthesise] = {"griffin-lim": griffin_lim, "tones": synthesise_mel}  # of a mel of 64 bins
_STAGES: dict[str, Callable[..., np.ndarray]] = {
    "model": _model,
    "model-clamped": _clamped,
    **{name: partial(_weightless, synthesise=synthesise) for name, synthesise in _WEIGHTLESS.items()},
}
