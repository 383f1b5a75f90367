"""What decoding a stream asks of a machine, from its header alone, beside the dearest preset. No tensors.

Explicit coding parameters can make a step large (many atoms) and steps many: both are bounded by the format, but far
above of what any preset needs. Here they are one number, so that a caller can say how much he is ready to do.
"""

from __future__ import annotations

from noisebook.codec.layout import SEGMENT_FRAMES, Timeline, plan_of
from noisebook.codec.presets import PRESETS, engine_of
from noisebook.coding.container import Engine, Header
from noisebook.diffusion.backend import BackendInfo

__all__ = ["effort_of", "step_values"]


def effort_of(header: Header, timeline: Timeline) -> float:
    """How many times as dear as the dearest preset each second of a stream is, in time or in memory, at most.

    The larger of v and s max(1, v): s is the number of coded steps over that of the preset with most, v what a step
    does for its atoms (`step_values`) over that of the preset with most. Steps without bits at the end are the
    decoder's own, and not counted; nor are autoencoder and vocoder, which cost the same for every stream.

    Args:
        header: that `open_stream` accepts.
        timeline: its own.
    """
    if header.latent is not None:  # a look-up
        return 0.0
    info, engine = timeline.info, engine_of(header)
    channels, frames = timeline.channels, min(timeline.frames, SEGMENT_FRAMES)
    s = len(plan_of(engine, info)) / max(preset.engine.steps for preset in PRESETS)
    # A sound that is shorter than the denoiser's window costs what the window costs.
    dearest = max(step_values(preset.engine, info, channels, max(frames, info.window_frames)) for preset in PRESETS)
    v = step_values(engine, info, channels, frames) / dearest
    return max(v, s * max(1.0, v))


def step_values(engine: Engine, info: BackendInfo, channels: int, frames: int) -> int:
    """What a decoder does for the atoms of one step of `channels` latents of `frames` frames, as a count of numbers:
    one for each value of each part, and a hundredth for each atom, whose signs are drawn."""
    whole, rest = divmod(frames, engine.unit_frames)
    parts = sum(number * -(-size * info.frame_values // engine.part) for number, size in
                ((whole, engine.unit_frames), (1, rest)))  # fmt: skip
    return channels * parts * (engine.part + 2**engine.log2_K // 100)
