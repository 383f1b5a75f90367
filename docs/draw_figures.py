"""Draws the figures of how-ddcm-works.md with the code they explain: `python docs/draw_figures.py`.

The sound is 4 s of the bundled clip; the choice of an atom is drawn in two dimensions, with random atoms.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from noisebook import api
from noisebook.audio.io import read
from noisebook.audio.waveform import Waveform
from noisebook.codec.decoder import decode_latent
from noisebook.codec.encoder import header_of, target_latent
from noisebook.codec.options import EncodeOptions
from noisebook.codec.presets import by_name
from noisebook.codec.segment import SegmentCoder, encode_segment
from noisebook.codec.signal import sound_of
from noisebook.codec.timeline import Layout, plan_of
from noisebook.coding import container
from noisebook.coding.container import Header
from noisebook.diffusion.backend import Backend, BackendInfo
from noisebook.diffusion.plan import coded_plan, uniform_timesteps
from noisebook.report.figures import residual_steps, spectrogram_grid

FOLDER = Path(__file__).parent / "images"
SECONDS, PRESETS = 4, ("30", "300", "3000")
INK, CHOSEN, FAINT = "#0072b2", "#d55e00", "#bbbbbb"


@dataclass
class Recorder:
    """A denoiser that keeps its estimates."""

    denoise: Callable[[torch.Tensor, int], torch.Tensor]
    estimates: list[torch.Tensor] = field(default_factory=list)

    def __call__(self, x: torch.Tensor, t: int) -> torch.Tensor:
        self.estimates.append(self.denoise(x, t))
        return self.estimates[-1]


def main() -> None:
    mpl.rcParams["svg.hashsalt"], mpl.rcParams["svg.fonttype"] = "noisebook", "none"  # the same file every time
    with as_file(files("noisebook") / "assets" / "demo.flac") as bundled:
        clip = read(bundled)
    clip = Waveform(clip.samples[:, : SECONDS * clip.sample_rate].copy(), clip.sample_rate)
    backend = api.load_backend(device="cpu")
    draw_choice(FOLDER / "how-choice.svg")
    draw_plans(backend.info, FOLDER / "how-plans.svg")
    traces = {}
    for preset in PRESETS:
        chosen, target, header = walk(clip, backend, preset)
        traces[f"{preset} bit/s, chosen"] = errors(chosen, target)
        if preset == "300":
            traces["300 bit/s, noise drawn at random"] = errors(walk(clip, backend, preset, drawn=True)[0], target)
            draw_way(clip, chosen, backend, header, FOLDER / "how-way.png")
    residual_steps(traces, FOLDER / "how-errors.svg")


def walk(
    clip: Waveform, backend: Backend, preset: str, *, drawn: bool = False
) -> tuple[list[torch.Tensor], torch.Tensor, Header]:
    """The estimates of an encoder after 0, 1, ... steps and of a decoder at the end, the target, the header.

    Drawn at random, the noise is that of another sound: the choices for a target of noise.
    """
    header = header_of(clip, EncodeOptions(preset=preset), backend.info)
    layout, target = Layout.of_header(header, backend.info), target_latent(clip, header, backend=backend)
    coder = SegmentCoder.of(layout, 0, header.seed, backend)
    recorder = Recorder(backend.denoise)
    aim = torch.randn(target.shape, generator=torch.Generator().manual_seed(1)) if drawn else target
    payload, _ = encode_segment(aim, coder, recorder, coder.start_noise(backend.device))
    data = container.pack(header, [payload])
    decoded = decode_latent(data, backend=backend)[1]
    return [*recorder.estimates, decoded], target, header


def errors(estimates: list[torch.Tensor], target: torch.Tensor) -> list[float]:
    """dB relative to the target's energy."""
    return [10 * float(((x - target).square().mean() / target.square().mean()).log10()) for x in estimates]


def draw_way(clip: Waveform, estimates: list[torch.Tensor], backend: Backend, header: Header, path: Path) -> None:
    """What the model believes the sound to be, on the way."""
    last = len(estimates) - 1
    shown = {"original": clip}
    for step in (0, 2, last - 1, last):
        title = f"after {step} steps" if step < last else "decoded: after the steps that take no bits"
        shown[title] = sound_of(estimates[step], header, backend)
    spectrogram_grid(shown, path)
    _shrink(path)


def _shrink(path: Path) -> None:
    """Half the size in 64 colours: a picture of noise does not compress otherwise."""
    from PIL import Image

    picture = Image.open(path).convert("RGB")
    small = picture.resize((900, round(900 * picture.height / picture.width)), Image.Resampling.LANCZOS)
    small.quantize(64, dither=Image.Dither.NONE).save(path, optimize=True)


def draw_choice(path: Path) -> None:
    """Where the target lies, the atoms of a codebook, and the one that points there."""
    generator = np.random.default_rng(4)
    atoms = generator.standard_normal((24, 2))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    target = np.array([2.1, 1.1])
    best = atoms[(atoms @ target).argmax()]
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for atom in atoms:
        axis.annotate("", atom, (0, 0), arrowprops={"arrowstyle": "->", "color": FAINT})
    axis.annotate("", target, (0, 0), arrowprops={"arrowstyle": "->", "color": INK, "linestyle": "--"})
    axis.annotate("", best, (0, 0), arrowprops={"arrowstyle": "-|>", "color": CHOSEN, "linewidth": 2})
    axis.text(target[0] + 0.05, target[1] + 0.02, "target", color=INK)
    axis.text(
        target[0] / 2 - 0.1, target[1] / 2 + 0.22, "target - x0_hat", color=INK, rotation=27, ha="center", va="center"
    )
    axis.text(-0.12, -0.2, "x0_hat", ha="right", bbox={"color": "white", "pad": 1})
    axis.text(best[0] + 0.05, best[1] - 0.2, "the atom that is taken", color=CHOSEN)
    axis.text(-1.05, -0.95, "the other atoms of the codebook", color="#777777", ha="right")
    axis.set_xlim(-3.4, 2.8)
    axis.set_ylim(-1.15, 1.5)
    axis.set_aspect("equal")
    axis.set_axis_off()
    figure.savefig(path)


def draw_plans(info: BackendInfo, path: Path) -> None:
    """Between which timesteps noise is chosen: matched to the bits of a step, and uniform."""
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axis = figure.subplots()
    rows = {f"{name} bit/s, matched": plan_of(by_name(name).params, info) for name in PRESETS}
    rows["uniform, 12 steps"] = coded_plan(info.schedule, uniform_timesteps(info.schedule, steps=12))
    for row, (name, plan) in enumerate(rows.items()):
        stops = [plan[0].t, *(step.s or 0 for step in plan)]
        axis.plot(stops, [row] * len(stops), "-o", color=INK if "matched" in name else CHOSEN, markersize=4)
    axis.set_yticks(range(len(rows)), rows)
    axis.set_xlim(1010, -10)
    axis.set_xlabel("timestep: 999 is noise, 0 is sound")
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    figure.savefig(path)


if __name__ == "__main__":
    main()
