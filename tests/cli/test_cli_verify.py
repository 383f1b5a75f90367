from __future__ import annotations

import json
import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile

import noisebook as package
from noisebook.audio.io import read, write
from noisebook.audio.waveform import Waveform

SPEECH, MUSIC = (
    Waveform(read(Path(package.__file__).parent / "assets" / name).samples[:, :40_000], 16_000)
    for name in ("demo-speech.flac", "demo.flac")
)
FEW = ["--metrics", "mel_db_mae, snr_db", "--no-model"]


@pytest.fixture
def sounds(tmp_path: Path) -> None:
    """ref.wav; same.wav, the same with a little noise, at half the level and 48 kHz; other.wav."""
    noise = np.random.default_rng(0).standard_normal(SPEECH.samples.shape) * 0.003
    write("ref.wav", SPEECH)
    write("same.wav", Waveform.of(0.5 * SPEECH.samples + noise, 16_000))
    write("other.wav", MUSIC)


@pytest.mark.usefixtures("sounds")
def test_related_and_not(noisebook):
    ran = noisebook("verify", "ref.wav", "same.wav", *FEW)
    assert (ran.status, ran.err) == (0, "")
    lines = ran.text.splitlines()
    assert lines[0] == "REF  2.50 s, 16000 Hz, mono"
    assert "EST 0 samples late (found); level of EST -6.0 dB" in lines[2]
    assert lines[3].split("  ")[-1].strip() == "silence"
    assert [line.split()[0] for line in lines[4:7]] == ["similarity", "mel_db_mae", "snr_db"]
    assert lines[-1].startswith("verdict: related (similarity 0.")
    ran = noisebook("verify", "ref.wav", "other.wav", *FEW)
    assert ran.status == 0
    assert ran.text.splitlines()[-1].startswith("verdict: not related (similarity ")


@pytest.mark.usefixtures("sounds")
def test_the_verdict_can_be_the_exit_status(noisebook):
    assert noisebook("verify", "ref.wav", "same.wav", *FEW, "--require-related").status == 0
    assert noisebook("verify", "ref.wav", "other.wav", *FEW, "--require-related").status == 3


@pytest.mark.usefixtures("sounds")
def test_json_holds_everything(noisebook):
    ran = noisebook("verify", "ref.wav", "same.wav", *FEW, "--lag", "0", "--json")
    values = json.loads(ran.out)
    assert set(values) == {"alignment", "metrics", "composites", "verdict", "ceilings", "notes", "image"}
    assert (values["alignment"]["lag"], values["alignment"]["searched"]) == (0, False)
    assert values["verdict"]["related"] is True
    assert values["verdict"]["n_controls"] == sum(family["count"] for family in values["verdict"]["families"])
    row = values["metrics"][2]
    assert (row["name"], row["unit"], row["direction"]) == ("snr_db", "dB", "higher")
    assert list(row["controls"]) == ["another clip", "shuffled", "pink noise", "silence"]
    assert row["controls"]["silence"] == 0
    bare = json.loads(noisebook("verify", "ref.wav", "same.wav", *FEW, "--no-controls", "--json").out)
    assert [row["controls"] for row in bare["metrics"]] == [{}, {}, {}]


@pytest.mark.usefixtures("sounds")
def test_a_page(noisebook, fails):
    """With the names as text, both sounds on one time, and the same numbers."""
    name = "same <i>.wav"
    write(name, Waveform(read("same.wav").samples[:, 160:].copy(), 16_000))  # 10 ms early
    ran = noisebook("verify", "ref.wav", name, *FEW, "--html", "page.html", "--json")
    assert ran.status == 0
    page = Path("page.html").read_text("utf-8")
    assert "<h1>Related</h1>" in page
    assert "same &lt;i&gt;.wav" in page
    assert "<i>.wav" not in page
    assert "EST is 160 samples at 16 kHz early (found)" in page
    value = next(row["value"] for row in json.loads(ran.out)["metrics"] if row["name"] == "mel_db_mae")
    assert f'<td class="best" data-label="This sound">{value:.2f}</td>' in page
    uris = re.findall(r'src="data:audio/flac;base64,([^"]+)"', page)
    first, second = (soundfile.read(BytesIO(b64decode(uri)))[0][:16_000] for uri in uris)
    assert np.corrcoef(first, second)[0, 1] > 0.95
    told = fails("verify", "ref.wav", "same.wav", *FEW, "--html", "page.html")
    assert told == "page.html exists; -f overwrites it"
    told = fails("verify", "ref.wav", "same.wav", *FEW, "--html", "same.wav", "-f")
    assert told == "same.wav is the input itself; name another output"


def test_a_page_of_a_stream(noisebook, engine, sound, stream):
    ran = noisebook("verify", sound, stream, "--metrics", "mel_db_mae", "--no-model", "--html", "page.html", *engine)
    assert ran.status == 0
    page = Path("page.html").read_text("utf-8")
    assert page.count("data:audio/flac;base64,") == 2
    assert "<b>song.ddcm</b> beside <b>song.wav</b>" in page


def test_a_stream_beside_its_ceilings_and_random_indices(noisebook, engine, sound, stream):
    ran = noisebook("verify", sound, stream, "--metrics", "mel_db_mae", *engine)
    assert ran.status == 0, ran
    header = ran.text.splitlines()[3]
    assert all(name in header for name in ("autoencoder", "vocoder", "random indices"))
    values = json.loads(
        noisebook("verify", sound, stream, "--no-model", "--metrics", "mel_db_mae", "--json", *engine).out
    )
    assert values["ceilings"] == {}


@pytest.mark.usefixtures("sounds")
@pytest.mark.parametrize(("arguments", "status", "told"), [
    (["ref.wav"], 2, "EST"),
    (["ref.wav", "absent.wav"], 1, "no file absent.wav"),
    (["absent.wav", "ref.wav"], 1, "no file absent.wav"),
    (["ref.wav", "absent.ddcm"], 1, "absent.ddcm"),
    (["ref.wav", "same.wav", "--metrics", "loudnes"], 1, "mel_db_mae"),
    (["ref.wav", "same.wav", "--lag", "soon"], 2, "'soon' is not a whole number"),
    (["ref.wav", "same.wav", "--lag", "999999", "--metrics", "snr_db"], 1, "lag"),
])  # fmt: skip
def test_what_cannot_be_compared_is_told(arguments, status, told, fails):
    assert told in fails("verify", *arguments, "--no-model", status=status)


def test_a_file_that_is_no_stream(fails, engine, sound):
    Path("x.ddcm").write_bytes(b"no stream at all")
    assert "x.ddcm is not a stream" in fails("verify", sound, "x.ddcm", *engine)


@pytest.mark.usefixtures("sounds")
def test_silence_as_the_original_leaves_nothing_to_compare(noisebook):
    write("silence.wav", Waveform.of(np.zeros(40000), 16000))
    ran = noisebook("verify", "silence.wav", "ref.wav", *FEW)
    assert (ran.status, ran.err) == (0, "")
    assert "inf" not in ran.text
    assert "the original is silence: there is nothing to compare, and no metric" in ran.text.splitlines()
    assert ran.text.splitlines()[-1] == "verdict: not related: the reference is silent: there is nothing to compare"
    found = json.loads(noisebook("verify", "silence.wav", "ref.wav", "--json", *FEW).text)
    assert (found["metrics"], found["verdict"]["related"]) == ([], False)
