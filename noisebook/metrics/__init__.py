"""Metrics: pure functions of two aligned signals, and the table that knows their direction and range.

    reference [N'] --.-> waveform.align -> lag, gain, common part
    estimate  [N"] --'
    reference [N] -> signals.validate -> waveform     (samples, loudness)                  -> float
    estimate  [N]                     -> correlation  (tracks and spectra, librosa)        -> float
                                      -> spectral     (spectrograms, by bands)             -> float
                                      -> pitch        (whether peaks stay where they are)  -> float
                                      -> perceptual   (listeners' models, optional extras) -> float
    left and right [2, N]             -> image        (level differences, coherence)       -> float
                                         suite: the table of all of them, `evaluate` -> {name: float}
    sets of sounds, values of clips   -> distribution: distances of sets, intervals of means

They judge audio, whoever coded it, so they know no codec and no model. All public names of the modules are here.
"""

# ruff: noqa: F401, F403
from noisebook.metrics.correlation import *
from noisebook.metrics.distribution import *
from noisebook.metrics.image import *
from noisebook.metrics.perceptual import *
from noisebook.metrics.pitch import *
from noisebook.metrics.signals import MetricFunction, validate
from noisebook.metrics.spectral import *
from noisebook.metrics.suite import *
from noisebook.metrics.waveform import *
