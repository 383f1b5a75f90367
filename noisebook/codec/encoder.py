"""Sound to stream; `codec.decoder` is the way back.

    sound --prepare--> header, latent, image --reverse(noise chosen by target - x0_hat)--> choices --_packed--> stream
                                             --codes of a codebook-----------------------> codes ---'

All ways begin with `prepare` and end with the same packing: the image within its bits, the loudness of the original,
header and payloads. `compress` and `compress_to` choose noise, `compress_with_codebook` looks latents up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from noisebook.audio.features import MEL_FEATURES
from noisebook.audio.image import StereoImage, measure_image
from noisebook.audio.level import (
    BandPower,
    PeakGuard,
    apply_gain,
    coding_gain_of,
    high_passed,
    loudness_of,
    typical_change_db,
)
from noisebook.audio.waveform import Sound
from noisebook.codec.options import CodebookOptions, EncodeOptions, Priority
from noisebook.codec.presets import (
    DEFAULT,
    HIGHEST,
    LOWEST,
    MOST_IMAGE,
    Preset,
    by_name,
    image_bitrate,
    image_share,
    params_for,
    rate_of_latent,
)
from noisebook.codec.segment import SegmentCoder, Target, encode_segment, ended, tail_after
from noisebook.codec.signal import analyse, features_of, levelled, rendered, restored_blocks, segmentwise
from noisebook.codec.stereo import image_payload
from noisebook.codec.stream import of_stream
from noisebook.codec.timeline import BELOW_DB, DIGITAL_DB, Layout, Timeline, pauses_of
from noisebook.codec.vq import segment_decoder, write_codes
from noisebook.coding import container
from noisebook.coding.container import (
    CODEBOOK_BYTES,
    FINGERPRINT_BYTES,
    ChannelMode,
    CodingParams,
    Header,
    LatentCode,
    LatentRule,
)
from noisebook.diffusion.backend import Backend, BackendInfo, HearingBackend, with_features, with_hearing
from noisebook.diffusion.guidance import counted, over_timeline
from noisebook.diffusion.noise import gaussian_noise
from noisebook.diffusion.plan import Denoise, Step
from noisebook.diffusion.schedule import Schedule
from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import log_mel_l1_db
from noisebook.options import OnStep
from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["MEASURES", "Prepared", "compress", "compress_to", "compress_towards", "compress_with_codebook",
           "header_of", "header_with", "matched_header", "prepare", "priority_weights", "shaped", "target_latent",
           "targets"]  # fmt: skip

_SHARE = 0.9  # of `shaped`; measured: flat from 0.7 to 1
_AUDIBLE_SNR = 4.0  # from which on `audible` counts (docs/training.md)
_SNR_MARGIN = 3.0  # of where the denoiser looks, over the ratio at which the bits end; measured, flat from 1 to 3
_RUNGS = 32  # of the ladder of bitrates; nearly a quarter octave apart
_GATE = -70.0  # LUFS: what is below counts as that
_LEAST_GAIN, _MOST_GAIN = -128, 127  # half dB
_BEYOND_TYPICAL = 3.0  # dB
_NEAR, _MOST_ADDED = 0.5, 12  # LU; half dB that are added for what the peak guard takes


Aim = Callable[[Step, torch.Tensor], torch.Tensor]  # (step, x0_hat) -> target, all shaped as the latent


@dataclass(frozen=True, eq=False)
class Prepared:
    """A sound, ready to be coded.

    Attributes:
        sound: the original.
        header: of its stream, with the gain at which its samples were coded.
        latent: `[latents, C, L, F']`, which a decoder is to come near to.
        image: of a sound with the channel mode IMAGE.
        features: `[latents, 1, T, bins]` float16, where the encoder listens to what it decodes.
    """

    sound: Sound
    header: Header
    latent: torch.Tensor
    image: StereoImage | None
    features: torch.Tensor | None = None


def compress(
    sound: Sound, *, backend: Backend, options: EncodeOptions = EncodeOptions(), on_step: OnStep | None = None
) -> bytes:
    """A .ddcm stream of the sound, of the bitrate or the quality that is asked for.

    Raises:
        AudioError: more than two channels.
        ConfigError: options that the sound or the model cannot have.
    """
    if options.target is not None:
        return compress_to(sound, *options.target, backend=backend, options=options, on_step=on_step)
    prepared = prepare(sound, options, backend)
    target_of = targets(prepared.latent, prepared.header, options, backend, prepared.features)
    return compress_towards(
        target_of, prepared.header, backend=backend, image=prepared.image, sound=sound, on_step=on_step
    )


def compress_to(
    sound: Sound,
    measure: str,
    target: float,
    *,
    backend: Backend,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
) -> bytes:
    """The smallest stream of a ladder of bitrates whose error is at most `target`, found by bisection.

    The error is that of what a decoder has before its vocoder, and falls as the bitrate rises.

    Args:
        measure: a key of `MEASURES`.
        target: dB.
        options: of `compress`; those that ask for a bitrate or a quality do not count.
        on_step: called with (encodings done, the most that there may be).

    Raises:
        AudioError: more than two channels.
        ConfigError: an unknown measure, a target that the highest bitrate misses (says by how much), or a model without
            a mel where it is needed.
    """
    if measure not in MEASURES:
        raise ConfigError(f"measure {measure!r}: {', '.join(MEASURES)} are possible")
    info = backend.info
    ladder = [LOWEST * (HIGHEST / LOWEST) ** (i / (_RUNGS - 1)) for i in range(_RUNGS)]
    plain = options.replaced(preset=None, bitrate=None, quality="balanced")
    prepared = prepare(sound, plain, backend)
    error_of = MEASURES[measure](prepared, backend)
    tried: dict[int, tuple[float, Header, list[bytes], torch.Tensor]] = {}

    def attempt(rung: int) -> float:
        if rung not in tried:
            own = replace(plain, params=params_for(ladder[rung], quality=options.quality, info=info))
            header = header_of(sound, own, info)
            target_of = targets(prepared.latent, header, own, backend, prepared.features)
            choices, decoded = _choose(target_of, header, backend, tail=True)
            tried[rung] = error_of(decoded), header, choices, decoded
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
    _, header, choices, decoded = tried[high]
    return _packed(header, choices, decoded, sound, prepared.image, image_bitrate(header, info), backend)


def compress_towards(
    target_of: Callable[[int, int], Target],
    header: Header,
    *,
    backend: Backend,
    image: StereoImage | None = None,
    sound: Sound | None = None,
    on_step: OnStep | None = None,
) -> bytes:
    """A .ddcm stream that leads the diffusion to any target: `compress` behind the autoencoder.

    Args:
        target_of: `(start, end)` of a segment in latent frames -> what `encode_segment` aims at there.
        header: as from `header_of`.
        backend: the model.
        image: of a sound with the channel mode IMAGE.
        sound: the original, whose loudness the decode shall have; None leaves the gain as it is.
        on_step: called with (steps done, steps in all).
    """
    choices, decoded = _choose(target_of, header, backend, tail=sound is not None, on_step=on_step)
    return _packed(header, choices, decoded, sound, image, image_bitrate(header, backend.info), backend)


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
    budget = None if options.bitrate is None else rate_of_latent(options.bitrate, mode) / info.frames_per_second
    code, gain = LatentCode(LatentRule[rule.upper()], codebook.fingerprint[:CODEBOOK_BYTES]), coding_gain_of(sound)
    header = header_with(sound.sample_rate, sound.sample_count, mode, info, gain_half_db=gain, latent=code)
    prepared = _prepared(sound, header, levelled(sound, gain, info.sample_rate), backend)
    timeline, payloads = Timeline.of(header, info), []
    for index, (start, end) in enumerate(timeline.segments(), start=1):
        codes = codebook.encode(prepared.latent[:, :, start:end], rule, bits_per_frame=budget)
        payloads.append(container.sized(write_codes(codes, codebook, rule)))
        if on_step is not None:
            on_step(index, timeline.segment_count)
    decode = segment_decoder(header, timeline, backend, codebook)
    decoded = torch.cat([decode(payload, index) for index, payload in enumerate(payloads)], dim=2)
    bitrate = 8 * sum(map(len, payloads)) * sound.sample_rate / sound.sample_count
    return _packed(header, payloads, decoded, sound, prepared.image, image_share(bitrate), backend)


def prepare(sound: Sound, options: EncodeOptions, backend: Backend) -> Prepared:
    """Header, latent and image of a sound; errors as of `compress`."""
    header, samples = _heard(sound, options, backend.info)
    return _prepared(sound, header, samples, backend, listens=options.search == "shaped")


def header_of(sound: Sound, options: EncodeOptions, info: BackendInfo) -> Header:
    """The header of the stream of a sound, with the gain at which its samples are coded; errors as of `compress`."""
    return _heard(sound, options, info)[0]


def _heard(sound: Sound, options: EncodeOptions, info: BackendInfo) -> tuple[Header, np.ndarray]:
    """The header, and the samples `[channels, N']` at the model's rate and the header's gain."""
    mode = _channel_mode(sound, options.channel_mode, info)
    if options.tag is not None and options.tag not in info.tags:
        raise ConfigError(f"tag {options.tag!r}: {info.name} knows {', '.join(info.tags) or 'none'}")
    preset = by_name(str(options.preset or DEFAULT))
    params, gain = _explicit_params(options, preset, mode, info), coding_gain_of(sound)
    samples = levelled(sound, gain, info.sample_rate)
    header = header_with(
        sound.sample_rate,
        sound.sample_count,
        mode,
        info,
        gain_half_db=gain,
        preset=0 if params else preset.wire_id,
        seed=options.seed,
        tag=None if options.tag is None else 1 + info.tags.index(options.tag),
        params=params,
        progressive=options.progressive,
    )
    layout, below = Layout.of_header(header, info), BELOW_DB if options.variable_rate else DIGITAL_DB
    return replace(header, pauses=pauses_of(samples, header, layout, below_db=below)), samples


def _prepared(
    sound: Sound, header: Header, samples: np.ndarray, backend: Backend, *, listens: bool = False
) -> Prepared:
    info, timeline = backend.info, Timeline.of(header, backend.info)
    image = measure_image(samples, info.sample_rate) if header.channel_mode is ChannelMode.IMAGE else None
    model = with_hearing(backend) if listens else None
    if model is None:
        return Prepared(sound, header, analyse(samples, timeline, backend), image)
    features = features_of(samples, timeline, model)
    latent = segmentwise(model.encode, features, timeline, reads=info.feature_frames, writes=1)
    return Prepared(sound, header, latent, image, features.half())


def header_with(
    sample_rate: int, sample_count: int, mode: ChannelMode, info: BackendInfo, *, preset: int = 0, **coding: Any
) -> Header:
    """The header of a sound's stream for a model; `coding` are its fields on how the sound is coded."""
    return Header(
        info.fingerprint[:FINGERPRINT_BYTES],
        preset=preset,
        sample_rate=sample_rate,
        channel_mode=mode,
        sample_count=sample_count,
        **coding,
    )


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
    options: EncodeOptions, preset: Preset, mode: ChannelMode, info: BackendInfo
) -> CodingParams | None:
    """Coding parameters where a preset's do not serve: for any bitrate or quality; for two channels, each of which has
    half of the file's bitrate; and for a priority in time, which asks for long units."""
    explicit, rate = options.params, options.bitrate
    if rate is None and options.quality != "balanced":
        rate = preset.bitrate
    elif rate is None and mode is ChannelMode.DUAL:
        rate = float(preset.name)
    if explicit is None and rate is not None:
        share = rate_of_latent(rate, mode)
        if mode is ChannelMode.IMAGE and share > HIGHEST:
            most = HIGHEST + MOST_IMAGE
            raise ConfigError(f"a bitrate of {rate:g} bit/s in stereo: {LOWEST} to {most:g} are possible")
        explicit = params_for(share, quality=options.quality, info=info)
    if not any(priority.timed for priority in options.priorities):
        return explicit
    params = explicit or (preset.stereo_params if mode is ChannelMode.IMAGE else preset.params)
    return replace(params, unit_frames=max(params.unit_frames, info.window_frames))


def target_latent(sound: Sound, header: Header, *, backend: Backend) -> torch.Tensor:
    """The latent `[channels, C, L, F']` that an encoder aims at, for a sound and the header of its stream."""
    samples = levelled(sound, coding_gain_of(sound), backend.info.sample_rate)
    return analyse(samples, Timeline.of(header, backend.info), backend)


def targets(
    latent: torch.Tensor,
    header: Header,
    options: EncodeOptions,
    backend: Backend,
    features: torch.Tensor | None = None,
) -> Callable[[int, int], Target]:
    """What `compress_towards` aims at, for a latent `[channels, C, L, F']` and the options' search and priorities.

    With features `[channels, 1, T, bins]` of a model that has an audible residual, the search `shaped` minds them.

    Raises:
        ConfigError: priorities that the model cannot have.
    """
    layout, denoise, weights = Layout.of_header(header, backend.info), over_timeline(backend, tag=header.tag or 0), None
    model, schedule = with_hearing(backend), backend.info.schedule
    if options.priorities:
        weights = priority_weights(options.priorities, layout).to(latent.device)

    def target_of(start: int, end: int) -> Target:
        part, aim = latent[:, :, start:end], None
        if options.search != "none":
            aim = shaped(part, denoise, schedule, layout.plan[-1].s or 0)
            if model is not None and features is not None:
                of_segment = slice(*(frame * backend.info.feature_frames for frame in (start, end)))
                aim = audible(aim, features[:, :, of_segment].float().to(latent.device), model, schedule)
        if weights is None:
            return part if aim is None else aim
        heard = weights[start:end]

        def weighted(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
            return x0_hat + heard * ((part if aim is None else aim(step, x0_hat)) - x0_hat)

        return weighted

    return target_of


def shaped(latent: torch.Tensor, denoise: Denoise, schedule: Schedule, last: int, *, share: float = _SHARE) -> Aim:
    """A target whose residual is in part the latent's, and to `share` what the denoiser sees of it.

    With one noise n for all steps and `D(u) = denoise(sqrt(alpha) u + sqrt(1 - alpha) n)`, the residual is
    `(1 - share) (latent - x0_hat) + share (D(latent) - D(x0_hat))`. Of a Gaussian source D is a Wiener filter: it
    takes away what lies below its noise, where the bits of a stream do not reach (reverse water-filling, Cover &
    Thomas 2006, 10.3). Its noise is a little below that at which the bits end. One more call of the denoiser a step.

    Args:
        latent: `[channels, C, L, F']`.
        denoise: of its timeline.
        schedule: of the denoiser.
        last: timestep at which the coded steps end.
        share: 0 to 1.
    """
    wanted = _SNR_MARGIN * schedule.snr(last)
    t = next((t for t in range(last, 0, -1) if schedule.snr(t) >= wanted), 0)
    noise = gaussian_noise(latent.shape, seed=0, step=0, device=latent.device)

    def seen(x: torch.Tensor) -> torch.Tensor:
        return denoise(schedule.add_noise(x, noise, t), t)

    goal = seen(latent)

    def aim(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        return x0_hat + (1 - share) * (latent - x0_hat) + share * (goal - seen(x0_hat))

    return aim


def audible(aim: Aim, features: torch.Tensor, model: HearingBackend, schedule: Schedule) -> Aim:
    """The aim with its residual moved towards what is heard of the error: to the residual is added, as long as it is,
    the gradient of the error of the decoded features. The first steps leave out too much of a sound for its features
    to mean anything; there the aim stays.

    Args:
        aim: to begin with.
        features: `[channels, 1, T, bins]`, of the segment.
        model: that decodes them.
        schedule: of the denoiser.
    """

    residual_of = model.audible_residual(features)

    def aim_by_ear(step: Step, x0_hat: torch.Tensor) -> torch.Tensor:
        plain = aim(step, x0_hat)
        if schedule.snr(step.t) < _AUDIBLE_SNR:
            return plain
        residual = residual_of(x0_hat)
        return plain + (plain - x0_hat).norm() / residual.norm().clamp_min(1e-9) * residual

    return aim_by_ear


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


def _choose(
    target_of: Callable[[int, int], Target],
    header: Header,
    backend: Backend,
    *,
    tail: bool,
    on_step: OnStep | None = None,
) -> tuple[list[bytes], torch.Tensor]:
    """The payloads; and the latent that a decoder has after the choices in them, with `tail` after its tail."""
    info, layout = backend.info, Layout.of_header(header, backend.info)
    after = tail_after(layout.plan[-1].s, info.schedule) if tail else ()
    calls = layout.segment_count * (layout.steps + len(after))
    denoise = counted(over_timeline(backend, tag=header.tag or 0), on_step, calls)
    choices, latents = [], []
    for index, (start, end) in enumerate(layout.segments()):
        coder = SegmentCoder.of(layout, index, header.seed, backend)
        payload, x = encode_segment(target_of(start, end), coder, denoise, coder.start_noise(backend.device))
        choices.append(payload)
        latents.append(ended(x, coder, denoise, after))
    return list(of_stream(choices, layout)), torch.cat(latents, dim=2)


def _packed(
    header: Header,
    payloads: Sequence[bytes],
    decoded: torch.Tensor,
    sound: Sound | None,
    image: StereoImage | None,
    image_rate: float,
    backend: Backend,
) -> bytes:
    """The stream, with an image of so many bit/s; the decode is as loud as the sound, where that is given."""
    images = image_payload(image, header, image_rate)
    if sound is not None:
        header = matched_header(sound, header, decoded, images, backend)
    return container.pack(header, [*images, *payloads])


def matched_header(
    sound: Sound, header: Header, latent: torch.Tensor, images: tuple[bytes, ...], backend: Backend
) -> Header:
    """The header with the gain that gives a decode the loudness (ITU-R BS.1770-4) of the original.

    A decode is quieter by what the model leaves open: the tail ends near the mean of what may be meant, which has less
    energy than each, the more so the fewer bits (docs/studies.md). The gain in the header, by which a decoder divides,
    makes up for it. A sound that was clipped peaks higher when it is decoded, and the peak guard takes some of its
    loudness; so much is added as brings what the guard leaves within half a unit. What lost its loudest bands alone is
    not lifted to their loudness, which would lift all others too: the gain stays within 3 dB of the typical band's.

    Args:
        sound: the original.
        header: with the gain that was applied to it.
        latent: decoded, `[channels, C, L, F']`.
        images: the payload of the image, where there is one.
    """
    gain, rate, unlevelled = header.gain_half_db, sound.sample_rate, replace(header, gain_half_db=0)
    message, peak = container.unsized(images[0]) if images else None, 0.0

    def decoded() -> Iterator[np.ndarray]:
        nonlocal peak
        blocks = rendered(latent, header, backend, message).blocks()
        for block in restored_blocks(blocks, backend.info.sample_rate, unlevelled):
            peak = max(peak, float(np.abs(block).max(initial=0)))
            yield block

    original, found_bands = BandPower(rate), BandPower(rate)
    gained = (apply_gain(block, gain) for block in high_passed(sound).blocks())
    wanted = max(_GATE, loudness_of(original.of(gained), rate))
    if wanted == _GATE and not any(block.any() for block in sound.blocks()):
        return replace(header, gain_half_db=_MOST_GAIN)  # digital silence, of which no decode may make a noise
    change = max(_GATE, loudness_of(found_bands.of(decoded()), rate)) - wanted
    change = max(change, typical_change_db(original.bands, found_bands.bands) - _BEYOND_TYPICAL)
    written = max(_LEAST_GAIN, min(_MOST_GAIN, gain + round(2 * change)))
    if peak > 10 ** (written / 40) and all(np.abs(block).max() <= 1 for block in sound.blocks()):

        def is_near(half_db: int) -> bool:
            """Whether the decode is as loud as the sound behind the peak guard."""
            held = PeakGuard(rate).blocks(apply_gain(block, -half_db) for block in decoded())
            return wanted - gain / 2 - loudness_of(held, rate) <= _NEAR

        steps = [max(_LEAST_GAIN, written - step) for step in range(_MOST_ADDED + 1)]
        written = steps[bisect_left(steps[:-1], True, key=is_near)]
    return replace(header, gain_half_db=written)


Measure = Callable[[torch.Tensor], float]  # of a decoded latent


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
