"""A measurement that is reliable in places, and estimates that agree with it.

The range of the measurement is replaced and its null space is left to the model (DDNM, Wang, Yu & Zhang 2023), with the
autoencoder between the two: the features are where the measurement is masked, the latent where the diffusion runs. The
difference of two encodings is added, so that what the measurement does not reach passes through no autoencoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from noisebook.diffusion.backend import FeatureBackend

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Measurement:
    """What is known of a sound."""

    features: torch.Tensor  # `[B, 1, T, bins]`, log magnitude; where the weight is 0 they are not looked at
    weight: torch.Tensor  # 0 (lost) to 1 (reliable), shaped alike

    def completed(self, features: torch.Tensor) -> torch.Tensor:
        """What is reliable of the measurement, and the rest from `features`."""
        return features + self.weight * (self.features - features)

    def fitted(self, x0_hat: torch.Tensor, backend: FeatureBackend) -> torch.Tensor:
        """The estimate `[B, C, T', F']` nearest to x0_hat that agrees with the measurement."""
        decoded = backend.decode(x0_hat)
        # The plain encoder: `encode` may improve its latent by gradients, which is too dear at every step.
        wanted, found = (backend.posterior(features)[0] for features in (self.completed(decoded), decoded))
        return x0_hat + (wanted - found)

    def part(self, start: int, end: int) -> Measurement:
        """Frames `start` to `end` of the features."""
        return Measurement(self.features[:, :, start:end], self.weight[:, :, start:end])
