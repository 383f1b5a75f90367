"""The facade: arrays and bytes in, bytes and arrays out."""

from noisebook.api.arguments import as_waveform
from noisebook.api.codebooks import (
    FitOptions,
    codebook_by_fingerprint,
    codebook_info,
    codebook_names,
    codebook_record,
    fit_codebook,
    fit_doubt,
    load_codebook,
)
from noisebook.api.codec import (
    Decoding,
    compress,
    compress_file,
    compress_with_codebook,
    decompress,
    decompress_file,
    decompress_to_blocks,
    play,
    read_info,
)
from noisebook.api.models import (
    EMBEDDED,
    ModelOptions,
    calibrate,
    find_model,
    install_model,
    load_backend,
    model_info,
    store_calibration,
)
from noisebook.api.recommend import (
    Recommendation,
    auto_preset,
    recommend,
    recommendation_needs,
    recommendation_rules,
)
from noisebook.api.synthesis import (
    GeneratedSound,
    GeneratedStream,
    RestoredSound,
    RestoredStream,
    generate,
    generate_stream,
    reconstruct,
    reconstruction_preset,
    reconstruction_presets,
    restore,
    restore_stream,
    same_reconstructions,
    transform,
    unknown_words,
    within_full_scale,
)
from noisebook.api.verify import random_stream, verify, verify_sets
from noisebook.audio.waveform import Waveform
from noisebook.codec.options import CodebookOptions, DecodeOptions, EncodeOptions, Priority
from noisebook.codec.stream import StreamInfo
from noisebook.synthesis.options import (
    DamageOptions,
    GenerateOptions,
    GenerateStreamOptions,
    ReconstructOptions,
    RestoreOptions,
    TransformOptions,
)

__all__ = [
    "EMBEDDED", "CodebookOptions", "DamageOptions", "DecodeOptions", "Decoding", "EncodeOptions", "FitOptions",
    "GenerateOptions", "GenerateStreamOptions", "GeneratedSound", "GeneratedStream", "ModelOptions", "Priority",
    "Recommendation", "ReconstructOptions", "RestoreOptions", "RestoredSound", "RestoredStream", "StreamInfo",
    "TransformOptions", "Waveform", "as_waveform", "auto_preset", "calibrate", "codebook_by_fingerprint",
    "codebook_info", "codebook_names", "codebook_record", "compress", "compress_file", "compress_with_codebook",
    "decompress", "decompress_file", "decompress_to_blocks", "find_model", "fit_codebook", "fit_doubt", "generate",
    "generate_stream", "install_model", "load_backend", "load_codebook", "model_info", "play", "random_stream",
    "read_info", "recommend", "recommendation_needs", "recommendation_rules", "reconstruct", "reconstruction_preset",
    "reconstruction_presets", "restore", "restore_stream", "same_reconstructions", "store_calibration", "transform",
    "unknown_words", "verify", "verify_sets", "within_full_scale",
]  # fmt: skip
