"""Whether held-out stereo music comes back from where it was.

Every clip is coded as it is at every bitrate and, for control, as mono at one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from experiments.study import Bench, Parts, Row, Study, clip_paths, mean_of, table
from noisebook import api
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.metrics import image_coherence, image_level_db, mean_coherence

BITRATES = ("300", "1500", "3000")
CONTROL = "3000"  # of what is coded as mono
_SECONDS = 5.0


def run(bench: Bench) -> Parts:
    """The tables of docs/studies.md; the first is in docs/results.md too."""
    paths = stereo_paths(bench.options.clips, bench.options.limit)
    rows = [row for one in bench.rows(judged, ({"path": str(path)} for path in paths)) for row in one["rows"]]
    return {
        "about": f"{len(paths)} held-out pieces of stereo music of {_SECONDS:g} s",
        "music": _music(rows),
    }


def stereo_paths(folder: Path, limit: int) -> list[Path]:
    """Stereo music of a folder."""
    return clip_paths(folder, limit, kinds=("music",), fits=lambda path: soundfile.info(str(path)).channels == 2)


def judged(bench: Bench, path: str) -> Row:
    """Rows of a clip: with an image at every bitrate, and as mono at one."""
    backend, whole = bench.backend, read(path)
    clip = Waveform(whole.samples[:, : round(_SECONDS * whole.sample_rate)], whole.sample_rate)
    data = api.compress(clip, backend=backend, preset=CONTROL, channels="mono")
    mono = api.decompress(data, backend=backend).samples[0]
    rows = [_row(f"{CONTROL}, mono", clip, np.stack([mono, mono]))]
    for preset in BITRATES:
        data = api.compress(clip, backend=backend, preset=preset)
        decoded = api.decompress(data, backend=backend).samples
        rows.append(_row(preset, clip, decoded) | {
            "image_bitrate": 8 * api.read_info(data).image_bytes / clip.duration,
            "bitrate": 8 * len(data) / clip.duration,
            "sum_db": _db(decoded.mean(axis=0)) - _db(mono),
        })  # fmt: skip
    return {"rows": rows}


def _row(name: str, clip: Waveform, decoded: np.ndarray) -> Row:
    rate, original = clip.sample_rate, clip.samples
    return {
        "name": name,
        "level_db": image_level_db(original, decoded, sample_rate=rate),
        "coherence": image_coherence(original, decoded, sample_rate=rate),
        "got": mean_coherence(decoded, sample_rate=rate, weights=original),
        "wanted": mean_coherence(original, sample_rate=rate),
    }


def _music(rows: Sequence[Row]) -> str:
    lines = [["the originals", "", "", f"{mean_of(rows, 'wanted'):.2f}", "", "", ""]]
    for name in dict.fromkeys(row["name"] for row in rows):
        of = [row for row in rows if row["name"] == name]
        cells = [name, f"{mean_of(of, 'level_db'):.2f}", f"{mean_of(of, 'coherence'):.3f}", f"{mean_of(of, 'got'):.2f}"]
        if "bitrate" in of[0]:
            worst = max((row["sum_db"] for row in of), key=abs)
            sums = f"{mean_of(of, 'sum_db'):+.1f}, {worst:+.1f}"
            cells += [f"{mean_of(of, 'image_bitrate'):.0f}", f"{mean_of(of, 'bitrate'):.0f}", sums]
        lines.append(cells + [""] * (7 - len(cells)))
    return table(["", "level dB", "coherence", "of the decode", "image bit/s", "file bit/s", "L+R dB"], lines)


def _db(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-30))


STUDY = Study(
    "stereo", "where left and right come from", run, ("docs/studies.md", "docs/results.md"), limit=4, minutes=4
)
