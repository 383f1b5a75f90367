"""Seconds of sound a second, of the way that `noisebook batch` takes."""

from __future__ import annotations

import pytest

from noisebook.api.models import ModelOptions
from noisebook.audio.waveform import Waveform
from noisebook.batch.planning import RunOptions
from noisebook.batch.runs import throughput
from noisebook.batch.verbs import Settings
from noisebook.errors import Error
from tests.batch.conftest import FAST, tone


def test_it_says_how_much_in_which_time(tiny_model):
    settings = Settings("compress", FAST, ModelOptions(str(tiny_model), device="cpu", threads=1))
    measured = throughput([tone(index) for index in range(3)], settings, RunOptions(batch_size=2))
    ran = {"verb": "compress", "executor": "local", "workers": 1, "batch_size": 2, "files": 3}
    assert ran.items() <= measured.items()
    assert measured["audio_seconds"] == pytest.approx(0.6)
    assert measured["rate"] == pytest.approx(0.6 / measured["seconds"])
    assert measured["start_seconds"] > 0


def test_a_sound_that_fails_is_no_number(tiny_model):
    wide = Waveform(tone(0).samples.repeat(3, 0), 16000)
    with pytest.raises(Error, match="1 of 2 sounds failed, the first so: 3 channels"):
        throughput(
            [tone(0), wide], Settings("compress", FAST, ModelOptions(str(tiny_model), device="cpu")), RunOptions()
        )
