"""Ways in which a downloaded checkpoint is broken, each done to a good one in place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["KINDS", "damage"]


def damage(folder: Path, kind: str, *, part: str = "unet") -> Path:
    """Break the checkpoint in `folder` (a copy of a good one) as `kind`, a key of `KINDS`, says.

    Args:
        part: the folder inside that suffers, for the kinds that are about one part.

    Returns:
        `folder`, which some kinds leave as a file or not at all.
    """
    KINDS[kind](folder, part)
    return folder


def _remove(folder: Path, part: str) -> None:
    shutil.rmtree(folder)


def _empty(folder: Path, part: str) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _replace_by_a_file(folder: Path, part: str) -> None:
    weights = _weights(folder / part).read_bytes()
    shutil.rmtree(folder)
    folder.write_bytes(weights)


def _name_another_pipeline(folder: Path, part: str) -> None:
    _edit(folder / "model_index.json", _class_name="StableDiffusionPipeline")


def _name_another_class(folder: Path, part: str) -> None:
    _edit(folder / "model_index.json", **{part: ["diffusers", "UNet1DModel"]})
    if (folder / part / "config.json").exists():
        _edit(folder / part / "config.json", _class_name="UNet1DModel", architectures=["UNet1DModel"])


def _remove_the_index(folder: Path, part: str) -> None:
    (folder / "model_index.json").unlink()


def _remove_the_part(folder: Path, part: str) -> None:
    shutil.rmtree(folder / part)


def _remove_the_config(folder: Path, part: str) -> None:
    (folder / part / "config.json").unlink()


def _break_the_json(folder: Path, part: str) -> None:
    path = folder / part / "config.json"
    path.write_text(path.read_text()[:-20])


def _change_a_shape(folder: Path, part: str) -> None:
    tensors, metadata = _read(folder / part)
    name = max(tensors, key=lambda name: (tensors[name].ndim, name))
    tensors[name] = tensors[name][:-1].contiguous()
    _write(folder / part, tensors, metadata)


def _drop_a_tensor(folder: Path, part: str) -> None:
    tensors, metadata = _read(folder / part)
    del tensors[max(tensors)]
    _write(folder / part, tensors, metadata)


def _pickle_the_weights(folder: Path, part: str) -> None:
    import torch

    tensors, _ = _read(folder / part)
    path = _weights(folder / part)
    path.unlink()
    name = "pytorch_model.bin" if path.name == "model.safetensors" else "diffusion_pytorch_model.bin"
    torch.save(tensors, path.with_name(name))


def _truncate_the_weights(folder: Path, part: str) -> None:
    path = _weights(folder / part)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _leave_the_download_unfinished(folder: Path, part: str) -> None:
    path = _weights(folder / part)
    _truncate_the_weights(folder, part)
    path.rename(path.with_name(path.name + ".incomplete"))


def _name_absent_shards(folder: Path, part: str) -> None:
    tensors, _ = _read(folder / part)
    path = _weights(folder / part)
    path.unlink()
    shards = [f"{path.stem}-0000{i}-of-00002.safetensors" for i in (1, 2)]
    index = {"metadata": {"total_size": 1}, "weight_map": {name: shards[i % 2] for i, name in enumerate(tensors)}}
    path.with_name(path.name + ".index.json").write_text(json.dumps(index))


KINDS: dict[str, Callable[[Path, str], None]] = {
    "missing folder": _remove,
    "empty folder": _empty,
    "file": _replace_by_a_file,
    "other pipeline": _name_another_pipeline,
    "other class": _name_another_class,
    "no index": _remove_the_index,
    "no part": _remove_the_part,
    "no config": _remove_the_config,
    "broken json": _break_the_json,
    "other shape": _change_a_shape,
    "lost tensor": _drop_a_tensor,
    "pickle": _pickle_the_weights,
    "truncated": _truncate_the_weights,
    "unfinished": _leave_the_download_unfinished,
    "absent shards": _name_absent_shards,
}


def _weights(part: Path) -> Path:
    """The one safetensors file of a part."""
    (path,) = part.glob("*.safetensors")
    return path


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def _read(part: Path) -> tuple[dict[str, Any], dict[str, str]]:
    from safetensors import safe_open

    with safe_open(_weights(part), "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def _write(part: Path, tensors: dict[str, Any], metadata: dict[str, str]) -> None:
    from safetensors.torch import save_file

    path = _weights(part)
    path.unlink()  # the old file may still be mapped into memory
    save_file(tensors, path, metadata)
