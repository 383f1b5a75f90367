"""Train a model of bands: autoencoder and denoiser, from a folder of sound, in a given time; resumable.

    python -m training.train PACKED RUN --minutes 120                    # a CPU: minutes of computing
    python -m training.train PACKED RUN --minutes 10 --device cuda       # a GPU: minutes by the clock
    python -m training.train PACKED RUN --dry-run                        # two steps

PACKED is a folder of `training.data pack`, or of sound files (Opus, FLAC, ...), which are decoded into memory. The
model is RUN/model: `noisebook compress song.wav --model RUN/model`. `--start FOLDER` begins with the weights of a
model; `--part-mib 16` also writes it in parts that are small enough for a narrow way home (`cat model.tar.* | tar x`).

    stage   time        networks                what is learned
    basis   a minute    autoencoder             principal components of the bands, where its linear path begins
    codec   the rest    autoencoder, denoiser   bits at an error of the bands

The vocoder of bands has no weights (`audio.band_synthesis`).
"""

from __future__ import annotations

import argparse
import tarfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from noisebook.audio.bands import log_bands
from noisebook.backends.mini_files import FILES, load_network, save_network
from noisebook.diffusion.calibration import measure_curve
from noisebook.diffusion.plan import scaled_linear
from noisebook.networks.band_vae import BandVae, BandVaeConfig
from noisebook.networks.denoiser import Denoiser, DenoiserConfig
from training.basis import begin_with_basis
from training.codec_stage import LATENT_HOP, CodecStage, estimator
from training.run import Budget, Ema, Log, load_checkpoint, mixed_precision, save_checkpoint
from training.sounds import Sounds

_FILES = dict(zip(("vae", "denoiser"), FILES, strict=False))
_PRINTED = 50  # steps to a line of the log
_SYNTHETIC = 0.06  # share of notes and chords
_CLIPS = {"cpu": 12, "cuda": 96}  # to a step, of the shortest length
_RATE = 6e-4  # peak learning rate


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="packed folder, or folder of sounds")
    parser.add_argument("run", type=Path, help="checkpoints, log and the model; resumed if it exists")
    parser.add_argument("--minutes", type=float, default=120.0, help="earlier runs counted")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--start", type=Path, help="folder of a model to begin with")
    parser.add_argument("--clips", type=int, help="clips to a step, in place of what suits the device")
    parser.add_argument("--part-mib", type=int, help="write the model in parts of this size as well")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=float, default=4.0, help="minutes between checkpoints")
    parser.add_argument("--dry-run", action="store_true", help="two steps, nothing written")
    args = parser.parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if not args.dry_run:
        args.run.mkdir(parents=True, exist_ok=True)
    train(args)
    if args.part_mib and not args.dry_run:
        _write_parts(args.run, args.part_mib)


def train(args: argparse.Namespace) -> None:
    """All steps that the minutes leave, from the checkpoint on."""
    trainer = Trainer(args)
    budget, log = trainer.budget, Log(None if args.dry_run else args.run / "log.jsonl")
    first, saved = budget.step, budget.elapsed
    means: dict[str, list[torch.Tensor]] = {}
    while not budget.done and not (args.dry_run and budget.step >= first + 2):
        for name, value in trainer.step().items():
            means.setdefault(name, []).append(value.detach())
        if budget.step % _PRINTED == 0 or args.dry_run:  # the only place that waits for a GPU
            log(budget, **{name: torch.stack(values).mean() for name, values in means.items()})
            means.clear()
        if budget.elapsed - saved > args.save_every and not args.dry_run:
            saved = budget.elapsed
            trainer.save()
    if budget.step > first and not args.dry_run:
        trainer.save()
        trainer.export()


class Trainer:
    """The networks with optimizer, averages and time, as the run folder has them."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self._path = args, args.run / "codec.pt"
        state = load_checkpoint(self._path, args.device)
        spent = {} if state is None else {"elapsed": state["elapsed"], "steps": state["steps"]}
        self.budget = Budget(args.minutes, args.device, **spent)
        seed = [args.seed, self.budget.step]
        self.sounds = Sounds(args.data, args.device, seed, synthetic=_SYNTHETIC)
        vae, denoiser = (
            self._network("vae", BandVae, BandVaeConfig),
            self._network("denoiser", Denoiser, DenoiserConfig),
        )
        clips = args.clips or _CLIPS["cuda" if args.device.startswith("cuda") else "cpu"]
        self.work = CodecStage(vae, denoiser, self.sounds, clips=clips, device=args.device, seed=seed)
        self.networks = self.work.networks.to(args.device).requires_grad_(True).train()
        if state is None and args.start is None:
            begin_with_basis(vae, self.sounds)
        self.ema = Ema(self.networks, 0.9995)
        self._optimizer = torch.optim.AdamW(self.networks.parameters(), lr=_RATE, betas=(0.9, 0.99), weight_decay=0.01)
        if state is not None:
            self.networks.load_state_dict(state["networks"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.ema.weights = state["ema"]
        size = sum(p.numel() for p in self.networks.parameters())
        print(f"{self.sounds.hours:.1f} h, {size / 1e6:.1f} M parameters, {self.budget.minutes:.1f} min")

    def step(self) -> dict[str, torch.Tensor]:
        """One step; the terms of its loss."""
        self._optimizer.param_groups[0]["lr"] = self.budget.learning_rate(_RATE, warm_up=100)
        terms = self.work.step(self._update, self.args.device)
        self.ema.update(self.networks, self.budget.step)
        self.budget.tick()
        return terms

    def _update(self, loss: torch.Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()
        for network in self.networks.children():
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        self._optimizer.step()

    def save(self) -> None:
        """A checkpoint, which replaces the one before only when it is whole."""
        save_checkpoint(
            self._path,
            self.budget,
            ema=self.ema.weights,
            networks=self.networks.state_dict(),
            optimizer=self._optimizer.state_dict(),
        )

    def _network(self, name: str, kind: type[nn.Module], config: type) -> Any:
        """As the model to start from has it, or new."""
        if self.args.start is not None:
            return load_network(self.args.start / _FILES[name], kind, config)
        return kind(config())

    def export(self) -> None:
        """The averaged networks as files of the model."""
        folder = self.args.run / "model"
        folder.mkdir(exist_ok=True)
        record: dict[str, Any] = {"data_fingerprint": self.sounds.fingerprint, "data_hours": self.sounds.hours,
                                  "minutes": self.budget.elapsed, "steps": self.budget.step}  # fmt: skip
        with self.ema.applied(self.networks):
            for name, network in self.networks.items():
                extra = {"curve": asdict(self._curve())} if name == "denoiser" else {}
                save_network(folder / _FILES[name], network, record | extra)

    @torch.no_grad()
    def _curve(self) -> Any:
        """The denoiser's error at each noise level, from which coding plans follow."""
        clips = min(self.args.clips or _CLIPS["cpu"], _CLIPS["cpu"])
        vae, denoiser, device = self.work.vae, self.work.denoiser, self.args.device

        def latents() -> Iterator[torch.Tensor]:
            sounds = Sounds(self.args.data, device, [self.args.seed, 9], synthetic=0.0)
            for _ in range(8):
                waveform, _ = sounds.batch(-(-clips // 2), 256 * LATENT_HOP)
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
