"""Encoding to a quality: the fewest bits that bring the error below a target.

Bitrates lie on a ladder, and the error falls along it, so a few encodings by bisection find the rung. The error is that
of what a decoder will have before its vocoder: of the latent, or of the mel that the autoencoder makes of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from noisebook.audio.waveform import Sound
from noisebook.codec import ddcm
from noisebook.codec.layout import timeline_of
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import HIGHEST, LOWEST, engine_for
from noisebook.codec.signal import by_latent, heard_by, levelled, segmentwise
from noisebook.codec.steering import OnStep
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend, with_features
from noisebook.errors import ConfigError
from noisebook.metrics import log_mel_l1_db

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
        options: of `ddcm.compress`; those that ask for a bitrate do not count.
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
    header = ddcm.header_of(waveform, plain, backend.info)
    latent = ddcm.target_latent(waveform, header, backend=backend)
    error_of = MEASURES[measure](waveform, header, latent, backend)
    tried: dict[int, tuple[float, bytes]] = {}

    def attempt(rung: int) -> float:
        if rung not in tried:
            engine = engine_for(ladder[rung], quality=options.quality, frame_values=values, frames_per_second=rate)
            own = replace(plain, engine=engine)
            coded = ddcm.header_of(waveform, own, backend.info)
            image = ddcm.image_payload(waveform, coded, backend.info)
            aims = ddcm.aims_of(latent, coded, own, backend)
            data = ddcm.compress_towards(aims, coded, image=image, backend=backend, sound=waveform)
            tried[rung] = error_of(ddcm.decode_latent(data, backend=backend)[1]), data
            if on_step is not None:
                on_step(len(tried), _RUNGS.bit_length() + 1)
        return tried[rung][0]

    low, high = 0, _RUNGS - 1
    if attempt(high) > target:
        raise ConfigError(
            f"a {measure} of {target:g} dB is out of reach: {ladder[high]:.0f} bit/s give {attempt(high):.2f} dB, and "
            f"the autoencoder alone {error_of(latent):.2f} dB"
        )
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if attempt(middle) <= target else (middle + 1, high)
    error, data = tried[high]
    return Found(data, error, len(tried))


def _latent_error(waveform: Sound, header: Header, latent: torch.Tensor, backend: Backend) -> Measure:
    """Squared error over energy of the latent, dB."""
    return lambda decoded: float(10 * torch.log10((decoded - latent).square().mean() / latent.square().mean()))


def _mel_error(waveform: Sound, header: Header, latent: torch.Tensor, backend: Backend) -> Measure:
    """Mean absolute error of the log-mel, dB."""
    heard, timeline = with_features(backend), timeline_of(header, backend.info)
    hops = timeline.info.feature_frames
    samples = levelled(waveform, header, backend.info)

    def stage(piece: torch.Tensor) -> torch.Tensor:
        return heard.features(by_latent(piece, timeline).to(heard.device))

    mel = heard_by(stage, samples, timeline, per_frame=timeline.info.frame_samples, writes=hops)

    def error(decoded: torch.Tensor) -> float:
        estimate = segmentwise(heard.decode, decoded, timeline, reads=1, writes=hops)
        return log_mel_l1_db(mel.cpu().numpy(), estimate.cpu().numpy())

    return error


MEASURES: dict[str, Callable[[Sound, Header, torch.Tensor, Backend], Measure]] = {
    "mel-db": _mel_error,
    "nmse": _latent_error,
}
