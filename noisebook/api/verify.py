"""A sound beside its reference: metrics, controls, ceilings and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from noisebook.api.arguments import as_waveform, checked
from noisebook.api.codec import decompress
from noisebook.audio.resample import resample
from noisebook.audio.waveform import downmix
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import HIGHEST, LOWEST, params_for, params_of
from noisebook.codec.stream import by_step
from noisebook.codec.timeline import Layout
from noisebook.coding.container import pack, parse_header
from noisebook.errors import ConfigError
from noisebook.options import OnStep

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.audio.waveform import Waveform
    from noisebook.coding.container import Header
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook
    from noisebook.verification.sets import SetComparison
    from noisebook.verification.sounds import Verification

_DEFAULT_BITRATE = 300.0  # bit/s, of random indices beside a sound that is no stream


@checked
def verify(
    reference: Waveform | ArrayLike,
    estimate: Waveform | ArrayLike | bytes,
    *,
    sample_rate: int | None = None,
    estimate_rate: int | None = None,
    backend: Backend | None = None,
    codebook: LatentCodebook | Path | str | None = None,
    lag: int | None = None,
    metrics: Sequence[str] | None = None,
    controls: bool = True,
    ceilings: bool = True,
    on_step: OnStep | None = None,
) -> Verification:
    """Whether an estimate is related to its reference, with every metric beside what unrelated sounds get.

    Both are compared mono, in what they have in common: by metrics at 48 kHz where one has more than 16, by verdict and
    composite scores at 16 kHz; of stereo also left and right. The verdict needs no model and no extra.

    Args:
        reference, codebook: as the waveform of `compress`, and of `decompress`.
        estimate: likewise, with `estimate_rate` where it has another rate; or a stream, which the backend decodes.
        backend: brings two ceilings (autoencoder, vocoder) and a control, the sound of random indices at the stream's
            rate, or at 300 bit/s.
        lag: samples at 16 kHz by which the estimate is late; None takes 0 for a stream, and else 0 or the lag of the
            largest cross-correlation, whichever brings the log-mels nearer.
        metrics: names; None takes all that can run here, those for speech only if the reference sounds like it.
        controls, ceilings: whether metrics are shown with controls, and with what the backend brings; the
            verdict always has its own controls.
        on_step: called with (sounds judged, sounds in all).

    Raises:
        ConfigError: a stream without a backend, or an option outside its range.
        StreamError: a stream that cannot be decoded.
        AudioError, MissingExtra: as `metrics.evaluate`.
    """
    from noisebook.verification.sounds import verify_sounds

    sound = as_waveform(reference, sample_rate)
    stream = estimate if isinstance(estimate, bytes) else None
    if stream is not None:
        if backend is None:
            raise ConfigError("a stream needs a backend to be decoded: give one from load_backend")
        other = decompress(stream, backend=backend, codebook=codebook)
        lag = 0 if lag is None else lag
    else:
        other = as_waveform(estimate, sample_rate if estimate_rate is None else estimate_rate)
    model, mono = backend if ceilings and controls else None, downmix(sound)
    return verify_sounds(
        sound,
        other,
        lag=lag,
        metrics=metrics,
        controls=controls,
        further_controls={"random indices": _of_random_indices(mono, stream, model)} if model else None,
        ceilings=_ceilings(mono, model) if model else None,
        on_step=on_step,
    )


@checked
def random_stream(header: Header, info: BackendInfo, *, seed: int = 0) -> bytes:
    """A stream of that header whose choices of noise are random: what the bits of a real one are worth."""
    rng, layout = np.random.default_rng(seed), Layout.of_header(header, info)
    bits = (layout.steps * layout.segment_bits(index) for index in range(layout.segment_count))
    choices = [np.packbits(rng.integers(0, 2, count, dtype=np.uint8)).tobytes() for count in bits]
    return pack(header, by_step(choices, layout) if layout.progressive else choices)


def _of_random_indices(mono: Waveform, stream: bytes | None, backend: Backend) -> Waveform:
    """A decode of random choices, with the coding parameters of a stream, or those nearest to its bitrate."""
    from noisebook.codec.encoder import header_of

    params = params_for(_DEFAULT_BITRATE)
    if stream is not None:
        header = parse_header(stream)[0]
        bitrate = 8 * len(stream) / (header.sample_count / header.sample_rate) / header.channel_mode.latents
        params = params_for(min(HIGHEST, max(LOWEST, bitrate))) if header.latent else params_of(header)
    header = header_of(mono, EncodeOptions(params=params), backend.info)
    return decompress(random_stream(header, backend.info), backend=backend)


def _ceilings(mono: Waveform, backend: Backend) -> dict[str, Waveform]:
    """The sound through the autoencoder without bits; and, where a vocoder follows it, through that alone."""
    from noisebook.diffusion.backend import with_features
    from noisebook.synthesis.sound import from_latent, to_latent, vocoded

    ceilings = {"autoencoder": from_latent(*to_latent(mono, backend=backend), backend=backend)}
    if backend.info.features:
        ceilings["vocoder"] = vocoded(mono, with_features(backend))
    return ceilings


@checked
def verify_sets(references: Iterable[Waveform], estimates: Iterable[Waveform], *, seed: int = 0) -> SetComparison:
    """How far two sets of sounds are apart, mixed down and at 16 kHz: Frechet and kernel distances, with controls.

    Raises:
        ConfigError: fewer than four references or two estimates.
    """
    from noisebook.verification.sets import compare_sets
    from noisebook.verification.similarity import SAMPLE_RATE

    ours, theirs = (
        [resample(downmix(sound), SAMPLE_RATE).samples[0] for sound in sounds] for sounds in (references, estimates)
    )
    return compare_sets(ours, theirs, seed=seed)
