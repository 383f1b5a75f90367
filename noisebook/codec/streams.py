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
    stream = open_stream(data, backend.info)
    if stream.header.latent is None:
        latent = ddcm.decoded_latent(stream, backend, tail_steps, on_step)
    else:
        codebook = codebook_for(stream.header.latent.codebook)
        latent = latent_vq.decoded_latent(stream, backend, codebook, on_step)
    return ddcm.synthesise(latent, stream.header, image=stream.image, backend=backend)
