"""Measure transformation: what is left of the input, and how much of the prompt there is, from strength 0 to 1.

    python -m experiments.transformation CLIPS PACKED [--limit 2] [--steps 10] [--json FILE]

CLIPS is a folder of held-out sounds as for `experiments.results`, PACKED packed training sound, on which the judge of
kinds is trained. Speech is transformed with the prompt "music", music with "speech", effects with "music".

    similarity  to the input: log-mel error in dB and correlation of log-mels (of the sounds, vocoder included), and
                latent NMSE against the encoder's latent
    prompt      p(kind of the prompt) by linear discriminants of log-mel statistics: no network, never seen by the model
    controls    another clip, the clip with its seconds in another order, and new sounds from the same prompts
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.results import Clip, load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.level import apply_gain
from noisebook.audio.mel import log_mel
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend
from noisebook.metrics import log_mel_l1_db
from noisebook.synthesis.options import TransformOptions
from noisebook.synthesis.sound import Frame, from_latent, to_latent
from noisebook.synthesis.transform import transform_latent
from training.clips import KINDS, PackedAudio
from training.kinds import KindJudge, train_judge

_SAMPLES = 80000  # 5 s
_STRENGTHS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)
_KIND = {"music": "music", "speech": "speech", "sfx": "effects"}  # of a clip's name
_PROMPT = {"music": "speech", "speech": "music", "effects": "music"}
_VARIANTS: dict[str, dict[str, Any]] = {
    "input-based, no codebook": {"codebook": "none"},
    "input-based": {},
    "improved": {"method": "improved"},
    "guided, adaptive": {"method": "guided", "pull": "adaptive"},
    "guided, linear": {"method": "guided", "pull": "linear"},
    "guided, linear, 4 scales": {"method": "guided", "pull": "linear", "scales": 4},
    "guided, ddcm": {"method": "guided", "pull": "ddcm"},
}
_MEASURES = (("mel", "log-mel dB", "{:.1f}"), ("nmse", "NMSE", "{:.2f}"), ("correlation", "mel corr.", "{:.2f}"),
             ("prompt", "p(prompt)", "{:.2f}"))  # fmt: skip
_RISING = {"mel": True, "nmse": True, "correlation": False, "prompt": True}  # with the strength, if all is well


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("packed", type=Path, help="packed training sound")
    parser.add_argument("--limit", type=int, default=2, help="clips of each kind")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--json", type=Path, help="write every measurement")
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu")
    judge = train_judge(PackedAudio(args.packed), samples=_SAMPLES)
    inputs = [_input(clip, backend) for clip in load_clips(args.clips, args.limit)]
    rows = list(controls(inputs, judge, backend, args.steps))
    for name, options in _VARIANTS.items():
        print(f"measuring {name}", flush=True)
        rows += variant(name, options, inputs, judge, backend, args.steps)
    if args.json:
        args.json.write_text(json.dumps({"steps": args.steps, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    print(render(rows))


@dataclass(frozen=True)
class Input:
    """A clip of 5 s with its latent, and its log-mel at coding level."""

    name: str
    kind: str
    latent: torch.Tensor
    frame: Frame
    mel: torch.Tensor

    @property
    def prompt(self) -> str:
        return _PROMPT[self.kind]


def _input(clip: Clip, backend: Backend) -> Input:
    sound = Waveform(clip.sound.samples[:, :_SAMPLES], clip.sound.sample_rate)
    latent, frame = to_latent(sound, backend=backend)
    return Input(clip.name, _KIND[clip.kind], latent, frame, _mel(sound, frame))


def _mel(sound: Waveform, frame: Frame) -> torch.Tensor:
    usable = sound.sample_count // 640 * 640
    return log_mel(torch.from_numpy(apply_gain(sound.samples, frame.gain)[:, :usable]))


def measured(source: Input, latent: torch.Tensor, judge: KindJudge, backend: Backend) -> dict[str, Any]:
    """One row: the sound of a latent against the input and its prompt."""
    sound = from_latent(latent, source.frame, backend=backend)
    mel = _mel(sound, source.frame)
    return {
        "clip": source.name,
        "mel": log_mel_l1_db(source.mel.numpy(), mel.numpy()),
        "nmse": float((latent - source.latent).square().mean() / source.latent.square().mean()),
        "correlation": float(np.corrcoef(source.mel.ravel(), mel.ravel())[0, 1]),
        "prompt": float(judge(sound.samples[0])[KINDS.index(source.prompt)]),
        "own": float(judge(sound.samples[0])[KINDS.index(source.kind)]),
    }


def controls(inputs: list[Input], judge: KindJudge, backend: Backend, steps: int) -> Iterable[dict[str, Any]]:
    """The ends of the scale: the autoencoder alone, and sounds that have nothing to do with the input."""
    for index, source in enumerate(inputs):
        other = inputs[(index + 1) % len(inputs)].latent
        # Whole seconds in another order: the same sounds at other times.
        shuffled = torch.cat(source.latent.split(25, dim=2)[::-1], dim=2)
        wanted = TransformOptions(codebook="none", strength=1, prompt=source.prompt, steps=steps, seed=1)
        new = transform_latent(source.latent, backend=backend, options=wanted)
        named = {"autoencoder": source.latent, "another clip": other, "shuffled": shuffled, "new sound": new}
        for name, latent in named.items():
            yield {"variant": f"control: {name}", **measured(source, latent, judge, backend)}


def variant(
    name: str, options: dict[str, Any], inputs: list[Input], judge: KindJudge, backend: Backend, steps: int
) -> Iterable[dict[str, Any]]:
    """Every clip at every strength."""
    for source in inputs:
        for strength in _STRENGTHS:
            wanted = TransformOptions(strength=strength, prompt=source.prompt, steps=steps, **options)
            latent = transform_latent(source.latent, backend=backend, options=wanted)
            yield {"variant": name, "strength": strength, **measured(source, latent, judge, backend)}


def render(rows: list[dict[str, Any]]) -> str:
    """The tables."""
    parts = [_controls_table(rows)]
    for name in _VARIANTS:
        parts.append(f"### {name}\n\n{_curve_table([row for row in rows if row['variant'] == name])}")
    return "\n\n".join(parts)


def _controls_table(rows: list[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(row["variant"] for row in rows if "strength" not in row))
    right = sum(row["own"] > 0.5 for row in rows if row["variant"] == "control: autoencoder")
    lines = [[name, *_cells([row for row in rows if row["variant"] == name])] for name in names]
    count = sum(row["variant"] == names[0] for row in rows)
    judged = f"The judge gives {right} of {count} reconstructed clips more than 1/2 for their own kind."
    return f"{table(['', *(title for _, title, _ in _MEASURES)], lines)}\n\n{judged}"


def _curve_table(rows: list[dict[str, Any]]) -> str:
    lines = [[f"{s:g}", *_cells([row for row in rows if row["strength"] == s])] for s in _STRENGTHS]
    told = "; ".join(_monotone(rows, key, title) for key, title, _ in _MEASURES)
    return f"{table(['strength', *(title for _, title, _ in _MEASURES)], lines)}\n\n{told}."


def _cells(rows: list[dict[str, Any]]) -> list[str]:
    return [form.format(np.mean([row[key] for row in rows])) for key, _, form in _MEASURES]


def _monotone(rows: list[dict[str, Any]], key: str, title: str) -> str:
    """Whether the mean moves one way only, and how many of the clips' steps do."""
    curves: dict[str, list[float]] = {}
    for row in rows:
        curves.setdefault(row["clip"], []).append(row[key] if _RISING[key] else -row[key])
    back = max(a - b for a, b in pairwise(np.mean(list(curves.values()), axis=0)))
    mean = "monotone" if back <= 0 else f"NOT monotone (a step back of {back:.2g})"
    steps = [a <= b for curve in curves.values() for a, b in pairwise(curve)]
    return f"{title} {mean} in the mean, {sum(steps)} of {len(steps)} steps of clips"


if __name__ == "__main__":
    main()
