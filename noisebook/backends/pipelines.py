"""The pipelines of diffusers that noisebook knows, and the module that drives each.

A module has `Backend(checkpoint, device=, dtype=, offload=)`, `info_of(checkpoint)`, `weights_digest(checkpoint)`,
`CLASSES` of networks by part, `load_part(checkpoint, part)`, and `CODING_PARTS`, the parts without which no sound can
be coded; the others are for prompts. The empty prompt, with which every stream is made, is computed once from
`EMPTY_PROMPT_PARTS` and then kept in the file `empty_prompt(checkpoint)`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from noisebook.backends.checkpoint_folder import Checkpoint
from noisebook.errors import ModelError

__all__ = ["PIPELINES", "driver_of"]

PIPELINES = {
    "AudioLDM2Pipeline": "latent_diffusion",
    "AudioLDMPipeline": "latent_diffusion",
    "MusicLDMPipeline": "latent_diffusion",
    "StableAudioPipeline": "stable_audio",
}


def driver_of(checkpoint: Checkpoint) -> Any:
    """The module for a checkpoint's pipeline.

    Raises:
        ModelError: there is none.
    """
    if checkpoint.pipeline not in PIPELINES:
        raise ModelError(f"{checkpoint.name} is a {checkpoint.pipeline}; noisebook knows {', '.join(PIPELINES)}")
    return import_module(f"noisebook.backends.{PIPELINES[checkpoint.pipeline]}")
