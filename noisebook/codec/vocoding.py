"""A chain of vocoders: the first that gives sound, and why those before it did not.

model           the backend's vocoder
model-clamped   the same, for a mel brought within the range of natural sound
griffin-lim     no network
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from noisebook.audio.griffin_lim import griffin_lim
from noisebook.audio.mel import LOG_FLOOR
from noisebook.codec.layout import Timeline
from noisebook.codec.signal import segmentwise
from noisebook.diffusion.backend import FeatureBackend
from noisebook.errors import ModelError

__all__ = ["Vocoder", "first_working"]

_log = logging.getLogger(__name__)
_NATURAL = (-10.0, 2.0)  # of log-mels: what clamping leaves
_AUDIBLE_MEL = LOG_FLOOR + 4  # 35 dB above silence
_INAUDIBLE_PEAK = 1e-4

Vocode = Callable[[torch.Tensor], np.ndarray]  # mel [channels, 1, T, F] -> [channels, N']


@dataclass(frozen=True, eq=False)
class Vocoder:
    """A vocoder that gave sound.

    Attributes:
        run: it, for another mel of the same timeline.
        samples: what it gave, `[channels, N']`.
        told: its name, with the names and failures of those before it.
    """

    run: Vocode
    samples: np.ndarray
    told: str


def first_working(mel: torch.Tensor, names: Sequence[str], timeline: Timeline, backend: FeatureBackend) -> Vocoder:
    """The first vocoder of a chain that runs, and whose output is finite and, where the mel is not silent, audible.

    Raises:
        ModelError: there is none; says what each of them gave.
    """
    failures: list[str] = []
    for name in names:
        run = partial(_STAGES[name], timeline=timeline, backend=backend)
        samples, failure = _attempt(run, mel)
        if samples is not None and failure is None:
            return Vocoder(run, samples, f"{name} (after {', '.join(failures)})" if failures else name)
        failures.append(f"{name}: {failure}")
        _log.warning("vocoder %s fails: %s", name, failure)
    raise ModelError(f"no vocoder gave sound: {', '.join(failures)}")


def _attempt(run: Vocode, mel: torch.Tensor) -> tuple[np.ndarray | None, str | None]:
    """What a vocoder gives, and what is wrong with it: whatever breaks inside it is a reason for the next one."""
    try:
        samples = run(mel)
    except Exception as error:
        lines = str(error).strip().splitlines()
        return None, f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return samples, _failure(samples, mel)


def _failure(samples: np.ndarray, mel: torch.Tensor) -> str | None:
    if not np.isfinite(samples).all():
        return "output that is not finite"
    # `not <=`, so that a mel that is not a number counts as audible.
    if not float(mel.max()) <= _AUDIBLE_MEL and np.abs(samples).max() < _INAUDIBLE_PEAK:
        return "silence"
    return None


def _model(mel: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    info = timeline.info

    def vocode(piece: torch.Tensor, first_frame: int) -> torch.Tensor:
        return backend.vocode(piece, first_frame).cpu()

    waveform = segmentwise(vocode, mel, timeline, reads=info.feature_frames, writes=info.frame_samples, placed=True)
    return waveform.numpy()[:, : timeline.sample_count]


def _clamped(mel: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    return _model(mel.clamp(*_NATURAL), timeline=timeline, backend=backend)


def _griffin_lim(mel: torch.Tensor, *, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    return griffin_lim(mel.to(backend.device)).cpu().numpy()[:, : timeline.sample_count]


_STAGES = {"model": _model, "model-clamped": _clamped, "griffin-lim": _griffin_lim}
