"""Sound to stream; `codec.decoder` is the way back.

    sound --prepare--> header, latent, image --reverse(noise chosen by target - x0_hat)--> choices --_packed--> stream
                                             --codes of a codebook-----------------------> codes ---'

All ways begin with a `Prepared` sound and end with the same packing: the image within its bits, the loudness of the
original, header and payloads.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.audio.image import StereoImage, measure_image
from noisebook.audio.level import coding_gain_of, matching_gain
from noisebook.audio.waveform import Sound
from noisebook.codec import presets
from noisebook.codec.options import CodebookOptions, EncodeOptions, Priority
from noisebook.codec.segment import SegmentCoder, Target, audible, encode_segment, shaped, tail_after, weighted
from noisebook.codec.signal import analyse, features_of, levelled, rendered, restored_blocks, segmentwise, silent_spans
from noisebook.codec.stereo import image_payload
from noisebook.codec.stream import by_step
from noisebook.codec.timeline import BELOW_DB, DIGITAL_DB, Layout, Timeline, with_pauses
from noisebook.codec.vq import segment_decoder, write_codes
from noisebook.coding import container
from noisebook.coding.container import ChannelMode, CodingParams, Header, LatentCode, LatentRule
from noisebook.diffusion.backend import AudibleBackend, Backend, BackendInfo, has_audible_residual, with_features
from noisebook.diffusion.denoisers import counted, over_timeline
from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import log_mel_l1_db
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook

_RUNGS = 32  # of the ladder of bitrates; nearly a quarter octave apart


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sound, ready to be coded."""

    header: Header  # of its stream, with the gain at which its samples are coded
    timeline: Timeline  # of its latents; a `Layout` where noise is chosen
    latent: torch.Tensor  # `[latents, C, L, F']`, which a decoder is to come near to
    image: StereoImage | None = None  # of a sound with the channel mode IMAGE
    sound: Sound | None = None  # the original, whose loudness the decode shall have; None leaves the gain as it is
    features: torch.Tensor | None = None  # `[latents, 1, T, bins]` float16, where what is audible of an error counts

    @property
    def layout(self) -> Layout:
        """The timeline of noise choices."""
        return cast(Layout, self.timeline)


def compress(
    sound: Sound, *, backend: Backend, options: EncodeOptions = EncodeOptions(), on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream of the sound, of the bitrate or the quality that is asked for.

    Args:
        on_step: called with (steps done, steps in all), or for a quality with (encodings done, the most there may be).

    Raises:
        AudioError: more than two channels.
        ConfigError: options that the sound or the model cannot have; for a quality that the highest bitrate misses it
            says by how much.
    """
    prepared = prepare(sound, options, backend)
    if options.target is not None:
        return _smallest(prepared, sound, *options.target, options, backend, on_step)
    return compress_towards(targets(prepared, options, backend), prepared, backend=backend, on_step=on_step)


def compress_towards(
    target_of: Callable[[int, int], Target], prepared: Prepared, *, backend: Backend, on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream that leads the diffusion to any target: `(start, end)` of a segment in latent frames -> what
    `encode_segment` aims at there."""
    payloads, decoded = _chosen(target_of, prepared, backend, on_step)
    return _packed(prepared, payloads, decoded, presets.image_bitrate(prepared.header, backend.info), backend)


def compress_with_codebook(
    sound: Sound,
    *,
    backend: Backend,
    codebook: LatentCodebook,
    options: CodebookOptions = CodebookOptions(),
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream of the sound's latent in the words of a codebook; `on_step` is called for each segment.

    Raises:
        AudioError: more than two channels.
        ConfigError: a bitrate for a codebook that has its own, or a rule that the codebook does not have.
        ModelError: the codebook was fitted for another model.
    """
    info, rule = backend.info, options.rule
    codebook.stages(rule)  # the errors
    codebook.check_fits(info)
    if options.bitrate is not None and codebook.config.method != "adaptive":
        raise ConfigError(
            f"a bitrate needs a codebook of method adaptive; this one, of {codebook.config.method}, has its own"
        )
    mode = _channel_mode(sound, options.channel_mode, info)
    bitrate = None if options.bitrate is None else presets.rate_of_latent(options.bitrate, mode)
    budget = None if bitrate is None else bitrate / info.frames_per_second
    code = LatentCode(LatentRule[rule.upper()], codebook.fingerprint[: container.CODEBOOK_BYTES])
    model, gain = info.fingerprint[: container.FINGERPRINT_BYTES], coding_gain_of(sound)
    header = Header(model, 0, sound.sample_rate, mode, sound.sample_count, gain, latent=code)
    samples, timeline = levelled(sound, gain, info.sample_rate), Timeline.of(header, info)
    prepared, payloads = _analysed(sound, samples, header, timeline, backend, audible=False), []
    for index, (start, end) in enumerate(timeline.segments(), start=1):
        codes = codebook.encode(prepared.latent[:, :, start:end], rule, bits_per_frame=budget)
        payloads.append(container.sized(write_codes(codes, codebook, rule)))
        if on_step is not None:
            on_step(index, timeline.segment_count)
    decode = segment_decoder(header, timeline, backend, codebook)
    decoded = torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)
    bitrate = 8 * sum(map(len, payloads)) * sound.sample_rate / sound.sample_count
    return _packed(prepared, payloads, decoded, presets.image_share(bitrate), backend)


def prepare(sound: Sound, options: EncodeOptions, backend: Backend) -> Prepared:
    """Header, latent and image of a sound; errors as of `compress`."""
    header, layout, samples = _laid_out(sound, options, backend.info)
    return _analysed(sound, samples, header, layout, backend, audible=options.search == "shaped")


def header_of(sound: Sound, options: EncodeOptions, info: BackendInfo) -> Header:
    """The header of the stream of a sound, with the gain at which its samples are coded; errors as of `compress`."""
    return _laid_out(sound, options, info)[0]


def target_latent(sound: Sound, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a sound and the header of its stream."""
    samples = levelled(sound, coding_gain_of(sound), backend.info.sample_rate)
    return analyse(samples, Timeline.of(header, backend.info), backend)


def _laid_out(sound: Sound, options: EncodeOptions, info: BackendInfo) -> tuple[Header, Layout, np.ndarray]:
    """Header and layout, and the samples `[channels, N']` at the model's rate and the header's gain."""
    mode = _channel_mode(sound, options.channel_mode, info)
    if options.tag is not None and options.tag not in info.tags:
        raise ConfigError(f"tag {options.tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    preset, gain = presets.by_name(str(options.preset or presets.DEFAULT)), coding_gain_of(sound)
    params = _explicit_params(options, preset, mode, info)
    header = Header(
        info.fingerprint[: container.FINGERPRINT_BYTES],
        0 if params else preset.wire_id,
        sound.sample_rate,
        mode,
        sound.sample_count,
        gain,
        seed=options.seed,
        tag=None if options.tag is None else 1 + info.tags.index(options.tag),
        params=params,
        progressive=options.progressive,
    )
    layout, samples = Layout.of_header(header, info), levelled(sound, gain, info.sample_rate)
    silence = silent_spans(samples, layout, BELOW_DB if options.variable_rate else DIGITAL_DB)
    return *with_pauses(header, layout, silence), samples


def _analysed(
    sound: Sound, samples: np.ndarray, header: Header, timeline: Timeline, backend: Backend, *, audible: bool
) -> Prepared:
    info = backend.info
    image = measure_image(samples, info.sample_rate) if header.channel_mode is ChannelMode.IMAGE else None
    if not (audible and has_audible_residual(backend)):
        return Prepared(header, timeline, analyse(samples, timeline, backend), image, sound)
    features = features_of(samples, timeline, backend)
    latent = segmentwise(backend.encode, features, timeline, reads=info.feature_frames, writes=1)
    return Prepared(header, timeline, latent, image, sound, features.half())


def _channel_mode(sound: Sound, wanted: ChannelMode | None, info: BackendInfo) -> ChannelMode:
    """How the channels are coded: as wanted, else mono as mono, and stereo as one channel with an image, as one where
    both are equal, or jointly by a model of stereo sound."""
    if sound.channels > 2:
        raise AudioError(f"{sound.channels} channels: mono and stereo can be coded; mix down first (--mono)")
    if wanted is not None:
        mode = wanted
    elif sound.channels == 1:
        mode = ChannelMode.MONO
    elif info.audio_channels > 1:
        mode = ChannelMode.JOINT
    else:
        equal = all(np.array_equal(left, right) for left, right in sound.blocks())
        mode = ChannelMode.EQUAL if equal else ChannelMode.IMAGE
    if mode.channels != sound.channels:
        raise ConfigError(
            f"channel mode {mode.name.lower()} codes {mode.channels} channels, the sound has {sound.channels}"
        )
    return mode


def _explicit_params(
    options: EncodeOptions, preset: presets.Preset, mode: ChannelMode, info: BackendInfo
) -> CodingParams | None:
    """Coding parameters where a preset's do not serve: for any bitrate or quality; for two channels, each of which has
    half of the file's bitrate; and for a priority in time, which asks for long units."""
    explicit, rate = options.params, options.bitrate
    if rate is None and options.quality != "balanced":
        rate = preset.bitrate
    elif rate is None and mode is ChannelMode.DUAL:
        rate = float(preset.name)
    if explicit is None and rate is not None:
        share = presets.rate_of_latent(rate, mode)
        if mode is ChannelMode.IMAGE and share > presets.HIGHEST:
            most = presets.HIGHEST + presets.MOST_IMAGE
            raise ConfigError(f"a bitrate of {rate:g} bit/s in stereo: {presets.LOWEST} to {most:g} are possible")
        explicit = presets.params_for(share, quality=options.quality, info=info)
    if not any(priority.timed for priority in options.priorities):
        return explicit
    params = explicit or (preset.stereo_params if mode is ChannelMode.IMAGE else preset.params)
    return replace(params, unit_frames=max(params.unit_frames, info.window_frames))


def _chosen(
    target_of: Callable[[int, int], Target], prepared: Prepared, backend: Backend, on_step: OnStep | None = None
) -> tuple[Sequence[bytes], torch.Tensor]:
    """The payloads, and the latent that a decoder has after its tail."""
    header, layout = prepared.header, prepared.layout
    tail = tail_after(layout.plan[-1].s, backend.info.schedule)
    calls = layout.segment_count * (layout.steps + len(tail))
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, calls)
    choices, latents = [], []
    for index, (start, end) in enumerate(layout.segments()):
        coder = SegmentCoder.of(layout, index, header.seed, backend)
        begin = coder.start_noise(backend.device)
        payload, latent = encode_segment(target_of(start, end), coder, denoise, tail, begin)
        choices.append(payload)
        latents.append(latent)
    return by_step(choices, layout) if layout.progressive else choices, torch.cat(latents, dim=2)


def _packed(
    prepared: Prepared, payloads: Sequence[bytes], decoded: torch.Tensor, image_rate: float, backend: Backend
) -> bytes:
    """The stream, with an image of so many bit/s."""
    header, images = prepared.header, tuple[bytes, ...]()
    if prepared.image is not None and header.channel_mode is ChannelMode.IMAGE:
        images = (image_payload(prepared.image, header, image_rate),)
    if prepared.sound is not None:
        header = matched_header(prepared.sound, header, decoded, images, backend)
    return container.pack(header, [*images, *payloads])


def matched_header(
    sound: Sound, header: Header, latent: torch.Tensor, images: Sequence[bytes], backend: Backend
) -> Header:
    """The header with the gain that gives a decode the loudness of the original (`matching_gain`).

    A decode is quieter by what the model leaves open: the tail ends near the mean of what may be meant, which has less
    energy than each, the more so the fewer bits (docs/studies.md). The gain in the header, by which a decoder divides,
    makes up for it. `latent` is the decoded one, `images` the payload of the image, where there is one.
    """
    message, unlevelled = container.unsized(images[0]) if images else None, replace(header, gain_half_db=0)

    def decoded() -> Iterator[np.ndarray]:
        blocks = rendered(latent, header, backend, message).blocks()
        return restored_blocks(blocks, backend.info.sample_rate, unlevelled)

    return replace(header, gain_half_db=matching_gain(sound, decoded, header.gain_half_db))


def targets(prepared: Prepared, options: EncodeOptions, backend: Backend) -> Callable[[int, int], Target]:
    """What `compress_towards` aims at, for the options' search and priorities.

    Raises:
        ConfigError: priorities that the model cannot have.
    """
    header, layout, latent, features = prepared.header, prepared.layout, prepared.latent, prepared.features
    denoise, info, weights = over_timeline(backend, tag=header.tag or 0), backend.info, None
    if options.priorities:
        weights = priority_weights(options.priorities, layout).to(latent.device)

    def target_of(start: int, end: int) -> Target:
        target: Target = latent[:, :, start:end]
        if options.search == "shaped":
            target = shaped(latent[:, :, start:end], denoise, info.schedule, layout.plan[-1].s or 0)
            if features is not None:
                wanted = features[:, :, start * info.feature_frames : end * info.feature_frames]
                target = audible(target, wanted.float().to(latent.device), cast(AudibleBackend, backend))
        return target if weights is None else weighted(target, weights[start:end])

    return target_of


def priority_weights(priorities: tuple[Priority, ...], timeline: Timeline) -> torch.Tensor:
    """How much the error of each latent frame and bin counts, `[L, F']` float32: the product of the priorities there.

    A bin stands for several mel bands; a priority counts by the share of them that it names.

    Raises:
        ConfigError: a band of a model without a mel.
    """
    info = timeline.info
    weights = torch.ones(timeline.frames, info.latent_bins)
    seconds = torch.arange(timeline.frames) / info.frames_per_second
    for priority in priorities:
        bins = torch.ones(info.latent_bins)
        if priority.banded:
            if info.features is not MEL_FEATURES:
                raise ConfigError(f"the latents of {info.name} have no bands to give priority to; give times")
            inside = (MEL_FEATURES.centres >= priority.low) & (MEL_FEATURES.centres < priority.high)
            bins = torch.from_numpy(inside).float().view(info.latent_bins, -1).mean(1)
        within = ((seconds >= priority.start) & (seconds < priority.end)).float()
        weights *= 1 + (priority.weight - 1) * within[:, None] * bins
    return weights


def _smallest(
    prepared: Prepared,
    sound: Sound,
    measure: str,
    target: float,
    options: EncodeOptions,
    backend: Backend,
    on_step: OnStep | None,
) -> bytes:
    """The smallest stream of a ladder of bitrates whose error is at most `target` dB, found by bisection.

    The error is that of what a decoder has before its vocoder, and falls as the bitrate rises.
    """
    info, error_of = backend.info, MEASURES[measure](prepared, backend)
    ladder = [presets.LOWEST * (presets.HIGHEST / presets.LOWEST) ** (i / (_RUNGS - 1)) for i in range(_RUNGS)]
    tried: dict[int, tuple[float, Prepared, Sequence[bytes], torch.Tensor]] = {}

    def error_at(rung: int) -> float:
        if rung not in tried:
            own = options.replaced(params=presets.params_for(ladder[rung], quality=options.quality, info=info))
            header, layout, _ = _laid_out(sound, own, info)
            at_rung = replace(prepared, header=header, timeline=layout)
            payloads, decoded = _chosen(targets(at_rung, own, backend), at_rung, backend)
            tried[rung] = error_of(decoded), at_rung, payloads, decoded
            if on_step is not None:
                on_step(len(tried), _RUNGS.bit_length() + 1)
        return tried[rung][0]

    if error_at(_RUNGS - 1) > target:
        raise ConfigError(
            f"a {measure} of {target:g} dB is out of reach: {ladder[-1]:.0f} bit/s give {error_at(_RUNGS - 1):.2f} dB, "
            f"and the autoencoder alone {error_of(prepared.latent):.2f} dB"
        )
    best = bisect_left(range(_RUNGS - 1), True, key=lambda rung: error_at(rung) <= target)
    _, at_best, payloads, decoded = tried[best]
    return _packed(at_best, payloads, decoded, presets.image_bitrate(at_best.header, info), backend)


Measure = Callable[[torch.Tensor], float]  # of a decoded latent


def _latent_error(prepared: Prepared, backend: Backend) -> Measure:
    """Squared error over energy of the latent, dB."""
    latent = prepared.latent
    return lambda decoded: float(10 * torch.log10((decoded - latent).square().mean() / latent.square().mean()))


def _mel_error(prepared: Prepared, backend: Backend) -> Measure:
    """Mean absolute error of the log-mel, dB."""
    model, timeline, sound = with_features(backend), prepared.timeline, cast(Sound, prepared.sound)
    samples = levelled(sound, prepared.header.gain_half_db, backend.info.sample_rate)
    mel = features_of(samples, timeline, model).cpu().numpy()

    def error(decoded: torch.Tensor) -> float:
        estimate = segmentwise(model.decode, decoded, timeline, reads=1, writes=timeline.info.feature_frames)
        return log_mel_l1_db(mel, estimate.cpu().numpy())

    return error


MEASURES: dict[str, Callable[[Prepared, Backend], Measure]] = {"mel-db": _mel_error, "nmse": _latent_error}
