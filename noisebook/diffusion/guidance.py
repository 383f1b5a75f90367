"""Classifier-free guidance: a denoiser that exaggerates what a condition changes (Ho & Salimans 2022)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noisebook.diffusion.plan import Denoise

if TYPE_CHECKING:
    import torch

__all__ = ["classifier_free"]


def classifier_free(conditional: Denoise, unconditional: Denoise, scale: float, *, rescale: float = 0.0) -> Denoise:
    """`x0_u + scale (x0_c - x0_u)`; scale 1 is the conditional denoiser, beyond it the condition is exaggerated.

    Args:
        conditional: x0_hat with the condition.
        unconditional: x0_hat without it, or with what is to be avoided (a negative prompt).
        scale: of the difference; also called guidance weight.
        rescale: 0 to 1, how far each estimate is brought back to the standard deviation of the conditional one,
            which large scales inflate (Lin et al. 2024, "Common diffusion noise schedules and sample steps are
            flawed", eq. 15 and 16, there phi = 0.7).
    """

    def guided(x: torch.Tensor, t: int) -> torch.Tensor:
        with_condition, without = conditional(x, t), unconditional(x, t)
        estimate = without + scale * (with_condition - without)
        if rescale == 0:
            return estimate
        ratio = _deviation(with_condition) / _deviation(estimate)
        return estimate * (1 - rescale + rescale * ratio)

    return guided


def _deviation(x: torch.Tensor) -> torch.Tensor:
    """Standard deviation of each sound of a batch, `[B, 1, 1, 1]`, never zero."""
    return x.std(dim=(1, 2, 3), keepdim=True).clamp_min(1e-6)
