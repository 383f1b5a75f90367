"""What the beginning of a stream is worth, in the usual order and in the progressive one.

    python -m experiments.prefixes CLIPS [--presets 300,3000] [--seconds 140] [--shares 0.15,0.25,0.5,0.75,1]

Clips of every kind are joined to one sound of several segments. Of each share of its stream: the seconds that play, and
the error of their latent over its energy, in dB. Beside it the bytes of the whole streams.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.options import EncodeOptions
from noisebook.codec.player import Player
from noisebook.coding import container
from noisebook.diffusion.backend import Backend
from noisebook.errors import TruncatedStream
from noisebook.quantizers.codebook import LatentCodebook


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--presets", default="300,3000")
    parser.add_argument("--seconds", type=float, default=140)
    parser.add_argument("--shares", default="0.15,0.25,0.5,0.75,1")
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu", dtype="auto")
    lines = [clip.sound.samples[0] for clip in load_clips(args.clips, 5)]
    sound = Waveform(np.resize(np.concatenate(lines), (1, round(args.seconds * 16000))), 16000)
    shares = [float(share) for share in args.shares.split(",")]
    rows = []
    for preset in args.presets.split(","):
        for progressive in (False, True):
            options = EncodeOptions(preset=preset, progressive=progressive)
            header = ddcm.header_of(sound, options, backend.info)
            target = ddcm.target_latent(sound, header, backend=backend)
            data = ddcm.compress_towards(ddcm.aims_of(target, header, options, backend), header, backend=backend)
            order = "steps" if progressive else "segments"
            cells = [_cell(played(data, share, target, backend)) for share in shares]
            rows.append([f"{preset}, {order}", str(len(data)), *cells])
    print(table(["preset, order", "bytes", *(f"{100 * share:g} %: s, dB" for share in shares)], rows))


def played(data: bytes, share: float, target: torch.Tensor, backend: Backend) -> tuple[float, float] | None:
    """Seconds that the beginning of a stream plays, and their error over the energy of the target, dB; None for none.

    Args:
        data: the whole stream.
        share: of its payload that is there.
        target: the latent `[latents, C, L, F']` that it leads to.
        backend: the model.
    """
    size = container.parse_header(data)[1]
    beginning = data[: size + round(share * (len(data) - size))]
    try:
        player = Player(beginning, backend=backend, codebook_for=_none, damaged=True)
    except TruncatedStream:
        return None
    frames = -(-player.sample_count * backend.info.sample_rate // (player.sample_rate * backend.info.frame_samples))
    wanted = target[:, :, :frames]
    error = (player.latent(0, frames) - wanted).square().mean() / wanted.square().mean()
    return player.sample_count / player.sample_rate, float(10 * torch.log10(error))


def _none(_: bytes) -> LatentCodebook:
    raise AssertionError("a stream of chosen noise has no codebook of latents")


def _cell(found: tuple[float, float] | None) -> str:
    return "none" if found is None else f"{found[0]:.0f}, {found[1]:.1f}"


if __name__ == "__main__":
    main()
