"""What decoding a stream asks of a machine, from its header alone, beside the dearest preset. No tensors.

Explicit coding parameters can make a step large (many atoms) and steps many: both are bounded by the format, but far
above of what any preset needs. Here they are one number, so that a caller can say how much he is ready to do.
"""

from __future__ import annotations

from noisebook.codec.layout import SEGMENT_FRAMES, Timeline, part_size, plan_of
from noisebook.codec.opening import coded_steps
from noisebook.codec.presets import PRESETS, engine_of
from noisebook.coding.container import Codebook, Engine, Header, Rule
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
    info, engine = timeline.info, header.latent.steering if header.latent else engine_of(header)
    if engine is None:  # a quantised latent that nothing steers
        return 0.0
    steps = coded_steps(header, info) if header.latent else len(plan_of(engine, info))
    channels, frames = timeline.channels, min(timeline.frames, SEGMENT_FRAMES)
    s = steps / max(preset.engine.steps for preset in PRESETS)
    # A sound that is shorter than the denoiser's window costs what the window costs.
    dearest = max(step_values(preset.engine, info, channels, max(frames, info.window_frames)) for preset in PRESETS)
    v = step_values(engine, info, channels, frames) / dearest
    return max(v, s * max(1.0, v))


def step_values(engine: Engine, info: BackendInfo, channels: int, frames: int) -> int:
    """What a decoder does for the atoms of one step of `channels` latents of `frames` frames, as a count of numbers.

    Weighed by the time that they take on a CPU, where one of a structured codebook takes some 30 ns:

        structured  one for each value of each part, for each of its atoms or stacks, whichever are fewer;
                    a hundredth for each of all stacks, whose signs are drawn
        dense       a quarter for each value of each atom, and of each that is chosen
        a subset    4 for each atom that could be in it, more for long ranks: the walk over them
    """
    part, size = part_size(engine, info.frame_values), 2**engine.log2_K
    whole, rest = divmod(frames, engine.unit_frames)
    values = (engine.unit_frames * info.frame_values, rest * info.frame_values)
    parts = channels * (whole * -(-values[0] // part) + -(-values[1] // part))
    if engine.codebook == Codebook.DENSE:
        made = part * (size + parts * engine.M) // 4
    else:
        matrices = engine.M if engine.rule == Rule.PURSUIT else min(engine.M, max(1, size // part))
        made = parts * (part * matrices + size // 100)
    return made + (parts * size * (4 + engine.choice_bits // 400) if engine.rule == Rule.TOP_M else 0)
