"""Which codec a stream is of, by its header."""

from __future__ import annotations

from collections.abc import Callable

from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm, latent_vq
from noisebook.codec.opening import open_stream
from noisebook.codec.steering import OnStep
from noisebook.diffusion.backend import Backend
from noisebook.quantizers.codebook import LatentCodebook

__all__ = ["CodebookFor", "decompress", "open_stream"]

CodebookFor = Callable[[bytes], LatentCodebook]  # from the first bytes of a fingerprint


def decompress(
    data: bytes,
    *,
    backend: Backend,
    codebook_for: CodebookFor,
    tail_steps: int | None = None,
    on_step: OnStep | None = None,
) -> Waveform:
    """The sound of a stream of any codec.

    Args:
        data: the whole stream.
        backend: the model it was made with.
        codebook_for: finds the codebook of a quantised latent; not asked for other streams, nor before the whole
            stream is found intact.
        tail_steps: denoising steps without bits; None is as many as suit where the bits end.
        on_step: called with (steps done, steps in all).

    Raises:
        StreamError: in its kinds, for bytes that are not a whole and undamaged stream of this model.
    """
    header = open_stream(data, backend.info).header
    if header.latent is None:
        return ddcm.decompress(data, backend=backend, tail_steps=tail_steps, on_step=on_step)
    codebook = codebook_for(header.latent.codebook)
    return latent_vq.decompress(
        data, backend=backend, codebook=codebook, tail_steps=tail_steps or ddcm.TAIL_STEPS, on_step=on_step
    )
