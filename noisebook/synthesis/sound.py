"""Between sound, latent and features without a stream: what all of synthesis shares with the codec.

Waveform --to_latent--> latent [latents, C, L, F'], AudioFormat --from_latent--> Waveform
features [latents, 1, T, F] --first_working--> samples [latents, N']

Vocoders are tried in a chain, until one gives sound:

model           the backend's vocoder
model-clamped   the same, for features brought within the range of natural sound
griffin-lim     no network; of a model whose own vocoder has none, that one
tones           no network, and in tune; the same
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from noisebook.audio.image import StereoImage, measure_image
from noisebook.audio.level import coding_gain_of
from noisebook.audio.mel_synthesis import griffin_lim, synthesise_mel
from noisebook.audio.waveform import Waveform
from noisebook.codec.signal import Rendered, analyse, features_of, levelled, restored, segmentwise, synthesise
from noisebook.codec.timeline import Timeline
from noisebook.coding.container import ChannelMode
from noisebook.diffusion.backend import Backend, BackendInfo, FeatureBackend, front_end_of
from noisebook.errors import AudioError, ConfigError, ModelError

_log = logging.getLogger(__name__)
_NATURAL = (-10.0, 2.0)  # of log magnitudes: what clamping leaves
_AUDIBLE = 4  # nepers above silence: 35 dB
_INAUDIBLE_PEAK = 1e-4
# Of a mel of 64 bins, [B, 1, T, F] -> [B, N'].
_WEIGHTLESS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"griffin-lim": griffin_lim, "tones": synthesise_mel}


@dataclass(frozen=True)
class AudioFormat:
    """What a latent does not say about its sound.

    Attributes:
        sample_rate: Hz.
        sample_count: per channel, at that rate.
        channel_mode: MONO; IMAGE, two channels in one latent; or JOINT, the same by a model of stereo sound.
        gain_half_db: applied before encoding and taken back after decoding.
        image: of the channel mode IMAGE.
    """

    sample_rate: int
    sample_count: int
    channel_mode: ChannelMode = ChannelMode.MONO
    gain_half_db: int = 0
    image: StereoImage | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.sample_count < 1:
            raise ConfigError(f"a sound of {self.sample_count} samples: there has to be one at least")

    @classmethod
    def of(cls, waveform: Waveform, info: BackendInfo) -> AudioFormat:
        """That of a sound for a model, with the gain that brings its peak to the level that was trained at; AudioError
        for more than two channels."""
        if waveform.channels > 2:
            raise AudioError(f"{waveform.channels} channels: mono and stereo can be coded; mix down first (--mono)")
        stereo = ChannelMode.JOINT if info.audio_channels == 2 else ChannelMode.IMAGE
        mode = ChannelMode.MONO if waveform.channels == 1 else stereo
        own = cls(waveform.sample_rate, waveform.sample_count, mode, coding_gain_of(waveform))
        if mode is not ChannelMode.IMAGE:
            return own
        return replace(own, image=measure_image(own.levelled(waveform, info), info.sample_rate))

    def timeline(self, info: BackendInfo) -> Timeline:
        """Latent frames and segments for a model."""
        return Timeline.of(self, info)

    def levelled(self, waveform: Waveform, info: BackendInfo) -> np.ndarray:
        """A sound as a model is given it, `[channels, N']`."""
        return levelled(waveform, self.gain_half_db, info.sample_rate)

    def features(self, waveform: Waveform, backend: FeatureBackend) -> torch.Tensor:
        """The features `[latents, 1, T, bins]` of a sound at this level, of both channels of stereo together."""
        return features_of(self.levelled(waveform, backend.info), self.timeline(backend.info), backend)

    def rendered(self, samples: np.ndarray, info: BackendInfo) -> np.ndarray:
        """`[channels, N']` of what a model makes of the latent, `[1 or channels, N']`."""
        sound = Rendered([samples], self.channel_mode, self.timeline(info), self.image)
        return np.concatenate(list(sound.blocks()), axis=1)

    def restored(self, samples: np.ndarray, info: BackendInfo) -> Waveform:
        """The sound of `[channels, N']` at the model's rate, with the rate, level and exact length of this."""
        return restored(Waveform(samples, info.sample_rate), self)


def to_latent(waveform: Waveform, *, backend: Backend) -> tuple[torch.Tensor, AudioFormat]:
    """The latent `[latents, C, L, F']` of a sound of any rate and length (mode of the posterior), and what else brings
    it back. A long sound goes through the networks a segment at a time, with margins that leave no joints."""
    form = AudioFormat.of(waveform, backend.info)
    return analyse(form.levelled(waveform, backend.info), form.timeline(backend.info), backend), form


def from_latent(latent: torch.Tensor, form: AudioFormat, *, backend: Backend) -> Waveform:
    """The sound of a latent `[latents, C, L, F']`, with the format's rate, exact length, level and channels."""
    info, timeline = backend.info, form.timeline(backend.info)
    expected = (timeline.channels, info.latent_channels, timeline.frames, info.latent_bins)
    if tuple(latent.shape) != expected:
        raise ConfigError(f"a latent {list(latent.shape)} for a sound whose latent is {list(expected)}")
    samples = synthesise(latent.to(backend.device), timeline, backend)
    return form.restored(form.rendered(samples, info), info)


@dataclass(frozen=True, eq=False)
class Vocoder:
    """A vocoder that gave sound: how to run it on other features `[channels, 1, T, F]` of the same timeline, the
    samples `[channels, N']` that it gave, and its name, with names and failures of those before it."""

    run: Callable[[torch.Tensor], np.ndarray]
    samples: np.ndarray
    name: str


def first_working(features: torch.Tensor, names: Sequence[str], timeline: Timeline, backend: FeatureBackend) -> Vocoder:
    """The first vocoder of a chain that runs, and whose output is finite and, where the features are, audible; a
    ModelError says what each of them gave where there is none."""
    failures: list[str] = []
    for name in names:
        if name in _WEIGHTLESS and failures and front_end_of(backend.info).vocodes:
            failures.append(f"{name}: the same sound, as the model's vocoder has no network")
            continue
        run = partial(_vocode, name=name, timeline=timeline, backend=backend)
        try:
            samples = run(features)
            failure = _failure(samples, features, front_end_of(backend.info).floor)
        except Exception as error:  # whatever breaks inside a vocoder is a reason for the next one
            lines = str(error).strip().splitlines()
            failure = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
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

    taken = features.clamp(*_NATURAL) if name == "model-clamped" else features
    samples = segmentwise(vocode, taken, timeline, reads=info.feature_frames, writes=info.frame_samples, placed=True)
    return samples.numpy()[:, : timeline.sample_count]


def vocoded(waveform: Waveform, backend: FeatureBackend) -> Waveform:
    """What the model's vocoder makes of a sound's own features: the ceiling of whatever ends in that vocoder."""
    info, form = backend.info, AudioFormat.of(waveform, backend.info)
    vocoder = first_working(form.features(waveform, backend), ("model",), form.timeline(info), backend)
    return form.restored(form.rendered(vocoder.samples, info), info)
