"""Sound to stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, as_sound, checked
from noisebook.api.codebooks import codebook_of
from noisebook.audio.waveform import Sound
from noisebook.codec.options import AUTO, CodebookOptions, EncodeOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.diffusion.backend import Backend
    from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["compress", "compress_with_codebook"]


@checked
def compress(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> bytes:
    """Compress a sound into the bytes of a .ddcm stream.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword: `preset="300"`, `bitrate=500`.
        on_step: called with (steps done, steps in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
    """
    from noisebook.codec import encoder, targeting

    sound = _mixed(as_sound(waveform, sample_rate), options.channels)
    if options.preset == AUTO:
        from noisebook.api.recommend import auto_preset

        options = options.replaced(preset=auto_preset(sound)[0])
    if options.target is None:
        return encoder.compress(sound, backend=backend, options=options, on_step=on_step)
    return targeting.compress_to(sound, *options.target, backend=backend, options=options, on_step=on_step).data


@checked
def compress_with_codebook(
    waveform: Sound | ArrayLike,
    *,
    backend: Backend,
    codebook: LatentCodebook | Path | str,
    sample_rate: int | None = None,
    options: CodebookOptions = CodebookOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> bytes:
    """Compress a sound into a .ddcm stream that holds its latent in the words of a codebook.

    Args:
        waveform: a `Waveform` or `Recording`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        backend: from `load_backend`.
        codebook: fitted for that model: the name of one inside the package, a file, or from `load_codebook`. The
            decoder needs it too.
        options: what may be chosen; each can also be given as a keyword.
        on_step: called with (segments done, segments in all).

    Raises:
        AudioError: the sound cannot be coded.
        ConfigError: an option outside its range, or one that the codebook does not have.
        ModelError: no such codebook, or one of another model.
    """
    from noisebook.codec import vq

    book = codebook_of(codebook)
    sound = _mixed(as_sound(waveform, sample_rate), options.channels)
    return vq.compress(sound, backend=backend, codebook=book, options=options, on_step=on_step)


def _mixed(sound: Sound, channels: str) -> Sound:
    """The sound to be coded, mixed down where that is asked for."""
    if channels != "mono":
        return sound
    from noisebook.audio.waveform import downmix

    return downmix(sound)
