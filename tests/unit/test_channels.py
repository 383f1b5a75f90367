from __future__ import annotations

import numpy as np

from noisebook.audio.waveform import Waveform, downmix


def test_downmix_is_the_mean_of_all_channels() -> None:
    mono = downmix(Waveform.of([[0.0, 3.0, 3.0], [1.0, 3.0, -3.0], [2.0, 0.0, 0.0]], 8000))
    assert mono.samples.tolist() == [[1.0, 2.0, 0.0]]
    assert mono.samples.dtype == np.float32
    assert mono.sample_rate == 8000


def test_downmix_leaves_mono_alone() -> None:
    mono = Waveform.of([0.0, 1.0], 8000)
    assert downmix(mono) is mono
