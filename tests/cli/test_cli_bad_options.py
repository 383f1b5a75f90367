"""Options and models that are wrong: one clear line, exit status 1 or 2, and no file behind."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-p", "9"], "preset '9': there are 8, 30, "),
        (["-p", ""], "preset '': there are 8, 30, "),
        (["-b", "1"], "a bitrate of 1 bit/s: "),
        (["-b", "1e9"], "a bitrate of 1e+09 bit/s: "),
        (["-b", "nan"], "a bitrate of nan bit/s: "),
        (["-p", "300", "-b", "300"], "give a preset or a bitrate, not both"),
        (["--channels", "dual"], "channel mode dual codes 2 channels, the sound has 1"),
        (["--tag", "birds"], "tag 'birds': mini knows music, speech, effects"),
        (["--device", "toaster"], "device 'toaster': auto, cpu, cuda, "),
        (["--device", "meta"], "device 'meta': auto, cpu, cuda, "),
        (["--device", ""], "device '': auto, cpu, cuda, "),
        (["--device", "cpu:x"], "device 'cpu:x' cannot be used here: "),
        (["--device", "cuda:99"], "device 'cuda:99' cannot be used here: "),
        (["--model", "nowhere"], "model 'nowhere': there are mini, audioldm2, "),
        (["--model", "."], ". holds no model: neither model_index.json, "),
    ],
)
def test_options_that_cannot_be_met(fails, engine, sound, options, told):
    assert fails("compress", sound, *engine, *options).startswith(told)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--seed", "256"], "Invalid value for '--seed': 256 is not in the range 0<=x<=255"),
        (["--seed", "-1"], "Invalid value for '--seed'"),
        (["-b", "much"], "Invalid value for '-b'"),
        (["-q", "best"], "Invalid value for '-q'"),
        (["--channels", "5.1"], "Invalid value for '--channels'"),
        (["--dtype", "int8"], "Invalid value for '--dtype'"),
        (["--threads", "0"], "Invalid value for '--threads'"),
        (["--mono", "--channels", "dual"], "--mono and --channels dual exclude each other"),
        (["--loud"], "No such option"),
        (["a.ddcm", "b.ddcm"], "several inputs need a folder for their results: -o DIR"),
    ],
)
def test_wrong_usage(fails, engine, sound, options, told):
    line = fails("compress", sound, *engine, *options, status=2)
    assert line.startswith(told)
    assert line.endswith("; see noisebook compress --help")


def test_wrong_usage_of_the_others(fails, engine, stream):
    assert fails("compress", status=2).startswith("Missing argument 'IN... [OUT]'")
    assert fails("decompress", stream, "--tail-steps", 0, *engine, status=2).startswith("Invalid value")
    assert fails("info", status=2) == "Missing argument 'IN'; see noisebook info --help"
    assert fails("polish", status=2).endswith("; see noisebook --help")


@pytest.fixture
def broken_model(tiny_model):
    return Path(shutil.copytree(tiny_model, "model"))


@pytest.mark.parametrize("name", ["vae", "denoiser"])
def test_damaged_model(fails, sound, broken_model, name):
    file = broken_model / f"{name}.safetensors"
    whole = file.read_bytes()

    def told(content: bytes | None) -> str:
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        return fails("compress", sound, "--model", broken_model)

    assert told(None).startswith(f"{broken_model} has no {file.name}; a mini model is a folder with ")
    for content in (b"", b"text", whole[:100], whole[:-1], whole + b"\0"):
        assert told(content).startswith(f"{file} is not a safetensors file: ")
    other = broken_model / ("vae.safetensors" if name == "denoiser" else "denoiser.safetensors")
    assert told(other.read_bytes()).startswith(f"{file} holds ")


def test_a_folder_of_parts_that_do_not_fit(fails, sound, broken_model):
    from noisebook.backends.mini_files import save_network
    from noisebook.networks.band_vae import BandVae, BandVaeConfig

    save_network(broken_model / "vae.safetensors", BandVae(BandVaeConfig(latent_channels=4, dim=32, hidden=32)), {})
    assert "different shapes" in fails("compress", sound, "--model", broken_model)
