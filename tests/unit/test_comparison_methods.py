"""The table of methods, and how methods are chosen from it."""

from __future__ import annotations

import re

import pytest

from noisebook.codec.presets import PRESETS
from noisebook.comparison.catalogue import catalogue
from noisebook.comparison.methods import FAMILIES, choose
from noisebook.errors import ConfigError
from noisebook.quantizers.files import shipped_names
from noisebook.synthesis.reconstruction_presets import PRESETS as RECONSTRUCTIONS

TABLE = catalogue()
IDS = [method.id for method in TABLE]


def chosen(*names: str) -> list[str]:
    return [method.id for method in choose(TABLE, names)]


def test_every_system_of_the_package_is_there():
    assert chosen("ddcm") == [f"ddcm-{preset.name}" for preset in PRESETS]
    assert chosen("reconstruct") == [f"reconstruct-{preset.name}" for preset in RECONSTRUCTIONS]
    assert chosen("vq") == [f"vq-{name}" for name in shipped_names()]
    assert chosen("ceiling") == ["vocoder", "autoencoder"]
    assert {method.family for method in TABLE} == set(FAMILIES)


def test_ids_are_unique_and_name_files():
    assert len(set(IDS)) == len(IDS)
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) for name in IDS)
    assert len({method.label for method in TABLE}) == len(TABLE)


def test_names_families_series_and_patterns():
    assert chosen("opus") == chosen("opus-*") == ["opus-6k", "opus-8k", "opus-12k", "opus-24k"]
    assert chosen("silence", "ddcm-8") == ["ddcm-8", "silence"]
    assert chosen("all") == IDS
    assert set(chosen("codec")) > set(chosen("mp3", "speex", "snac"))


@pytest.mark.parametrize("names", [("opus-99k",), ("ddcm", "nothing-*"), ()])
def test_what_is_not_there_is_told(names):
    with pytest.raises(ConfigError, match="family"):
        choose(TABLE, names)


def test_rates_are_presets_or_bitrates():
    by_id = {method.id: method for method in catalogue(rates=(300, 450.5))}
    assert [name for name in by_id if name.startswith("ddcm")] == ["ddcm-300", "ddcm-450.5"]
    assert "--preset 300" in by_id["ddcm-300"].command
    assert "--bitrate 450.5" in by_id["ddcm-450.5"].command
    with pytest.raises(ConfigError, match="5 to 8000"):
        catalogue(rates=(9000,))
    with pytest.raises(ConfigError, match="0 to 255"):
        catalogue(seed=256)


def test_a_transformation_needs_a_prompt():
    assert all("--prompt" in str(m.missing) for m in choose(catalogue(), ["transform"]))
    assert all(
        m.missing is None and "'a piano'" in m.command for m in choose(catalogue(prompt="a piano"), ["transform"])
    )


def test_what_decides_a_result_is_in_its_command():
    found = choose(catalogue(seed=3, model="there"), ["vq", "reconstruct"])
    assert all(" --model there" in m.command for m in found)
    assert {m.series for m in found if " --seed 3" in m.command} == {"reconstruct"}  # a codebook draws nothing
    assert "seed 3" in choose(catalogue(seed=3), ["pink-noise"])[0].command


def test_invented_waveforms_are_marked():
    generative = {method.series for method in TABLE if method.generative}
    assert generative == {"ceiling", "reconstruct", "vq", "ddcm", "transform", "codec2"}
