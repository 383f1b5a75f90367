"""Any part of a stream, without decoding the rest; block by block; and what is left of a damaged one.

    samples a..b  ->  latent frames with margins  ->  the segments they lie in  ->  VAE, vocoder  ->  samples a..b

Segments are decoded when they are needed, and the last few are kept, so memory does not grow with the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from math import gcd

import numpy as np
import torch

from noisebook.audio.image import StereoImage
from noisebook.audio.resample import resampled_count
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm, latent_vq, ordering
from noisebook.codec.ddcm import Opened
from noisebook.codec.layout import layout_of
from noisebook.codec.signal import restored, restored_blocks, to_samples
from noisebook.codec.steering import OnStep
from noisebook.codec.stereo import Heard, heard_margin, read_image, salvaged_image
from noisebook.codec.streams import CodebookFor, open_stream
from noisebook.coding import container
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend
from noisebook.errors import ConfigError, CorruptStream, TruncatedStream

__all__ = ["Player"]

_log = logging.getLogger(__name__)
_KEPT = 3  # decoded segments
_LONGEST_BLOCK = 60.0  # seconds, what goes through autoencoder and vocoder at once
_RESAMPLING_MARGIN = 0.1  # seconds, beyond which a change of rate no longer notices a cut


class Player:
    """A stream, opened for playing.

    Args:
        data: the stream.
        backend: the model it was made with.
        codebook_for: finds the codebook of a quantised latent.
        tail_steps: denoising steps without bits; None is as many as suit where the bits end.
        damaged: play what is there of a stream that is cut short, and do not ask for checksums.
        on_step: called with (steps done, steps of the whole stream).

    Attributes:
        header, timeline: of the stream.
        sample_rate: Hz.
        channels: of the sound.
        sample_count: per channel, of what can be played.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model; with `damaged`,
            only where the header or the first steps of the first segment are missing.
    """

    def __init__(
        self,
        data: bytes,
        *,
        backend: Backend,
        codebook_for: CodebookFor,
        tail_steps: int | None = None,
        damaged: bool = False,
        on_step: OnStep | None = None,
    ) -> None:
        self._backend, self._decoded = backend, dict[int, torch.Tensor]()
        steps = None
        if damaged:
            stream, steps = _salvaged(data, backend)
        else:
            stream = open_stream(data, backend.info)
        self.header, self.timeline, self._payloads, self._message = stream
        self._segments = [self.timeline.segment(index) for index in range(len(self._payloads))]
        self._decode = _decoder(self.header, backend, codebook_for, tail_steps, on_step, steps)
        self.sample_rate, self.channels = self.header.sample_rate, self.header.channel_mode.channels
        playable = self._segments[-1][1] * backend.info.frame_samples
        at_rate = resampled_count(playable, backend.info.sample_rate, self.sample_rate)
        self.sample_count = min(self.header.sample_count, at_rate)

    def play(self, start: int = 0, end: int | None = None) -> Waveform:
        """Samples `start` to `end` of the sound.

        Raises:
            ConfigError: not 0 <= start < end <= `sample_count`.
        """
        end = self.sample_count if end is None else end
        blocks, filled = self.blocks(start, end, seconds=_LONGEST_BLOCK), 0
        samples = np.empty((self.channels, end - start), np.float32)
        for block in blocks:
            samples[:, filled : filled + block.sample_count] = block.samples
            filled += block.sample_count
        return Waveform(samples, self.sample_rate)

    def blocks(self, start: int = 0, end: int | None = None, *, seconds: float = 8.0) -> Iterator[Waveform]:
        """The same, piece by piece, each when its segment is decoded; the pieces join without a seam.

        Raises:
            ConfigError: as `play`, or blocks of less than a sample or more than a minute.
        """
        end = self.sample_count if end is None else end
        if not 0 <= start < end <= self.sample_count:
            raise ConfigError(f"samples {start} to {end}: the stream has {self.sample_count}")
        size = round(seconds * self.sample_rate)
        if size < 1 or seconds > _LONGEST_BLOCK:
            raise ConfigError(f"blocks of {seconds:g} s: one sample to {_LONGEST_BLOCK:g} s are possible")
        return (self._block(first, min(first + size, end)) for first in range(start, end, size))

    def stream(self) -> Iterator[Waveform]:
        """All of the sound, segment by segment, each when it is decoded: to the bit what `decompress` gives at once."""
        frame, last = self._backend.info.frame_samples, self.timeline.sample_count
        coded = (self._samples(start * frame, min(end * frame, last)) for start, end in self._segments)
        heard = Heard(coded, self.header, self._image, self._backend.info, last).blocks()
        header = replace(self.header, sample_count=self.sample_count)
        return (Waveform(block, self.sample_rate) for block in restored_blocks(heard, header, self._backend.info))

    def _block(self, start: int, end: int) -> Waveform:
        info, rate = self._backend.info, self.sample_rate
        margin = round(_RESAMPLING_MARGIN * rate)
        grid = rate // gcd(rate, info.sample_rate)  # both rates count whole samples from its multiples
        first = max(0, start - margin) // grid * grid
        last = min(resampled_count(end + margin, rate, info.sample_rate), self.timeline.sample_count)
        heard = self._heard(first * info.sample_rate // rate, last)
        sound = restored(heard, replace(self.header, sample_count=end - first), info)
        return Waveform(sound.samples[:, start - first :].copy(), rate)

    @cached_property
    def _image(self) -> StereoImage | None:
        return read_image(self._message, self.timeline)

    def _heard(self, start: int, end: int) -> np.ndarray:
        """Samples `start` to `end` at the model's rate, `[channels, N]`."""
        info = self._backend.info
        margin = heard_margin(self.header, info)
        first, last = max(0, start - margin), min(end + margin, self.timeline.sample_count)
        coded = self._samples(first, last)
        heard = Heard([coded], self.header, self._image, info, coded.shape[1], first)
        return np.concatenate(list(heard.blocks()), axis=1)[:, start - first : end - first]

    def _samples(self, start: int, end: int) -> np.ndarray:
        """Samples `start` to `end` at the model's rate, `[channels of the model, N]`."""
        info, frames = self._backend.info, self._segments[-1][1]
        first = max(0, start // info.frame_samples - info.margin_frames)
        last = min(frames, -(-end // info.frame_samples) + info.margin_frames)
        coded = to_samples(self.latent(first, last), first, self.timeline, self._backend)
        offset = first * info.frame_samples
        return coded.numpy()[:, start - offset : end - offset]

    def latent(self, first: int, last: int) -> torch.Tensor:
        """Frames `first` to `last` of the decoded latent `[latents, C, frames, F']`."""
        pieces = []
        for index, (start, end) in enumerate(self._segments):
            if start < last and end > first:
                pieces.append(self._segment(index)[:, :, max(0, first - start) : last - start])
        return torch.cat(pieces, dim=2)

    def _segment(self, index: int) -> torch.Tensor:
        if index not in self._decoded:
            self._decoded[index] = self._decode(self._payloads[index], index)
            for old in list(self._decoded)[:-_KEPT]:
                del self._decoded[old]
        return self._decoded[index]


def _decoder(
    header: Header,
    backend: Backend,
    codebook_for: CodebookFor,
    tail_steps: int | None,
    on_step: OnStep | None,
    coded_steps: Sequence[int] | None,
) -> Callable[[bytes, int], torch.Tensor]:
    if header.latent is None:
        layout = layout_of(header, backend.info)
        return ddcm.segment_decoder(header, layout, backend, tail_steps, on_step, coded_steps)
    codebook = codebook_for(header.latent.codebook)
    return latent_vq.segment_decoder(header, backend, codebook, on_step)


def _salvaged(data: bytes, backend: Backend) -> tuple[Opened, tuple[int, ...]]:
    """What is left of a damaged stream: of each segment the choices, and the number of steps that they are."""
    header, size = container.parse_header(data)
    if header.latent is not None:
        raise CorruptStream("of a damaged stream of quantised latents nothing can be played: its codes hang together")
    layout = ddcm.checked_layout(header, backend.info)
    image, size, found = salvaged_image(data, header, size, layout)
    if not found:
        _log.warning("the stereo image is damaged: left and right are decoded as equal")
    left = ordering.what_is_left(container.salvage(data, size, layout.payload_sizes()), layout, most=8 * len(data))
    if not left:
        raise TruncatedStream("the stream ends before the first step of its first segment does")
    choices, steps = tuple(choices for choices, _ in left), tuple(steps for _, steps in left)
    return Opened(header, layout, choices, image), steps
