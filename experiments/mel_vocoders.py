"""Ways from a mel of 64 bins back to sound that need no network: are notes in tune, and what else do they cost?

griffin-lim, tones   `noisebook reconstruct --vocoder`, here on the true mel of each clip
another clip         of the same kind, as a control: what chance gives
"""

from __future__ import annotations

import time

import numpy as np
import torch

from experiments.study import KINDS, Bench, Parts, Row, Study, table
from noisebook.audio.mel import log_mel
from noisebook.audio.mel_synthesis import griffin_lim, synthesise_mel
from noisebook.metrics import evaluate, log_mel_l1_db

_SECONDS, _RATE = 6.0, 16_000
_VOCODERS = {"griffin-lim": griffin_lim, "tones": synthesise_mel}
_METRICS = ("tuning_10", "tuning_25", "tuning_grid", "zimtohrli", "estoi")
_COLUMNS = {
    "tuning_10": "in 10 cents", "tuning_25": "in 25 cents", "tuning_grid": "on a grid", "mel": "mel dB",
    "zimtohrli": "Zimtohrli", "estoi": "ESTOI", "cost": "CPU s for 1 s",
}  # fmt: skip


def run(bench: Bench) -> Parts:
    """The table of docs/audioldm2.md."""
    clips = bench.clips(seconds=_SECONDS, sample_rate=_RATE)
    names = (*_VOCODERS, "another clip")
    settings = [{"place": place, "vocoder": name} for place in range(len(clips)) for name in names]
    rows = [row | {"kind": clips[row["place"]].kind} for row in bench.rows(measure, settings)]
    lines = []
    for kind in KINDS:
        for name in names:
            own = [row for row in rows if (row["kind"], row["vocoder"]) == (kind, name)]
            lines.append([kind, name, *(f"{np.mean([row[key] for row in own]):.2f}" for key in _COLUMNS)])
    return {
        "about": f"{len(clips)} held-out clips of {_SECONDS:g} s at 16 kHz, their true mels of 64 bins",
        "table": table(["kind", "vocoder", *_COLUMNS.values()], lines),
    }


def measure(bench: Bench, place: int, vocoder: str) -> Row:
    """One vocoder on one clip."""
    clips = bench.clips(seconds=_SECONDS, sample_rate=_RATE)
    original = clips[place].sound.samples[0]
    mel, started = log_mel(torch.from_numpy(original[None])), time.process_time()
    if vocoder in _VOCODERS:
        heard = _VOCODERS[vocoder](mel)[0].numpy()
    else:
        others = [clip for clip in clips if clip.kind == clips[place].kind]
        heard = others[others.index(clips[place]) - 1].sound.samples[0]
    cost = (time.process_time() - started) / _SECONDS
    error = log_mel_l1_db(mel.numpy(), log_mel(torch.from_numpy(heard[None])).numpy())
    return evaluate(original, heard, sample_rate=_RATE, names=_METRICS) | {"mel": error, "cost": cost}


STUDY = Study(
    "mel_vocoders", "vocoders without a network for 64 mel bins", run, ("docs/audioldm2.md",), limit=5, minutes=4
)
