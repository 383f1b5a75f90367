"""What decoding a stream asks of a machine, from its header alone, beside the dearest preset. No tensors.

Explicit coding parameters can make a step large (many atoms) and steps many: both are bounded by the format, but far
above of what any preset needs. Here they are one number, so that a caller can say how much he is ready to do.
"""

from __future__ import annotations

from noisebook.codec.allocation import Layout
from noisebook.codec.presets import PRESETS
from noisebook.codec.timeline import SEGMENT_FRAMES, Timeline
from noisebook.coding.container import CodingParams
from noisebook.diffusion.backend import BackendInfo

__all__ = ["effort_of", "step_values"]


def effort_of(timeline: Timeline) -> float:
    """How many times as dear as the dearest preset each second of a stream is, in time or in memory, at most.

    The larger of v and s max(1, v): s is the number of coded steps over that of the preset with most, v what a step
    does for its atoms (`step_values`) over that of the preset with most. Steps without bits at the end are the
    decoder's own, and not counted; nor are autoencoder and vocoder, which cost the same for every stream.
    """
    if not isinstance(timeline, Layout):  # a quantised latent, which is looked up
        return 0.0
    info, channels, frames = timeline.info, timeline.channels, min(timeline.frames, SEGMENT_FRAMES)
    s = timeline.steps / max(preset.params.steps for preset in PRESETS)
    # A sound that is shorter than the denoiser's window costs what the window costs.
    dearest = max(step_values(preset.params, info, channels, max(frames, info.window_frames)) for preset in PRESETS)
    v = step_values(timeline.params, info, channels, frames) / dearest
    return max(v, s * max(1.0, v))


def step_values(params: CodingParams, info: BackendInfo, channels: int, frames: int) -> int:
    """What a decoder does for the atoms of one step of `channels` latents of `frames` frames, as a count of numbers:
    one for each value of each part, and a hundredth for each atom, whose signs are drawn."""
    return channels * params.parts(frames, info.frame_values) * (params.part + 2**params.log2_K // 100)
