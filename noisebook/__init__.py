"""noisebook: compress, transform and generate audio with Denoising Diffusion Codebook Models.

    import noisebook

    backend = noisebook.load_backend()                  # the model inside the package
    stream = noisebook.compress(waveform, sample_rate=44100, backend=backend, preset="300")
    sound = noisebook.decompress(stream, backend=backend)  # .samples [C, N] float32, .sample_rate

`reconstruct`, `transform`, `generate`, `restore` and `fit_codebook` work alike.

Importing the package is cheap: torch is loaded by the first call that needs it.
"""

from noisebook._version import __version__
from noisebook.api import (
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
    compress_with_codebook,
    decompress,
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
from noisebook.errors import Error

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
    "compress_with_codebook",
    "decompress",
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
