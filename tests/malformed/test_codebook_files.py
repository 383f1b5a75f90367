"""Codebook files that are damaged, foreign or forged: a named error, never a wrong codebook."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from noisebook.api import load_codebook
from noisebook.errors import AudioError, ConfigError, ModelError
from noisebook.quantizers.codebook import load
from noisebook.quantizers.fitting import fit


@pytest.fixture(scope="module")
def latents() -> list[torch.Tensor]:
    return [torch.randn(1, 8, 64, 16, generator=torch.Generator().manual_seed(0))]


@pytest.fixture
def file(latents, tmp_path) -> Path:
    path = tmp_path / "book.safetensors"
    fit(latents, unit="frame", method="kmeans", size=4, model="abcd").save(path)
    return path


def forged(file: Path, **changes: object) -> Path:
    """The file with other tensors (None: none) or metadata."""
    with safe_open(file, "pt") as opened:
        metadata, tensors = opened.metadata(), {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for name, value in changes.items():
        kind = tensors if name.replace("_", ".") in tensors or isinstance(value, torch.Tensor) else metadata
        key = name.replace("_", ".") if kind is tensors else name
        if value is None:
            del kind[key]
        else:
            kind[key] = value  # type: ignore[assignment]
    save_file(tensors, file, metadata)
    return file


def model(fingerprint: str, **changes: int) -> SimpleNamespace:
    shape = {"latent_channels": 8, "latent_bins": 16, **changes}
    return SimpleNamespace(name="a model", autoencoder=bytes.fromhex(fingerprint), **shape)


def test_a_whole_file_loads_for_its_unit_and_model(file):
    assert load_codebook(file, unit="frame").config.size == 4
    load(file).check_fits(model("abcd"))
    assert load(forged(file)).config.size == 4  # the forger alone does no harm


def test_every_truncation_is_told(file):
    data = file.read_bytes()
    for length in (*range(0, len(data), 97), len(data) - 1):
        file.write_bytes(data[:length])
        with pytest.raises(ModelError):
            load(file)


def test_every_flipped_byte_of_the_tables_is_told(file):
    data = file.read_bytes()
    for place in range(len(data) - 1024, len(data), 61):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(ModelError):
            load(file)


def test_pickles_and_other_files_are_not_opened(file, tmp_path):
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    torch.save({"table.0": torch.zeros(4, 128)}, file)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load(file)
    file.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load(file)
    assert not (tmp_path / "exploded").exists()
    save_file({"weight": torch.zeros(4)}, file)
    with pytest.raises(ModelError, match="not a codebook"):
        load(file)
    for missing in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(ModelError, match="no such codebook"):
            load(missing)


def test_wrong_unit_and_wrong_model(file):
    with pytest.raises(ConfigError, match="unit frame"):
        load_codebook(file, unit="clip")
    for other in (model("abce"), model("abcd", latent_channels=4)):
        with pytest.raises(ModelError, match="codebook"):
            load(file).check_fits(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"table_0": torch.zeros(5, 128, dtype=torch.float16)},
        {"table_0": torch.zeros(4, 127, dtype=torch.float16)},
        {"table_0": torch.zeros(4, 128)},
        {"table_0": None},
        {"table_0": torch.full((4, 128), torch.nan, dtype=torch.float16)},
        {"counts_0": torch.zeros(4, dtype=torch.int32)},
        {"counts_0": torch.ones(4, dtype=torch.int32)},  # a plausible one, but not the one that was fitted
        {"extra": torch.zeros(1)},
        {"format": "noisebook-codebook-0"},
        {"fingerprint": "00"},
        {"fingerprint": None},
        {"config": "{}"},
        {"config": "nothing"},
        {"config": json.dumps({"unit": "frame", "method": "kmeans", "size": 2**40})},
        {"config": json.dumps({"unit": "frame", "method": "kmeans", "size": 4.5})},
        {"config": json.dumps({"unit": "clip", "method": "gaussian", "size": 65536})},
        {"config": json.dumps({"unit": "frame", "method": "kmeans", "size": 4, "colour": "red"})},
        {"record": "{"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_forged_files(file, changes):
    with pytest.raises(ModelError):
        load(forged(file, **changes))


def test_saving_where_nothing_can_be_written(file, tmp_path):
    book = load(file)
    with pytest.raises(AudioError, match="exists"):
        book.save(file, overwrite=False)
    with pytest.raises(AudioError, match="no folder"):
        book.save(tmp_path / "none" / "book.safetensors")
