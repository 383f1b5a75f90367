"""The composite scores against straight-line versions of the predecessor's two scripts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import noisebook
from noisebook.errors import AudioError, ConfigError
from noisebook.metrics import METRICS, summary_score, verify_score

librosa = pytest.importorskip("librosa", reason="needs noisebook[metrics]")

RATE = 16000
ASSETS = Path(noisebook.__file__).parent / "assets"
MUSIC = Path(__file__).parents[1] / "sounds" / "music-16k.flac"


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    return soundfile.read(MUSIC, dtype="float32")[0][: 3 * RATE]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    return soundfile.read(ASSETS / "demo-speech.flac", dtype="float32")[0][: 3 * RATE]


def straight(reference: np.ndarray, estimate: np.ndarray) -> dict[str, float]:
    """The terms that the two scripts add, each written out."""
    length = min(len(reference), len(estimate))
    a, b = reference[:length], estimate[:length]

    wave = np.corrcoef(a, b)[0, 1]
    spectrum = np.corrcoef(np.abs(np.fft.fft(a)), np.abs(np.fft.fft(b)))[0, 1]
    mel_a = librosa.feature.melspectrogram(y=a, sr=RATE, n_fft=2048, hop_length=512, n_mels=128)
    mel_b = librosa.feature.melspectrogram(y=b, sr=RATE, n_fft=2048, hop_length=512, n_mels=128)
    mel = np.corrcoef(mel_a.flatten(), mel_b.flatten())[0, 1]
    mfcc_a = librosa.feature.mfcc(y=a, sr=RATE, n_mfcc=13)
    mfcc_b = librosa.feature.mfcc(y=b, sr=RATE, n_mfcc=13)
    mfcc = np.corrcoef(mfcc_a.flatten(), mfcc_b.flatten())[0, 1]
    onsets_a = librosa.onset.onset_strength(y=a, sr=RATE, aggregate=np.median)  # what beat_track makes of y
    onsets_b = librosa.onset.onset_strength(y=b, sr=RATE, aggregate=np.median)
    tempo_a = librosa.feature.tempo(onset_envelope=onsets_a, sr=RATE)[0]
    tempo_b = librosa.feature.tempo(onset_envelope=onsets_b, sr=RATE)[0]
    tempo = 1 - abs(tempo_a - tempo_b) / max(tempo_a, tempo_b)
    centroid_a = librosa.feature.spectral_centroid(y=a, sr=RATE)[0]
    centroid_b = librosa.feature.spectral_centroid(y=b, sr=RATE)[0]
    centroid = np.corrcoef(centroid_a, centroid_b)[0, 1]
    zcr_a = librosa.feature.zero_crossing_rate(a)[0]
    zcr_b = librosa.feature.zero_crossing_rate(b)[0]
    zcr = np.corrcoef(zcr_a, zcr_b)[0, 1]
    snr = 10 * np.log10(np.mean(a**2) / (np.mean((a - b) ** 2) + 1e-10))

    shared = 0.25 * wave + 0.20 * spectrum + 0.20 * mel + 0.15 * mfcc + 0.10 * tempo + 0.05 * centroid
    return {"summary": shared + 0.05 * (snr + 20) / 40, "verify": shared + 0.05 * zcr, "snr": snr, "tempo": tempo}


def test_scores_equal_the_straight_line_version(music: np.ndarray, speech: np.ndarray) -> None:
    noise = np.random.default_rng(0).normal(size=music.size).astype(np.float32)
    unrelated, noisy, shorter = speech, music + 0.03 * noise, 0.5 * music[: 2 * RATE + 123]
    for estimate in (unrelated, noisy, shorter, noise, music):
        expected = straight(music, estimate)
        summary, verify = (score(music, estimate, sample_rate=RATE) for score in (summary_score, verify_score))
        assert summary.score == pytest.approx(expected["summary"], abs=1e-6)
        assert verify.score == pytest.approx(expected["verify"], abs=1e-6)
        assert summary.parts["snr_db"] == pytest.approx(expected["snr"], abs=1e-4)
        assert verify.parts["tempo_agreement"] == pytest.approx(expected["tempo"])


def test_files_of_other_rates_are_read_as_the_predecessor_read_them(music: np.ndarray, speech: np.ndarray) -> None:
    pair = [librosa.resample(s, orig_sr=RATE, target_sr=22050, res_type="soxr_hq") for s in (music, speech)]
    expected = straight(*(librosa.resample(s, orig_sr=22050, target_sr=RATE, res_type="soxr_hq") for s in pair))
    assert summary_score(*pair, sample_rate=22050).score == pytest.approx(expected["summary"], abs=1e-5)


def test_parts_have_the_names_of_the_table_and_add_up(music: np.ndarray, speech: np.ndarray) -> None:
    names = {metric.name for metric in METRICS}
    weights = dict(zip(summary_score(music, speech, sample_rate=RATE).parts, (25, 20, 20, 15, 10, 5), strict=False))
    for score, last in ((summary_score, "snr_db"), (verify_score, "zcr_correlation")):
        result = score(music, speech, sample_rate=RATE)
        assert set(result.parts) <= names
        assert list(result.parts)[-1] == last
        value = result.parts[last]
        term = 0.05 * ((value + 20) / 40 if last == "snr_db" else value)
        assert result.score == pytest.approx(sum(w / 100 * result.parts[name] for name, w in weights.items()) + term)


def test_where_the_predecessor_had_no_number_there_is_one(music: np.ndarray) -> None:
    silence = np.zeros_like(music)
    assert verify_score(music, silence, sample_rate=RATE).score == 0
    assert verify_score(silence, silence, sample_rate=RATE).score == pytest.approx(1)
    assert summary_score(music, silence, sample_rate=RATE).score == pytest.approx(0.05 * 20 / 40, abs=1e-3)
    assert summary_score(silence, music, sample_rate=RATE).score < 0
    assert summary_score(silence, silence, sample_rate=RATE).score == pytest.approx(0.95 + 0.05 * 20 / 40)


def test_what_is_no_sound_is_refused(music: np.ndarray) -> None:
    with pytest.raises(AudioError, match="estimate has shape"):
        summary_score(music, music[None], sample_rate=RATE)
    with pytest.raises(ConfigError, match="sample_rate 0"):
        verify_score(music, music, sample_rate=0)
