"""Settings and their form in an address."""

from __future__ import annotations

from dataclasses import fields
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noisebook.codec.presets import DEFAULT
from noisebook.errors import ConfigError
from noisebook.studio.settings import MAX_COMPARED, METHODS, Settings, compared_methods

text = st.text(max_size=20)
compared = st.lists(st.sampled_from(compared_methods()), min_size=1, max_size=MAX_COMPARED).map(tuple)


def parsed(query: str) -> Settings:
    return Settings.from_query(dict(parse_qsl(query, keep_blank_values=True)))


@given(
    st.builds(
        Settings, method=st.sampled_from(sorted(METHODS)), clip=st.sampled_from(["", "demo"]),
        preset=st.sampled_from(["8", "300"]),
        bitrate=st.integers(0, 16000).map(float), prompt=text, gaps=text, methods=compared,
        strength=st.integers(0, 20).map(lambda twentieth: twentieth / 20), seed=st.integers(0, 255),
        stream=st.booleans(),
    )
)  # fmt: skip
def test_an_address_brings_back_what_its_method_uses(settings):
    again = parsed(settings.query())
    for name in ("method", "clip", "seed", *METHODS[settings.method].settings):
        assert getattr(again, name) == getattr(settings, name), name


def test_an_address_is_short_and_readable():
    assert Settings().query() == "method=codec"
    assert Settings(method="restore", gaps="1:1.2", seed=3).query() == "method=restore&gaps=1:1.2&seed=3"


def test_the_page_starts_where_the_command_does():
    assert Settings().preset == DEFAULT


def test_every_setting_belongs_to_a_method_or_to_all():
    used = {name for method in METHODS.values() for name in method.settings} | {"method", "clip", "seed"}
    assert used == {field.name for field in fields(Settings)}


def test_the_page_may_have_names_of_its_own():
    assert Settings.from_query({"__theme": "dark"}) == Settings()


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"method": "zip"}, "method 'zip': codec, "),
        ({"presets": "300"}, "a setting 'presets'; there are method, clip, preset"),
        ({"strength": "much"}, "strength='much', which is no number"),
        ({"stream": "yes"}, "stream='yes'"),
        ({"seed": "256"}, "seed 256: 0 to 255 are possible"),
        ({"strength": "nan"}, "strength nan: 0 to 1 are possible"),
        ({"preset": "64"}, "preset '64': 8, 30, 100"),
        ({"clip": "../secret"}, "clip '../secret': none, demo"),
        ({"task": "denoise"}, "task 'denoise': inpaint, bandwidth, declip are possible"),
        ({"methods": "codec-300,mp3"}, "methods 'mp3': codec-8, "),
        ({"methods": "codec-8,codec-30,codec-100,codec-300,codec-700"}, "5 methods to compare: choose 1 to 4"),
    ],
)
def test_a_wrong_address_is_told(query, told):
    with pytest.raises(ConfigError) as failure:
        Settings.from_query(query)
    assert told in str(failure.value)
