"""A stream, opened once for decoding: its latent, its sound, any part of it, or all of it block by block.

    samples a..b -> latent frames with margins -> the segments they lie in -> autoencoder, vocoder -> samples a..b

Segments are decoded when they are needed, and the last few are kept, so memory does not grow with the stream.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property
from math import gcd
from typing import Any

import numpy as np
import torch

from noisebook.audio.image import StereoImage
from noisebook.audio.resample import resampled_count
from noisebook.audio.waveform import Waveform
from noisebook.codec import vq
from noisebook.codec.segment import SegmentCoder, decode_segment, tail_after
from noisebook.codec.signal import Rendered, joined, restored, restored_blocks, to_samples
from noisebook.codec.stereo import read_image
from noisebook.codec.stream import Contents, Stream
from noisebook.codec.timeline import Layout
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend
from noisebook.diffusion.denoisers import counted, over_timeline
from noisebook.diffusion.plan import Plan
from noisebook.errors import ConfigError, UnsupportedStream
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook

_log = logging.getLogger(__name__)
_KEPT = 3  # decoded segments
_LONGEST_BLOCK = 60.0  # seconds, what goes through autoencoder and vocoder at once
_RESAMPLING_MARGIN = 0.1  # seconds, beyond which a change of rate no longer notices a cut


class Decoder:
    """A stream, opened for decoding.

    Args:
        data: the stream.
        backend: the model it was made with.
        codebook_for: finds the codebook of a quantised latent by the first bytes of its fingerprint; not asked for
            other streams, nor before the whole stream is found intact.
        tail_steps: denoising steps without bits; None is as many as suit where the bits end. 1 gives the smoothest
            sound, more a livelier one.
        damaged: decode what is there of a stream that is cut short, and do not ask for checksums.
        on_step: called with (steps done, steps of the whole stream).
        parsed: as `parse_header` returned it, where the header is read already.

    `header`, `timeline` and `image` (the message of its stereo image, where it has one) are those of the stream;
    `sample_rate` in Hz, `channels` and `sample_count` per channel those of the sound that can be decoded.

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model; with `damaged`,
            only where the header or the first steps of the first segment are missing.
    """

    def __init__(
        self,
        data: bytes,
        *,
        backend: Backend,
        codebook_for: Callable[[bytes], LatentCodebook] | None = None,
        tail_steps: int | None = None,
        damaged: bool = False,
        on_step: OnStep | None = None,
        parsed: tuple[Header, int] | None = None,
    ) -> None:
        self._backend, self._kept = backend, dict[int, torch.Tensor]()
        stream = Stream(data, backend.info, parsed)
        self.header, self.timeline = stream.header, stream.timeline
        if damaged:
            self._contents, image_intact = stream.salvaged()
            if not image_intact:
                _log.warning("the stereo image is damaged: left and right are decoded as equal")
        else:
            self._contents = stream.contents()
        self.image = self._contents.image
        self._segment_count = len(self._contents.choices)
        self._frames = self.timeline.segment(self._segment_count - 1)[1]
        if isinstance(self.timeline, Layout):
            self._decode = _noise_decoder(self.header, self.timeline, self._contents, backend, tail_steps, on_step)
        elif codebook_for is None:
            raise UnsupportedStream("the stream holds a quantised latent: its codebook is needed")
        else:
            codebook = codebook_for(vq.latent_of(self.header).codebook)
            self._decode = vq.segment_decoder(self.header, self.timeline, backend, codebook, on_step)
        self.sample_rate, self.channels = self.header.sample_rate, self.header.channel_mode.channels
        there = self._frames * backend.info.frame_samples
        there = resampled_count(there, backend.info.sample_rate, self.sample_rate)
        self.sample_count = min(self.header.sample_count, there)
        self._format = replace(self.header, sample_count=self.sample_count)

    def latent(self, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Frames `first` to `last` of the decoded latent `[latents, C, frames, F']`."""
        pieces, last = [], self._frames if last is None else last
        for index in range(min(first // self.timeline.segment_frames, self._segment_count - 1), self._segment_count):
            start, _ = self.timeline.segment(index)
            if start >= last:
                break
            pieces.append(self._segment(index)[:, :, max(0, first - start) : last - start])
        return torch.cat(pieces, dim=2)

    def sound(self) -> Waveform:
        """All of the sound, with the sample rate, channels and exact length of the original."""
        return restored(self._rendered(), self._format)

    def stream(self) -> Iterator[Waveform]:
        """`sound`, to the bit, segment by segment, each when it is decoded."""
        blocks = restored_blocks(self._rendered().blocks(), self._backend.info.sample_rate, self._format)
        return (Waveform(block, self.sample_rate) for block in blocks)

    def samples(self, start: int = 0, end: int | None = None) -> Waveform:
        """Samples `start` to `end` of the sound; only what they need is decoded.

        Raises:
            ConfigError: not 0 <= start < end <= `sample_count`.
        """
        end = self.sample_count if end is None else end
        blocks = self.blocks(start, end, seconds=_LONGEST_BLOCK)
        return Waveform(joined((block.samples for block in blocks), end - start), self.sample_rate)

    def blocks(self, start: int = 0, end: int | None = None, *, seconds: float = 8.0) -> Iterator[Waveform]:
        """`samples`, block by block, each when its segment is decoded; the blocks join without a seam.

        Raises:
            ConfigError: as `samples`, or blocks of less than a sample or more than a minute.
        """
        end = self.sample_count if end is None else end
        if not 0 <= start < end <= self.sample_count:
            raise ConfigError(f"samples {start} to {end}: the stream has {self.sample_count}")
        size = round(seconds * self.sample_rate)
        if size < 1 or seconds > _LONGEST_BLOCK:
            raise ConfigError(f"blocks of {seconds:g} s: one sample to {_LONGEST_BLOCK:g} s are possible")
        return (self._block(first, min(first + size, end)) for first in range(start, end, size))

    def _block(self, start: int, end: int) -> Waveform:
        info, rate = self._backend.info, self.sample_rate
        margin = round(_RESAMPLING_MARGIN * rate)
        grid = rate // gcd(rate, info.sample_rate)  # both rates count whole samples from its multiples
        first = max(0, start - margin) // grid * grid
        last = min(resampled_count(end + margin, rate, info.sample_rate), self.timeline.sample_count)
        at_model = Waveform(self._rendered_between(first * info.sample_rate // rate, last), info.sample_rate)
        sound = restored(at_model, replace(self.header, sample_count=end - first))
        return Waveform(sound.samples[:, start - first :].copy(), rate)

    @cached_property
    def _stereo(self) -> StereoImage | None:
        return read_image(self.image, self.timeline)

    def _rendered(self) -> Rendered:
        """All that can be decoded, at the model's rate."""
        frame, last = self._backend.info.frame_samples, self.timeline.sample_count
        segments = map(self.timeline.segment, range(self._segment_count))
        pieces = (self._samples(start * frame, min(end * frame, last)) for start, end in segments)
        return Rendered(pieces, self.header.channel_mode, self.timeline, self._stereo)

    def _rendered_between(self, start: int, end: int) -> np.ndarray:
        """Samples `start` to `end` at the model's rate, `[channels, N]`."""
        mode, timeline = self.header.channel_mode, self.timeline
        margin = Rendered((), mode, timeline).margin
        first, last = max(0, start - margin), min(end + margin, timeline.sample_count)
        rendered = Rendered([self._samples(first, last)], mode, timeline, self._stereo, first)
        return np.concatenate(list(rendered.blocks()), axis=1)[:, start - first : end - first]

    def _samples(self, start: int, end: int) -> np.ndarray:
        """Samples `start` to `end` at the model's rate, `[channels of the model, N]`."""
        info = self._backend.info
        first = max(0, start // info.frame_samples - info.margin_frames)
        last = min(self._frames, -(-end // info.frame_samples) + info.margin_frames)
        samples = to_samples(self.latent(first, last), first, self.timeline, self._backend)
        offset = first * info.frame_samples
        return samples[:, start - offset : end - offset]

    def _segment(self, index: int) -> torch.Tensor:
        if index not in self._kept:
            self._kept[index] = self._decode(self._contents.choices[index], index)
            for old in list(self._kept)[:-_KEPT]:
                del self._kept[old]
        return self._kept[index]


def _noise_decoder(
    header: Header,
    layout: Layout,
    contents: Contents,
    backend: Backend,
    tail_steps: int | None,
    on_step: OnStep | None,
) -> Callable[[bytes, int], torch.Tensor]:
    """From the choices and index of a segment to its latent `[channels, C, frames, F']`.

    Choices are ordered by step: those of a stream that is cut short may be the first steps alone. The tail begins where
    they end: the same sound, less exactly.
    """

    def tail_behind(steps: int) -> Plan:
        last = layout.plan[steps - 1].s if steps else layout.plan[0].t
        return tail_after(last, backend.info.schedule, tail_steps)

    calls = layout.segment_count * (layout.steps + len(tail_behind(layout.steps)))
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, calls)

    def decode(payload: bytes, index: int) -> torch.Tensor:
        coder = SegmentCoder.of(layout, index, header.seed, backend)
        steps = layout.steps if contents.coded_steps is None else contents.coded_steps[index]
        coded = None if steps == layout.steps else steps
        start = coder.start_noise(backend.device)
        return decode_segment(payload, coder, denoise, tail_behind(steps), start, coded_steps=coded)

    return decode


def decode_latent(data: bytes, **options: Any) -> tuple[Header, torch.Tensor]:
    """The header of a stream and its decoded latent, with the options of a `Decoder`."""
    decoder = Decoder(data, **options)
    return decoder.header, decoder.latent()
