"""From file to file: a sound to a stream and back, in memory that does not grow with its length."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, checked
from noisebook.api.codec import compress
from noisebook.api.decoding import DecodeOptions, decompress_to_blocks
from noisebook.api.models import load_backend
from noisebook.codec.options import EncodeOptions
from noisebook.errors import AudioError

if TYPE_CHECKING:
    from noisebook.diffusion.backend import Backend

__all__ = ["compress_file", "decompress_file"]


@checked
def compress_file(
    source: Path | str,
    target: Path | str | None = None,
    *,
    backend: Backend | None = None,
    overwrite: bool = False,
    options: EncodeOptions = EncodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Path:
    """Compress a sound file, and write its .ddcm stream whole or not at all.

    Args:
        source: any file that libsndfile reads, or ffmpeg where that is installed.
        target: the stream; by default beside the source, with the suffix .ddcm.
        backend: from `load_backend`; None: the model inside the package, loaded for this call.
        overwrite: whether an existing target is replaced.
        options, on_step: as of `compress`.

    Returns:
        Where the stream is.

    Raises:
        AudioError: a sound that cannot be read or coded, or a target that exists or cannot be written.
        ConfigError: an option outside its range, or a quality that no bitrate reaches.
    """
    from noisebook.audio import io

    path = _target(source, target, ".ddcm", overwrite)
    with io.Recording(source) as sound:
        data = compress(sound, backend=backend or load_backend(), options=options, on_step=on_step)
    io.write_bytes_atomic(path, data, overwrite=overwrite)
    return path


@checked
def decompress_file(
    source: Path | str,
    target: Path | str | None = None,
    *,
    backend: Backend | None = None,
    bits: str | None = None,
    overwrite: bool = False,
    options: DecodeOptions = DecodeOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Path:
    """Turn the file of a .ddcm stream back into a sound file, written whole or not at all.

    Args:
        source: the stream.
        target: the sound, in the format of its suffix; by default beside the stream, with the suffix .wav.
        backend: the model it was made with; None: the one that `find_model` finds, loaded for this call.
        bits: of a sample, "16" (the default), "24" or "float", which keeps what is beyond full scale.
        overwrite: whether an existing target is replaced.
        options, on_step: as of `decompress`.

    Returns:
        Where the sound is.

    Raises:
        StreamError: the file is not a whole, undamaged stream of this model.
        AudioError: a file that cannot be read, a target that exists or cannot be written, or a format that cannot hold
            the sound.
        ConfigError, ModelError: as `decompress`.
    """
    from noisebook.audio import io
    from noisebook.audio.formats import WRITABLE, encode_blocks, subtype_of

    path = _target(source, target, ".wav", overwrite)
    suffix = path.suffix.lower()
    if suffix not in WRITABLE:
        raise AudioError(f"cannot write {path}: its suffix is none of {' '.join(WRITABLE)}")
    subtype = subtype_of(suffix, bits)
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        raise AudioError(f"cannot read {source}: {error.strerror}") from error
    options = options.replaced(peak_guard=options.peak_guard and bits != "float")
    sound = decompress_to_blocks(data, backend=backend, options=options, on_step=on_step)
    blocks, shape = (block.samples for block in sound.blocks), (sound.channels, sound.sample_count)
    io.write_atomic(
        path,
        lambda file: encode_blocks(file, blocks, shape, sound.sample_rate, WRITABLE[suffix][0], subtype),
        overwrite=overwrite,
    )
    return path


def _target(source: Path | str, target: Path | str | None, suffix: str, overwrite: bool) -> Path:
    """Where the result goes; refused before the work begins."""
    path = Path(source).with_suffix(suffix) if target is None else Path(target)
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise AudioError(f"{path} is the input itself: name another target")
    if path.is_file() and not overwrite:
        raise AudioError(f"{path} exists already: name another target, or give overwrite=True")
    if not path.parent.is_dir():
        raise AudioError(f"cannot write {path}: there is no folder {path.parent}; create it first")
    return path
