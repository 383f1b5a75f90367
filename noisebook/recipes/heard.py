"""What the searches of the encoder and the tail of the decoder are worth to the ear, on held-out clips.

    python -m noisebook.recipes.heard CLIPS [--out docs/heard.md] [--limit 3] [--presets 100 300 1500 3000]

CLIPS is a folder of sounds of 10 s named by kind, as of `recipes.results`. A row is one clip, coded at one preset by
one encoder and decoded with one tail, before and behind the vocoder. Rows are written as they are measured, to the
`.json` beside the page; what is there of the same model is not measured again. Some half an hour of a core.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisebook import api
from noisebook.codec import ddcm
from noisebook.diffusion.backend import FeatureBackend, with_features
from noisebook.metrics import available
from noisebook.recipes._heard_page import PLAIN, render
from noisebook.recipes.rate_limit import started, write_json
from noisebook.recipes.results import Clip, Judge, load_clips

ENCODERS: dict[str, dict[str, Any]] = {
    PLAIN: {"search": "none", "perceptual": 0.0},
    "heard": {"search": "heard", "perceptual": 0.0},
    "shaped, perceptual 0.5": {"search": "shaped", "perceptual": 0.5},
    "shaped": {"search": "shaped", "perceptual": 0.0},
    "heard, perceptual 0.5": {"search": "heard", "perceptual": 0.5},
    "perceptual 0.5": {"search": "none", "perceptual": 0.5},
    "shaped, perceptual 1": {"search": "shaped", "perceptual": 1.0},
    "perceptual 1": {"search": "none", "perceptual": 1.0},
}
TAILS = (1, 2, 4, 6, 10)
_METRICS = ("mel_db_mae", "visqol", "zimtohrli", "estoi", "pesq_wb")


@dataclass(frozen=True)
class Case:
    """Streams of one encoder at one preset, and the tails with which they are decoded."""

    preset: str
    encoder: str
    tails: tuple[int, ...]


def cases(presets: list[str], encoders: list[str], tails_of: str) -> Iterator[Case]:
    """All encoders with the codec's own tail, the encoder `tails_of` with all."""
    for preset in presets:
        for encoder in encoders:
            yield Case(preset, encoder, TAILS if encoder == tails_of else (ddcm.TAIL_STEPS,))


def measure(case: Case, clip: Clip, tails: list[int], backend: FeatureBackend) -> Iterator[dict[str, Any]]:
    """A row for each of the tails."""
    begun = time.process_time()
    data = api.compress(clip.sound, backend=backend, preset=case.preset, **ENCODERS[case.encoder])
    spent = (time.process_time() - begun) / clip.sound.duration
    names = [name for name in available(speech=clip.kind == "speech") if name in _METRICS]
    judge = Judge(clip, data, backend)
    for tail in tails:
        row = judge.decoded_row(case.encoder, case.preset, data, names, tail_steps=tail)
        yield row | {"encoder": case.encoder, "tail": tail, "encode_ratio": spent}


def measure_all(path: Path, wanted: list[Case], clips: list[Clip], backend: FeatureBackend) -> dict[str, Any]:
    """All rows, those of the file at `path` as they are there; the file grows with every row."""
    results = started(path, {"model": backend.info.fingerprint.hex()[:4]})
    rows = results.setdefault("rows", [])
    for case in wanted:
        for clip in clips:
            key = {"clip": clip.name, "preset": case.preset, "encoder": case.encoder}
            there = {row["tail"] for row in rows if key.items() <= row.items()}
            missing = [tail for tail in case.tails if tail not in there]
            for row in measure(case, clip, missing, backend) if missing else ():
                rows.append(row)
                write_json(path, results)
        print(f"{case.preset:>5s} bit/s  {case.encoder:24s} tails {case.tails}", flush=True)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--out", type=Path, default=Path("docs/heard.md"))
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=3, help="clips of each kind")
    parser.add_argument("--presets", nargs="+", default=["100", "300", "1500", "3000"])
    parser.add_argument("--encoders", nargs="+", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--tails-of", default="heard", choices=list(ENCODERS),
                        help="the encoder whose streams are decoded with all tails")  # fmt: skip
    args = parser.parse_args()

    backend = with_features(api.load_backend(args.model, device="cpu"))
    wanted = list(cases(args.presets, args.encoders, args.tails_of))
    results = measure_all(args.out.with_suffix(".json"), wanted, load_clips(args.clips, args.limit), backend)
    args.out.write_text(render(results), encoding="utf-8")
    print(f"wrote {args.out} and {args.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
