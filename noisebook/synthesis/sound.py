"""Sound to latent and back without a stream: what reconstruction, transformation and generation share with the codec.

Waveform --to_latent--> latent [latents, C, L, F'], AudioFormat --from_latent--> Waveform
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from noisebook.audio.image import StereoImage, measure_image
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Waveform
from noisebook.codec.signal import Rendered, analyse, features_of, levelled, restored, synthesise
from noisebook.codec.timeline import Timeline
from noisebook.coding.container import ChannelMode
from noisebook.diffusion.backend import Backend, BackendInfo, FeatureBackend
from noisebook.errors import AudioError, ConfigError

__all__ = ["AudioFormat", "from_latent", "to_latent"]


@dataclass(frozen=True)
class AudioFormat:
    """What a latent does not say about its sound.

    Attributes:
        sample_rate: Hz.
        sample_count: per channel, at that rate.
        channel_mode: MONO; IMAGE, two channels in one latent; or JOINT, the same by a model of stereo sound.
        gain_half_db: applied before encoding and taken back after decoding.
        image: of the channel mode IMAGE.

    Raises:
        ConfigError: no samples.
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
        """That of a sound for a model, with the gain that brings its peak to the level that was trained at.

        Raises:
            AudioError: more than two channels.
        """
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
    """The latent `[latents, C, L, F']` of a sound (mode of the posterior), and what else brings it back.

    Any rate and length; a long sound goes through the networks a segment at a time, with margins that leave no joints.
    """
    form = AudioFormat.of(waveform, backend.info)
    return analyse(form.levelled(waveform, backend.info), form.timeline(backend.info), backend), form


def from_latent(latent: torch.Tensor, form: AudioFormat, *, backend: Backend) -> Waveform:
    """The sound of a latent `[latents, C, L, F']`, with the format's rate, exact length, level and channels.

    Raises:
        ConfigError: the latent is not one of that format.
    """
    info, timeline = backend.info, form.timeline(backend.info)
    expected = (timeline.channels, info.latent_channels, timeline.frames, info.latent_bins)
    if tuple(latent.shape) != expected:
        raise ConfigError(f"a latent {list(latent.shape)} for a sound whose latent is {list(expected)}")
    samples = synthesise(latent.to(backend.device), timeline, backend)
    return form.restored(form.rendered(samples, info), info)
