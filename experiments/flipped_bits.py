"""What one wrong bit costs: flip bits of the choices of each step, decode, and compare.

    python -m experiments.flipped_bits CLIPS [--presets 30,300,3000] [--limit 1] [--flips 4]

The error is that of the decoded latent of 5.12 s of sound against the one without the wrong bit, over its energy, in
dB: the mean over flips and clips. A bit hits one part of one unit, so twice the sound is 3 dB less. Nothing behind the
flipped bit is lost: choices have a fixed layout.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from experiments.results import load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.layout import layout_of
from noisebook.coding import container
from noisebook.diffusion.backend import Backend

_SECONDS = 5.12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--presets", default="30,300,3000")
    parser.add_argument("--limit", type=int, default=1, help="clips of each kind")
    parser.add_argument("--flips", type=int, default=4, help="of each step of each clip")
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu")
    presets = args.presets.split(",")
    columns = []
    for preset in presets:
        errors = []
        for clip in load_clips(args.clips, args.limit):
            sound = Waveform(clip.sound.samples[:, : round(_SECONDS * 16000)].copy(), 16000)
            data = api.compress(sound, backend=backend, preset=preset)
            errors.append(list(step_errors(data, backend, args.flips)))
        columns.append(10 * np.log10(np.mean(errors, axis=0)))
    rows = [
        [str(step + 1), *(f"{column[step]:.1f}" if step < len(column) else "" for column in columns)]
        for step in range(max(map(len, columns)))
    ]
    print(table(["step", *(f"preset {preset}, dB" for preset in presets)], rows))


def step_errors(data: bytes, backend: Backend, flips: int) -> Iterator[float]:
    """For each coded step of a stream of one segment: mean error of the latent over its energy, for so many flips."""
    header, _, (payload,), _ = ddcm.open_stream(data, backend.info)
    layout = layout_of(header, backend.info)
    latent = ddcm.decode_latent(data, backend=backend)[1]
    bits, rng = layout.payload_bits(layout.frames) // layout.steps, np.random.default_rng(0)
    for step in range(layout.steps):
        errors = []
        for bit in step * bits + rng.choice(bits, min(flips, bits), replace=False):
            wrong = ddcm.decode_latent(container.pack(header, [flipped(payload, int(bit))]), backend=backend)[1]
            errors.append(float((wrong - latent).square().mean() / latent.square().mean()))
        yield float(np.mean(errors))


def flipped(payload: bytes, bit: int) -> bytes:
    """The payload with bit `bit` inverted, counted from the first and most significant."""
    changed = bytearray(payload)
    changed[bit // 8] ^= 0x80 >> bit % 8
    return bytes(changed)


if __name__ == "__main__":
    main()
