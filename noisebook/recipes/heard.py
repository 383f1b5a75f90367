"""What the searches of the encoder and the tail of the decoder are worth to the ear, on held-out clips.

    python -m noisebook.recipes.heard CLIPS [--out docs/heard.md] [--limit 3] [--presets 100 300 1500 3000]

CLIPS is a folder of sounds of 10 s named by kind, as of `recipes.results`. A row is one clip, coded at one preset by
one encoder and decoded with one tail, before and behind the vocoder. Rows are written as they are measured, to the
`.json` beside the page; what is there of the same model is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noisebook import api
from noisebook.codec import ddcm
from noisebook.diffusion.backend import MelBackend, with_mel
from noisebook.metrics import available
from noisebook.recipes._heard_page import PLAIN, render
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
    """One cell of the tables, for one clip."""

    preset: str
    encoder: str
    tail: int

    @property
    def key(self) -> dict[str, Any]:
        return {"preset": self.preset, "encoder": self.encoder, "tail": self.tail}


def cases(presets: list[str], encoders: list[str], tails_of: str) -> Iterator[Case]:
    """All encoders with the codec's own tail; all tails with the encoder `tails_of`."""
    for preset in presets:
        for encoder in encoders:
            yield Case(preset, encoder, ddcm.TAIL_STEPS)
    for preset in presets:
        yield from (Case(preset, tails_of, tail) for tail in TAILS if tail != ddcm.TAIL_STEPS and tails_of in encoders)


def measure(case: Case, clip: Clip, backend: MelBackend) -> dict[str, Any]:
    """A row of the case for a clip."""
    begun = time.process_time()
    data = api.compress(clip.sound, backend=backend, preset=case.preset, **ENCODERS[case.encoder])
    spent = (time.process_time() - begun) / clip.sound.duration
    names = [name for name in available(speech=clip.kind == "speech") if name in _METRICS]
    row = Judge(clip, data, backend).decoded_row(case.encoder, case.preset, data, names, tail_steps=case.tail)
    return row | case.key | {"encode_ratio": spent}


def measure_all(path: Path, wanted: list[Case], clips: list[Clip], backend: MelBackend) -> dict[str, Any]:
    """All rows, those of the file at `path` as they are there; the file grows with every clip."""
    results: dict[str, Any] = {"model": backend.info.fingerprint.hex()[:4], "rows": []}
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
        results = found if found["model"] == results["model"] else results
    for case in wanted:
        for clip in clips:
            if any(row["clip"] == clip.name and case.key.items() <= row.items() for row in results["rows"]):
                continue
            results["rows"].append(measure(case, clip, backend))
            path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        print(f"{case.preset:>5s} bit/s  {case.encoder:24s} tail {case.tail}", flush=True)
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

    backend = with_mel(api.load_backend(args.model, device="cpu"))
    wanted = list(cases(args.presets, args.encoders, args.tails_of))
    results = measure_all(args.out.with_suffix(".json"), wanted, load_clips(args.clips, args.limit), backend)
    args.out.write_text(render(results), encoding="utf-8")
    print(f"wrote {args.out} and {args.out.with_suffix('.json')}")


if __name__ == "__main__":
    main()
