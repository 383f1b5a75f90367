"""Codebooks of latents: fit them to sound, find them, look into them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noisebook.api.arguments import checked
from noisebook.errors import ConfigError, ModelError, WrongCodebook
from noisebook.options import OnStep, Options, option
from noisebook.quantizers.config import DRAWN
from noisebook.quantizers.files import find_shipped, read_record, shipped_names, shipped_path

if TYPE_CHECKING:
    from noisebook.audio.waveform import Waveform
    from noisebook.diffusion.backend import Backend, BackendInfo
    from noisebook.quantizers.codebook import LatentCodebook
    from noisebook.quantizers.files import CodebookRecord

_VECTORS_PER_ATOM = 10
_OF_EMA = ("commitment", "temperature")


@dataclass(frozen=True)
class FitOptions(Options):
    """What may be chosen about a codebook; None is the default of its method."""

    unit: str = option(
        "frame", "What an atom stands for: 10 s of latent, 0.04 s of it, or one cell.",
        choices=("clip", "frame", "position"),
    )  # fmt: skip
    method: str = option(
        "residual", "gaussian, uniform, kmeans, ema, residual, product, hierarchical or adaptive.", metavar="NAME"
    )
    size: int = option(1024, "Atoms of each table.", low=2, high=65536)
    stages: int | None = option(None, "residual, adaptive, hierarchical: tables in a row.", low=1, high=64)
    groups: int | None = option(None, "product: groups of values with a table each.", low=1, high=1024)
    block_frames: int | None = option(None, "hierarchical: frames of a coarse code.", low=1, high=4096)
    bits_per_frame: float | None = option(None, "adaptive: the budget that it is made for.")
    commitment: float | None = option(
        None, "ema: weight of the commitment term, 0.25 by default; it moves atoms only where a temperature is given.",
        low=0, high=1,
    )  # fmt: skip
    temperature: float | None = option(
        None, "ema: softness with which a vector is shared by its nearest atoms, in Euclidean distance; by default 0.",
        low=0, metavar="T",
    )  # fmt: skip
    seed: int = option(0, "Seed of all random choices.", low=0, high=2**64 - 1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _OF_EMA:
            if getattr(self, name) is not None and self.method != "ema":
                raise ConfigError(f"{name} is an option of ema, not of {self.method}")


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

    path = shipped_path(str(name)) or Path(name)
    if not path.is_file():
        raise ModelError(f"there is no codebook {name}: give a file, or one of {', '.join(shipped_names())}")
    codebook = load(path)
    if unit is not None and codebook.config.unit != unit:
        raise ConfigError(f"{path} is a codebook of unit {codebook.config.unit}, and one of unit {unit} is needed")
    if info is not None:
        codebook.check_fits(info)
    return codebook


def codebook_of(codebook: LatentCodebook | Path | str) -> LatentCodebook:
    """The codebook itself, or the one with that name or in that file; errors as of `load_codebook`."""
    return load_codebook(codebook) if isinstance(codebook, Path | str) else codebook


def codebook_names() -> tuple[str, ...]:
    """The codebooks inside the package, named by unit and method."""
    return shipped_names()


@checked
def codebook_by_fingerprint(fingerprint: bytes) -> LatentCodebook:
    """The codebook inside the package whose fingerprint begins with these bytes.

    Raises:
        WrongCodebook: there is none.
    """
    from noisebook.quantizers.codebook import load

    path = find_shipped(fingerprint)
    if path is None:
        raise WrongCodebook(f"made with codebook {fingerprint.hex()}, which is not in the package: give its file")
    return load(path)


@checked
def fit_codebook(
    sounds: Iterable[Waveform],
    *,
    backend: Backend,
    options: FitOptions = FitOptions(),
    on_step: OnStep | None = None,
    **keywords: Any,
) -> LatentCodebook:
    """A codebook fitted to the latents of sounds.

    Args:
        sounds: any rates and lengths; only their latents are kept (3200 float32 values a second and channel).
        backend: whose latents; the codebook serves no other.
        options: what may be chosen; each can also be given as a keyword: `size=256`.
        on_step: called with (tables fitted, tables in all and one more for counting).

    Raises:
        AudioError: more than two channels.
        ConfigError: settings that no codebook can have, or not enough sound.
    """
    from noisebook.quantizers.fitting import fit
    from noisebook.synthesis.sound import to_latent

    latents = [to_latent(sound, backend=backend)[0].cpu() for sound in sounds]
    return fit(
        latents, **vars(options), clip_frames=backend.info.window_frames, model=backend.info.autoencoder.hex(),
        on_step=on_step,
    )  # fmt: skip


@checked
def codebook_record(name: str) -> CodebookRecord:
    """What the file of a codebook inside the package says about it, for `codebook_info`; its tables are not read.

    Raises:
        ModelError: no such codebook.
    """
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
    """What speaks against using a codebook: too little sound for its atoms, so that it has fewer than were asked for,
    or knows its sound by heart; else None.

    A table needs some ten vectors an atom to hold for other sounds than those it was fitted to.
    """
    config = codebook.config
    vectors = codebook.record["frames"] // config.row_frames * config.columns
    fewer, asked = "", codebook.record.get("asked_size")
    if asked is not None:
        blocks = -(-vectors // config.block_frames)
        fewer = f"{config.size} atoms in place of {asked}, of {blocks} blocks of {config.block_frames} frames; "
    if config.method in DRAWN or vectors >= _VECTORS_PER_ATOM * config.size:
        return None
    times = _VECTORS_PER_ATOM * config.size / vectors
    return (
        f"{fewer}fitted to {vectors} vectors for {config.size} atoms: it knows its sound by heart and will do worse on "
        f"any other than the report says; give {times:.1f} times as much sound, or a smaller size"
    )


def _fit_of(codebook: LatentCodebook | CodebookRecord, frames_per_second: float) -> dict[str, Any]:
    record = codebook.record
    usage = zip(codebook.config.stages_of(), record["used"], record["perplexity"], strict=True)
    return {
        "fitted_seconds": record["frames"] / frames_per_second,
        "nmse_db": record["nmse_db"],
        "energy_db": record["energy_db"],
        "bitrate": record["bits_per_frame"] * frames_per_second,
        "fixed_bitrate": record["fixed_bits_per_frame"] * frames_per_second,
        "objective": record.get("objective"),
        "temperature": record.get("temperature"),
        "asked_size": record.get("asked_size"),
        "stages": [
            {"name": stage.name, "size": stage.size, "used": used, "perplexity": perplexity}
            for stage, used, perplexity in usage
        ],
    }
