"""Neural codecs of others: EnCodec, DAC and SNAC, where package and weights are on the machine. Nothing is downloaded.

Weights are looked for in a folder that is given, each codec in a folder of its own as it was published, and then in the
cache of the Hugging Face hub. The size is that of the packed codes: these packages have no file format, or none for
these weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from noisebook.audio.resample import resample
from noisebook.audio.waveform import Waveform
from noisebook.coding.bitio import BitWriter
from noisebook.comparison.methods import Coded, Job, Method, round_trip
from noisebook.errors import ModelError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class _Codec:
    """A codec; the size of its codebooks is `codebook_size` of the model's configuration."""

    name: str
    label: str
    repository: str  # of its weights in the hub's cache; its last part is the name of their folder
    package: str
    cls: str  # of the package, which loads them
    settings: dict[float, float]  # bit/s to the setting of `encode`
    encode: Callable[[Any, torch.Tensor, float], list[torch.Tensor]]  # (model, sound [1, 1, N], setting) to codes
    decode: Callable[[Any, list[torch.Tensor]], torch.Tensor]  # (model, codes) to the sound [1, 1, N']


_CODECS = (
    _Codec(
        "encodec", "EnCodec 24 kHz", "facebook/encodec_24khz", "transformers", "EncodecModel",
        {1500: 1.5, 3000: 3.0, 6000: 6.0},
        encode=lambda model, sound, kilobits: [model.encode(sound, bandwidth=kilobits).audio_codes],
        decode=lambda model, codes: model.decode(codes[0], [None] * len(codes[0])).audio_values,
    ),
    _Codec(
        "dac", "DAC 16 kHz", "descript/dac_16khz", "transformers", "DacModel",
        {1000: 2, 3000: 6, 6000: 12},
        encode=lambda model, sound, quantizers: [model.encode(sound, n_quantizers=int(quantizers)).audio_codes],
        decode=lambda model, codes: model.decode(audio_codes=codes[0]).audio_values.reshape(1, 1, -1),
    ),
    _Codec(
        "snac", "SNAC 24 kHz", "hubertsiuzdak/snac_24khz", "snac", "SNAC",
        {980: 0},
        encode=lambda model, sound, _: list(model.encode(sound)),
        decode=lambda model, codes: model.decode(codes),
    ),
)  # fmt: skip


def methods(*, weights: Path | None) -> tuple[Method, ...]:
    """A row for each codec and rate; `weights` is a folder with their folders."""
    return tuple(_method(codec, rate, weights) for codec in _CODECS for rate in codec.settings)


def _method(codec: _Codec, rate: float, weights: Path | None) -> Method:
    name, missing = codec.repository.split("/")[-1], None
    installed, folder = find_spec(codec.package) is not None, _folder(codec.repository, weights)
    if not installed:
        missing = f"needs the package {codec.package}: pip install {codec.package}"
    elif folder is None:
        missing = f"no weights: neither a folder {name} in --weights, nor {codec.repository} in the hub's cache"
    return Method(
        f"{codec.name}-{rate:g}", f"{codec.label} {rate:g} bit/s", "codec", codec.name,
        f"{codec.package}.{codec.cls}.from_pretrained('{codec.repository}'), {rate:g} bit/s",
        partial(_through, codec=codec, folder=str(folder), setting=codec.settings[rate]),
        bit_per_second=rate, mono=True, suffix=".codes", missing=missing,
        version=f"{codec.package} {version(codec.package)}" if installed else "",
    )  # fmt: skip


def _folder(repository: str, weights: Path | None) -> Path | None:
    """Where the weights are; None: nowhere."""
    places = [] if weights is None else [weights / repository.split("/")[-1]]
    if find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(repository, "config.json")
        places += [Path(cached).parent] if isinstance(cached, str) else []
    whole = (
        folder for folder in places
        if (folder / "config.json").is_file() and (any(folder.glob("*.safetensors")) or any(folder.glob("*.bin")))
    )  # fmt: skip
    return next(whole, None)


@cache
def load(codec: _Codec, folder: str) -> Any:
    """The codec, loaded from a folder and from nowhere else; ModelError where its files do not fit."""
    from safetensors import SafetensorError

    try:
        if codec.package == "transformers":
            import_module("transformers.utils.logging").disable_progress_bar()  # it would be shown with --quiet too
        cls = getattr(import_module(codec.package), codec.cls)
        return cls.from_pretrained(folder, local_files_only=True).eval()
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelError(f"{codec.label} in {folder} cannot be loaded ({reason}); get its files again") from error


def _through(job: Job, *, codec: _Codec, folder: str, setting: float) -> Coded:
    """Code and decode, with the same noise every time where the decoder has some."""
    import torch

    model = load(codec, folder)
    config = getattr(model, "config", model)
    sound = torch.from_numpy(resample(job.sound, config.sampling_rate).samples)[None]
    codes: list[torch.Tensor] = []  # what `encode` made, for `decode`: the bytes have no header

    def encode() -> bytes:
        codes.extend(codec.encode(model, sound, setting))
        flat = np.concatenate([code.reshape(-1).cpu().numpy() for code in codes]).astype(np.int64)
        writer = BitWriter()
        writer.write_array(flat, ceil(log2(config.codebook_size)))
        return writer.getvalue()

    def decode(_: bytes) -> Waveform:
        samples = codec.decode(model, codes)[0, :, : sound.shape[-1]].float().numpy()
        return Waveform(np.ascontiguousarray(samples), config.sampling_rate)

    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return round_trip(encode, decode)
