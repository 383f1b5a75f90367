"""Sound to latent and back without a stream: what reconstruction, transformation and generation share with the codec.

Waveform --to_latent--> latent [latents, C, L, F'], Frame --from_latent--> Waveform
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from noisebook.audio.image import StereoImage
from noisebook.audio.level import coding_gain_of
from noisebook.audio.waveform import Waveform
from noisebook.codec.layout import Timeline, timeline_of
from noisebook.codec.presets import DEFAULT, by_name
from noisebook.codec.signal import analyse, levelled, restored, synthesise
from noisebook.codec.stereo import Heard, measured_image
from noisebook.coding.container import ChannelMode, Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.errors import AudioError, ConfigError

__all__ = ["Frame", "from_latent", "to_latent"]


@dataclass(frozen=True)
class Frame:
    """What a latent does not say about its sound.

    Attributes:
        sample_rate: Hz.
        sample_count: per channel, at that rate.
        gain: half dB, applied before encoding and taken back after decoding.
        channels: 1, or 2, which are one latent, of which the image says what is where.
        joint: both channels in one latent, by a model of stereo sound.
        image: of two channels that are not joint; None is that of equal ones.

    Raises:
        AudioError: another number of channels.
        ConfigError: a field outside the range that a stream's header allows.
    """

    sample_rate: int
    sample_count: int
    gain: int = 0
    channels: int = 1
    joint: bool = False
    image: StereoImage | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.channels not in (1, 2):
            raise AudioError(f"{self.channels} channels: mono and stereo can be coded; mix down first (--mono)")
        if self.sample_count < 1:
            raise ConfigError(f"a sound of {self.sample_count} samples: there has to be one at least")
        self.header()

    @classmethod
    def of(cls, waveform: Waveform, info: BackendInfo) -> Frame:
        """The frame of a sound for a model, with the gain that brings its peak to the level that was trained at."""
        joint = 1 < waveform.channels == info.audio_channels
        frame = cls(waveform.sample_rate, waveform.sample_count, coding_gain_of(waveform), waveform.channels, joint)
        if joint or waveform.channels == 1:
            return frame
        return replace(frame, image=measured_image(levelled(waveform, frame.header(), info), info))

    def header(self, fingerprint: bytes = bytes(2)) -> Header:
        """The same as a stream's header of the default preset."""
        stereo = ChannelMode.IMAGE if self.image is not None else ChannelMode.EQUAL
        mode = ChannelMode.MONO if self.channels == 1 else ChannelMode.JOINT if self.joint else stereo
        preset = by_name(DEFAULT).wire_id
        return Header(fingerprint, preset, self.sample_rate, mode, self.sample_count, self.gain)

    def timeline(self, info: BackendInfo) -> Timeline:
        """Latent frames and segments for a model."""
        return timeline_of(self.header(), info)

    def heard(self, samples: np.ndarray, info: BackendInfo) -> np.ndarray:
        """`[channels, N']` of what a model makes of the latent, `[1 or channels, N']`."""
        sound = Heard([samples], self.header(), self.image, info, samples.shape[1])
        return np.concatenate(list(sound.blocks()), axis=1)


def to_latent(waveform: Waveform, *, backend: Backend) -> tuple[torch.Tensor, Frame]:
    """The latent `[latents, C, L, F']` of a sound (mode of the posterior), and what else brings it back.

    Any rate and length; a long sound goes through the networks a segment at a time, with margins that leave no joints.

    Raises:
        AudioError: more than two channels.
    """
    frame = Frame.of(waveform, backend.info)
    samples = levelled(waveform, frame.header(), backend.info)
    return analyse(samples, frame.timeline(backend.info), backend), frame


def from_latent(latent: torch.Tensor, frame: Frame, *, backend: Backend) -> Waveform:
    """The sound of a latent `[latents, C, L, F']`, with the frame's rate, exact length, level and channels.

    Raises:
        ConfigError: the latent is not one of that frame.
    """
    timeline = frame.timeline(backend.info)
    expected = (timeline.channels, backend.info.latent_channels, timeline.frames, backend.info.latent_bins)
    if tuple(latent.shape) != expected:
        raise ConfigError(f"a latent {list(latent.shape)} for a sound whose latent is {list(expected)}")
    samples = synthesise(latent.to(backend.device), timeline, backend)
    return restored(frame.heard(samples, backend.info), frame.header(), backend.info)
