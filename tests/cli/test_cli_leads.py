"""What somebody types who does not know the commands leads to the one that was meant; failures are JSON where asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noisebook.cli._shared import number
from noisebook.codec.options import parse_rate
from noisebook.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["pack", "song.wav"], "there is no command pack: noisebook compress"),
        (["unpack", "song.ddcm"], "there is no command unpack: noisebook decompress"),
        (["compres", "song.wav"], "there is no command compres: noisebook compress"),
        (["song.wav"], "there is no command song.wav; to compress song.wav: noisebook compress song.wav"),
        (["gone.mp3", "x.ddcm"], "there is no command gone.mp3; to compress gone.mp3: noisebook compress gone.mp3"),
        (["song.ddcm"], "there is no command song.ddcm; to hear song.ddcm: noisebook play song.ddcm"),
        (["folder"], "there is no command folder; folder is a folder: noisebook batch compress folder STREAMS"),
        (["qqq"], "there is no command qqq; there are batch, bench, "),
    ],
)
def test_other_words(fails, sound, typed, meant):
    Path("folder").mkdir()
    assert fails(*typed, status=2).startswith(meant)


@pytest.mark.parametrize(
    ("arguments", "status", "kind"),
    [
        (["compress", "no.wav", "--json"], 1, "AudioError"),
        (["decompress", "no.ddcm", "--json"], 1, "AudioError"),
        (["info", "no.ddcm", "--json"], 1, "AudioError"),
        (["info", "song.wav", "--json"], 1, "NotAStream"),
        (["info", "--json"], 2, "UsageError"),
        (["compress", "song.wav", "--json", "--bitrate", "much"], 2, "UsageError"),
        (["encode", "--json"], 2, "UsageError"),
        (["reconstruct", "no.wav", "--json"], 1, "AudioError"),
        (["transform", "no.wav", "-p", "x", "--json"], 1, "AudioError"),
        (["restore", "no.wav", "--task", "declip", "--json"], 1, "AudioError"),
        (["generate", "music", "no/x.wav", "--json"], 1, "ConfigError"),
        (["verify", "no.wav", "song.wav", "--json"], 1, "AudioError"),
        (["recommend", "no.wav", "--json"], 1, "AudioError"),
        (["compare", "no.wav", "--out", "out", "--json"], 1, "AudioError"),
        (["bench", "no.wav", "--json"], 1, "AudioError"),
        (["codebook", "info", "no", "--json"], 1, "ModelError"),
        (["codebook", "fit", "no.wav", "-o", "x.safetensors", "--json"], 1, "AudioError"),
        (["batch", "compress", "no", "out", "--json"], 1, "ConfigError"),
    ],
)
def test_failures_are_json(noisebook, sound, arguments, status, kind):
    ran = noisebook(*arguments)
    told = json.loads(ran.text)["error"]
    assert (ran.status, told["exit_status"], told["kind"]) == (status, status, kind)
    assert ran.err.splitlines()[-1] == f"noisebook: {told['message']}"


def test_a_damaged_stream_is_one_document(noisebook, stream):
    stream.write_bytes(stream.read_bytes()[:-3])
    ran = noisebook("info", stream, "--model", "mini", "--json")
    assert json.loads(ran.text)["codec"] == "ddcm"


def test_json_stays_out_of_a_result(noisebook, engine, sound, monkeypatch):
    """Where standard output is the stream, nothing else goes there."""
    monkeypatch.setattr("noisebook.api.compress", _refuse)
    ran = noisebook("compress", sound, "-", "--json", *engine)
    assert (ran.status, ran.out) == (1, b"")


def _refuse(*_: object, **__: object) -> bytes:
    from noisebook.errors import AudioError

    raise AudioError("no")


@pytest.mark.parametrize(
    ("text", "value"),
    [("500", 500), ("6k", 6000), ("1.5K", 1500), ("6 kbit/s", 6000), ("300bps", 300), ("1e3", 1000), (".5k", 500)],
)
def test_rates(text, value):
    assert parse_rate(text) == value


@pytest.mark.parametrize("text", ["", "k", "6kk", "six", "6 kHz", "6m"])
def test_no_rates(text):
    with pytest.raises(ConfigError, match="is no bitrate: give bit/s, such as"):
        parse_rate(text)


def test_a_rate_with_k_is_met(noisebook, engine, sound):
    assert noisebook("compress", sound, "a.ddcm", "-b", "1.5k", *engine).status == 0
    assert noisebook("compress", sound, "b.ddcm", "-b", "1500", *engine).status == 0
    assert Path("a.ddcm").read_bytes() == Path("b.ddcm").read_bytes()


@pytest.mark.parametrize(
    ("value", "shown"), [(14550.3, "14550"), (123456, "123456"), (1455, "1455"), (3.14159, "3.142"), (0.5, "0.5")]
)
def test_numbers_have_no_exponent(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize("group", ["batch", "codebook"])
def test_a_group_without_a_command_shows_its_help(noisebook, group):
    ran = noisebook(group)
    assert (ran.status, ran.out) == (2, b"")
    assert ran.err.startswith(f"Usage: noisebook {group} ")
    assert ran.err.count("\n") > 10


def test_options_before_the_command_are_sent_behind_it(noisebook, fails):
    told = fails("--quiet", "info", "song.ddcm", status=2)
    assert told == "options follow the command: noisebook COMMAND ... --quiet; see noisebook --help"


def test_a_preset_with_k(noisebook, engine, sound):
    assert noisebook("compress", sound, "a.ddcm", "-p", "1.5k", *engine).status == 0
    assert noisebook("compress", sound, "b.ddcm", "-p", "1500", *engine).status == 0
    assert Path("a.ddcm").read_bytes() == Path("b.ddcm").read_bytes()


def test_encode_and_decode(noisebook, engine, sound):
    """The words of other codecs."""
    assert noisebook("encode", sound, "a.ddcm", *engine).status == 0
    assert noisebook("decode", "a.ddcm", "a.wav", *engine).status == 0
    assert noisebook("compress", sound, "b.ddcm", *engine).status == 0
    assert noisebook("decompress", "b.ddcm", "b.wav", *engine).status == 0
    assert Path("a.ddcm").read_bytes() == Path("b.ddcm").read_bytes()
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()
    assert noisebook("decode", "--help").text.startswith("Usage: noisebook decode ")
