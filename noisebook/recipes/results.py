"""Measure the codec on held-out clips and write the tables of docs/results.md.

    python -m noisebook.recipes.results CLIPS [--out docs/results.md] [--limit 16] [--comparison REPORT]

CLIPS is a folder of sounds of about 10 s, named by kind: `music-...`, `speech-...`, `sfx-...` (`recipes.data build
--held-out` makes one). Every measurement lies in `results.json` beside the tables. What ViSQOL and its like say of the
same clips, and their streams, come from REPORT, which `noisebook compare CLIPS --out REPORT` writes. The table of
stereo music is that of `stereo.md` beside the page (`recipes.stereo`).

    bitrates   each preset: file bytes against the prediction, latent and mel error, metrics of the sound
    controls   at the same rates, of some clips: the stream of another clip, and a stream of random indices
    ceilings   the vocoder on the true mel, and the autoencoder without any coding
    drift      the same stream with one and two threads, in float32 and bfloat16
    time       the share of encoding that is not spent in networks
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from noisebook import api
from noisebook.audio import io
from noisebook.audio.channels import downmix
from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.codec import ddcm
from noisebook.codec.layout import layout_of
from noisebook.codec.presets import PRESETS
from noisebook.codec.signal import levelled
from noisebook.coding import container
from noisebook.diffusion.backend import Backend, FeatureBackend, with_features
from noisebook.errors import ConfigError
from noisebook.metrics import evaluate, log_mel_l1_db
from noisebook.recipes._tables import render

_SAMPLES = 160000  # 10 s at 16 kHz
_KINDS = ("music", "speech", "sfx")
_CHEAP = ("mel_db_mae",)
_PERCEPTUAL = ("visqol", "zimtohrli", "estoi", "pesq_wb")
_METHODS = {"vocoder": "vocoder", "autoencoder": "autoencoder", "codec": "ddcm-{preset}"}  # their ids in a comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, help="folder of held-out sounds")
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--model", default=api.EMBEDDED)
    parser.add_argument("--limit", type=int, default=16, help="clips of each kind")
    parser.add_argument("--controls", type=int, default=12, help="clips in all that controls are made of")
    parser.add_argument(
        "--comparison",
        type=Path,
        help="folder of a comparison of the same clips, for its streams and what ViSQOL and its like say",
    )
    args = parser.parse_args()

    backend = with_features(api.load_backend(args.model, device="cpu"))
    clips = load_clips(args.clips, args.limit)
    comparison = Comparison(args.comparison) if args.comparison else None
    streams = encode_all(clips, backend, comparison)
    rows = []
    for index, clip in enumerate(clips):
        print(f"measuring {index + 1}/{len(clips)} {clip.name}", flush=True)
        rows += measure_clip(index, clips, streams, backend, controls=index < args.controls)
    for row in rows:
        if comparison and row["system"] in _METHODS:
            row.update(comparison.opinions(row["clip"], row["system"], row["preset"]))
    results = {
        "model": backend.info.fingerprint.hex()[:4],
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "clips": [clip.name for clip in clips],
        "rows": rows,
        "drift": measure_drift(clips[:: max(1, len(clips) // 3)][:3], args.model),
        "time": measure_time(clips[0], backend),
    }
    args.out.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    stereo = args.out.with_name("stereo.md")
    page = stereo.read_text(encoding="utf-8") if stereo.is_file() else ""
    args.out.write_text(render(results, page), encoding="utf-8")
    print(f"wrote {args.out} and {args.out.with_suffix('.json')}")


@dataclass(frozen=True)
class Clip:
    """One held-out sound: 10 s, mono, 16 kHz."""

    name: str
    kind: str
    sound: Waveform


def load_clips(folder: Path, limit: int) -> list[Clip]:
    """The first `limit` clips of each kind that are long enough, spread over their names; kinds take turns."""
    by_kind: list[list[Clip]] = []
    for kind in _KINDS:
        paths = sorted(folder.glob(f"{kind}-*"))
        chosen = [paths[i * len(paths) // limit] for i in range(limit)] if len(paths) > limit else paths
        by_kind.append([_load(path, kind) for path in chosen])
    return [clip for group in zip(*by_kind, strict=False) for clip in group]


def _load(path: Path, kind: str) -> Clip:
    sound = resample(downmix(io.read(path)), 16000)
    samples = np.zeros((1, _SAMPLES), np.float32)
    count = min(_SAMPLES, sound.sample_count)
    samples[:, :count] = sound.samples[:, :count]
    return Clip(path.stem, kind, Waveform(samples, 16000))


class Comparison:
    """What `noisebook compare` kept of the same clips.

    Args:
        folder: that it wrote.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        titles = {one["id"]: one["title"] for one in results["inputs"]}
        self._rows = {(titles[row["input"]], row["method"]): row for row in results["rows"]}

    def stream(self, clip: str, preset: str) -> bytes:
        """The coded file; ConfigError where there is none."""
        return (self._folder / self._row(clip, "codec", preset)["stream"]).read_bytes()

    def opinions(self, clip: str, system: str, preset: str | None) -> dict[str, float]:
        """What ViSQOL and its like say; ConfigError where they were not asked."""
        metrics = self._row(clip, system, preset)["metrics"]
        return {name: metrics[name] for name in _PERCEPTUAL if metrics.get(name) is not None}

    def _row(self, clip: str, system: str, preset: str | None) -> dict[str, Any]:
        method = _METHODS[system].format(preset=preset)
        try:
            row: dict[str, Any] = self._rows[clip, method]
        except KeyError:
            raise ConfigError(f"{self._folder} has no {method} of {clip}: compare the same clips first") from None
        return row


def encode_all(clips: list[Clip], backend: FeatureBackend, comparison: Comparison | None) -> dict[str, list[bytes]]:
    """The stream of every clip at every preset, where it can be the compared one."""
    streams: dict[str, list[bytes]] = {}
    for preset in (one.name for one in PRESETS):
        print(f"encoding at preset {preset}", flush=True)
        if comparison:
            streams[preset] = [comparison.stream(clip.name, preset) for clip in clips]
        else:
            streams[preset] = [api.compress(clip.sound, backend=backend, preset=preset) for clip in clips]
    return streams


def measure_clip(
    index: int, clips: list[Clip], streams: dict[str, list[bytes]], backend: FeatureBackend, *, controls: bool
) -> list[dict[str, Any]]:
    """Rows of one clip: ceilings, then each preset, with its controls where they are wanted."""
    clip = clips[index]
    judge = Judge(clip, streams[PRESETS[0].name][index], backend)
    rows = [
        judge.row("vocoder", None, _vocoded(clip, backend)),
        judge.row("autoencoder", None, judge.sound_of(judge.target), latent=judge.target),
    ]
    for preset, data in streams.items():
        header = container.parse_header(data[index])[0]
        predicted = container.overhead(header, 1) + layout_of(header, backend.info).payload_size
        row = judge.decoded_row("codec", preset, data[index])
        rows.append(row | {"bytes": len(data[index]), "predicted_bytes": predicted})
        if controls:
            random = api.random_stream(header, backend.info, seed=header.preset)
            rows.append(judge.decoded_row("control: another clip", preset, data[(index + 1) % len(clips)]))
            rows.append(judge.decoded_row("control: random indices", preset, random))
    return rows


class Judge:
    """Compares latents and sounds with one clip; `stream` is any of the clip's own."""

    def __init__(self, clip: Clip, stream: bytes, backend: FeatureBackend) -> None:
        self.clip, self.backend = clip, backend
        self.header = ddcm.analysed(container.parse_header(stream)[0], clip.sound)
        self.target = ddcm.target_latent(clip.sound, self.header, backend=backend)
        self.mel = backend.features(torch.from_numpy(levelled(clip.sound, self.header, backend.info)))

    def sound_of(self, latent: torch.Tensor) -> Waveform:
        return ddcm.synthesise(latent, self.header, backend=self.backend)

    def decoded_row(
        self,
        system: str,
        preset: str,
        data: bytes,
        names: Iterable[str] = _CHEAP,
        *,
        tail_steps: int | None = None,
    ) -> dict[str, Any]:
        header, latent = ddcm.decode_latent(data, backend=self.backend, tail_steps=tail_steps)
        sound = ddcm.synthesise(latent, header, backend=self.backend)
        row = self.row(system, preset, sound, names, latent=latent)
        return row | {"nmse_db": _nmse_db(latent, self.target)}

    def row(
        self,
        system: str,
        preset: str | None,
        sound: Waveform,
        names: Iterable[str] = _CHEAP,
        *,
        latent: torch.Tensor | None = None,
    ) -> dict[str, Any]:
        clip = self.clip
        row: dict[str, Any] = {"clip": clip.name, "kind": clip.kind, "system": system, "preset": preset}
        if latent is not None:
            decoded = self.backend.decode(latent)[:, :, : self.mel.shape[2]]
            row["mel"] = log_mel_l1_db(self.mel.numpy(), decoded.numpy())
        return row | evaluate(clip.sound.samples[0], sound.samples[0], sample_rate=16000, names=list(names))


def _nmse_db(latent: torch.Tensor, target: torch.Tensor) -> float:
    """Squared error relative to the target, in dB; -inf where they are the same."""
    return float(10 * torch.log10((latent - target).square().mean() / target.square().mean()))


def _vocoded(clip: Clip, backend: FeatureBackend) -> Waveform:
    samples = backend.vocode(backend.features(torch.from_numpy(clip.sound.samples)))
    return Waveform(samples.numpy(), 16000)


def measure_drift(clips: list[Clip], model: str) -> list[dict[str, Any]]:
    """How far other ways of computing move the decoded latent of the same streams: the largest difference in dB."""
    reference = api.load_backend(model, device="cpu")
    low = api.load_backend(model, device="cpu", dtype="bfloat16")
    threads = torch.get_num_threads()
    other = 1 if threads > 1 else 2
    rows = []
    for preset in PRESETS:
        streams = [api.compress(clip.sound, backend=reference, preset=preset.name) for clip in clips]
        latents = _decode_all(streams, reference)
        again, in_bfloat16 = _decode_all(streams, reference), _decode_all(streams, low)
        torch.set_num_threads(other)
        threaded = _decode_all(streams, reference)
        torch.set_num_threads(threads)
        rows.append({
            "preset": preset.name,
            "decoded again": _largest_difference(again, latents),
            f"{other} instead of {threads} threads": _largest_difference(threaded, latents),
            "bfloat16": _largest_difference(in_bfloat16, latents),
        })  # fmt: skip
    return rows


def _decode_all(streams: list[bytes], backend: Backend) -> list[torch.Tensor]:
    return [ddcm.decode_latent(stream, backend=backend)[1] for stream in streams]


def _largest_difference(latents: list[torch.Tensor], references: list[torch.Tensor]) -> float | None:
    """In dB relative to the reference; None where all are the same to the bit."""
    pairs = list(zip(latents, references, strict=True))
    return max((_nmse_db(a, b) for a, b in pairs if not torch.equal(a, b)), default=None)


class _Timed:
    """A backend that adds up the time spent in its networks."""

    def __init__(self, backend: FeatureBackend) -> None:
        self._backend, self.seconds = backend, 0.0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._backend, name)
        if name not in ("to_latent", "to_waveform", "denoise", "decode", "pull"):
            return attribute

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            result = attribute(*args, **kwargs)
            self.seconds += time.perf_counter() - started
            return result

        return timed


def measure_time(clip: Clip, backend: FeatureBackend, *, runs: int = 5) -> list[dict[str, Any]]:
    """Median seconds to encode and decode the clip at each preset, and the share outside the networks."""
    rows = []
    for preset in PRESETS:
        stream = api.compress(clip.sound, backend=backend, preset=preset.name)  # warm
        encodes, decodes = [], []
        for _ in range(runs):
            encodes.append(
                _timed_share(lambda b, p=preset: api.compress(clip.sound, backend=b, preset=p.name), backend)
            )
            decodes.append(_timed_share(lambda b, s=stream: api.decompress(s, backend=b), backend))
        encode, encode_share = np.median(encodes, axis=0)
        decode, decode_share = np.median(decodes, axis=0)
        rows.append({"preset": preset.name, "encode_seconds": encode, "encode_share": encode_share,
                     "decode_seconds": decode, "decode_share": decode_share})  # fmt: skip
    return rows


def _timed_share(run: Any, backend: FeatureBackend) -> tuple[float, float]:
    """Seconds of one run, and the share of them outside the networks."""
    timed = _Timed(backend)
    started = time.perf_counter()
    run(timed)
    total = time.perf_counter() - started
    return total, 1 - timed.seconds / total


if __name__ == "__main__":
    main()
