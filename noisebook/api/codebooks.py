"""Codebooks of latents: fit them to sound, find them, look into them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import checked
from noisebook.errors import ModelError, WrongCodebook

if TYPE_CHECKING:
    from noisebook.api.arguments import OnStep
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook
    from noisebook.quantizers.files import CodebookRecord

__all__ = [
    "codebook_by_fingerprint",
    "codebook_info",
    "codebook_names",
    "codebook_of",
    "codebook_record",
    "fit_codebook",
    "fit_doubt",
    "load_codebook",
]

_VECTORS_PER_ATOM = 10


@checked
def load_codebook(name: str | Path, *, unit: str | None = None, info: BackendInfo | None = None) -> LatentCodebook:
    """A codebook by the name of one inside the package, or from a file.

    Args:
        name: one of `codebook_names`, else a path.
        unit: refuse a codebook of another unit.
        info: of a backend: refuse a codebook that was fitted for another.

    Raises:
        ConfigError: another unit.
        ModelError: no such codebook, a damaged file, or another model.
    """
    from noisebook.quantizers.codebook import load
    from noisebook.quantizers.files import shipped_names, shipped_path

    path = shipped_path(str(name)) or Path(name)
    if not path.is_file():
        raise ModelError(f"there is no codebook {name}: give a file, or one of {', '.join(shipped_names())}")
    return load(path, unit=unit, model=None if info is None else info.autoencoder.hex())


def codebook_of(codebook: LatentCodebook | Path | str) -> LatentCodebook:
    """The codebook itself, or the one with that name or in that file; errors as of `load_codebook`."""
    return load_codebook(codebook) if isinstance(codebook, Path | str) else codebook


def codebook_names() -> tuple[str, ...]:
    """The codebooks inside the package, named by unit and method."""
    from noisebook.quantizers.files import shipped_names

    return shipped_names()


@checked
def codebook_by_fingerprint(fingerprint: bytes) -> LatentCodebook:
    """The codebook inside the package whose fingerprint begins with these bytes.

    Raises:
        WrongCodebook: there is none.
    """
    from noisebook.quantizers.codebook import load
    from noisebook.quantizers.files import find_shipped

    path = find_shipped(fingerprint)
    if path is None:
        raise WrongCodebook(f"made with codebook {fingerprint.hex()}, which is not in the package: give its file")
    return load(path)


@checked
def fit_codebook(
    sounds: Iterable[Waveform],
    *,
    backend: Backend,
    unit: str = "frame",
    method: str = "residual",
    size: int = 1024,
    stages: int | None = None,
    groups: int | None = None,
    block_frames: int | None = None,
    bits_per_frame: float | None = None,
    seed: int = 0,
    on_step: OnStep | None = None,
) -> LatentCodebook:
    """A codebook fitted to the latents of sounds.

    Args:
        sounds: any rates and lengths; only their latents are kept (3200 float32 values a second and channel).
        backend: whose latents; the codebook serves no other.
        unit: "clip", "frame" or "position".
        method: "gaussian", "uniform", "kmeans", "ema", "residual", "product", "hierarchical" or "adaptive".
        size: atoms of each table.
        stages, groups, block_frames, bits_per_frame: of the methods that have them; None is the method's default.
        seed: of all random choices.
        on_step: called with (tables fitted, tables in all and one more for counting).

    Raises:
        AudioError: more than two channels.
        ConfigError: settings that no codebook can have, or not enough sound.
    """
    from noisebook.quantizers.fitting import fit
    from noisebook.synthesis.sound import to_latent

    latents = [to_latent(sound, backend=backend)[0].cpu() for sound in sounds]
    return fit(
        latents, unit=unit, method=method, size=size, stages=stages, groups=groups, block_frames=block_frames,
        bits_per_frame=bits_per_frame, clip_frames=backend.info.window_frames, seed=seed,
        model=backend.info.autoencoder.hex(), on_step=on_step,
    )  # fmt: skip


@checked
def codebook_record(name: str) -> CodebookRecord:
    """What the file of a codebook inside the package says about it, for `codebook_info`; its tables are not read.

    Raises:
        ModelError: no such codebook.
    """
    from noisebook.quantizers.files import read_record, shipped_names, shipped_path

    path = shipped_path(name)
    if path is None:
        raise ModelError(f"there is no codebook {name}: there are {', '.join(shipped_names())}")
    return read_record(path)


@checked
def codebook_info(codebook: LatentCodebook | CodebookRecord, *, frames_per_second: float) -> dict[str, Any]:
    """What a codebook is, and how it did on the sound it was fitted to, as JSON can hold it.

    Args:
        frames_per_second: of its model's latents, for the rates.

    Raises:
        ModelError: its file holds no record of how it did.
    """
    try:
        return {
            "unit": codebook.config.unit,
            "method": codebook.config.method,
            "size": codebook.config.size,
            "config": vars(codebook.config),
            "fingerprint": codebook.fingerprint.hex(),
            "model": codebook.config.model,
            **_fit_of(codebook, frames_per_second),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the codebook has no usable record of its fit ({error}); fit it again") from error


@checked
def fit_doubt(codebook: LatentCodebook | CodebookRecord) -> str | None:
    """What speaks against using a codebook: too little sound for its atoms, so that it knows it by heart; else None.

    A table needs some ten vectors an atom to hold for other sounds than those it was fitted to.
    """
    from noisebook.quantizers.config import DRAWN

    config = codebook.config
    vectors = codebook.record["frames"] // config.row_frames * config.columns
    if config.method in DRAWN or vectors >= _VECTORS_PER_ATOM * config.size:
        return None
    times = _VECTORS_PER_ATOM * config.size / vectors
    return (
        f"fitted to {vectors} vectors for {config.size} atoms: it knows its sound by heart and will do worse on any "
        f"other than the report says; give {times:.1f} times as much sound, or a smaller size"
    )


def _fit_of(codebook: LatentCodebook | CodebookRecord, frames_per_second: float) -> dict[str, Any]:
    record = codebook.record
    usage = zip(codebook.config.stage_shapes(), record["used"], record["perplexity"], strict=True)
    return {
        "fitted_seconds": record["frames"] / frames_per_second,
        "nmse_db": record["nmse_db"],
        "energy_db": record["energy_db"],
        "bitrate": record["bits_per_frame"] * frames_per_second,
        "fixed_bitrate": record["fixed_bits_per_frame"] * frames_per_second,
        "objective": record.get("objective"),
        "stages": [
            {"name": stage.name, "size": stage.size, "used": used, "perplexity": perplexity}
            for stage, used, perplexity in usage
        ],
    }
