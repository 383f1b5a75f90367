"""Makes the sounds of index.md, and the table that plays them: `make sounds` (needs `opusenc`, package opus-tools).

Both bundled clips are compressed at three presets and by Opus at 6 kbit/s. The streams are kept too; originals and
decodes are kept as Opus of 64 kbit/s, which is small and plays in every browser.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path

import noisebook
from noisebook.audio.io import read, write

DOCS = Path(__file__).parent
SOUNDS = DOCS / "sounds"
ASSETS = DOCS.parent / "noisebook" / "assets"
CLIPS = {"demo.flac": "Music, stereo", "demo-speech.flac": "Speech, mono"}
PRESETS = ("300", "1500", "3000")
FILLED = re.compile(r"(<!-- sounds: begin -->\n).*(<!-- sounds: end -->)", re.DOTALL)


def main() -> None:
    SOUNDS.mkdir(exist_ok=True)
    backend = noisebook.load_backend(device="cpu")
    rows = ["<table>"]
    for file, title in CLIPS.items():
        sound, name = read(ASSETS / file), Path(file).stem
        seconds = sound.sample_count / sound.sample_rate
        rows.append(f'<tr><th colspan="2">{title}, {seconds:g} s</th></tr>')
        opus(ASSETS / file, SOUNDS / f"{name}.opus", "64")
        rows.append(row("original, 16-bit PCM", 2 * sound.samples.size, seconds, f"{name}.opus"))
        for preset in PRESETS:
            stream = noisebook.compress(sound.samples, sample_rate=sound.sample_rate, backend=backend, preset=preset)
            (SOUNDS / f"{name}-{preset}.ddcm").write_bytes(stream)
            decoded = noisebook.decompress(stream, backend=backend)
            with tempfile.TemporaryDirectory() as folder:
                write(Path(folder) / "decoded.wav", decoded)
                opus(Path(folder) / "decoded.wav", SOUNDS / f"{name}-{preset}.opus", "64")
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


def row(what: str, size: int, seconds: float, file: str) -> str:
    player = f'<audio controls preload="none" src="sounds/{file}"></audio>'
    rate = f"{8 * size / seconds:,.0f} bit/s"
    return f"<tr><td>{what}<br>{size:,} bytes, {rate}</td><td>{player}</td></tr>"


if __name__ == "__main__":
    main()
