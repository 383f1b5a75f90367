"""Names of results: mirrored, and never two alike."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from noisebook.batch.planning import counterparts, targets
from noisebook.batch.verbs import suffix_of

SUFFIXES = st.lists(st.sampled_from([".wav", ".mp3", ".ddcm", ".WAV"]), min_size=1, max_size=3).map("".join)
NAMES = st.lists(st.tuples(st.sampled_from(["a", "b", "x/a"]), SUFFIXES).map("".join), unique=True, max_size=12)


def test_the_tree_is_mirrored():
    assert targets(["a.wav", "x/b.mp3"], ".ddcm") == {"a.wav": "a.ddcm", "x/b.mp3": "x/b.ddcm"}


def test_those_that_would_get_one_name_keep_their_suffix():
    named = targets(["a.wav", "a.mp3", "x/a.wav"], ".ddcm")
    assert named == {"a.wav": "a.wav.ddcm", "a.mp3": "a.mp3.ddcm", "x/a.wav": "x/a.ddcm"}


def test_a_longer_name_that_meets_another_lengthens_that_too():
    named = targets(["a.wav", "a.mp3", "a.wav.flac"], ".ddcm")
    assert named == {"a.wav": "a.wav.ddcm", "a.mp3": "a.mp3.ddcm", "a.wav.flac": "a.wav.flac.ddcm"}


@given(NAMES)
def test_no_two_targets_are_alike(names):
    named = targets(names, ".ddcm")
    assert list(named) == names
    assert len(set(named.values())) == len(names)
    for name, target in named.items():
        assert target in (name + ".ddcm", name.rpartition(".")[0] + ".ddcm")


@given(NAMES)
def test_the_order_of_names_does_not_matter(names):
    assert targets(names, ".ddcm") == targets(names[::-1], ".ddcm")


@given(NAMES)
def test_a_result_is_found_again(names):
    named = targets(names, ".ddcm")
    for name, target in named.items():
        assert target in counterparts(name, set(named.values()))


def test_suffixes_are_small():
    assert suffix_of("X/A.WAV") == ".wav"
    assert suffix_of("a") == ""
