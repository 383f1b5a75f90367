"""A sound and a prompt to another sound."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import OnStep, as_waveform, checked
from noisebook.api.codebooks import load_codebook
from noisebook.audio.waveform import Waveform
from noisebook.synthesis.options import TransformOptions

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from noisebook.diffusion.backend import Backend

__all__ = ["transform"]


@checked
def transform(
    waveform: Waveform | ArrayLike,
    prompt: str | None = None,
    *,
    backend: Backend,
    sample_rate: int | None = None,
    options: TransformOptions = TransformOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> Waveform:
    """Lead a sound towards a prompt; rate, channels, level and exact length stay.

    Args:
        waveform: a `Waveform`, or an array `[N]` or `[C, N]` with its `sample_rate` in Hz.
        prompt: what it becomes; None is that of the options.
        backend: from `load_backend`.
        options: what may be chosen; each can also be given as a keyword. `codebook` can be what `load_codebook` gives.
        on_step: called with (steps done, steps in all).

    Raises:
        ConfigError: an option outside its range, or of another method; a prompt of which no word is known.
        ModelError: a codebook that is not there, damaged, or of another model.
    """
    from noisebook.synthesis import transform as synthesis

    if isinstance(options.codebook, str | Path) and options.codebook not in ("own", "none"):
        options = options.replaced(codebook=load_codebook(options.codebook, info=backend.info))
    if prompt is not None:
        options = options.replaced(prompt=prompt)
    return synthesis.transform(as_waveform(waveform, sample_rate), backend=backend, options=options, on_step=on_step)
