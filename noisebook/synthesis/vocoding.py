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

from noisebook.audio.mel_synthesis import griffin_lim, synthesise_mel
from noisebook.audio.waveform import Waveform
from noisebook.codec.signal import segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import FeatureBackend, front_end_of
from noisebook.errors import ModelError
from noisebook.synthesis.sound import AudioFormat

__all__ = ["Vocoder", "first_working", "vocoded"]

_log = logging.getLogger(__name__)
_NATURAL = (-10.0, 2.0)  # of log magnitudes: what clamping leaves
_AUDIBLE = 4  # nepers above silence: 35 dB
_INAUDIBLE_PEAK = 1e-4
# Of a mel of 64 bins, [B, 1, T, F] -> [B, N'].
_WEIGHTLESS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"griffin-lim": griffin_lim, "tones": synthesise_mel}


@dataclass(frozen=True, eq=False)
class Vocoder:
    """A vocoder that gave sound.

    Attributes:
        run: features `[channels, 1, T, F]` of the same timeline to samples `[channels, N']`.
        samples: what it gave, shaped alike.
        name: its own, with the names and failures of those before it.
    """

    run: Callable[[torch.Tensor], np.ndarray]
    samples: np.ndarray
    name: str


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
        run = partial(_vocode, name=name, timeline=timeline, backend=backend)
        try:
            samples = run(features)
        except Exception as error:  # whatever breaks inside a vocoder is a reason for the next one
            lines = str(error).strip().splitlines()
            failure: str | None = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        else:
            failure = _failure(samples, features, front_end_of(backend.info).floor)
        if failure is None:
            return Vocoder(run, samples, f"{name} (after {', '.join(failures)})" if failures else name)
        failures.append(f"{name}: {failure}")
        _log.warning("vocoder %s fails: %s", name, failure)
    raise ModelError(f"no vocoder gave sound: {', '.join(failures)}")


def _failure(samples: np.ndarray, features: torch.Tensor, floor: float) -> str | None:
    if not np.isfinite(samples).all():
        return "output that is not finite"
    # `not <=`, so that features that are not numbers count as audible.
    if not float(features.max()) <= floor + _AUDIBLE and np.abs(samples).max() < _INAUDIBLE_PEAK:
        return "silence"
    return None


def _vocode(features: torch.Tensor, *, name: str, timeline: Timeline, backend: FeatureBackend) -> np.ndarray:
    info = timeline.info
    if name in _WEIGHTLESS and not front_end_of(info).vocodes:
        return _WEIGHTLESS[name](features.to(backend.device)).cpu().numpy()[:, : timeline.sample_count]

    def vocode(piece: torch.Tensor, first_frame: int) -> torch.Tensor:
        return backend.vocode(piece, first_frame).cpu()

    heard = features.clamp(*_NATURAL) if name == "model-clamped" else features
    samples = segmentwise(vocode, heard, timeline, reads=info.feature_frames, writes=info.frame_samples, placed=True)
    return samples.numpy()[:, : timeline.sample_count]


def vocoded(waveform: Waveform, backend: FeatureBackend) -> Waveform:
    """What the model's vocoder makes of a sound's own features: the ceiling of whatever ends in that vocoder."""
    info, form = backend.info, AudioFormat.of(waveform, backend.info)
    vocoder = first_working(form.features(waveform, backend), ("model",), form.timeline(info), backend)
    return form.restored(form.rendered(vocoder.samples, info), info)
