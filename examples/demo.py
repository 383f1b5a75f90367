"""Compress a few seconds of the bundled clip at three bitrates, decode each in another process, verify, and show.

    python examples/demo.py OUT [--clip FILE]

Nothing but the .ddcm file passes from encoder to decoder: every step is the command line in a process of its own.
What comes back has to be what this process decodes. OUT receives the streams, the sounds and one picture.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

import noisebook
from noisebook.audio import io
from noisebook.audio.mel import log_mel
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform, downmix
from noisebook.metrics import log_mel_l1_db
from noisebook.report.figures import spectrogram_grid

_PRESETS = ("3000", "300", "30")
_SECONDS = 4  # of the bundled clip; one of your own is taken whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, nargs="?", default=Path("demo-out"))
    parser.add_argument("--clip", type=Path, help="a sound of your own instead of the bundled one")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with as_file(files("noisebook") / "assets" / "demo.flac") as bundled:
        clip = args.clip or bundled
        sound = io.read(clip)
    if not args.clip:
        sound = Waveform(sound.samples[:, : _SECONDS * sound.sample_rate].copy(), sound.sample_rate)
    run(sound, clip.name, args.out)


def run(original: Waveform, name: str, out: Path) -> None:
    """Round trips of a sound at each preset, with sounds, streams, picture and table in `out`."""
    io.write(out / "original.wav", original, overwrite=True)
    sounds = {"original": original}
    rows = []
    for preset in _PRESETS:
        print(f"compressing {name} at preset {preset}, and decoding it in another process ...", flush=True)
        trip = round_trip(out, preset)
        rows.append(trip)
        sounds[f"{trip.bitrate:.0f} bit/s, {trip.size} bytes"] = trip.sound
    picture = out / "spectrograms.png"
    spectrogram_grid(sounds, picture)
    _print_table(rows, original)
    print(f"\nsounds and streams are in {out}/, the picture is {picture}")


@dataclass(frozen=True)
class Trip:
    """One round trip."""

    preset: str
    size: int
    bitrate: float
    encode_seconds: float
    decode_seconds: float
    sound: Waveform


def round_trip(out: Path, preset: str) -> Trip:
    """Compress, inspect and decompress `original.wav`, each in a process; exits if this one decodes another sound."""
    stream, sound = out / f"{preset}.ddcm", out / f"{preset}.wav"
    encode_seconds = _noisebook("compress", out / "original.wav", stream, "--preset", preset, "-f")[1]
    info = json.loads(_noisebook("info", stream, "--json")[0])
    decode_seconds = _noisebook("decompress", stream, sound, "-f")[1]
    decoded, again = io.read(sound), out / "again.wav"
    io.write(again, noisebook.decompress(stream.read_bytes()), overwrite=True)
    same = np.array_equal(decoded.samples, io.read(again).samples)
    again.unlink()
    if not (same and info["intact"] and decoded.sample_count == info["sample_count"]):
        sys.exit(f"preset {preset}: verification failed: same samples {same}, stream intact {info['intact']}")
    return Trip(preset, stream.stat().st_size, info["bitrate"], encode_seconds, decode_seconds, decoded)


def _noisebook(*arguments: Any) -> tuple[str, float]:
    """Output and seconds of the command in a new process."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "noisebook", *map(str, arguments)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if result.returncode:
        sys.exit(result.returncode)  # the command has said why
    return result.stdout, time.perf_counter() - started


def _print_table(rows: list[Trip], original: Waveform) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("preset", "file bytes", "bit/s", "of PCM16", "log-mel error", "encode", "decode", "verified")
    pcm = 2 * original.samples.size
    for row in rows:
        table.add_row(row.preset, str(row.size), f"{row.bitrate:.1f}", f"1 : {pcm / row.size:.0f}",
                      f"{_mel_error(original, row.sound):.2f} dB", f"{row.encode_seconds:.1f} s",
                      f"{row.decode_seconds:.1f} s", "yes")  # fmt: skip
    Console(width=max(90, Console().width)).print(table)


def _mel_error(reference: Waveform, estimate: Waveform) -> float:
    import torch

    a, b = (log_mel(torch.from_numpy(resample(downmix(s), 16000).samples)).numpy() for s in (reference, estimate))
    return log_mel_l1_db(a, b)


if __name__ == "__main__":
    main()
