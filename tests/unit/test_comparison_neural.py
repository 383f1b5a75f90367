"""Neural codecs: found with weights only, nothing downloaded, bits counted exactly. The weights here are random."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import numpy as np
import pytest

from noisebook.audio.waveform import Waveform
from noisebook.comparison import neural
from noisebook.comparison.methods import Job
from noisebook.errors import ModelError

SOUND = Waveform((0.1 * np.random.default_rng(0).standard_normal((1, 16000))).astype(np.float32), 16000)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, and no cache of the hub."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    neural.load.cache_clear()


def rows(weights: Path | None) -> dict[str, object]:
    return {row.id: row for row in neural.methods(weights=weights)}


def test_without_weights_the_reason_is_told(tmp_path):
    for row in rows(tmp_path).values():
        assert "no weights" in row.missing or "pip install" in row.missing


def test_encodec(tmp_path, capsys):
    transformers = pytest.importorskip("transformers")
    config = transformers.EncodecConfig(num_filters=4, hidden_size=16, codebook_dim=16, num_lstm_layers=1)
    transformers.EncodecModel(config).save_pretrained(tmp_path / "encodec_24khz")
    capsys.readouterr()
    for rate in (1500, 6000):
        row = rows(tmp_path)[f"encodec-{rate}"]
        assert row.missing is None
        coded = row.run(Job(SOUND))
        assert 8 * len(coded.data) == pytest.approx(rate, abs=8)  # of one second: 75 frames of 10 bits
        assert (coded.sound.samples.shape, coded.sound.sample_rate) == ((1, 24000), 24000)
    assert np.array_equal(coded.sound.samples, row.run(Job(SOUND)).sound.samples)
    assert "%" not in capsys.readouterr().err, "no progress bar"


def test_dac(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.DacConfig(
        encoder_hidden_size=4, decoder_hidden_size=16, hidden_size=64, n_codebooks=12,
        downsampling_ratios=[2, 4, 5, 8], upsampling_ratios=[8, 5, 4, 2],
    )  # fmt: skip
    transformers.DacModel(config).save_pretrained(tmp_path / "dac_16khz")
    for rate in (1000, 6000):
        coded = rows(tmp_path)[f"dac-{rate}"].run(Job(SOUND))
        assert 8 * len(coded.data) == pytest.approx(rate, rel=0.05)
        assert coded.sound.sample_rate == 16000


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_snac(tmp_path):
    snac, torch = pytest.importorskip("snac"), pytest.importorskip("torch")
    config = {
        "sampling_rate": 24000, "encoder_dim": 4, "encoder_rates": [2, 4, 8, 8], "decoder_dim": 32,
        "decoder_rates": [8, 8, 4, 2], "attn_window_size": None, "codebook_size": 4096, "vq_strides": [4, 2, 1],
    }  # fmt: skip
    folder = tmp_path / "snac_24khz"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(snac.SNAC(**config).state_dict(), folder / "pytorch_model.bin")
    row = rows(tmp_path)["snac-980"]
    coded = row.run(Job(SOUND))
    assert len(coded.data) == 7 * 12 * 12 // 8  # 12 coarse frames, 1 + 2 + 4 codes each, of 12 bits
    assert coded.sound.samples.shape == (1, 24000)
    assert np.array_equal(coded.sound.samples, row.run(Job(SOUND)).sound.samples)  # its noise is seeded


def test_damaged_weights_are_told(tmp_path):
    pytest.importorskip("transformers")
    folder = tmp_path / "encodec_24khz"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "encodec"}')
    (folder / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot be loaded"):
        rows(tmp_path)["encodec-1500"].run(Job(SOUND))
