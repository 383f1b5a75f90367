"""A pipeline's checkpoint in the folder layout of diffusers, local or from the hub.

    model_index.json            class of the pipeline, library and class of each part
    vae/ unet/ vocoder/ ...     config.json and safetensors weights of each part
    scheduler/ tokenizer/ ...   configuration only

Weights are read as safetensors and as nothing else: a pickle runs code when it is opened.
"""

from __future__ import annotations

import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.backends.cache import cache_folder, file_digest
from noisebook.errors import MissingExtra, ModelError

if TYPE_CHECKING:
    import torch
    from torch import nn

_INSTALL = "pip install 'noisebook[audioldm2]'"
ALIASES = {
    "audioldm2": "cvssp/audioldm2",
    "audioldm2-large": "cvssp/audioldm2-large",
    "audioldm2-music": "cvssp/audioldm2-music",
}
_log = logging.getLogger(__name__)
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")  # of a part; never pickles
_WEIGHTLESS = ("Tokenizer", "TokenizerFast", "Scheduler", "FeatureExtractor")  # how their classes are called
_LIBRARIES = ("diffusers", "transformers")
_DTYPE_ARGUMENT = {"diffusers": "torch_dtype", "transformers": "dtype"}


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint; nothing of it is loaded yet.

    Attributes:
        name: as the user gave it.
        folder: where its files are.
        pipeline: name of the pipeline's class.
        parts: library and class of each part, as `model_index.json` names them.
        hub_id: its repository, or None for a local folder.
        offline: parts that are not here yet must not be downloaded.
    """

    name: str
    folder: Path
    pipeline: str
    parts: dict[str, tuple[str, str]]
    hub_id: str | None = None
    offline: bool = False

    def require(self, parts: Iterable[str]) -> None:
        """Have these parts here, downloaded if the user named a repository of the hub. ModelError where the model index
        names no such part, or its folder is missing."""
        parts = list(parts)
        wanted = [part for part in parts if not self._is_here(part)]
        unknown = [part for part in wanted if part not in self.parts]
        if unknown:
            raise ModelError(f"{self.name}: model_index.json names no {', '.join(unknown)}; its parts are "
                             f"{', '.join(self.parts)}")  # fmt: skip
        if wanted and self.hub_id is not None and not self.offline:
            _download(self.hub_id, wanted, offline=False)
        missing = [part for part in parts if not (self.folder / part).is_dir()]
        if missing:
            raise ModelError(f"{self.name}: the folder {self.folder} has no {', '.join(missing)}; download it whole")

    def _is_here(self, part: str) -> bool:
        """Whether a part need not be downloaded; an interrupted download leaves its folder without the weights."""
        folder = self.folder / part
        weightless = self.parts.get(part, ("", ""))[1].endswith(_WEIGHTLESS)
        return folder.is_dir() and (self.hub_id is None or weightless or any(folder.glob("*.safetensors")))

    def config(self, part: str) -> dict[str, Any]:
        """The configuration of a part; a `ModelError` where it is missing or no JSON."""
        self.require([part])
        name = "scheduler_config.json" if part == "scheduler" else "config.json"
        return _read_json(self.folder / part / name)

    def weights(self, part: str) -> list[Path]:
        """The weight files of a part, each checked to be whole. ModelError where there are none, only pickles, or
        damaged or missing ones."""
        self.require([part])
        folder = self.folder / part
        files = sorted(folder.glob("*.safetensors"))
        files = [file for file in files if not _variant(file)] or files[:1]
        self._check_shards(folder, files)
        if not files:
            raise ModelError(_no_weights(folder, None if self.offline else self.hub_id))
        for file in files:
            _check_safetensors(file)
        return files

    def load(self, part: str, classes: Sequence[str], dtype: torch.dtype, *, as_class: str | None = None) -> nn.Module:
        """The network of a part, for inference; `as_class` names another class that has the same weights. ModelError
        for none of the `classes`, damaged weights, or weights that do not fit the configuration."""
        library, name = self.parts.get(part, ("", ""))
        if name not in classes:
            raise ModelError(f"{self.name}: {part} is a {name or 'part that model_index.json does not name'}; "
                             f"noisebook knows {' and '.join(classes)} there")  # fmt: skip
        config = self.config(part)
        own_class = config.get("_class_name") or next(iter(config.get("architectures") or []), name)
        if own_class not in classes:
            raise ModelError(f"{self.name}: {part} is a {name} in model_index.json and a {own_class} in its own config")
        variant = _variant(self.weights(part)[0])
        own = library if library in _LIBRARIES else "diffusers"
        network_class = getattr(_library(own), as_class or name)
        with quiet():
            try:
                network, report = network_class.from_pretrained(
                    self.folder, subfolder=part, variant=variant, use_safetensors=True, local_files_only=True,
                    output_loading_info=True, ignore_mismatched_sizes=True, **{_DTYPE_ARGUMENT[own]: dtype},
                )  # fmt: skip
            except Exception as error:  # the libraries raise a dozen kinds
                raise ModelError(f"{self.name}: {part} cannot be loaded: {_first_line(error)}") from error
        missing = [key for key in report.get("missing_keys", ()) if "position_ids" not in key]
        wrong = [*missing, *(key for key, *_ in report.get("mismatched_keys", ())), *report.get("error_msgs", ())]
        if wrong:
            raise ModelError(f"{self.name}: the weights of {part} do not fit its configuration, {_some(wrong)} for "
                             "one; download it again")  # fmt: skip
        return network.eval().requires_grad_(False)

    def preprocessor(self, part: str) -> Any:
        """The tokenizer, or the feature extractor of sounds, in a folder. ModelError where none can be loaded."""
        self.require([part])
        kind = "AutoFeatureExtractor" if part == "feature_extractor" else "AutoTokenizer"
        with quiet():
            try:
                known = getattr(_library("transformers"), kind)
                return known.from_pretrained(self.folder / part, local_files_only=True)
            except Exception as error:  # the library raises a dozen kinds
                why = f"{_first_line(error)}; download it again"
                raise ModelError(f"{self.name}: {part} cannot be loaded: {why}") from error

    def digest(self, parts: Iterable[str]) -> bytes:
        """SHA-256 over the contents of the weight files of some parts, and what of their configuration matters."""
        digest = sha256()
        for part in parts:
            config = {key: value for key, value in self.config(part).items() if not key.startswith("_")}
            digest.update(json.dumps([part, config], sort_keys=True).encode())
            if part != "scheduler":
                for path in self.weights(part):
                    digest.update(file_digest(path))
        return digest.digest()

    def store(self, digest: bytes) -> Path:
        """Where what belongs to weights of that digest is kept, outside the checkpoint."""
        return cache_folder() / "models" / digest.hex()[:32]

    def _check_shards(self, folder: Path, files: list[Path]) -> None:
        for index in folder.glob("*.safetensors.index.json"):
            named = set(_read_json(index).get("weight_map", {}).values())
            missing = sorted(named - {file.name for file in files})
            if missing:
                raise ModelError(f"{folder} has no {_some(missing)}, which {index.name} names; download it whole")


def open_checkpoint(model: str, *, offline: bool = False) -> Checkpoint:
    """A checkpoint by folder, by hub id such as "cvssp/audioldm2-music", or by a key of `ALIASES`.

    With `offline` a hub's checkpoint is looked for among those downloaded before, and nowhere else. ModelError where it
    cannot be had, or its model index is missing or damaged; MissingExtra where the libraries are not installed.
    """
    folder, hub_id = Path(model), None
    if not folder.exists():
        hub_id = ALIASES.get(model, model)
        if not is_hub_id(hub_id):
            raise ModelError(f"model {model!r}: there is no such folder, and it is no id of a model hub")
        folder = _download(hub_id, (), offline=offline)
    elif not folder.is_dir():
        raise ModelError(f"model {model!r} is a file; give the folder that holds model_index.json")
    index = _read_json(folder / "model_index.json")
    parts = {
        key: (str(value[0]), str(value[1]))
        for key, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[1] is not None
    }
    return Checkpoint(model, folder, str(index.get("_class_name")), parts, hub_id, offline)


def is_hub_id(model: str) -> bool:
    """Whether a name has the form owner/name."""
    return bool(_HUB_ID.fullmatch(model)) and not model.startswith((".", "/"))


@contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no remarks of the libraries while they load."""
    modules = [_library(f"{library}.utils.logging") for library in _LIBRARIES]
    levels = [module.get_verbosity() for module in modules]
    for module in modules:
        module.set_verbosity(logging.CRITICAL)
        module.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            # They import parts of each other and of torch under names that will go.
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for module, level in zip(modules, levels, strict=True):
            module.set_verbosity(level)
            module.enable_progress_bar()


def _download(hub_id: str, parts: Sequence[str], *, offline: bool) -> Path:
    """The local snapshot of a repository, with the model index and some parts."""
    hub = _library("huggingface_hub")
    patterns = ["model_index.json", *(f"{part}/{files}" for part in parts for files in _FILES)]
    if parts and not offline:
        _log.warning("%s: %s of %s are downloaded, once", hub_id, _size(hub_id, patterns), ", ".join(parts))
    try:
        return Path(hub.snapshot_download(hub_id, allow_patterns=patterns, local_files_only=offline))
    except Exception as error:  # network, hub and file errors of several libraries
        how = "it was not downloaded before" if offline else _first_line(error)
        raise ModelError(
            f"model {hub_id} is not on this machine and cannot be had ({how}); download it where there is a network "
            f"(hf download {hub_id} --local-dir FOLDER) and give the folder"
        ) from error


def _size(hub_id: str, patterns: Sequence[str]) -> str:
    """The size of files of a repository, in words; whether they can be had at all shows when they are downloaded."""
    try:
        files = _library("huggingface_hub").model_info(hub_id, files_metadata=True).siblings
        sizes = [file.size or 0 for file in files if any(fnmatch(file.rfilename, pattern) for pattern in patterns)]
    except Exception:  # as of `_download`
        return "an unknown size"
    return f"{sum(sizes) / 1e9:.2f} GB"


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingExtra(f"a model in the layout of diffusers needs {package}: {_INSTALL}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path.parent} has no {path.name}; the folder holds no model, or not all of it") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {_first_line(error)}; download it again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path} holds no table of settings; download it again")
    return value


def _no_weights(folder: Path, hub_id: str | None) -> str:
    pickles = sorted(path.name for path in folder.iterdir() if path.suffix in (".bin", ".ckpt", ".pt", ".pth"))
    if not pickles and hub_id is None:
        return f"{folder} has no .safetensors weights; download it again"
    found = f"{folder} has its weights only as {pickles[0]}" if pickles else f"{hub_id} has none for {folder.name}"
    return (
        f"noisebook reads .safetensors weights, and {found}; a pickle can run code when it is opened: take another "
        "checkpoint, or, if you trust this one, download and convert it: "
        "CLASS.from_pretrained(FOLDER, use_safetensors=False).save_pretrained(FOLDER)"
    )


def _variant(path: Path) -> str | None:
    """ "fp16" of model.fp16.safetensors; None for the weights themselves."""
    inner = path.name.split(".")[1:-1]
    return inner[0] if inner else None


def _check_safetensors(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "numpy") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or not whole ({_first_line(error)}); download it again") from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")
