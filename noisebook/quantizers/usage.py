"""How codes are used: counts for the entropy coder, and what coding costs and loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import log10
from typing import Any

import torch

from noisebook.quantizers.codebook import LatentCodebook
from noisebook.quantizers.stages import alphabets

__all__ = ["counted", "measure", "written_codes"]

# An adaptive codebook must serve other budgets than its own: its counts are of all of these, in shares of that.
_BUDGETS = (0.1, 0.25, 0.5, 1.0, 2.0)


def written_codes(
    codebook: LatentCodebook, codes: Sequence[torch.Tensor], frames: int, rule: str = "hard"
) -> list[torch.Tensor]:
    """The codes of each stage that a stream holds, `[n]`."""
    present = [codebook.present(codes[:index], frames, rule) for index in range(len(codes))]
    return [code.flatten() if mask is None else code[mask] for code, mask in zip(codes, present, strict=True)]


def counted(codebook: LatentCodebook, latents: Sequence[torch.Tensor]) -> LatentCodebook:
    """The codebook with counts of what it makes of these latents, each one more than seen."""
    counts = {name: torch.ones(length, dtype=torch.int64) for name, length in alphabets(codebook.config).items()}
    for latent in latents:
        for name, written in _named(codebook, latent):
            counts[name] += torch.bincount(written, minlength=len(counts[name])).cpu()
    return replace(codebook, tensors={**codebook.tensors, **{name: count.int() for name, count in counts.items()}})


def measure(
    codebook: LatentCodebook,
    latents: Sequence[torch.Tensor],
    rule: str = "hard",
    *,
    preserve_variance: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """What coding these latents costs and loses.

    Args:
        rule, options: as of `LatentCodebook.encode`.
        preserve_variance: as of `LatentCodebook.decode`.

    Returns:
        `frames`; `nmse_db`, squared error over energy; `mse`, squared error a value; `energy_db`, energy of what is
        decoded over that of the latents; `bits_per_frame`, ideal by the codebook's counts; `fixed_bits_per_frame`,
        with whole bits for each code; `perplexity` and `used`, codes of each stage.
    """
    stages = codebook.stages(rule)
    usage = [torch.zeros(stage.size, dtype=torch.int64) for stage in stages]
    sums = torch.zeros(3, dtype=torch.float64)  # squares of error, result and latent
    bits = 0.0
    for latent in latents:
        frames = latent.shape[2]
        codes = codebook.encode(latent, rule, **options)
        decoded = codebook.decode(codes, frames, rule, preserve_variance=preserve_variance)
        sums += torch.stack([x.double().square().sum().cpu() for x in (decoded - latent, decoded, latent)])
        for seen, stage, written in zip(usage, stages, written_codes(codebook, codes, frames, rule), strict=True):
            seen += torch.bincount(written, minlength=stage.size).cpu()
            bits += float(stage.bits(written).sum())
    total = sum(len(latent) * latent.shape[2] for latent in latents)
    fixed = sum(int(seen.sum()) * (stage.size - 1).bit_length() for seen, stage in zip(usage, stages, strict=True))
    error, result, energy = sums.clamp_min(1e-30).tolist()
    return {
        "frames": total,
        "nmse_db": 10 * log10(error / energy),
        "mse": error / sum(latent.numel() for latent in latents),
        "energy_db": 10 * log10(result / energy),
        "bits_per_frame": bits / total,
        "fixed_bits_per_frame": fixed / total,
        "perplexity": [_perplexity(seen) for seen in usage],
        "used": [int((seen > 0).sum()) for seen in usage],
    }


def _named(codebook: LatentCodebook, latent: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    """Names of counts with the codes to count: of every stage, and of the weights of the soft rule."""
    frames = latent.shape[2]
    for budget in _budgets(codebook, frames):
        codes = codebook.encode(latent, bits_per_frame=budget)
        for index, written in enumerate(written_codes(codebook, codes, frames)):
            yield f"counts.{index}", written
    if codebook.config.flat:
        weights = written_codes(codebook, codebook.encode(latent, "soft"), frames, "soft")[1::2]
        for index, written in enumerate(weights):
            yield f"soft.{index}", written


def _budgets(codebook: LatentCodebook, frames: int) -> tuple[float | None, ...]:
    """Budgets to count at, bits a frame, none below what telling that nothing is coded takes."""
    if codebook.method != "adaptive":
        return (None,)
    count = codebook.stages()[0]
    least = 1.001 * float(count.bits(torch.tensor(0))) * count.positions(frames) / frames
    return tuple(max(share * codebook.config.bits_per_frame, least) for share in _BUDGETS)


def _perplexity(seen: torch.Tensor) -> float:
    shares = seen[seen > 0].double() / max(int(seen.sum()), 1)
    return float(torch.exp(-(shares * shares.log()).sum()))
