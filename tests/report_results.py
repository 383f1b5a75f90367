"""Results of a comparison as `noisebook compare` writes them, with real sounds, for the tests of reports.

Load it with `run_path`: it lies between the kinds of tests that use it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import noisebook
from noisebook.audio.io import read
from noisebook.metrics.suite import METRICS, evaluate
from noisebook.report.results import CODECS, delta_rates

ASSETS = Path(noisebook.__file__).parent / "assets"
TITLES = (
    'Garden & <b>birds</b> "at dawn"',
    "雨の音 </script><script>document.title = 'taken'</script>",
    "Stimme — Übung 3",
)
CHOSEN = ("snr_db", "si_sdr_db", "energy_ratio_db", "log_spectral_distance_db")
PIXEL = bytes.fromhex(  # a PNG of one grey pixel
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000" "3a7e9b550000000a49444154789c63680000008200"
    "8177cd72b60000000049454e44ae426082"
)  # fmt: skip


def smooth(samples: np.ndarray, width: int) -> np.ndarray:
    return np.convolve(samples, np.ones(width) / width, mode="same")


def noisy(samples: np.ndarray, level: float) -> np.ndarray:
    return samples + level * samples.std() * np.random.default_rng(5).standard_normal(samples.shape)


METHODS: tuple[tuple[str, str, str, bool, float | None, Callable[[np.ndarray], np.ndarray]], ...] = (
    ("vocoder", "ceiling: vocoder", "ceiling", True, None, lambda x: noisy(x, 0.02)),
    ("reconstruct-matched", "Reconstruct: matched", "reconstruct", True, None, lambda x: noisy(x, 0.05)),
    ("vq-frame-kmeans", "VQ frame-kmeans", "vq", True, 226.7, lambda x: smooth(x, 7)),
    ("ddcm-300", "DDCM 300", "ddcm", True, 316.8, lambda x: noisy(x, 0.5)),
    ("ddcm-1500", "DDCM 1500", "ddcm", True, 1522.4, lambda x: noisy(x, 0.25)),
    ("ddcm-3000", "DDCM 3000", "ddcm", True, 3009.6, lambda x: 0.3 * noisy(x, 0.1)),
    ("transform-<i>", "Transform <i>“brass”</i>", "transform", True, None, lambda x: np.tanh(4 * x)),
    ("opus-6", "Opus 6 kbit/s", "codec", False, 6144.0, lambda x: smooth(x, 4)),
    ("mp3-8", "MP3 8 kbit/s", "codec", False, 8000.0, lambda x: smooth(x, 3)),
    ("silence", "control: silence", "control", False, None, lambda x: 0 * x),
    ("other-clip", "control: another clip", "control", False, None, lambda x: x[::-1].copy()),
)


def _series(method: tuple[Any, ...]) -> str:
    return str(method[0].split("-")[0] if method[2] in CODECS else method[2])


def build(folder: Path, *, inputs: int = 3, seconds: float = 1.5, failures: bool = True) -> dict[str, Any]:
    """Sounds and figures in `folder`, and the results that name them. One method failed on the first input, one metric
    is unknown everywhere but for one method, one method was skipped."""
    metrics = [m for m in METRICS if m.name in CHOSEN]
    sounds = [_sound(folder, index, seconds) for index in range(inputs)]
    rows = [_row(folder, sound, method, seconds) for sound in sounds for method in METHODS]
    if failures:
        rows[-3] |= {
            "error": "ffmpeg ended with status 1: <stderr> & more",
            "file": None,
            "metrics": {},
            "verdict": None,
        }
    (folder / "figures").mkdir(exist_ok=True)
    for name in ("in-0", "curve", "residual"):
        (folder / "figures" / f"{name}.png").write_bytes(PIXEL)
    listed = [{"name": m.name, "label": m.label, "unit": m.unit, "direction": m.direction} for m in metrics]
    listed.append({"name": "pesq_wb", "label": "PESQ wideband (speech)", "unit": "MOS", "direction": "higher"})
    results = {
        "format": 1,
        "noisebook": "0.0.0",
        "created": "2026-11-23T12:00:00+00:00",
        "manifest": {
            "model": {"fingerprint": "9f1c…", "name": "mini"},
            "command": ["noisebook", "compare", "<clips>", "--rates", "300,1500,3000"],
            "packages": {"torch": "2.13.0", "numpy": "2.4.0"},
            "seed": 0,
        },
        "metrics": listed,
        "inputs": sounds,
        "methods": [
            {"id": m[0], "label": m[1], "family": m[2], "series": _series(m), "generative": m[3],
             "bit_per_second": m[4], "command": f"noisebook compare IN --methods '{m[0]}'"}
            for m in METHODS
        ],
        "rows": rows,
        "skipped": [{"method": "encodec", "reason": "no weights in the cache: place them & <try> again"}],
        "ranking": _ranking(rows, listed),
        "figures": {
            "rate_quality": [{"metric": "snr_db", "file": "figures/curve.png"}],
            "residuals": [{"input": "in-0", "file": "figures/residual.png"}],
        },
    }  # fmt: skip
    return results | {"delta_rates": delta_rates(results)}


def _sound(folder: Path, index: int, seconds: float) -> dict[str, Any]:
    whole = read((Path(__file__).parent / "sounds" / "music-16k.flac", ASSETS / "demo-speech.flac")[index % 2])
    count = round(seconds * whole.sample_rate)
    start = (index // 2 + 1) * count % (whole.sample_count - count)
    place = folder / "sounds" / f"in-{index}"
    place.mkdir(parents=True)
    soundfile.write(place / "original.flac", whole.samples[0, start : start + count], whole.sample_rate)
    return {
        "id": f"in-{index}",
        "title": TITLES[index % 3],
        "kind": ("music", "speech", None)[index % 3],
        "seconds": seconds,
        "sample_rate": whole.sample_rate,
        "channels": 1,
        "file": f"sounds/in-{index}/original.flac",
        "figure": "figures/in-0.png" if index == 0 else None,
    }


def _row(folder: Path, sound: dict[str, Any], method: tuple[Any, ...], seconds: float) -> dict[str, Any]:
    name, _, family, _, bit_per_second, change = method
    reference, rate = soundfile.read(folder / sound["file"])
    estimate = np.clip(change(reference), -1, 1)
    file = f"sounds/{sound['id']}/{'transform' if '<' in name else name}.flac"
    soundfile.write(folder / file, estimate, rate)
    values: dict[str, float | None] = dict(evaluate(reference, estimate, sample_rate=rate, names=CHOSEN))
    related = {"related": family != "control", "score": 0.8, "threshold": 0.5, "p_value": 0.01, "n_controls": 99}
    return {
        "input": sound["id"],
        "method": name,
        "file": file,
        "bytes": None if bit_per_second is None else round(bit_per_second * seconds / 8),
        "bit_per_second": bit_per_second,
        "encode_seconds": 0.51,
        "decode_seconds": 0.94,
        "lag_samples": 0,
        "gain_db": -1.5,
        "metrics": values | {"pesq_wb": 3.21 if name == "ddcm-3000" else None},
        "verdict": None if family == "ceiling" else related,
        "error": None,
    }


def _ranking(rows: list[dict[str, Any]], metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
    lines = []
    for metric in metrics:
        for method in METHODS:
            values = [r["metrics"].get(metric["name"]) for r in rows if r["method"] == method[0] and not r["error"]]
            known = [value for value in values if value is not None and np.isfinite(value)]
            many = len(known) > 1
            lines.append({
                "method": method[0],
                "metric": metric["name"],
                "mean": float(np.mean(known)) if known else None,
                "low": float(min(known)) if many else None,
                "high": float(max(known)) if many else None,
                "rank": None,
                "n": len(known),
            })  # fmt: skip
    return lines
