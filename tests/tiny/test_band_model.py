"""What works on mels works on a model of bands at 48 kHz: a tiny real one, with sounds of its rate and of others."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook import api
from noisebook.audio.waveform import Waveform
from noisebook.benchmark import doctor
from noisebook.benchmark.timing import stopwatch
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.methods import Job
from noisebook.errors import ModelError
from noisebook.synthesis.reconstruction_presets import PRESETS

RATE = 48000


@pytest.fixture(scope="module")
def sound() -> Waveform:
    """0.6 s of a falling chord with highs."""
    time = np.arange(round(0.6 * RATE)) / RATE
    chord = sum(np.sin(2 * np.pi * hz * time) for hz in (220, 330, 2500, 9000)) * np.exp(-3 * time)
    return Waveform((0.1 * chord)[None].astype(np.float32), RATE)


@pytest.mark.parametrize("front_end", ["matched", "historical"])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_runs(preset, front_end, bands, sound):
    result = api.reconstruct(sound, backend=bands, preset=preset.name, front_end=front_end)
    assert result.waveform.samples.shape == sound.samples.shape
    assert result.ran.front_end == ("matched" if front_end == "matched" else preset.front_end)
    assert np.isfinite([*result.measures.values()]).all()


def test_what_needs_no_network_is_the_vocoder_of_bands_itself(bands, sound):
    names = ("model", "griffin-lim", "tones")
    one, *others = (api.reconstruct(sound, backend=bands, vocoder=name).waveform.samples for name in names)
    assert all(np.array_equal(one, other) for other in others)


def test_a_sound_that_the_vocoder_cannot_make_is_tried_once(bands, sound, monkeypatch):
    calls = []

    def broken(features, first_frame=0):
        calls.append(first_frame)
        return features[:, 0, :, 0].repeat_interleave(480, 1) * float("nan")

    monkeypatch.setattr(bands, "vocode", broken)
    with pytest.raises(ModelError, match="griffin-lim: the same sound"):
        api.reconstruct(sound, backend=bands, vocoder="model+griffin-lim")
    assert len(calls) == 1


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize(
    ("task", "options"),
    [("inpaint", {"gaps": ((0.2, 0.25),)}), ("bandwidth", {"cutoff": 4000.0}), ("declip", {"threshold": 0.15})],
)
@pytest.mark.parametrize(("rate", "channels"), [(48000, 1), (22050, 2)])
def test_every_restoration_runs(task, options, keep, rate, channels, bands, sound):
    time = np.arange(round(0.6 * rate)) / rate
    damaged = np.repeat(0.3 * np.sin(2 * np.pi * 440 * time)[None], channels, axis=0).astype(np.float32)
    restored = api.restore(damaged, task, sample_rate=rate, backend=bands, steps=2, keep=keep, **options).sound
    wanted = RATE if task == "bandwidth" else rate
    assert (restored.channels, restored.sample_rate) == (channels, wanted)
    assert abs(restored.duration - 0.6) < 1 / rate
    assert np.isfinite(restored.samples).all()
    if keep and task == "inpaint":
        untouched = slice(0, round(0.18 * rate))
        assert np.array_equal(restored.samples[:, untouched], damaged[:, untouched])


def test_a_restored_sound_becomes_a_stream(bands, sound):
    stream = api.restore_stream(sound, "bandwidth", cutoff=4000.0, backend=bands, preset="300")
    assert api.decompress(stream.data, backend=bands).samples.shape == sound.samples.shape


def test_a_decode_is_verified_against_both_ceilings(bands, sound):
    stream = api.compress(sound, backend=bands, preset="300")
    result = api.verify(sound, stream, backend=bands, metrics=["mel_db_mae"])
    assert list(result.ceilings) == ["autoencoder", "vocoder"]


def test_the_doctor_takes_every_part(tiny_model):
    checks = doctor.diagnose_model(str(tiny_model), "cpu")
    assert [check.state for check in checks] == ["ok", "ok", "ok"], checks
    assert checks[1].detail.startswith("measured in training or by calibrate, in ")
    assert checks[2].detail == "encoder, denoiser with a prompt, decoder, vocoder: finite"


def test_the_benchmark_sees_every_stage(bands, sound):
    with stopwatch(bands) as watch:
        api.reconstruct(sound, backend=bands)
    assert watch.model["features"] > 0
    assert watch.model["vocoder"] > 0


def test_a_comparison_has_its_vocoder(bands, sound):
    vocoder = catalogue()[0]
    assert vocoder.run(Job(sound, backend=bands)).sound.samples.shape == sound.samples.shape
