"""Batches of sound at 48 kHz for training, cut from memory on the device that trains.

packed folder, or any folder of sounds --> int16 in memory --crops, notes, mixtures, levels--> waveform [B, N], kind [B]
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from training.clips import FULL_RATE, KINDS, kind_of, read_packed, read_words, sound_files
from training.notes import notes
from training.run import on_device

_NOTE_SECONDS = 3  # of a synthetic sound
_NOTES_AT_FIRST, _NOTES = {"cpu": 4, "cuda": 512}, 96  # that are kept; a CPU makes more as it goes
_NEW = 0.2  # share of the synthetic sounds that a CPU makes anew
_MIXED = 0.12  # share of the sounds to which another one is added
_PEAK = 0.5  # which the codec brings every file to; a crop of a file is mostly quieter
_QUIETER_DB = 7.0  # scale of how much


class Sounds:
    """Random crops of training sound; ConfigError for nothing to train on, or sound of another rate.

    The folder is one of `training.data pack`, or of sound files, which all cores decode into memory; `fingerprint` is
    empty for those. The sound lies on the device. `synthetic` is the share of sounds that are synthetic notes. With the
    number of a step in the seed, draws go on where a stopped training was.
    """

    def __init__(
        self, folder: Path, device: str, seed: list[int], *, synthetic: float, sample_rate: int = FULL_RATE
    ) -> None:
        audio, self._starts, self._lengths, kinds, self.fingerprint = _load(folder, sample_rate)
        self._device, self._synthetic = device, synthetic
        self._audio = torch.from_numpy(audio).to(device)
        self._members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
        self._ends = [np.cumsum(self._lengths[rows]) for rows in self._members]
        self._kinds = kinds
        self._rng = np.random.default_rng(seed)
        self._notes = self._first_notes() if synthetic else torch.empty(0)
        self.hours = len(audio) / sample_rate / 3600  # of sound

    def batch(self, clips: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Waveforms `[clips, samples]` at levels the codec codes at, and the index of their kind in `KINDS`, `[clips]`;
        every kind of the folder is equally likely."""
        crops, kinds = self.crops(clips, samples)
        rng = self._rng
        crops = crops * (_PEAK / crops.abs().amax(1, keepdim=True).clamp_min(1e-3))
        mixed = self._there(rng.random(clips) < _MIXED)[:, None]
        share = self._there(rng.uniform(0.1, 0.9, (clips, 1)).astype(np.float32))
        crops = torch.where(mixed, (crops + share * crops.roll(1, 0)) / (1 + share), crops)
        if self._synthetic:
            synthetic = self._there(rng.random(clips) < self._synthetic)[:, None]
            crops = torch.where(synthetic, self._note_crops(clips, samples), crops)
        quieter = 10 ** (-np.abs(rng.normal(0, _QUIETER_DB, (clips, 1))) / 20)
        return crops * self._there(quieter.astype(np.float32)), kinds

    def crops(self, clips: int, samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of the sounds as they are; silence follows those that are too short."""
        rng = self._rng
        rows = np.array([self._draw(rng) for _ in range(clips)])
        spare = np.maximum(self._lengths[rows] - samples, 0)
        first = self._starts[rows] + (rng.random(clips) * (spare + 1)).astype(np.int64)
        end = self._there(self._starts[rows] + self._lengths[rows])[:, None]
        places = self._there(first)[:, None] + torch.arange(samples, device=self._device)
        sound = self._audio[torch.minimum(places, end - 1)].float() / 32768.0
        return torch.where(places < end, sound, 0.0), self._there(self._kinds[rows])

    def _draw(self, rng: np.random.Generator) -> int:
        """A clip of a kind at random, in proportion to its length."""
        kind = rng.integers(len(self._members))
        ends = self._ends[kind]
        return int(self._members[kind][np.searchsorted(ends, rng.integers(ends[-1]), side="right")])

    def _first_notes(self) -> torch.Tensor:
        seeds = self._rng.spawn(_NOTES_AT_FIRST[torch.device(self._device).type])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            pool_of_notes = list(pool.map(lambda rng: notes(_NOTE_SECONDS * FULL_RATE, rng), seeds))
        return torch.from_numpy(np.stack(pool_of_notes)).to(self._device)

    def _there(self, array: np.ndarray) -> torch.Tensor:
        return on_device(array, self._device)

    def _note_crops(self, clips: int, samples: int) -> torch.Tensor:
        """Crops of the synthetic sounds, repeated where they are too short."""
        rng = self._rng
        if self._device == "cpu" and rng.random() < _NEW * self._synthetic * clips:
            fresh = torch.from_numpy(notes(self._notes.shape[1], rng))[None]
            self._notes = torch.cat((self._notes[-_NOTES + 1 :], fresh))
        count, size = self._notes.shape
        rows = self._there(rng.integers(count, size=(clips, 1)))
        places = self._there(rng.integers(size, size=(clips, 1))) + torch.arange(samples, device=self._device)
        return self._notes[rows, places % size]


def _load(folder: Path, sample_rate: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, str]:
    """Samples int16 `[N]`; start, length and kind of each clip; and the fingerprint."""
    if (folder / "index.json").is_file():
        packed = read_packed(folder, sample_rate)
        audio, fingerprint = packed.audio, packed.fingerprint
        lengths = np.array([clip.length for clip in packed.clips])
        kinds = np.array([KINDS.index(clip.kind) for clip in packed.clips])
    else:
        paths = sound_files(folder)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            sounds = list(pool.map(lambda path: read_words(path, sample_rate), paths))
        audio, fingerprint = np.concatenate(sounds), ""
        lengths = np.array([len(sound) for sound in sounds])
        kinds = np.array([KINDS.index(kind_of(path.relative_to(folder))) for path in paths])
    return audio, np.cumsum(lengths) - lengths, lengths, kinds, fingerprint
