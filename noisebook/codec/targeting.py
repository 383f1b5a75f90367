"""Encoding to a quality: the fewest bits that bring the error below a target.

Bitrates lie on a ladder, and the error falls along it, so a few encodings by bisection find the rung. The error is that
of what a decoder will have before its vocoder: of the latent, or of the mel that the autoencoder makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from noisebook.audio.waveform import Sound
from noisebook.codec.decoder import Decoder
from noisebook.codec.encoder import Prepared, compress_towards, header_of, prepare, targets
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import HIGHEST, LOWEST, params_for
from noisebook.codec.signal import features_of, levelled, segmentwise
from noisebook.codec.timeline import Timeline
from noisebook.diffusion.backend import Backend, with_features
from noisebook.errors import ConfigError
from noisebook.metrics import log_mel_l1_db
from noisebook.options import OnStep

__all__ = ["MEASURES", "Found", "compress_to"]

_RUNGS = 32  # a quarter octave apart, nearly

Measure = Callable[[torch.Tensor], float]  # of a decoded latent


@dataclass(frozen=True)
class Found:
    """A stream that reaches a target.

    Attributes:
        data: the stream.
        error: dB, at most the target.
        encodings: how many were tried.
    """

    data: bytes
    error: float
    encodings: int


def compress_to(
    waveform: Sound,
    measure: str,
    target: float,
    *,
    backend: Backend,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
) -> Found:
    """The smallest stream of a ladder of bitrates whose error is at most `target`.

    Args:
        measure: a key of `MEASURES`.
        target: dB.
        options: of `encoder.compress`; those that ask for a bitrate do not count.
        on_step: called with (encodings done, the most that there may be).

    Raises:
        AudioError: more than two channels.
        ConfigError: an unknown measure, a target that the highest bitrate misses (says by how much), or a model without
            a mel where it is needed.
    """
    if measure not in MEASURES:
        raise ConfigError(f"measure {measure!r}: {', '.join(MEASURES)} are possible")
    values, rate = backend.info.frame_values, backend.info.frames_per_second
    ladder = [LOWEST * (HIGHEST / LOWEST) ** (i / (_RUNGS - 1)) for i in range(_RUNGS)]
    plain = options.replaced(preset=None, bitrate=None, quality="balanced")
    prepared = prepare(waveform, plain, backend)
    error_of = MEASURES[measure](prepared, backend)
    tried: dict[int, tuple[float, bytes]] = {}

    def attempt(rung: int) -> float:
        if rung not in tried:
            params = params_for(ladder[rung], quality=options.quality, frame_values=values, frames_per_second=rate)
            own = replace(plain, params=params)
            header = header_of(waveform, own, backend.info)
            target_of = targets(prepared.latent, header, own, backend)
            data = compress_towards(target_of, header, image=prepared.image, backend=backend, sound=waveform)
            tried[rung] = error_of(Decoder(data, backend=backend).latent()), data
            if on_step is not None:
                on_step(len(tried), _RUNGS.bit_length() + 1)
        return tried[rung][0]

    low, high = 0, _RUNGS - 1
    if attempt(high) > target:
        raise ConfigError(
            f"a {measure} of {target:g} dB is out of reach: {ladder[high]:.0f} bit/s give {attempt(high):.2f} dB, and "
            f"the autoencoder alone {error_of(prepared.latent):.2f} dB"
        )
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if attempt(middle) <= target else (middle + 1, high)
    error, data = tried[high]
    return Found(data, error, len(tried))


def _latent_error(prepared: Prepared, backend: Backend) -> Measure:
    """Squared error over energy of the latent, dB."""
    latent = prepared.latent
    return lambda decoded: float(10 * torch.log10((decoded - latent).square().mean() / latent.square().mean()))


def _mel_error(prepared: Prepared, backend: Backend) -> Measure:
    """Mean absolute error of the log-mel, dB."""
    model, timeline = with_features(backend), Timeline.of(prepared.header, backend.info)
    samples = levelled(prepared.sound, prepared.header.gain_half_db, backend.info.sample_rate)
    mel = features_of(samples, timeline, model).cpu().numpy()

    def error(decoded: torch.Tensor) -> float:
        estimate = segmentwise(model.decode, decoded, timeline, reads=1, writes=timeline.info.feature_frames)
        return log_mel_l1_db(mel, estimate.cpu().numpy())

    return error


MEASURES: dict[str, Callable[[Prepared, Backend], Measure]] = {"mel-db": _mel_error, "nmse": _latent_error}
