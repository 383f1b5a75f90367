"""Options of reconstruction, transformation, generation and restoration. No tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from noisebook.diffusion.samplers import SAMPLERS, SPACINGS, Sampling
from noisebook.errors import ConfigError
from noisebook.options import Options, again, option
from noisebook.quantizers.config import MIX, SOFT_ATOMS, TEMPERATURE

if TYPE_CHECKING:
    from pathlib import Path

    from noisebook.quantizers.codebook import LatentCodebook

_MOST_SEED = 2**64 - 1


@dataclass(frozen=True)
class ReconstructOptions(Options):
    """A row of the table of reconstruction presets, with other choices at some of its axes."""

    preset: str = option(
        "matched",
        "matched, simple, ultimate, ultimate-fix, v3-balanced, v4-high-freq, v5-high-freq, v5-high-freq-strong, "
        "final-optimized or critical-fix.", flags=("-p", "--preset"), metavar="NAME",
    )  # fmt: skip
    front_end: str = option(
        "matched",
        "matched; historical, the preset's own; or db-minmax, db20, clap, clap-wide, mel-db, mel-db-wide, standard.",
        metavar="NAME",
    )
    posterior: str | None = option(None, "mode, sample, or blend: 0.7 mode and 0.3 sample.", metavar="NAME")
    latent_limit: str | None = option(None, "none, strict, balanced or loose.", metavar="NAME")
    vocoder: str | None = option(
        None,
        "model; griffin-lim; tones, which keeps notes in tune; or model+griffin-lim and chain, tried in turn.",
        metavar="NAME",
    )
    post: str | None = option(
        None, "none, or some of smooth=FRAMES, mel-lift-db=DB, band-lift=FACTOR, high-pass=HZ, loudness=LEAST:MOST, "
        "softness=SHARE and peak-guard, with commas between.", metavar="STEPS",
    )  # fmt: skip
    seed: int = option(0, "Seed of posterior samples.", low=0, high=_MOST_SEED)


# Options that not all methods have, with their defaults; and which methods have them.
_DEFAULTS = {
    "codebook": "own", "temperature": TEMPERATURE, "top_k": SOFT_ATOMS, "mix": MIX,
    "pull": "adaptive", "pull_strength": 1.0, "scales": 1,
}  # fmt: skip
TRANSFORM_METHODS: dict[str, tuple[str, ...]] = {
    "input-based": ("codebook",),
    "improved": ("codebook", "temperature", "top_k", "mix"),
    "guided": ("pull", "pull_strength", "scales"),
    "full-diffusion": (),
}


@dataclass(frozen=True)
class TransformOptions(Options):
    """What may be chosen about a transformation."""

    prompt: str | None = option(
        None, "What the sound becomes; by default any sound.", flags=("-p", "--prompt"), metavar="PROMPT"
    )
    negative: str | None = option(None, "What to stay away from.", metavar="PROMPT")
    method: str = option(
        "input-based", "From the noised quantised latent, hard or soft; from noise, pulled towards the latent as long "
        "as the strength says; or over the whole schedule, pulled to the end.",
        choices=tuple(TRANSFORM_METHODS), flags=("-m", "--method"),
    )  # fmt: skip
    strength: float = option(
        0.5, "0 leaves the sound as it is, 1 keeps nothing of it: the share that the model is left to decide.",
        low=0, high=1, flags=("-s", "--strength"),
    )  # fmt: skip
    steps: int = option(20, "Denoising steps.", low=1, high=1000)
    guidance: float = option(3.0, "How much the prompt is exaggerated; 1 is not at all.", metavar="SCALE")
    rescale: float = option(0.7, "How much of guidance's loudness is taken back.", low=0, high=1)
    scheduler: str | None = option(None, "Sampler; by default ddim, and ddpm with --pull ddcm.", choices=SAMPLERS)
    spacing: str = option("quadratic", "Spacing of the steps.", choices=SPACINGS)
    seed: int = option(0, "Seed of the noise.", low=0, high=_MOST_SEED)
    codebook: LatentCodebook | str | Path | None = option(
        None, "own (default): fitted to IN; none (input-based); one inside the package; or a file.",
        metavar="NAME|FILE",
    )  # fmt: skip
    temperature: float | None = option(None, "improved: softness of the choice of atoms.", metavar="T")
    top_k: int | None = option(None, "improved: how many nearest atoms are averaged.", low=1, metavar="K")
    mix: float | None = option(None, "improved: share of the quantised latent; by default 0.7.", low=0, high=1)
    pull: str | None = option(
        None, "guided: how its weight follows the strength (adaptive by default), or noise chosen from codebooks.",
        choices=("adaptive", "constant", "linear", "cosine", "ddcm"),
    )  # fmt: skip
    pull_strength: float | None = option(None, "guided: the largest weight; by default 1.", low=0, high=1)
    scales: int | None = option(None, "guided: more than 1 begin with the coarse structure.", low=1, high=6)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in _DEFAULTS:
            if getattr(self, name) is not None and name not in TRANSFORM_METHODS[self.method]:
                others = [other for other, names in TRANSFORM_METHODS.items() if name in names]
                raise ConfigError(f"{name} is an option of {' and '.join(others)}, not of {self.method}")
        if self.method == "improved" and self.codebook == "none":
            raise ConfigError("improved needs a codebook; without one, input-based is what you want")
        if self.chooses and self.sampler != "ddpm":
            raise ConfigError(f"choosing the noise needs a scheduler with noise: ddpm, not {self.scheduler}")

    def own(self, name: str) -> Any:
        """The value of an option that not all methods have, or its default."""
        value = getattr(self, name)
        return _DEFAULTS[name] if value is None else value

    @property
    def chooses(self) -> bool:
        """Whether the noise of the steps is chosen from codebooks, in place of a pull on their estimates."""
        return self.pull == "ddcm"

    @property
    def whole(self) -> bool:
        """Whether the diffusion runs over the whole schedule, whatever the strength."""
        return self.method in ("guided", "full-diffusion")

    @property
    def weight(self) -> str | None:
        """That of the pull on the estimates (see `diffusion.pulling.pull_weight`); None where there is no such pull."""
        if self.method == "full-diffusion":
            return "observed"
        return self.own("pull") if self.method == "guided" and not self.chooses else None

    @property
    def sampler(self) -> str:
        """The scheduler, or the one that suits."""
        return self.scheduler or ("ddpm" if self.chooses else "ddim")


# Steps and guidance: how much work, and how closely the prompt is followed.
GENERATE_PRESETS = {"quick": (10, 5.0), "balanced": (20, 7.5), "detailed": (30, 10.0)}
_PRESETS = ", ".join(f"{name} {steps} and {guidance:g}" for name, (steps, guidance) in GENERATE_PRESETS.items())


@dataclass(frozen=True)
class GenerateOptions(Options):
    """What may be chosen about a new sound."""

    prompt: str = option("", "What to hear; by default any sound.", command_line=False)
    seconds: float = option(10.0, "Length of the sound, met to the sample.", flags=("-t", "--seconds"))
    preset: str | None = option(
        None, f"Steps and guidance, where they are not given: {_PRESETS}; by default what the model was published "
        "with: 20 and 7.5 with mini, 200 and 3.5 with AudioLDM 2.",
        choices=tuple(GENERATE_PRESETS), flags=("-p", "--preset"),
    )  # fmt: skip
    steps: int | None = option(None, "Denoising steps; with --ddcm 100 by default.", low=1, high=1000)
    guidance: float | None = option(None, "How much the prompt is exaggerated; 1 is not at all.", metavar="SCALE")
    rescale: float | None = option(
        None, "How much of guidance's loudness is taken back; by default all with mini, nothing with others.",
        low=0, high=1,
    )  # fmt: skip
    negative: str = option("", "What to stay away from.", metavar="PROMPT")
    scheduler: str | None = option(None, "Sampler; by default ddim, and dpm++ with Stable Audio.", choices=SAMPLERS)
    spacing: str | None = option(
        None, "Spacing of the steps; by default quadratic with mini, uniform with AudioLDM and its kin, karras with "
        "Stable Audio.", choices=SPACINGS,
    )  # fmt: skip
    num_candidates: int = option(
        1, "How many to make, to keep the one that is nearest to PROMPT for the model's own CLAP (AudioLDM 2 and "
        "MusicLDM).", low=1, high=64, metavar="N",
    )  # fmt: skip
    seed: int | None = option(None, "Random by default; with --ddcm 0 to 255.", low=0, high=_MOST_SEED)

    def sampling(self, own: Sampling) -> Sampling:
        """How to make it: as given, or as of the preset, or as is the model's own way."""
        if self.preset is not None:
            steps, guidance = GENERATE_PRESETS[self.preset]
            own = own._replace(steps=steps, guidance=guidance)
        given: dict[str, Any] = {
            "steps": self.steps, "guidance": self.guidance, "rescale": self.rescale,
            "sampler": self.scheduler, "spacing": self.spacing,
        }  # fmt: skip
        return own._replace(**{name: value for name, value in given.items() if value is not None})


@dataclass(frozen=True)
class GenerateStreamOptions(Options):
    """What may be chosen about a new sound that is a stream from birth.

    K atoms a step, half of them the others with a minus: each step costs log2 K bits for each 10.24 s.
    """

    prompt: str = again(GenerateOptions, "prompt")
    seconds: float = again(GenerateOptions, "seconds")
    K: int = option(64, "Atoms in the codebook of a step, a power of two from 4.")
    steps: int = option(100, "Coded steps.", low=1, high=1000)
    candidates: int | None = option(
        None, "Random atoms that a step chooses from; by default 1 or 2, as the prompt needs; more exaggerate it.",
        metavar="N", low=1,
    )  # fmt: skip
    negative: str = again(GenerateOptions, "negative")
    seed: int | None = option(None, "Of the codebooks and of the start; random by default.", low=0, high=255)
    choice_seed: int | None = option(None, "Of the candidates; by default that of the codebooks.", command_line=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.K < 4 or self.K & (self.K - 1):
            raise ConfigError(f"K {self.K}: a codebook has a power of two of atoms, from 4")
        if self.candidates is not None and self.candidates > self.K:
            raise ConfigError(f"{self.candidates} candidates: 1 to K, which is {self.K}, are possible")


def _gap(text: str) -> tuple[float, float]:
    start, _, end = text.partition(":")
    try:
        return float(start), float(end)
    except ValueError:
        raise ConfigError(f"{text!r} is not START:END in seconds, such as 2.5:2.9") from None


@dataclass(frozen=True)
class DamageOptions(Options):
    """What is damaged about a sound, where it is not to be found, and how much is left to the model."""

    gaps: tuple[tuple[float, float], ...] = option(
        (), "inpaint: seconds; may be repeated. By default runs of digital silence that break the sound off.",
        flags=("--gap",), metavar="START:END", parse=_gap,
    )  # fmt: skip
    cutoff: float | None = option(None, "bandwidth: by default where the spectrum drops.", metavar="HZ")
    threshold: float | None = option(None, "declip: 0 to 1; by default the peak, if clipped.", metavar="LEVEL")
    strength: float | None = option(
        None, "What is left to the model: 0 (interpolation) to 1 (all that is lost); by default 0.4 for inpaint, else "
        "0.2.", low=0, high=1,
    )  # fmt: skip


@dataclass(frozen=True)
class RestoreOptions(DamageOptions):
    """What may be chosen about a restoration."""

    keep: bool = option(True, "Leave what is not damaged as it was, or vocode it all.")
    prompt: str | None = option(None, "What the sound is.", metavar="PROMPT")
    guidance: float = option(1.0, "How much the prompt is exaggerated; 1 is not at all.", low=0, metavar="SCALE")
    steps: int = option(10, "Steps of the diffusion.", low=1, high=1000)
    seed: int = option(0, "Seed of the noise; with --ddcm 0 to 255.", low=0, high=_MOST_SEED)
