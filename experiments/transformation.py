"""Transformation: what is left of the input, and how much of the prompt there is, from strength 0 to 1.

Speech is transformed with the prompt "music", music with "speech", effects with "music".

    similarity  to the input: log-mel error in dB and correlation of log-mels (of the sounds, vocoder included), and
                latent NMSE against the encoder's latent
    prompt      p(kind of the prompt) of `noisebook.verification.listening`: a regression of statistics, no network,
                never seen by the model
    controls    another clip, the clip with its seconds in another order, and new sounds from the same prompts
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from experiments.study import Bench, Parts, Row, Study, mean_of, table
from noisebook.audio.level import apply_gain
from noisebook.audio.mel import log_mel
from noisebook.audio.waveform import Waveform
from noisebook.metrics import log_mel_l1_db
from noisebook.synthesis.options import TransformOptions
from noisebook.synthesis.sound import AudioFormat, from_latent, to_latent
from noisebook.synthesis.transform import transform_latent
from noisebook.verification.listening import listen

_SECONDS, _STEPS = 5.0, 10
_STRENGTHS = (0.0, 0.15, 0.3, 0.45, 0.6, 1.0)
_PROMPT = {"music": "speech", "speech": "music", "sfx": "music"}
_VARIANTS: dict[str, dict[str, Any]] = {
    "input-based, no codebook": {"codebook": "none"},
    "input-based": {},
    "improved": {"method": "improved"},
    "guided, adaptive": {"method": "guided", "pull": "adaptive"},
    "guided, linear": {"method": "guided", "pull": "linear"},
    "guided, linear, 4 scales": {"method": "guided", "pull": "linear", "scales": 4},
    "guided, ddcm": {"method": "guided", "pull": "ddcm"},
    "full-diffusion": {"method": "full-diffusion"},
}
_MEASURES = (("mel", "log-mel dB", "{:.1f}"), ("nmse", "NMSE", "{:.2f}"), ("correlation", "mel corr.", "{:.2f}"),
             ("prompt", "p(prompt)", "{:.2f}"))  # fmt: skip


def run(bench: Bench) -> Parts:
    """The tables of part E of docs/systems.md."""
    count = len(inputs(bench))
    rows = bench.rows(measure, (
        {"variant": name, "strength": strength, "place": place}
        for name in _VARIANTS for strength in _STRENGTHS for place in range(count)
    ))  # fmt: skip
    controls = bench.rows(measure_controls, ({"place": place} for place in range(count)))
    parts = {"about": f"{count} held-out clips of {_SECONDS:g} s, {_STEPS} steps, the default guidance"}
    for part, keys in {"similarity": ("mel", "correlation"), "prompt": ("nmse", "prompt")}.items():
        forms = {key: form for key, _, form in _MEASURES}
        lines = []
        for name in _VARIANTS:
            at = [[row for row in rows if row["variant"] == name and row["strength"] == s] for s in _STRENGTHS]
            lines.append([name, *(" / ".join(forms[key].format(mean_of(of, key)) for key in keys) for of in at)])
        parts[part] = table(["strength", *(f"{s:g}" for s in _STRENGTHS)], lines)
    names = [name for name in controls[0] if name != "place"]
    parts["controls"] = table(["control", *(title for _, title, _ in _MEASURES)],
                              ([name, *_cells([row[name] for row in controls])] for name in names))  # fmt: skip
    return parts


@dataclass(frozen=True)
class Input:
    """A clip of 5 s with its latent, its log-mel at coding level, and the prompt that it is transformed with."""

    prompt: str
    latent: torch.Tensor
    form: AudioFormat
    mel: torch.Tensor


@cache
def inputs(bench: Bench) -> list[Input]:
    """Of all clips."""
    found = []
    for clip in bench.clips(seconds=_SECONDS):
        latent, form = to_latent(clip.sound, backend=bench.backend)
        found.append(Input(_PROMPT[clip.kind], latent, form, _mel(clip.sound, form)))
    return found


def _mel(sound: Waveform, form: AudioFormat) -> torch.Tensor:
    usable = sound.sample_count // 640 * 640
    return log_mel(torch.from_numpy(apply_gain(sound.samples, form.gain_half_db)[:, :usable]))


def errors(source: Input, latent: torch.Tensor, bench: Bench) -> Row:
    """The sound of a latent against the input and its prompt."""
    sound = from_latent(latent, source.form, backend=bench.backend)
    mel = _mel(sound, source.form)
    return {
        "mel": log_mel_l1_db(source.mel.numpy(), mel.numpy()),
        "nmse": float((latent - source.latent).square().mean() / source.latent.square().mean()),
        "correlation": float(np.corrcoef(source.mel.ravel(), mel.ravel())[0, 1]),
        "prompt": listen(sound).likeness[source.prompt],
    }


def measure(bench: Bench, variant: str, strength: float, place: int) -> Row:
    """One clip at one strength."""
    source = inputs(bench)[place]
    options = TransformOptions(strength=strength, prompt=source.prompt, steps=_STEPS, **_VARIANTS[variant])
    return errors(source, transform_latent(source.latent, backend=bench.backend, options=options), bench)


def measure_controls(bench: Bench, place: int) -> Row:
    """The ends of the scale: the autoencoder alone, and sounds that have nothing to do with the input."""
    sources = inputs(bench)
    source, other = sources[place], sources[(place + 1) % len(sources)]
    options = TransformOptions(codebook="none", strength=1, prompt=source.prompt, steps=_STEPS, seed=1)
    named = {
        "the autoencoder alone (the ceiling)": source.latent,
        "another clip": other.latent,
        "the clip with its seconds in reverse order": torch.cat(source.latent.split(25, dim=2)[::-1], dim=2),
        "a new sound from the same prompt, another seed": transform_latent(
            source.latent, backend=bench.backend, options=options
        ),
    }
    return {name: errors(source, latent, bench) for name, latent in named.items()}


def _cells(rows: list[Mapping[str, float]]) -> list[str]:
    return [form.format(np.mean([row[key] for row in rows])) for key, _, form in _MEASURES]


STUDY = Study("transformation", "input and prompt by strength", run, ("docs/systems.md",), limit=1, minutes=5)
