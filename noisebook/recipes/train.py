"""Train the embedded model: all its networks, from a folder of sound, in a given time; resumable.

    python -m noisebook.recipes.train PACKED RUN --minutes 120                    # a CPU: minutes of computing
    python -m noisebook.recipes.train PACKED RUN --minutes 10 --device cuda       # a GPU: minutes by the clock
    python -m noisebook.recipes.train PACKED RUN --dry-run                        # two steps of each stage

PACKED is a folder of `recipes.data pack`, or of sound files (Opus, FLAC, ...), which are decoded into memory. The model
is RUN/model: `noisebook compress song.wav --model RUN/model`. `--start FOLDER` begins with the weights of a model;
`--part-mib 16` also writes it in parts that are small enough for a narrow way home (`cat model.tar.* | tar x`).

    stage     share of the time   networks                what it hears
    vocoder   .35                 vocoder                 true bands
    codec     .45                 autoencoder, denoiser   bits at an error of the bands
    coded     .20                 vocoder                 half of the bands from coded latents; at last, judges
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from noisebook.audio.bands import log_bands
from noisebook.backends.checkpoint import load_network, save_network
from noisebook.backends.mini_files import FILES
from noisebook.config import to_dict
from noisebook.diffusion.calibration import measure_curve
from noisebook.diffusion.schedule import scaled_linear
from noisebook.errors import ConfigError
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from noisebook.networks.phase_vocoder import PhaseVocoder, PhaseVocoderConfig
from noisebook.recipes._codec_stage import LATENT_HOP, CodecStage
from noisebook.recipes._coded import estimator
from noisebook.recipes._sounds import Sounds
from noisebook.recipes._train import Budget, Ema, Log, load_checkpoint, mixed_precision, save_checkpoint
from noisebook.recipes._vocoder_stage import VocoderStage

_FILES = dict(zip(("vae", "denoiser", "vocoder"), FILES, strict=True))
_PRINTED = 50  # steps to a line of the log
_SYNTHETIC = {"vocoder": 0.2, "codec": 0.06, "coded": 0.15}


@dataclass(frozen=True)
class Stage:
    """A row of the table.

    Attributes:
        name: of the stage and of its checkpoint.
        share: of the time.
        rate: peak learning rate.
        clips: to a step on a CPU; a GPU takes eight times as many.
    """

    name: str
    share: float
    rate: float
    clips: int


STAGES = (Stage("vocoder", 0.35, 8e-4, 8), Stage("codec", 0.45, 6e-4, 12), Stage("coded", 0.20, 3e-4, 6))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="packed folder, or folder of sounds")
    parser.add_argument("run", type=Path, help="checkpoints, log and the model; resumed if it exists")
    parser.add_argument("--minutes", type=float, default=120.0, help="of all stages, earlier runs counted")
    parser.add_argument("--stages", default=",".join(s.name for s in STAGES), help="only these; their shares stay")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--start", type=Path, help="folder of a model to begin with")
    parser.add_argument("--clips", type=int, help="clips to a step, in place of the table's")
    parser.add_argument("--part-mib", type=int, help="write the model in parts of this size as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument("--dry-run", action="store_true", help="two steps of each stage, nothing written")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    for stage in _chosen(args.stages):
        run(stage, args)
    if args.part_mib and not args.dry_run:
        _write_parts(args.run, args.part_mib)


def _chosen(names: str) -> tuple[Stage, ...]:
    table = {stage.name: stage for stage in STAGES}
    unknown = [name for name in names.split(",") if name not in table]
    if unknown:
        raise ConfigError(f"no stage {', '.join(unknown)}: there are {', '.join(table)}")
    return tuple(table[name] for name in names.split(","))


def run(stage: Stage, args: argparse.Namespace) -> None:
    """All steps of a stage that its share of the minutes leaves, from its checkpoint on."""
    trainer = Trainer(stage, args)
    budget, log = trainer.budget, Log(None if args.dry_run else args.run / "log.jsonl")
    first, saved = budget.step, budget.elapsed
    means: dict[str, list[torch.Tensor]] = {}
    while not budget.done and not (args.dry_run and budget.step >= first + 2):
        for name, value in trainer.step().items():
            means.setdefault(name, []).append(value.detach())
        if budget.step % _PRINTED == 0 or args.dry_run:  # the only place that waits for a GPU
            log(budget, **{f"{stage.name} {name}": torch.stack(values).mean() for name, values in means.items()})
            means.clear()
        if budget.elapsed - saved > args.save_every and not args.dry_run:
            saved = budget.elapsed
            trainer.save()
    if budget.step > first and not args.dry_run:
        trainer.save()
        trainer.export()


class Trainer:
    """A stage with its networks, optimizers, averages and time, as the run folder has them."""

    def __init__(self, stage: Stage, args: argparse.Namespace) -> None:
        self.stage, self.args = stage, args
        self.budget = Budget(args.minutes * stage.share, args.device)
        self._path = args.run / f"{stage.name}.pt"
        state = load_checkpoint(self._path, args.device)
        if state is not None:
            self.budget = Budget(
                args.minutes * stage.share, args.device, elapsed=state["elapsed"], steps=state["steps"]
            )
        seed = [args.seed, STAGES.index(stage), self.budget.step]
        self.sounds = Sounds(args.data, args.device, seed, synthetic=_SYNTHETIC[stage.name])
        self.work = self._losses(seed)
        self.ema = Ema(self.work.networks, 0.999)
        trained = [network for network in (self.work.networks, self.work.judges) if network is not None]
        self._optimizers = {
            id(network): torch.optim.AdamW(network.parameters(), lr=stage.rate, betas=(0.8, 0.99), weight_decay=0.01)
            for network in (one.to(args.device).requires_grad_(True).train() for one in trained)
        }
        self._trained = trained
        if state is not None:
            self._resume(state)
        size = sum(p.numel() for p in self.work.networks.parameters())
        print(f"{stage.name}: {self.sounds.hours:.1f} h, {size / 1e6:.1f} M parameters, {self.budget.minutes:.1f} min")

    def step(self) -> dict[str, torch.Tensor]:
        """One step of everything that learns; the terms of its loss."""
        rate = self.budget.learning_rate(self.stage.rate, warm_up=100)
        for optimizer in self._optimizers.values():
            optimizer.param_groups[0]["lr"] = rate
        share = min(1.0, self.budget.elapsed / max(self.budget.minutes, 1e-9))
        terms = self.work.step(1.0 if self.args.dry_run else share, self._update, self.args.device)
        self.ema.update(self.work.networks, self.budget.step)
        self.budget.tick()
        return terms

    def _update(self, network: nn.Module, loss: torch.Tensor) -> None:
        optimizer = self._optimizers[id(network)]
        optimizer.zero_grad()
        loss.backward()
        for part in network.children():
            torch.nn.utils.clip_grad_norm_(part.parameters(), 2.0)
        optimizer.step()

    def save(self) -> None:
        """A checkpoint, which replaces the one before only when it is whole."""
        save_checkpoint(
            self._path,
            self.budget,
            ema=self.ema.weights,
            networks=[network.state_dict() for network in self._trained],
            optimizers=[optimizer.state_dict() for optimizer in self._optimizers.values()],
        )

    def _resume(self, state: dict[str, Any]) -> None:
        self.ema.weights = state["ema"]
        for network, weights in zip(self._trained, state["networks"], strict=True):
            network.load_state_dict(weights)
        for optimizer, values in zip(self._optimizers.values(), state["optimizers"], strict=True):
            optimizer.load_state_dict(values)

    def _losses(self, seed: list[int]) -> VocoderStage | CodecStage:
        args, stage = self.args, self.stage
        clips = args.clips or stage.clips * (8 if args.device.startswith("cuda") else 1)
        if stage.name == "codec":
            return CodecStage(self._network("vae"), self._network("denoiser"), self.sounds, clips=clips,
                              device=args.device, seed=seed)  # fmt: skip
        vocoder = partial(VocoderStage, self._network("vocoder"), self.sounds, clips=clips, seed=seed)
        if stage.name == "vocoder":
            return vocoder()
        codec = tuple(self._network(name).to(args.device).eval().requires_grad_(False) for name in ("vae", "denoiser"))
        return vocoder(codec=codec, judged_from=0.5)

    def _network(self, name: str) -> Any:
        """As an earlier stage left it, as the model to start from has it, or new."""
        classes = {"vae": (BandVae, BandVaeConfig), "denoiser": (Denoiser, DenoiserConfig),
                   "vocoder": (PhaseVocoder, PhaseVocoderConfig)}  # fmt: skip
        kind, config = classes[name]
        for folder in (self.args.run / "model", self.args.start):
            if folder is not None and (folder / _FILES[name]).is_file():
                return load_network(folder / _FILES[name], kind, config)
        return kind(config())

    def export(self) -> None:
        """The averaged networks of the stage as files of the model."""
        folder = self.args.run / "model"
        folder.mkdir(exist_ok=True)
        record: dict[str, Any] = {"data_fingerprint": self.sounds.fingerprint, "data_hours": self.sounds.hours,
                                  "minutes": self.budget.elapsed, "steps": self.budget.step}  # fmt: skip
        with self.ema.applied(self.work.networks):
            for name, network in self.work.networks.items():
                extra = {"curve": to_dict(self._curve())} if name == "denoiser" else {}
                save_network(folder / _FILES[name], network, record | extra)

    @torch.no_grad()
    def _curve(self) -> Any:
        """The denoiser's error at each noise level, from which coding plans follow."""
        assert isinstance(self.work, CodecStage)
        clips = min(self.args.clips or self.stage.clips, self.stage.clips)
        vae, denoiser, device = self.work.vae, self.work.denoiser, self.args.device

        def latents() -> Iterator[torch.Tensor]:
            sounds = Sounds(self.args.data, device, [self.args.seed, 9], synthetic=0.0)
            for _ in range(4 * clips // 6 + 1):
                waveform, _ = sounds.batch(6, 256 * LATENT_HOP)
                with mixed_precision(device):
                    yield vae.encode(log_bands(waveform)).float()

        return measure_curve(estimator(denoiser, device), scaled_linear(), latents())


def _write_parts(run_folder: Path, mebibytes: int) -> None:
    """RUN/model.tar.000, .001, ...: the model as one archive, cut."""
    archive = run_folder / "model.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(run_folder / "model", "model")
    data, size = archive.read_bytes(), mebibytes * 2**20
    for number in range(-(-len(data) // size)):
        (run_folder / f"model.tar.{number:03d}").write_bytes(data[number * size : (number + 1) * size])
    archive.unlink()


if __name__ == "__main__":
    main()
