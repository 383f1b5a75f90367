"""Delays without waveforms, levels, the place of failures in the ranking, and verdicts."""

from __future__ import annotations

import numpy as np
import pytest

from noisebook.audio.waveform import Waveform
from noisebook.comparison.judging import (
    DEFAULT_METRICS,
    Placed,
    measured_delay,
    metric_names,
    placed,
    probe,
    score,
    verdict,
)
from noisebook.comparison.publishing import ranking
from noisebook.errors import ConfigError
from noisebook.metrics import METRICS, available

SPEECH = probe(16000)


def with_new_phases(sound: Waveform, seed: int = 0) -> Waveform:
    """The same envelopes in every band of noise: what a parametric codec keeps."""
    rng = np.random.default_rng(seed)
    window, hop = np.hanning(320), 80
    samples = np.pad(sound.samples[0], (320, 320))
    result = np.zeros_like(samples)
    for start in range(0, len(samples) - 320, hop):
        spectrum = np.abs(np.fft.rfft(samples[start : start + 320] * window))
        result[start : start + 320] += window * np.fft.irfft(spectrum * np.exp(2j * np.pi * rng.random(161)))
    return Waveform(result[None, 320:-320].astype(np.float32), sound.sample_rate)


@pytest.mark.parametrize("delay", [0, 448, -160])
def test_the_delay_is_found_where_no_waveform_survives(delay):
    invented = with_new_phases(SPEECH).samples
    late = np.pad(invented, ((0, 0), (max(0, delay), 0)))[:, max(0, -delay) :]
    late = Waveform(np.ascontiguousarray(late), 16000)
    assert abs(measured_delay(SPEECH, late) - delay) <= 32  # 2 ms


def test_silence_has_no_delay():
    assert measured_delay(SPEECH, Waveform(np.zeros_like(SPEECH.samples), 16000)) == 0


def test_only_what_was_decoded_is_judged():
    half = Waveform(np.ascontiguousarray(SPEECH.samples[:, :32000]), 16000)
    place = placed(SPEECH, half, lag=0)
    assert (place.start, place.end) == (0, 32000)
    assert score(SPEECH, place, ["mel_db_mae"], speech=True)["mel_db_mae"] == pytest.approx(0, abs=1e-6)
    whole = Placed(place.sound, 0, SPEECH.sample_count, 0, None)
    assert score(SPEECH, whole, ["mel_db_mae"], speech=True)["mel_db_mae"] > 10


def test_a_gain_is_reported_and_costs_no_opinion_on_quality():
    pytest.importorskip("zimtohrli")
    noise = np.random.default_rng(0).standard_normal(SPEECH.samples.shape).astype(np.float32)
    noisy = Waveform(SPEECH.samples + np.float32(0.01) * noise, 16000)
    quiet = placed(SPEECH, Waveform(noisy.samples / 4, 16000), lag=0)
    loud = placed(SPEECH, noisy, lag=0)
    assert loud.gain_db - quiet.gain_db == pytest.approx(20 * np.log10(4), abs=1e-3)
    names = ["zimtohrli", "mel_db_mae"]
    a, b = (score(SPEECH, place, names, speech=True) for place in (loud, quiet))
    assert a["zimtohrli"] == pytest.approx(b["zimtohrli"], abs=1e-3)
    assert b["mel_db_mae"] > a["mel_db_mae"] + 0.5


def test_left_and_right_are_judged_where_the_reference_has_them():
    stereo = Waveform(np.concatenate([SPEECH.samples, SPEECH.samples / 4]), 16000)
    names = ["image_level_db", "image_coherence", "mel_db_mae"]
    late = Waveform(np.pad(stereo.samples, ((0, 0), (100, 0))), 16000)
    exchanged = Waveform(np.ascontiguousarray(stereo.samples[::-1]), 16000)
    for decoded, lag, error in ((late, 100, 0), (SPEECH, 0, 12), (exchanged, 0, 24)):
        place = placed(stereo, decoded, lag=lag)
        assert place.sound.samples.shape == stereo.samples.shape
        values = score(stereo, place, names, speech=True)
        assert values["image_level_db"] == pytest.approx(error, abs=0.1)
        assert values["image_coherence"] == pytest.approx(0, abs=0.01)
    assert values["mel_db_mae"] == pytest.approx(0, abs=1e-3), "the mean of both is the same"
    mono = score(SPEECH, placed(SPEECH, stereo, lag=0), names, speech=True)
    assert (mono["image_level_db"], mono["image_coherence"]) == (None, None)
    assert verdict(stereo, placed(stereo, exchanged, lag=0))["related"]


def test_what_means_nothing_is_none():
    silent = placed(SPEECH, Waveform(np.zeros_like(SPEECH.samples), 16000), lag=0)
    values = score(SPEECH, silent, ["si_sdr_db", "estoi", "mel_db_mae"], speech=False)
    assert (values["si_sdr_db"], values["estoi"], silent.gain_db) == (None, None, None)
    assert values["mel_db_mae"] > 20


def test_names_of_metrics():
    installed = {metric.name for metric in METRICS if metric.installed}
    assert metric_names(None) == tuple(name for name in DEFAULT_METRICS if name in installed)
    assert metric_names(["snr_db", "mel_db_mae", "snr_db"]) == ("snr_db", "mel_db_mae")
    assert metric_names(["all"])[0] == "mel_db_mae"
    assert sorted(metric_names(["all"])) == sorted(available())
    assert metric_names(None, stereo=True) == (*metric_names(None), "image_level_db", "image_coherence")
    assert metric_names(["image_level_db"]) == ("image_level_db",)
    with pytest.raises(ConfigError, match="no metric named nothing"):
        metric_names(["nothing", "snr_db"])


def test_the_verdict_knows_the_sound_from_another():
    same = placed(SPEECH, with_new_phases(SPEECH), lag=0)
    other = placed(SPEECH, Waveform(np.ascontiguousarray(np.roll(SPEECH.samples, 24000)), 16000), lag=0)
    assert verdict(SPEECH, same)["related"]
    assert not verdict(SPEECH, other)["related"]
    assert verdict(SPEECH, same).keys() == {"related", "score", "threshold", "p_value", "n_controls"}


def test_to_fail_on_a_hard_clip_does_not_pay():
    rows = [{"method": "brave", "metrics": {"m": value}} for value in (5.0, 1.0)]
    rows += [{"method": "fails", "metrics": {"m": 5.0}}, {"method": "fails", "metrics": {}}]
    rows += [{"method": "never", "metrics": {"m": None}}]
    lines = ranking(rows, [{"name": "m", "unit": "", "direction": "higher"}])
    assert [(line["method"], line["rank"], line["n"]) for line in lines] == [("brave", 1, 2), ("fails", 2, 1)]
    assert (lines[1]["low"], lines[1]["high"]) == (None, None)  # one value has no interval
