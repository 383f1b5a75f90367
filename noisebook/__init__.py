"""noisebook: compress, transform and generate audio with Denoising Diffusion Codebook Models.

    import noisebook

    backend = noisebook.load_backend()                  # the model inside the package
    stream = noisebook.compress(waveform, sample_rate=44100, backend=backend, preset="300")
    sound = noisebook.decompress(stream, backend=backend)  # .samples [C, N] float32, .sample_rate
    noisebook.compress_file("song.mp3", "song.ddcm", preset="300")  # the same from file to file

`reconstruct`, `transform`, `generate`, `restore` and `fit_codebook` work alike.

Importing the package is cheap: what is asked for is loaded then (PEP 562), and torch by the first call that needs it.
"""

import importlib as _importlib
import typing as _typing

from noisebook._version import __version__
from noisebook.errors import Error

if _typing.TYPE_CHECKING:
    from noisebook.api import (  # type: ignore[no-redef]  # two functions have the names of their modules
        CodebookOptions,
        DamageOptions,
        DecodeOptions,
        EncodeOptions,
        FitOptions,
        GenerateOptions,
        GenerateStreamOptions,
        ModelOptions,
        Priority,
        ReconstructOptions,
        RestoreOptions,
        StreamInfo,
        TransformOptions,
        Waveform,
        compress,
        compress_file,
        compress_with_codebook,
        decompress,
        decompress_file,
        find_model,
        fit_codebook,
        generate,
        generate_stream,
        load_backend,
        load_codebook,
        play,
        read_info,
        recommend,
        reconstruct,
        restore,
        restore_stream,
        transform,
        verify,
    )

__all__ = [
    "CodebookOptions",
    "DamageOptions",
    "DecodeOptions",
    "EncodeOptions",
    "Error",
    "FitOptions",
    "GenerateOptions",
    "GenerateStreamOptions",
    "ModelOptions",
    "Priority",
    "ReconstructOptions",
    "RestoreOptions",
    "StreamInfo",
    "TransformOptions",
    "Waveform",
    "__version__",
    "compress",
    "compress_file",
    "compress_with_codebook",
    "decompress",
    "decompress_file",
    "find_model",
    "fit_codebook",
    "generate",
    "generate_stream",
    "load_backend",
    "load_codebook",
    "play",
    "read_info",
    "recommend",
    "reconstruct",
    "restore",
    "restore_stream",
    "transform",
    "verify",
]


def __getattr__(name: str) -> _typing.Any:
    """What the facade has, and the parts of the package that it loads."""
    api = _importlib.import_module("noisebook.api")
    if name in __all__:
        globals()[name] = getattr(api, name)
    if name not in globals():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
