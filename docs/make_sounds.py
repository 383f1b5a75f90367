"""Makes the sounds of index.md with the table that plays them, and those that the studio opens with: `make sounds`.

It needs `opusenc` (package opus-tools). The bundled clips are compressed at several presets and by Opus at 6 kbit/s.
The streams are kept too; originals and decodes are kept as Opus of 64 kbit/s (40 in the package), which is small and
plays in every browser. The studio also gets a picture of each clip.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

from matplotlib import colormaps
from PIL import Image

import noisebook
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform
from noisebook.report.figures import log_mel_db
from noisebook.studio.jobs import READY, READY_PRESETS

DOCS = Path(__file__).parent
SOUNDS = DOCS / "sounds"
ASSETS = DOCS.parent / "noisebook" / "assets"
CLIPS = {"demo.flac": "Music, stereo", "demo-speech.flac": "Speech, mono"}
PRESETS = ("300", "1500", "3000")
FILLED = re.compile(r"(<!-- sounds: begin -->\n).*(<!-- sounds: end -->)", re.DOTALL)


def main() -> None:
    for folder in (SOUNDS, READY):
        folder.mkdir(exist_ok=True)
    backend = noisebook.load_backend(device="cpu")
    rows = ["<table>"]
    for file, title in CLIPS.items():
        sound, name = read(ASSETS / file), Path(file).stem
        seconds = sound.sample_count / sound.sample_rate
        rows.append(f'<tr><th colspan="2">{title}, {seconds:g} s</th></tr>')
        opus(ASSETS / file, SOUNDS / f"{name}.opus", "64")
        rows.append(row("original, 16-bit PCM", 2 * sound.samples.size, seconds, f"{name}.opus"))
        picture(sound, READY / f"{name}.webp")
        for preset in dict.fromkeys((*PRESETS, *READY_PRESETS)):
            stream = noisebook.compress(sound.samples, sample_rate=sound.sample_rate, backend=backend, preset=preset)
            decoded = noisebook.decompress(stream, backend=backend)
            for folder, kilobits, presets in ((SOUNDS, "64", PRESETS), (READY, "40", READY_PRESETS)):
                if preset in presets:
                    (folder / f"{name}-{preset}.ddcm").write_bytes(stream)
                    with tempfile.TemporaryDirectory() as place:
                        write(Path(place) / "decoded.wav", decoded)
                        opus(Path(place) / "decoded.wav", folder / f"{name}-{preset}.opus", kilobits)
            if preset in PRESETS:
                rows.append(row(f"noisebook, preset {preset}", len(stream), seconds, f"{name}-{preset}.opus"))
        opus(ASSETS / file, SOUNDS / f"{name}-opus-6k.opus", "6", "--framesize", "60")
        size = (SOUNDS / f"{name}-opus-6k.opus").stat().st_size
        rows.append(row("Opus, 6 kbit/s", size, seconds, f"{name}-opus-6k.opus"))
    page = DOCS / "index.md"
    table = "\n".join([*rows, "</table>", ""])
    text = FILLED.sub(lambda found: found[1] + table + found[2], page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


def opus(source: Path, target: Path, kilobits: str, *options: str) -> None:
    command = ["opusenc", "--quiet", "--discard-comments", "--serial", "1", "--bitrate", kilobits, *options]
    subprocess.run([*command, str(source), str(target)], check=True)


def picture(sound: Waveform, target: Path) -> None:
    """A spectrogram of 240 by 128 points."""
    levels = log_mel_db(sound)[::-1]
    colours = colormaps["magma"]((levels - levels.max() + 80) / 80, bytes=True)
    Image.fromarray(colours[..., :3]).resize((240, 128), Image.Resampling.LANCZOS).save(target, quality=70)


def row(what: str, size: int, seconds: float, file: str) -> str:
    player = f'<audio controls preload="none" src="sounds/{file}"></audio>'
    rate = f"{8 * size / seconds:,.0f} bit/s"
    return f"<tr><td>{what}<br>{size:,} bytes, {rate}</td><td>{player}</td></tr>"


if __name__ == "__main__":
    main()
