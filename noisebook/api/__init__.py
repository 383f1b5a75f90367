"""The facade: arrays and bytes in, bytes and arrays out."""

from noisebook.api.arguments import as_waveform
from noisebook.api.calibrate import calibrate, store_calibration
from noisebook.api.codebooks import (
    codebook_by_fingerprint,
    codebook_info,
    codebook_names,
    codebook_record,
    fit_codebook,
    fit_doubt,
    load_codebook,
)
from noisebook.api.codec import compress, compress_with_codebook
from noisebook.api.decoding import Decoding, decompress, decompress_to_blocks, play
from noisebook.api.generate import GeneratedSound, GeneratedStream, generate, generate_stream, unknown_words
from noisebook.api.models import EMBEDDED, ModelOptions, find_model, install_model, load_backend, model_info
from noisebook.api.recommend import (
    Recommendation,
    auto_preset,
    recommend,
    recommendation_needs,
    recommendation_rules,
)
from noisebook.api.reconstruct import reconstruct, reconstruction_preset, reconstruction_presets
from noisebook.api.restore import RestoredSound, RestoredStream, restore, restore_stream, within_full_scale
from noisebook.api.stream_info import StreamInfo, read_info
from noisebook.api.transform import transform
from noisebook.api.verify import random_stream, verify, verify_sets
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import CodebookOptions, EncodeOptions, Priority
from noisebook.synthesis.options import (
    DamageOptions,
    GenerateOptions,
    GenerateStreamOptions,
    ReconstructOptions,
    RestoreOptions,
    TransformOptions,
)

__all__ = [
    "EMBEDDED",
    "CodebookOptions",
    "DamageOptions",
    "Decoding",
    "EncodeOptions",
    "GenerateOptions",
    "GenerateStreamOptions",
    "GeneratedSound",
    "GeneratedStream",
    "ModelOptions",
    "Priority",
    "Recommendation",
    "ReconstructOptions",
    "RestoreOptions",
    "RestoredSound",
    "RestoredStream",
    "StreamInfo",
    "TransformOptions",
    "Waveform",
    "as_waveform",
    "auto_preset",
    "calibrate",
    "codebook_by_fingerprint",
    "codebook_info",
    "codebook_names",
    "codebook_record",
    "compress",
    "compress_with_codebook",
    "decompress",
    "decompress_to_blocks",
    "find_model",
    "fit_codebook",
    "fit_doubt",
    "generate",
    "generate_stream",
    "install_model",
    "load_backend",
    "load_codebook",
    "model_info",
    "play",
    "random_stream",
    "read_info",
    "recommend",
    "recommendation_needs",
    "recommendation_rules",
    "reconstruct",
    "reconstruction_preset",
    "reconstruction_presets",
    "restore",
    "restore_stream",
    "store_calibration",
    "transform",
    "unknown_words",
    "verify",
    "verify_sets",
    "within_full_scale",
]
