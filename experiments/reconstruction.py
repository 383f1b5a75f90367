"""The reconstruction presets and the front ends on held-out clips.

    presets     each preset on matched features, and with the front end of the script it is named after
    front ends  each by itself on the preset `matched`; what its mapping loses without any network

Everything is measured on the finished sound against the original, at the model's rate: the error of what its
autoencoder hears, that of the energy from 4 kHz up, log spectral distance, and level.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from experiments.study import Bench, Parts, Row, Study, table
from noisebook import api
from noisebook.audio.features import Features
from noisebook.audio.front_ends import FRONT_ENDS, FrontEnd, levels, to_matched
from noisebook.audio.post import high_band_energy
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend, front_end_of
from noisebook.metrics import energy_ratio_db, log_mel_l1_db, log_spectral_distance_db

_SECONDS = 6.0
_COLUMNS = {"error": "features dB", "high": "highs dB off", "lsd": "LSD dB", "energy": "energy ratio dB"}


def run(bench: Bench) -> Parts:
    """The tables of part A of docs/systems.md."""
    count = len(bench.clips(seconds=_SECONDS, sample_rate=bench.backend.info.sample_rate))
    clips = bench.rows(measure, ({"place": place} for place in range(count)))
    rows = [row for clip in clips for row in clip["rows"]]
    return {
        "about": f"{count} held-out clips of {_SECONDS:g} s",
        "presets": presets_table(rows),
        "front ends": front_ends_table(rows),
    }


def measure(bench: Bench, place: int) -> Row:
    """All rows of a clip."""
    backend = bench.backend
    clip = bench.clips(seconds=_SECONDS, sample_rate=backend.info.sample_rate)[place]
    return {"rows": [*presets(clip.sound, backend), *single_front_ends(clip.sound, backend)]}


def presets(sound: Waveform, backend: Backend) -> list[Row]:
    """Each preset, on matched features and, where that is another, on those of its script; and silence."""
    rows: list[Row] = []
    features = front_end_of(backend.info)
    for preset in api.reconstruction_presets():
        for front_end in dict.fromkeys(("matched", "matched" if preset.front_end == "matched" else "historical")):
            result = api.reconstruct(sound, backend=backend, preset=preset.name, front_end=front_end)
            names = {"part": "presets", "preset": preset.name, "front_end": front_end}
            rows.append(names | distances(sound, result.waveform, features))
    return [*rows, {"part": "presets", "preset": "silence", "front_end": "matched"} | silence(sound, features)]


def single_front_ends(sound: Waveform, backend: Backend) -> list[Row]:
    """Each study front end on the preset `matched`."""
    rows, features = [], front_end_of(backend.info)
    for front_end in FRONT_ENDS:
        result = api.reconstruct(sound, backend=backend, front_end=front_end.name)
        mapping = mapping_error(sound, front_end, features)
        names = {"part": "front ends", "front_end": front_end.name, "mapping": mapping}
        rows.append(names | distances(sound, result.waveform, features))
    return rows


def mapping_error(sound: Waveform, front_end: FrontEnd, features: Features) -> float:
    """Error of the features in dB of going to a front end's features and back, without any network."""
    samples = torch.from_numpy(resample(sound, front_end.mel.sample_rate).samples)
    spectrum = levels(samples, front_end, features)
    mapping = front_end.mapping(spectrum)
    back = to_matched(mapping.levels(mapping.features(spectrum)), front_end, features)
    return log_mel_l1_db(_heard(sound.samples, features), back.numpy())


def distances(original: Waveform, result: Waveform, features: Features) -> Row:
    """Error of the features, error of the energy from 4 kHz up (absolute), log spectral distance, and level."""
    pair, rate = (original.samples[0], result.samples[0]), original.sample_rate
    wanted, found = (high_band_energy(sound.samples, rate) for sound in (original, result))
    return {
        "error": log_mel_l1_db(*(_heard(sound.samples, features) for sound in (original, result))),
        "high": abs(10 * float(np.log10(found / wanted))),
        "lsd": log_spectral_distance_db(*pair, sample_rate=rate),
        "energy": energy_ratio_db(*pair, sample_rate=rate),
    }


def silence(original: Waveform, features: Features) -> Row:
    """The same of silence, without what is infinite."""
    nothing = np.zeros_like(original.samples)
    error = log_mel_l1_db(*(_heard(samples, features) for samples in (original.samples, nothing)))
    distance = log_spectral_distance_db(original.samples[0], nothing[0], sample_rate=original.sample_rate)
    return {"error": error, "lsd": distance}


def _heard(samples: np.ndarray, features: Features) -> np.ndarray:
    return np.asarray(features.analyse(torch.from_numpy(samples)).numpy())


def presets_table(rows: list[Row]) -> str:
    """Means of each preset, on matched features and on those of its script."""
    names = dict.fromkeys(row["preset"] for row in rows if row["part"] == "presets")
    lines = (
        [name, *_means(rows, _COLUMNS, part="presets", preset=name, front_end="matched"),
         *_means(rows, ("error", "lsd"), part="presets", preset=name, front_end="historical")] for name in names
    )  # fmt: skip
    return table(["preset", *_COLUMNS.values(), "historical: features dB", "historical: LSD dB"], lines)


def front_ends_table(rows: list[Row]) -> str:
    """Means of each front end, with what its mapping alone loses."""
    lines = [["matched", "0.00", *_means(rows, _COLUMNS, preset="matched")]]
    names = (front_end.name for front_end in FRONT_ENDS)
    lines += [[name, *_means(rows, ("mapping", *_COLUMNS), part="front ends", front_end=name)] for name in names]
    return table(["front end", "mapping alone: features dB", *_COLUMNS.values()], lines)


def _means(rows: list[Row], keys: Iterable[str], **chosen: str) -> list[str]:
    own = [row for row in rows if chosen.items() <= row.items()]
    values = ([row[key] for row in own if key in row] for key in keys)
    return [f"{np.mean(column):.2f}" if column else "" for column in values]


STUDY = Study("reconstruction", "presets and front ends", run, ("docs/systems.md",), limit=2, minutes=6)
