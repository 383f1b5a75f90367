"""Measure the reconstruction presets on held-out clips.

    python -m experiments.reconstruction CLIPS [--limit 4] [--kind music] [--json PATH]

CLIPS is a folder of sounds named by kind, as for `experiments.results`. Prints three tables and can write every number:

    presets     each preset on matched features, and with the front end of the script it is named after
    front ends  each by itself on the preset `matched`; what its mapping loses without any network
    highs       the guarded lifts of v4 and v5 against the same preset without one, and against a lift that is fixed

Everything is measured on the finished sound against the original, at the model's rate: the error of what its
autoencoder hears, that of the energy from 4 kHz up, log spectral distance, and level.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.results import Clip, load_clips
from experiments.tables import table
from noisebook import api
from noisebook.audio.features import Features
from noisebook.audio.front_ends import FRONT_ENDS, FrontEnd, levels, to_matched
from noisebook.audio.post import band_lifted, high_band_energy
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.diffusion.backend import Backend, front_end_of
from noisebook.metrics import energy_ratio_db, log_mel_l1_db, log_spectral_distance_db

_MATCH = "loudness=0.3:3"  # what v4 and v5 do beside their lift
_LIFTS = ("v4-high-freq", "v5-high-freq", "v5-high-freq-strong")
_COLUMNS = {"error": "features dB", "high": "highs dB off", "lsd": "LSD dB", "energy": "energy ratio dB"}
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=4, help="clips of each kind")
    parser.add_argument("--kind", choices=["music", "speech", "sfx"], help="only these")
    parser.add_argument("--json", type=Path, help="where to write the numbers of each clip")
    args = parser.parse_args()

    backend = api.load_backend(args.model, device="cpu")
    rate = backend.info.sample_rate
    rows: list[Row] = []
    clips = [clip for clip in load_clips(args.clips, args.limit, sample_rate=rate) if args.kind in (None, clip.kind)]
    for index, clip in enumerate(clips):
        print(f"measuring {index + 1}/{len(clips)} {clip.name}", flush=True)
        measured = [*presets(clip, backend), *single_front_ends(clip, backend), *lifts(clip, backend)]
        rows += [{"clip": clip.name, "kind": clip.kind, **row} for row in measured]
    print(f"\n{len(clips)} clips; means\n\n{presets_table(rows)}\n\n{front_ends_table(rows)}\n\n{lifts_table(rows)}")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def presets(clip: Clip, backend: Backend) -> list[Row]:
    """Each preset, on matched features and, where that is another, on those of its script."""
    rows: list[Row] = []
    features = front_end_of(backend.info)
    for preset in api.reconstruction_presets():
        front_ends = ("matched",) if preset.front_end == "matched" else ("matched", "historical")
        for front_end in front_ends:
            result = api.reconstruct(clip.sound, backend=backend, preset=preset.name, front_end=front_end)
            rows.append({"part": "presets", "preset": preset.name, "front_end": front_end}
                        | distances(clip.sound, result.waveform, features) | {"ran": vars(result.ran)})  # fmt: skip
    rows.append({"part": "presets", "preset": "silence", "front_end": "matched"} | silence(clip.sound, features))
    return rows


def single_front_ends(clip: Clip, backend: Backend) -> list[Row]:
    """Each study front end on the preset `matched`."""
    rows, features = [], front_end_of(backend.info)
    for front_end in FRONT_ENDS:
        result = api.reconstruct(clip.sound, backend=backend, front_end=front_end.name)
        own = {
            "part": "front ends",
            "front_end": front_end.name,
            "mapping": mapping_error(clip.sound, front_end, features),
        }
        rows.append(own | distances(clip.sound, result.waveform, features))
    return rows


def mapping_error(sound: Waveform, front_end: FrontEnd, features: Features) -> float:
    """Error of the features in dB of going to a front end's features and back, without any network."""
    samples = torch.from_numpy(resample(sound, front_end.mel.sample_rate).samples)
    spectrum = levels(samples, front_end, features)
    mapping = front_end.mapping(spectrum)
    back = to_matched(mapping.levels(mapping.features(spectrum)), front_end, features)
    return log_mel_l1_db(_heard(sound.samples, features), back.numpy())


def lifts(clip: Clip, backend: Backend) -> list[Row]:
    """v4 and v5 without their lift, with it, and with one that asks nothing."""
    plain = api.reconstruct(clip.sound, backend=backend, post=_MATCH).waveform
    always = Waveform(band_lifted(plain.samples, plain.sample_rate, 1.5), plain.sample_rate)
    features = front_end_of(backend.info)
    rows: list[Row] = [
        {"lift": name, **distances(clip.sound, sound, features)}
        for name, sound in (("none", plain), ("always x1.5", always))
    ]
    for name in _LIFTS:
        result = api.reconstruct(clip.sound, backend=backend, preset=name)
        rows.append({"lift": name, "ran": result.ran.post, **distances(clip.sound, result.waveform, features)})
    return [{"part": "lifts", **row} for row in rows]


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
    lines = []
    for name in dict.fromkeys(row["preset"] for row in rows if row["part"] == "presets"):
        own = [row for row in rows if row["part"] == "presets" and row["preset"] == name]
        matched, historical = (
            [r for r in own if r["front_end"] == front_end] for front_end in ("matched", "historical")
        )
        lines.append([name, *_means(matched, _COLUMNS), *_means(historical, ("error", "lsd"))])
    return table(["preset", *_COLUMNS.values(), "historical: features dB", "historical: LSD dB"], lines)


def front_ends_table(rows: list[Row]) -> str:
    """Means of each front end, with what its mapping alone loses."""
    matched = [row for row in rows if row.get("preset") == "matched"]
    lines = [["matched", "0.00", *_means(matched, _COLUMNS)]]
    for front_end in FRONT_ENDS:
        own = [row for row in rows if row["part"] == "front ends" and row["front_end"] == front_end.name]
        lines.append([front_end.name, *_means(own, ("mapping", *_COLUMNS))])
    return table(["front end", "mapping alone: features dB", *_COLUMNS.values()], lines)


def lifts_table(rows: list[Row]) -> str:
    """Means by kind, and on how many clips a lift made the highs better, equal or worse, and the LSD worse."""
    lines = []
    for kind in dict.fromkeys(row["kind"] for row in rows):
        own = [row for row in rows if row["part"] == "lifts" and row["kind"] == kind]
        plain = [row for row in own if row["lift"] == "none"]
        for name in dict.fromkeys(row["lift"] for row in own):
            lifted = [row for row in own if row["lift"] == name]
            counts = [
                str(sum(test(after["high"] - before["high"]) for before, after in zip(plain, lifted, strict=True)))
                for test in _CHANGES
            ]
            worse = sum(after["lsd"] > before["lsd"] + 1e-6 for before, after in zip(plain, lifted, strict=True))
            lines.append([f"{kind}: {name}", *_means(lifted, ("high", "lsd", "error")), *counts, str(worse)])
    header = ["lift", "highs dB off", "LSD dB", "features dB", "highs better", "equal", "worse", "LSD worse"]
    return table(header, lines)


_CHANGES: tuple[Callable[[float], bool], ...] = (
    lambda change: change < -1e-6,
    lambda change: abs(change) <= 1e-6,
    lambda change: change > 1e-6,
)


def _means(rows: list[Row], keys: Any) -> list[str]:
    values = ([row[key] for row in rows if key in row] for key in keys)
    return [f"{np.mean(column):.2f}" if column else "" for column in values]


if __name__ == "__main__":
    main()
